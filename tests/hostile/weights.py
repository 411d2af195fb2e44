"""Hundreds of damaged weights files: each must load with the network's own shapes or be refused in one line.

python -m tests.hostile.weights --count 2000 --seed 1
"""

import argparse
import functools
import random
import sys
import tempfile
from pathlib import Path

import h5py
import keras
import numpy as np

from stylecore.networks.weights import sources as weights
from tests.hostile.isolation import BUG, DONE, REFUSED, run_isolated
from tests.hostile.mutations import mutated

TASK = "tests.hostile.weights:load_case"
PEAK_BYTES = 3 * 2**30


def tiny_network(*_):
    """Returns a network that loads quickly, in place of a backbone."""
    layers = [keras.layers.Input((None, None, 3)), keras.layers.Conv2D(4, 3, name="conv")]
    return keras.Sequential([*layers, keras.layers.BatchNormalization(name="bn")])


def write_legacy(network, path, **options):
    """Writes a file in the form of Keras' own no-top files: a group for each layer, which lists its weights' names."""
    with h5py.File(path, "w") as file:
        file.attrs["layer_names"] = [layer.name.encode() for layer in network.layers]
        for layer in network.layers:
            group = file.create_group(layer.name)
            names = [f"{layer.name}/{index}:0" for index in range(len(layer.weights))]
            group.attrs["weight_names"] = [name.encode() for name in names]
            for name, values in zip(names, layer.get_weights(), strict=True):
                group.create_dataset(name, data=values, **options)


@functools.cache
def seed_files():
    """Returns file name -> bytes of sound weights files."""
    network, files = tiny_network(), {}
    with tempfile.TemporaryDirectory() as folder:
        network.save_weights(Path(folder) / "new.weights.h5")
        write_legacy(network, Path(folder) / "old.h5")
        write_legacy(network, Path(folder) / "packed.h5", compression="gzip", chunks=True, shuffle=True)
        for path in sorted(Path(folder).iterdir()):
            files[path.name] = path.read_bytes()
    return files


def load_case(seed, index):
    """Loads one case, as a task of isolation.run_isolated."""
    weights.build_backbone = tiny_network  # type: ignore[attr-defined]
    files = seed_files()
    name = sorted(files)[index % len(files)]
    generator = random.Random(f"{seed}/{index}")
    data = mutated(files[name], list(files.values()), generator)
    if generator.random() < 0.8:  # HDF5 checks the length first.
        data = data[: len(files[name])].ljust(len(files[name]), b"\0")
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / name
        path.write_bytes(data)
        try:
            loaded = weights.load_file("vgg19", path)
        except weights.WeightsError as error:
            reason = str(error).replace(str(path), name)
            return (REFUSED if reason == " ".join(reason.split()) and len(reason) < 400 else BUG), reason
    shapes = [values.shape for values in loaded.network.get_weights()]
    if shapes != [values.shape for values in tiny_network().get_weights()]:
        return BUG, f"{name}: {shapes}"
    if not all(np.isfinite(values).all() for values in loaded.network.get_weights()):
        return BUG, f"{name}: values that are not finite"
    return DONE, name


def main(arguments=None):
    """Prints the figures; exits 1 if a case broke or memory was not bounded."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--count", type=int, default=2_000)
    parser.add_argument("--first", type=int, default=0)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--workers", type=int, default=2)
    options = parser.parse_args(arguments)
    indices = range(options.first, options.first + options.count)
    summary = run_isolated(TASK, indices, options.seed, options.workers, limit_bytes=16 * 2**30)
    print(summary)
    return int(bool(summary.broken) or summary.peak_bytes > PEAK_BYTES)


if __name__ == "__main__":
    sys.exit(main())
