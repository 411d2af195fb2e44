"""Work spread over the devices of this machine: a thread for each, and what happens told in the caller's thread."""

import queue
import threading
from collections.abc import Callable, Generator, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from typing import TypeVar

from stylecore.run import devices

Work = TypeVar("Work")
Event = TypeVar("Event")


def spread(
    compute: Callable[[Work, str], Iterator[Event]], work: Sequence[Work]
) -> Generator[tuple[Work, Event], None, None]:
    """Computes every piece of work on a device of its own, several at once, and yields their events as they come.

    The caller's thread sees every event. With one device it computes too; with several it waits while the computation
    goes on, so that an event may be a few calls into TensorFlow old. Once it stops listening, or a piece fails, no
    further piece begins, those under way end at their next event, and then no thread is left.

    Args:
      compute: yields the events of a piece on a device with this name of TensorFlow's; empty where there is one alone.
      work: the pieces, in the order in which they begin.

    Raises:
      Exception: what `compute` raises, of the piece that failed first.
    """
    count = len(devices.device_names())
    if count == 1:
        for piece in work:
            yield from ((piece, event) for event in compute(piece, ""))
        return
    events: queue.SimpleQueue[tuple[Work, Event] | Future[None]] = queue.SimpleQueue()
    stopped = threading.Event()

    def compute_piece(piece: Work) -> None:
        try:
            with devices.free_device() as device:
                for event in () if stopped.is_set() else compute(piece, device):
                    events.put((piece, event))
                    if stopped.is_set():
                        return
        except BaseException:
            stopped.set()
            raise

    with ThreadPoolExecutor(count, thread_name_prefix="device") as pool:
        try:
            under_way = [pool.submit(compute_piece, piece) for piece in work]
            for future in under_way:
                future.add_done_callback(events.put)
            remaining = len(under_way)
            while remaining:
                event = events.get()
                if isinstance(event, Future):
                    event.result()
                    remaining -= 1
                else:
                    yield event
        finally:
            stopped.set()
            pool.shutdown(cancel_futures=True)
