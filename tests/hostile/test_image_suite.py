"""A sample of the hostile images, and checks that the suite itself detects crashes, hangs and exhausted memory."""

import os
import time

import numpy as np
import pytest

from stylecore.images.codec import decode_image
from tests.hostile.images import PEAK_BYTES, TASK, hostile_picture
from tests.hostile.isolation import BUG, CRASH, DONE, HANG, REFUSED, run_isolated
from tests.hostile.seeds import seed_pictures


@pytest.mark.parametrize("name", seed_pictures())
def test_the_pictures_that_are_mutated_are_sound(name):
    shape = decode_image(seed_pictures()[name]).shape
    assert shape in ((30, 40, 3), (40, 30, 3))


def test_a_case_depends_on_its_seed_and_index_alone():
    cases = [hostile_picture(1, index) for index in range(40)]
    assert cases == [hostile_picture(1, index) for index in range(40)]
    assert cases != [hostile_picture(2, index) for index in range(40)]


def test_hostile_pictures():
    summary = run_isolated(TASK, range(760), seed=11)
    assert not summary.broken, str(summary)
    kinds = [outcome.kind for outcome in summary.outcomes]
    assert len(kinds) == 760
    # If all damage were noticed, or none, only one of the two paths would be tested.
    assert min(kinds.count(DONE), kinds.count(REFUSED)) > 100
    assert summary.peak_bytes < PEAK_BYTES, str(summary)


def misbehave(seed, index):
    match index:
        case 1:
            os.abort()
        case 2:
            time.sleep(60)
        case 3:
            raise KeyError("oops")
        case 4:
            np.ones(2**32)
        case 5:
            np.ones(2**24)
    return DONE, ""


def test_crashes_hangs_errors_and_memory_are_noticed():
    summary = run_isolated("tests.hostile.test_image_suite:misbehave", range(7), seed=0, limit_secs=3)
    kinds = [outcome.kind for outcome in summary.outcomes]
    assert kinds == [DONE, CRASH, HANG, BUG, BUG, DONE, DONE]
    assert "oops" in summary.outcomes[3].reason and "MemoryError" in summary.outcomes[4].reason
    assert summary.peak_bytes > 2**27
    assert "BROKEN case 1: crash exit status -6" in str(summary)
