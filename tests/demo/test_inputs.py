"""The demo's pictures: where they come from, that they never change, and that the paintings are worth transferring."""

import importlib.metadata
import socket
from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image
from scipy.ndimage import gaussian_filter

from demo import inputs
from demo.paintings import PAINTINGS
from demo.photographs import PHOTOGRAPHS

Pixels = NDArray[np.uint8]


@pytest.fixture(scope="module")
def written(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """All pictures, painted once for this file; keyed as `folder/name`."""
    paths = inputs.write_inputs(tmp_path_factory.mktemp("demo"))
    return {f"{path.parent.name}/{path.stem}": path for path in paths}


def pixels(path: Path) -> Pixels:
    with Image.open(path) as picture:
        assert (picture.format, picture.mode) == ("PNG", "RGB")
        return np.asarray(picture)


def test_every_picture_is_written_under_its_name(written: dict[str, Path]) -> None:
    expected = [f"photographs/{name}" for name in PHOTOGRAPHS] + [f"paintings/{name}" for name in PAINTINGS]
    assert list(written) == expected


def test_photographs_are_reduced_but_never_enlarged(written: dict[str, Path]) -> None:
    shapes = {name: pixels(written[f"photographs/{name}"]).shape for name in PHOTOGRAPHS}
    assert shapes == {"chelsea": (300, 451, 3), "coffee": (341, 512, 3), "rocket": (342, 512, 3)}


@pytest.mark.parametrize("name", PHOTOGRAPHS)
def test_photographs_come_from_the_wheel_without_network(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*args: object, **kwargs: object) -> None:
        raise AssertionError("a photograph asked for the network")

    monkeypatch.setattr(socket, "socket", refuse)
    shipped = {Path(file).stem for file in importlib.metadata.files("scikit-image") or [] if file.parent.name == "data"}
    assert name in shipped
    assert PHOTOGRAPHS[name]().std() > 20


def test_writing_again_gives_the_same_bytes(written: dict[str, Path], tmp_path: Path) -> None:
    again = inputs.write_inputs(tmp_path)
    assert [path.read_bytes() for path in again] == [path.read_bytes() for path in written.values()]


@pytest.mark.parametrize("name", PAINTINGS)
def test_paintings_have_texture_at_every_scale(name: str, written: dict[str, Path]) -> None:
    """Each octave from 1 to 32 pixels carries contrast, and no 128-pixel tile lies empty."""
    painting = pixels(written[f"paintings/{name}"])
    assert painting.shape == (512, 640, 3)
    blurred = [gaussian_filter(painting.mean(axis=2), sigma) for sigma in (0, 1, 2, 4, 8, 16, 32)]
    for fine, coarse in pairwise(blurred):
        tiles = (fine - coarse).reshape(4, 128, 5, 128).std(axis=(1, 3))
        assert np.median(tiles) > 4 and tiles.min() > 2


@pytest.mark.parametrize("name", PAINTINGS)
def test_paintings_have_a_wide_palette(name: str, written: dict[str, Path]) -> None:
    """Of 8 x 8 x 8 cells of RGB, many are in use; warm and cool colours, light and dark ones, each have their share."""
    painting = pixels(written[f"paintings/{name}"]).reshape(-1, 3).astype(int)
    cells = np.bincount(painting // 32 @ [64, 8, 1], minlength=512)
    assert (cells > len(painting) / 5000).sum() > 40
    red_over_blue, lightness = painting[:, 0] - painting[:, 2], painting.mean(axis=1)
    for share in (red_over_blue > 60, red_over_blue < -20, lightness > 160, lightness < 70):
        assert share.mean() > 0.03
