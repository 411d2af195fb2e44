"""How numbers and unknown options are worded."""

import argparse

import pytest

from pipeline.cli.command import duration, plural, rate, size, unknown_option


@pytest.mark.parametrize(
    ("secs", "text"),
    [
        (0, "0 s"),
        (0.6, "1 s"),
        (45, "45 s"),
        (430, "7 min 10 s"),
        (3600, "1 h"),
        (12_000, "3 h 20 min"),
        (90_061, "1 d 1 h"),
    ],
)
def test_durations_in_their_two_largest_units(secs, text):
    assert duration(secs) == text


@pytest.mark.parametrize(
    ("size_bytes", "text"),
    [
        (0, "0 bytes"),
        (1, "1 byte"),
        (999, "999 bytes"),
        (1_000, "1.0 kB"),
        (999_949, "999.9 kB"),
        (999_999, "1.0 MB"),
        (12_300_000, "12.3 MB"),
        (10**9 - 1, "1.0 GB"),
        (5 * 10**12, "5000.0 GB"),
    ],
)
def test_sizes_in_the_largest_unit_that_fits(size_bytes, text):
    assert size(size_bytes) == text


def test_rates_and_plurals():
    assert rate(1.25, "runs") == "1.2 runs a minute" and rate(0.2, "runs") == "12.0 runs an hour"
    assert [plural(count, thing) for count, thing in ((1, "row"), (2, "row"), (2, "batch"))] == [
        "1 row",
        "2 rows",
        "2 batches",
    ]


def test_an_unknown_option_names_the_nearest_if_one_is_near():
    parser = argparse.ArgumentParser()
    parser.add_argument("--batch_size")
    assert unknown_option("--batchsize=3", parser) == "unknown option --batchsize=3, did you mean --batch_size?"
    assert unknown_option("--zzz", parser) == "unknown option --zzz"
