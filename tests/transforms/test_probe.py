"""What is found of an image alone; whole jobs are in tests/pipeline."""

import io

import numpy as np
from PIL import Image

from tests.support.pictures import noise
from transforms.input_images import sha256_hex
from transforms.probe import image_facts
from transforms.records import ImageFacts, Reason


def png(side_px):
    """Returns a picture that cannot be compressed: about three bytes a pixel."""
    buffer = io.BytesIO()
    Image.fromarray(noise(side_px, side_px, dtype=np.uint8)).save(buffer, "png")
    return buffer.getvalue()


def test_a_small_image_takes_one_request_and_a_large_one_is_asked_for_its_size(emulator):
    for side_px, requests in ((64, 1), (1300, 3)):
        data = png(side_px)
        emulator.create(f"probe/{side_px}.png", data)
        emulator.requests.clear()
        assert image_facts(f"gs://bucket/probe/{side_px}.png") == ImageFacts(sha256_hex(data), side_px, side_px)
        assert len(emulator.requests) == requests


def test_a_missing_image_and_a_broken_one_have_a_reason(tmp_path):
    missing = image_facts(str(tmp_path / "none.png"))
    assert isinstance(missing, Reason) and missing.error_type == "NotFoundError"
    (tmp_path / "half.png").write_bytes(png(64)[:2000])
    broken = image_facts(str(tmp_path / "half.png"))
    assert isinstance(broken, Reason) and str(tmp_path / "half.png") in broken.error_message
