"""Odd names of buckets and objects in a manifest: each fails its own row, and none fails the job."""

import pytest

from transforms.manifest.parse import RowError, parse_content
from transforms.probe import image_facts
from transforms.records import Reason

NAMES = [
    "gs://bucket/missing.png",
    "gs://bucket/",
    "gs://bucket//a.png",
    "gs://bucket/a b?c=d&e#f%00.png",
    "gs://bucket/*",
    "gs://bucket/[a-",
    "gs://bucket/‮gnp.é\u2028",
    "gs://bucket/" + "a" * 2_000,
    "gs://no-such-bucket/a.png",
    "gs://BUCKET WITH SPACES/a.png",
    "gs://../a.png",
    "gs://bucket@evil.example/a.png",
    "gs://evil.example:80/a.png",
    "gs://é/a.png",
    "gs://?/a.png",
    "gs://#/a.png",
    "GS://bucket/a.png",
    "gs:///a.png",
    "gs:/bucket/a.png",
    "gs:bucket",
]


@pytest.mark.parametrize("name", NAMES)
def test_odd_cloud_names_fail_with_a_reason(emulator, name):
    try:
        _, uri = parse_content(name, "gs://bucket/manifests")
    except RowError as error:
        assert "content" in str(error) and "\n" not in str(error)
        return
    reason = image_facts(uri)
    assert isinstance(reason, Reason)
    assert reason.error_type in ("NotFoundError", "StorageError")
    assert "\n" not in reason.error_message and len(reason.error_message) < 2_500
