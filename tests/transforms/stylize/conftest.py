"""An output directory and the runs that belong into it."""

import pytest

from stylecore.networks.precision import Arithmetic
from tests.support.inputs import TINY
from tests.support.stylizing import begun
from transforms.manifest.parse import parse_row
from transforms.output.published_weights import publish_weights
from transforms.probe import image_facts
from transforms.records import Run
from transforms.resolve import resolve_run


@pytest.fixture
def output(inputs):
    """An output directory as it is when the work begins."""
    return begun(inputs / "out")


@pytest.fixture
def runs(inputs, output):
    """Makes a run of content.png and style_a.png, or of others, from settings."""

    fingerprints: dict[tuple[str, str], str] = {}

    def make(content="content.png", style="style_a.png", initial=None, **settings):
        values = {"content": content, "style": style, "config": {**TINY, **settings}, "initial": initial}
        row = parse_row(values, 0, 0, str(inputs / "m.parquet"))
        fingerprints.update(fingerprints or publish_weights(output, [("vgg19", row.config.weights)], None))
        facts = {uri: image_facts(uri) for uri in row.image_uris()}
        run = resolve_run(row, facts, fingerprints, Arithmetic("any"))
        assert isinstance(run, Run)
        return run

    return make
