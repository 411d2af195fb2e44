"""What a file of weights may hold before Keras is let near it: numbers of its own, no more than the network has."""

from collections.abc import Iterator
from pathlib import Path

import h5py

MAX_OBJECTS = 20_000
# Keras keeps the state of an optimiser beside the weights: two more numbers for each.
MAX_TIMES_THE_NETWORK = 4


class WeightsFileError(ValueError):
    """A file that is not one of weights alone; the message says what it holds."""


def check_weights_file(path: Path, network_bytes: int) -> None:
    """Looks at everything that an HDF5 file declares, and reads none of its numbers.

    Args:
      path: of the file.
      network_bytes: what the weights of the network take.

    Raises:
      WeightsFileError: it points at other files, declares far more numbers than the network has, or other things.
      OSError, RuntimeError, ValueError, KeyError: h5py's, for a damaged file.
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
    """Yields everything that hard links lead to, once."""
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
