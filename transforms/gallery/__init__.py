"""The gallery: a static page, opened from disk or a bucket, in which the runs of a grid are browsed and compared."""

from transforms.gallery.files import gallery_files

__all__ = ["gallery_files"]
