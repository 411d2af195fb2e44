"""StyleBeam's LPIPS against the package `lpips`: the committed result of benchmarks/lpips_reference.py."""

import json

import pytest

from benchmarks.lpips_reference import AGREE, RESULT, ours, pairs
from stylecore.measures.network import PictureNetwork
from stylecore.networks.weights.sources import WeightsError, load_weights


@pytest.mark.imagenet
def test_five_pairs_have_the_packages_values():
    """The sixth is looked at in pieces and takes most of the time: what they give, test_network.py says."""
    try:
        network = load_weights("lpips_vgg16", "imagenet")
    except WeightsError as error:
        pytest.fail(f"the package index should have the weights: {error}")
    committed = json.loads(RESULT.read_text())
    assert network.fingerprint == committed["measures_sha256"] and committed["same_heads"]
    expected = {name: row["package"] for name, row in committed["pairs"].items()}
    assert len(expected) == 6 and max(expected.values()) - min(expected.values()) > 0.5
    small = {name: pair for name, pair in pairs().items() if pair[0].size <= 3 * 256**2}
    assert len(small) == 5
    found = ours(PictureNetwork(network.network), small)
    assert found == pytest.approx({name: expected[name] for name in small}, abs=AGREE)
