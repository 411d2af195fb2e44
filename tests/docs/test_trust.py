"""docs/trust.md says the bounds that the code has."""

import re

import pytest

from pipeline import grid
from stylecore.images import bounds as image_bounds
from stylecore.images import codec as images
from stylecore.networks.weights import keras_file as weights_file
from tests.hostile.images import MAX_BYTES_A_PIXEL
from tests.support.paths import ROOT
from transforms import input_images as image_files
from transforms.manifest import files as manifest_files
from transforms.manifest import parse as manifest_rows

PAGE = (ROOT / "docs" / "trust.md").read_text()
MODULES = (image_bounds, images, image_files, manifest_files, manifest_rows, grid, weights_file)
BOUNDS = {
    name: getattr(module, name)
    for module in MODULES
    for name in vars(module)
    if re.fullmatch("_?MAX_[A-Z_]+", name) and name != "_MAX_STYLES_SHOWN"
}


@pytest.mark.parametrize("name", BOUNDS)
def test_every_bound_is_on_the_page(name):
    (row,) = [line for line in PAGE.splitlines() if f"`{name}`" in line]
    assert re.search(rf"\b{BOUNDS[name]}\b", row), row


def test_the_memory_of_the_suite_is_that_of_the_page():
    assert f"| {MAX_BYTES_A_PIXEL} bytes a pixel" in PAGE


def test_the_readme_names_the_page():
    assert "(docs/trust.md)" in (ROOT / "README.md").read_text()
