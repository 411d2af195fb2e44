"""TensorFlow without its greetings, which it writes past Python's logging."""

import contextlib
import os
import sys
from collections.abc import Iterator
from pathlib import Path


def import_tensorflow() -> None:
    """Imports TensorFlow and looks for devices with the process's standard error closed to both."""
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
