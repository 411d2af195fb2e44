"""Checks an HDF5 file of weights before Keras opens it: nothing but numbers, about as many as the network has."""

from collections.abc import Iterator
from pathlib import Path

import h5py

MAX_OBJECTS = 20_000
# Keras stores an optimiser's state beside the weights: two more numbers for each.
MAX_TIMES_THE_NETWORK = 4


class WeightsFileError(ValueError):
    """A file that holds more than weights; the message says what."""


def check_weights_file(path: Path, network_bytes: int) -> None:
    """Checks everything that an HDF5 file declares, without reading its numbers.

    Args:
      path: the file, on a local disk.
      network_bytes: the size of the network's weights in memory.

    Raises:
      WeightsFileError: it links to other files, or declares anything but numbers or far more than the network has.
      OSError, RuntimeError, ValueError, KeyError: h5py finds the file damaged.
    """
    declared = 0
    with h5py.File(path, "r") as file:
        for count, (name, found) in enumerate(_objects(file)):
            if count >= MAX_OBJECTS:
                raise WeightsFileError(f"holds more than {MAX_OBJECTS} groups and datasets")
            if isinstance(found, h5py.Dataset):
                _check_dataset(name, found)
                declared += found.nbytes
    if declared > MAX_TIMES_THE_NETWORK * network_bytes:
        raise WeightsFileError(f"declares {declared} bytes of numbers, the network has {network_bytes}")


def _objects(group: h5py.Group) -> Iterator[tuple[str, h5py.Group | h5py.Dataset]]:
    """Yields the name and the object of everything in the file, once, however many hard links lead to it."""
    seen, waiting = set(), [group]
    while waiting:
        parent = waiting.pop()
        for name in parent:
            link = parent.get(name, getlink=True)
            if not isinstance(link, h5py.HardLink):
                raise WeightsFileError(f"holds a link to another place, {name!r:.40}")
            found = parent[name]
            identity = h5py.h5o.get_info(found.id).addr
            if identity not in seen:
                seen.add(identity)
                yield name, found
                if isinstance(found, h5py.Group):
                    waiting.append(found)


def _check_dataset(name: str, dataset: h5py.Dataset) -> None:
    if dataset.external or dataset.is_virtual:
        raise WeightsFileError(f"holds the dataset {name!r:.40}, whose numbers are in another file")
    if dataset.dtype.kind not in "fiub":
        raise WeightsFileError(f"holds the dataset {name!r:.40} of {dataset.dtype}, expected numbers")
