"""Checks that the image works on this machine: a picture on the GPU, and a step compiled with XLA.

    docker run --rm --entrypoint python IMAGE smoke_test.py        needs neither network, root nor weights

Prints what it found; ends with 1 if anything is missing.
"""

import sys
import time
from pathlib import Path

import numpy as np
import tensorflow as tf

import pipeline.build  # noqa: F401 - what a worker imports to unpickle its steps
from stylecore import StyleConfig, stylize

IN_THE_IMAGE = ("/opt/apache/beam/boot", "/opt/google/dataflow/python_template_launcher")
CONFIG = StyleConfig(weights="random:1", image_size=256, iterations=50)


def check_files() -> str:
    """Counts the programs in place; raises FileNotFoundError if one that a worker or the launcher needs is missing."""
    for path in IN_THE_IMAGE:
        if not Path(path).exists():
            raise FileNotFoundError(path)
    return f"{len(IN_THE_IMAGE)} programs in place"


def check_gpu() -> str:
    """Returns the GPUs' names; raises RuntimeError if there is none."""
    gpus = tf.config.list_physical_devices("GPU")
    if not gpus:
        raise RuntimeError("TensorFlow sees no GPU")
    return ", ".join(str(tf.config.experimental.get_device_details(gpu).get("device_name", gpu.name)) for gpu in gpus)


def check_picture(config: StyleConfig = CONFIG) -> str:
    """Makes a picture; returns how long it took."""
    content, style = np.random.default_rng(1).integers(0, 256, (2, 256, 320, 3), np.uint8)
    began = time.monotonic()
    (result,) = stylize([content], [style], [config])
    if result.error is not None:
        raise result.error
    per_second = config.iterations / (time.monotonic() - began)
    return f"{config.iterations} iterations, loss {result.loss_total:.3g}, {per_second:.1f} iterations a second"


def check_xla() -> str:
    """Compiles a product of matrices; raises a TensorFlow error if ptxas or libdevice is missing."""
    ones = tf.ones([256, 256])
    product = tf.function(lambda a: tf.nn.softplus(a @ a), jit_compile=True, autograph=False)(ones)
    return f"compiled, on {product.device.rpartition('/')[2]}"


def main() -> int:
    """Runs every check, even after one has failed."""
    failed = 0
    for check in (check_files, check_gpu, check_picture, check_xla):
        try:
            print(f"ok      {check.__name__}: {check()}", flush=True)
        except (OSError, RuntimeError, ValueError, tf.errors.OpError) as error:
            failed += 1
            print(f"FAILED  {check.__name__}: {type(error).__name__}: {error}", flush=True)
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
