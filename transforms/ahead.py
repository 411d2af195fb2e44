"""MapAhead: a step that waits for storage, with many elements under way in each worker thread."""

from collections.abc import Callable
from typing import Any

import apache_beam as beam

from transforms.output.storage import read_ahead

# Beam gives a worker few threads, for the sake of the GPU step; an element that waits for storage needs no processor.
AHEAD = 32
_BATCH = 16 * AHEAD


class MapAhead(beam.PTransform):
    """Elements -> `function(element)` for each, computed in threads; an error fails the bundle, as it does in Map.

    Args:
      function: may be called in several threads at once, and again for the same element when its bundle is retried.
      ahead: at most so many elements of a batch are under way at once.
      batch: so many elements are in memory at once.
    """

    def __init__(self, function: Callable[[Any], Any], ahead: int = AHEAD, batch: int = _BATCH) -> None:
        super().__init__()
        self._function = function
        self._ahead = ahead
        self._batch = batch

    def expand(self, elements: Any) -> Any:
        function, ahead = self._function, self._ahead
        return (
            elements
            | "InBatches" >> beam.BatchElements(min_batch_size=self._batch, max_batch_size=self._batch)
            | "Ahead" >> beam.FlatMap(lambda batch: read_ahead(function, batch, ahead))
        )
