"""JAX in a folder of its own: where it is installed beside TensorFlow, TensorFlow Lite loads it with every program."""

import subprocess
import sys
import tempfile
from pathlib import Path

from tests.support.paths import ROOT

REQUIREMENTS = ("jax==0.10.2", "jaxlib==0.10.2")
# What they need beside each other, NumPy, SciPy, ml_dtypes and opt_einsum, comes with TensorFlow and the dev tools.
FOLDER = ROOT / ".cache" / "-".join(REQUIREMENTS)


def jax_packages() -> Path:
    """Returns a folder for PYTHONPATH; the package index is asked once."""
    if not FOLDER.exists():
        FOLDER.parent.mkdir(exist_ok=True)
        with tempfile.TemporaryDirectory(dir=FOLDER.parent) as part:
            command = [
                sys.executable,
                "-m",
                "pip",
                "install",
                "--quiet",
                "--no-deps",
                "--only-binary=:all:",
                "--target",
            ]
            subprocess.run([*command, f"{part}/jax", *REQUIREMENTS], check=True)
            Path(part, "jax").rename(FOLDER)
    return FOLDER
