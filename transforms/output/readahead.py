"""Reading ahead: many small objects in Cloud Storage cost the latency of one, not of each."""

from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from typing import TypeVar

Item = TypeVar("Item")
Result = TypeVar("Result")


def read_ahead(function: Callable[[Item], Result], items: Iterable[Item], ahead: int) -> Iterator[Result]:
    """Yields `function(item)` for each item, in order, and computes the next ones in threads meanwhile.

    Args:
      function: may be called in several threads at once.
      items: read one by one, as results are taken.
      ahead: at most this many results, >= 1, are computed or wait to be taken.
    """
    waiting: deque[Future[Result]] = deque()
    with ThreadPoolExecutor(ahead) as pool:
        for item in items:
            waiting.append(pool.submit(function, item))
            if len(waiting) == ahead:
                yield waiting.popleft().result()
        while waiting:
            yield waiting.popleft().result()
