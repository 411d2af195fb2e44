"""Results in order, and never more under way than allowed."""

import threading

import pytest

from transforms.output.storage import read_ahead


def test_results_come_in_the_order_of_the_items():
    assert list(read_ahead(lambda item: item * item, range(100), ahead=7)) == [item * item for item in range(100)]


def test_no_more_items_are_taken_than_allowed():
    items = iter(range(50))
    next(read_ahead(lambda item: item, items, ahead=5))
    assert next(items) == 5


def test_items_are_under_way_together():
    barrier = threading.Barrier(4, timeout=10)
    assert len(list(read_ahead(lambda _: barrier.wait(), range(4), ahead=4))) == 4


def test_an_error_is_raised_where_its_result_would_stand():
    results = read_ahead(lambda item: 1 // item, [1, 0, 1], ahead=2)
    assert next(results) == 1
    with pytest.raises(ZeroDivisionError):
        next(results)
