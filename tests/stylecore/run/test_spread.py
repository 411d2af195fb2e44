"""Work on several devices: each piece once, events in the caller's thread, errors raised, no thread left."""

import threading
from itertools import count

import pytest

from stylecore.run import devices
from stylecore.run.spread import spread


@pytest.fixture(params=[1, 2])
def some_devices(monkeypatch, request):
    names = [f"/device:CPU:{number}" for number in range(request.param)]
    monkeypatch.setattr(devices, "device_names", lambda: names)
    devices._free_devices.cache_clear()
    yield names
    devices._free_devices.cache_clear()
    assert not [thread for thread in threading.enumerate() if thread.name.startswith("device")]


def numbered(piece, device):
    yield from ((piece, number) for number in range(3))


def test_every_event_of_every_piece_comes_in_its_order(some_devices):
    found = list(spread(numbered, "abcde"))
    assert sorted(found) == sorted((piece, (piece, number)) for piece in "abcde" for number in range(3))
    for piece in "abcde":
        assert [event[1] for owner, event in found if owner == piece] == [0, 1, 2]
    assert list(spread(numbered, [])) == []


def test_pieces_are_computed_on_all_devices_at_once(some_devices):
    """Each piece waits for the other: on one device after the other neither would end."""
    together = threading.Barrier(len(some_devices), timeout=20)

    def compute(piece, device):
        together.wait()
        yield device, threading.current_thread()

    found = [event for _, event in spread(compute, "abcd")]
    several = len(some_devices) > 1
    assert {device for device, _ in found} == ({*some_devices} if several else {""})
    assert (threading.current_thread() in {thread for _, thread in found}) != several


def test_an_error_of_a_piece_is_raised_and_ends_the_others(some_devices):
    begun = []

    def compute(piece, device):
        begun.append(piece)
        yield piece
        if piece == "bad":
            raise ValueError("bad piece")
        yield from count()

    with pytest.raises(ValueError, match="bad piece"):
        list(spread(compute, ["bad", "endless", "never begun"][: 1 if len(some_devices) == 1 else 3]))
    assert "never begun" not in begun


def test_a_caller_that_stops_ends_everything(some_devices):
    begun = []

    def compute(piece, device):
        begun.append(piece)
        yield from count()

    events = spread(compute, range(9))
    next(events)
    events.close()
    assert len(begun) <= len(some_devices)
