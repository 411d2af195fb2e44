"""The gallery: a static page, opened from disk or a bucket, in which the runs of a grid are browsed and compared."""
