"""TensorFlow without the greetings that it writes to standard error, past Python's logging."""

import contextlib
import os
import sys
from collections.abc import Iterator
from pathlib import Path


def import_tensorflow() -> None:
    """Imports TensorFlow and lets it look for devices while the process's standard error goes nowhere."""
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")
    with _silent_stderr():
        import tensorflow as tf

        tf.config.list_physical_devices()


@contextlib.contextmanager
def _silent_stderr() -> Iterator[None]:
    sys.stderr.flush()
    kept = os.dup(2)
    try:
        with Path(os.devnull).open("wb") as nowhere:
            os.dup2(nowhere.fileno(), 2)
        yield
    finally:
        os.dup2(kept, 2)
        os.close(kept)
