"""A file system that Beam knows and StyleBeam must not use."""

from apache_beam.io.filesystem import FileSystem


class Counting(FileSystem):
    """A file system that Beam knows by its scheme, as it knows s3:// where boto3 is installed; counts its calls."""

    calls = 0

    @classmethod
    def scheme(cls):
        return "counting"

    def __getattribute__(self, name):
        Counting.calls += 1
        return super().__getattribute__(name)

    join = split = mkdirs = has_dirs = _list = create = open = copy = rename = exists = None
    size = last_updated = checksum = metadata = delete = None
