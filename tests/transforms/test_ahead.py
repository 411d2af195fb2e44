"""Threads wait for storage side by side, and hold no more bytes than they may."""

import threading
import time
from concurrent.futures import ThreadPoolExecutor

import apache_beam as beam
import numpy as np
import pytest
from apache_beam.testing.test_pipeline import TestPipeline
from apache_beam.testing.util import assert_that, equal_to
from PIL import Image

from transforms.ahead import ByteBudget, MapAhead
from transforms.input_images import MAX_FILE_BYTES
from transforms.output import storage
from transforms.probe import image_facts
from transforms.records import ImageFacts


def test_elements_are_mapped_with_side_inputs():
    with TestPipeline() as pipeline:
        side = pipeline | "Side" >> beam.Create([100])
        added = pipeline | beam.Create(range(50)) | MapAhead(lambda a, b: a + b, beam.pvalue.AsSingleton(side))
        assert_that(added, equal_to(list(range(100, 150))))


def test_an_error_fails_the_bundle():
    with pytest.raises(ZeroDivisionError), TestPipeline() as pipeline:
        _ = pipeline | beam.Create([0]) | MapAhead(lambda number: 1 // number)


def test_threads_never_hold_more_than_the_budget():
    budget, held, most = ByteBudget(100), [0], [0]
    lock = threading.Lock()

    def hold(count):
        with budget.taken(count):
            with lock:
                held[0] += min(count, 100)
                most[0] = max(most[0], held[0])
            time.sleep(0.001)
            with lock:
                held[0] -= min(count, 100)

    with ThreadPoolExecutor(16) as pool:
        list(pool.map(hold, [1, 40, 60, 99, 100, 1_000, 0] * 20))
    assert held == [0]
    assert 60 <= most[0] <= 100


def test_an_error_gives_back_what_was_taken():
    budget = ByteBudget(10)
    with pytest.raises(ValueError), budget.taken(10):
        raise ValueError
    with budget.taken(10):
        pass


@pytest.mark.parametrize(
    ("size_bytes", "least", "most"), [(MAX_FILE_BYTES, 1, 2), (MAX_FILE_BYTES // 4, 3, 8), (1, 9, 16)]
)
def test_images_are_read_side_by_side_within_bounds(tmp_path, monkeypatch, size_bytes, least, most):
    Image.fromarray(np.zeros((8, 8, 3), np.uint8)).save(tmp_path / "a.png")
    reading, highest = [0], [0]
    lock, read = threading.Lock(), storage.read_bytes

    def slow(uri, limit_bytes=None):
        if limit_bytes is not None and size_bytes > limit_bytes:
            raise storage.TooLargeError(uri)
        with lock:
            reading[0] += 1
            highest[0] = max(highest[0], reading[0])
        time.sleep(0.05)
        with lock:
            reading[0] -= 1
        return read(uri, limit_bytes)

    monkeypatch.setattr(storage, "version_of", lambda uri: storage.Version(size_bytes, None))
    monkeypatch.setattr(storage, "read_bytes", slow)
    found = list(storage.read_ahead(image_facts, [str(tmp_path / "a.png")] * 32, 16))
    assert [isinstance(facts, ImageFacts) and facts.height for facts in found] == [8] * 32
    assert least <= highest[0] <= most
