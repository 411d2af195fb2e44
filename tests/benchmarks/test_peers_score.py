"""The score of both tools is a loss that our own objective knows too."""

import numpy as np
import pytest

from benchmarks.peers_score import equal_config, peer_loss
from stylecore import stylize

pytestmark = pytest.mark.imagenet


def test_our_configuration_minimises_what_is_scored():
    generator = np.random.default_rng(3)
    content, style = (generator.integers(0, 256, shape, np.uint8) for shape in ((40, 48, 3), (48, 36, 3)))
    (result,) = stylize([content], [style], [equal_config(0.3, iterations=3)])
    assert result.image is not None
    assert peer_loss(result.image, content, style, 0.3) == pytest.approx(result.loss_total, rel=1e-4)
    assert peer_loss(result.image, content, style, 0.3) < peer_loss(content, content, style, 0.3)
