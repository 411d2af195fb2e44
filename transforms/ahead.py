"""MapAhead: a step that waits for storage, with many elements under way in each worker thread."""

import contextlib
import threading
from collections.abc import Callable, Iterator, Sequence
from typing import Any

import apache_beam as beam

from transforms.output.storage import read_ahead

# Beam gives a worker few threads, for the sake of the GPU step; an element that waits for storage needs no processor.
AHEAD = 64
_BATCH = 16 * AHEAD


class MapAhead(beam.PTransform):
    """Elements -> `function(element, *sides)` for each, computed in threads; an error fails the bundle, as in Map.

    Args:
      function: may be called in several threads at once, and again for the same element when its bundle is retried.
      sides: side inputs, as Map takes them.
      ahead: at most so many elements of a batch are under way at once.
    """

    def __init__(self, function: Callable[..., Any], *sides: Any, ahead: int = AHEAD) -> None:
        super().__init__()
        self._function = function
        self._sides = sides
        self._ahead = ahead

    def expand(self, elements: Any) -> Any:
        function, ahead = self._function, self._ahead

        def work(batch: Sequence[Any], *sides: Any) -> Iterator[Any]:
            return read_ahead(lambda element: function(element, *sides), batch, ahead)

        return (
            elements
            | "InBatches" >> beam.BatchElements(min_batch_size=_BATCH, max_batch_size=_BATCH)
            | "Ahead" >> beam.FlatMap(work, *self._sides)
        )


class ByteBudget:
    """Bounds the bytes that threads hold at once.

    Args:
      most: so many; who asks for more than all of them gets all of them.
    """

    def __init__(self, most: int) -> None:
        self._most = most
        self._left = most
        self._changed = threading.Condition()

    @contextlib.contextmanager
    def taken(self, count: int) -> Iterator[None]:
        """Waits until `count` bytes are left, and takes them for as long as the context lasts."""
        count = min(count, self._most)
        with self._changed:
            self._changed.wait_for(lambda: self._left >= count)
            self._left -= count
        try:
            yield
        finally:
            with self._changed:
                self._left += count
                self._changed.notify_all()
