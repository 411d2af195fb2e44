"""A disk that gets full in the middle of the work."""

import errno
import itertools
import os
from pathlib import Path

import pytest


def full_disk(monkeypatch: pytest.MonkeyPatch, folder: str, after: int = 0) -> None:
    """From the write number `after` into a folder on, no data reaches the disk."""
    count, synced = itertools.count(1), os.fsync

    def fsync(descriptor: int) -> None:
        if Path(f"/proc/self/fd/{descriptor}").readlink().parent.name == folder and next(count) > after:
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        synced(descriptor)

    monkeypatch.setattr(os, "fsync", fsync)
