"""Batches are full, of one bucket, of like length, and the same whatever the order in which runs arrive."""

import collections
import dataclasses
import hashlib
import itertools

import apache_beam as beam
import pytest
from apache_beam.testing.test_pipeline import TestPipeline
from apache_beam.testing.util import assert_that
from hypothesis import given, settings
from hypothesis import strategies as st

from stylecore import StyleConfig
from stylecore.planning.room import Room
from transforms import deal
from transforms.batch import BatchLimits, BatchRuns, batch_size_of, even_size, group_batches, slice_batches
from transforms.records import ManifestRow, Run, StyleEntry

_numbers = itertools.count()


def make_run(height=64, width=64, iterations=10, style="0" * 64, **config):
    number = next(_numbers)
    row = ManifestRow(
        number=number,
        location=f"m.parquet, row {number}",
        failure_id=f"row-{number}",
        content="c",
        content_uri="c",
        styles=(StyleEntry(style, style, 1.0),),
        config=StyleConfig(iterations=iterations, **config),
        extra=None,
    )
    return Run(f"{number:016x}", row, "c" * 64, (style,), "w" * 64, height, width)


def sha256(number):
    return hashlib.sha256(str(number).encode()).hexdigest()


@settings(deadline=None)
@given(st.lists(st.integers(0, 2000), min_size=1, max_size=60), st.integers(1, 8))
def test_every_run_once_in_full_batches_of_like_length(iterations, size):
    runs = [make_run(8, 8, count) for count in iterations]
    batches = list(slice_batches(runs, BatchLimits(size)))
    assert sorted(run.run_id for batch in batches for run in batch.runs) == sorted(run.run_id for run in runs)
    assert all(len(batch.runs) == batch.size for batch in batches[:-1])
    lengths = [run.row.config.iterations for batch in batches for run in batch.runs]
    assert lengths == sorted(lengths)
    assert [batch.runs for batch in slice_batches(runs[::-1], BatchLimits(size))] == [batch.runs for batch in batches]


def test_long_runs_get_smaller_batches():
    assert batch_size_of(make_run(256, 256, 100), BatchLimits(8)) == 8
    assert batch_size_of(make_run(256, 256, 1500), BatchLimits(8)) == 1
    assert batch_size_of(make_run(256, 256, 100_000), BatchLimits(8)) == 1


def test_batches_keep_to_the_memory_of_the_device():
    def size(gigabytes, batch_size=None, side=128, **config):
        limits = BatchLimits(batch_size, room=Room(int(gigabytes * 10**9)))
        return batch_size_of(make_run(side, side, 1, **config), limits)

    assert [size(gigabytes) for gigabytes in (0.2, 0.5, 100)] == [1, 4, 8]
    assert size(0.5, optimizer="lbfgs", history_size=100) < 4
    assert size(1, 8, side=4096) == 1


def test_a_fast_device_gets_longer_batches():
    long = make_run(256, 256, 1500, pyramid=((0.5, 0.5), (1.0, 0.5)))
    assert batch_size_of(long, BatchLimits(8)) == 1
    assert batch_size_of(long, BatchLimits(8, secs_per_pixel_and_iteration=1e-7)) == 8


def test_batch_size_follows_from_the_shape():
    assert [batch_size_of(make_run(side, side, 1), BatchLimits()) for side in (16, 64, 128, 256, 1024)] == [
        64,
        32,
        8,
        2,
        1,
    ]


SKEWED = {
    "one pair": lambda number: ("0" * 64, "0" * 64),
    "one content": lambda number: ("0" * 64, sha256(number)),
    "one style": lambda number: (sha256(number), "0" * 64),
    "pairs": lambda number: (sha256(number), sha256(-number)),
}


@pytest.mark.parametrize("images", SKEWED.values(), ids=SKEWED.keys())
def test_the_transform_batches_by_bucket_and_shards_large_ones(monkeypatch, images):
    monkeypatch.setattr(deal, "RUNS_PER_SHARD", 10)
    runs = [make_run(32, 32) for _ in range(35)] + [make_run(32, 48) for _ in range(3)]
    runs += [make_run(32, 32, pooling="avg")]
    for number, run in enumerate(runs):
        content, style = images(number)
        runs[number] = dataclasses.replace(
            run, run_id=sha256(run.row.number)[:16], content_sha256=content, style_sha256=(style,)
        )

    def check(groups):
        batches = [batch for group in groups for batch in group]
        found = collections.Counter(run.run_id for batch in batches for run in batch.runs)
        assert set(found.values()) == {1} and len(found) == len(runs)
        assert all(len({run.bucket for run in batch.runs}) == 1 for batch in batches)
        assert max(len(batch.runs) for batch in batches) <= 4

    with TestPipeline() as pipeline:
        assert_that(pipeline | beam.Create(runs) | BatchRuns(BatchLimits(4)), check)


@given(st.integers(1, 64), st.integers(1, 5000))
def test_even_batches_waste_at_most_a_quarter(size, total):
    even = even_size(size, total)
    batches = -(-total // even)
    assert 1 <= even <= size and batches == -(-total // size)
    assert 4 * (batches * even - total) <= batches * even


def test_even_batches_have_the_same_size_whatever_is_left_to_do():
    runs = [make_run(64, 64) for _ in range(12)] + [make_run(32, 32) for _ in range(65)]

    def check(groups):
        batches = [batch for group in groups for batch in group]
        assert {(batch.runs[0].height, batch.size) for batch in batches} == {(64, 12), (32, 33)}

    for left in (runs, [*runs[:5], *runs[60:]]):
        with TestPipeline() as pipeline:
            every = pipeline | "Every" >> beam.Create(runs)
            batches = pipeline | "Left" >> beam.Create(left) | BatchRuns(BatchLimits(), every)
            assert_that(batches, check)


@pytest.mark.parametrize(
    ("runs", "secs", "expected"),
    [
        (10, 1.0, [2, 2, 1]),
        (32, 1.0, [4, 4, 4, 4]),
        (32, 20.0, [1] * 16),  # A batch of 40 seconds; two exceed a minute.
        (32, 100.0, [1] * 16),
        (2, 1.0, [1]),
    ],
)
def test_groups_keep_to_a_quarter_of_the_shard_and_to_a_minute(runs, secs, expected):
    made = [make_run(64, 64, iterations=100) for _ in range(runs)]
    limits = BatchLimits(2, max_secs=600.0, secs_per_pixel_and_iteration=secs / (64 * 64 * 100))
    batches = list(slice_batches(made, limits))
    groups = list(group_batches(batches, limits))
    assert [batch for group in groups for batch in group] == batches
    assert [len(group) for group in groups] == expected


def test_a_size_that_was_asked_for_stays():
    runs = [make_run(64, 64) for _ in range(5)]

    def check(groups):
        batches = [batch for group in groups for batch in group]
        assert {batch.size for batch in batches} == {4}

    with TestPipeline() as pipeline:
        every = pipeline | "Every" >> beam.Create(runs)
        assert_that(pipeline | "Left" >> beam.Create(runs) | BatchRuns(BatchLimits(4), every), check)


@pytest.mark.parametrize(
    ("one", "other", "same"),
    [
        ({}, {"content_weight": 1.0, "seed": 4, "init": "content", "reduction": "sum", "tv_weight": 0.0}, True),
        ({}, {"style_layers": {"conv5_1": 9, "conv4_1": 1, "conv3_1": 0, "conv2_1": 3, "conv1_1": 2}}, True),
        ({}, {"content_loss": "l1"}, False),
        ({}, {"content_layers": ["conv4_2"]}, False),
        ({}, {"pooling": "avg"}, False),
    ],
)
def test_what_shares_a_bucket(one, other, same):
    assert (make_run(**one).bucket == make_run(**other).bucket) is same
