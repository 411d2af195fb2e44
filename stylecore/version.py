"""The version, read from the installed package's metadata."""

import importlib.metadata

try:
    __version__ = importlib.metadata.version("stylebeam")
except importlib.metadata.PackageNotFoundError:  # A checkout on the path, not installed.
    __version__ = "0+unknown"
