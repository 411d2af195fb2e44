"""Where the repository is, and copies of folders."""

import os
import shutil
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]


def copied(folder: Path, target: Path) -> Path:
    """Copies a folder to a new one, which it returns; networks, which are large and stay as they are, are linked."""

    def copy(source: str, made: str) -> None:
        if source.endswith(".h5"):
            os.link(source, made)
        else:
            shutil.copy2(source, made)

    return Path(shutil.copytree(folder, target, copy_function=copy))
