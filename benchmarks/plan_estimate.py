"""What `plan` estimates for this machine over what a step takes, whichever is greater over the other.

    python -m benchmarks.plan_estimate

The machine is measured as `plan` does it, then the compiled step of full batches, three times in turns: the figure is
the median of the turns' ratios.
"""

import statistics
from collections.abc import Iterator

from benchmarks.figures import Figure, main_of
from benchmarks.step_time import evaluations_in, our_step, secs_per_picture
from stylecore import StyleConfig
from stylecore.networks.weights.sources import random_network
from stylecore.planning.batches import default_batch_size
from stylecore.planning.buckets import step_kind
from stylecore.planning.costs import evaluation_cost
from stylecore.run.engine import Engine
from stylecore.run.speed import measure_device

OPTIMIZERS = ("adam", "lbfgs")
SIDES_PX = (128, 256)
TURNS, PIECE_SECS = 3, 3.0


def measure() -> Iterator[Figure]:
    """Yields a figure for each optimiser and size, float32."""
    network = random_network("vgg19", 0)
    for optimizer in OPTIMIZERS:
        config = StyleConfig(iterations=1_000_000, optimizer=optimizer)
        kind = step_kind(config, "")
        engine = Engine(kind, network)
        for side_px in SIDES_PX:
            size = default_batch_size(side_px, side_px)
            step = our_step(engine, config, side_px, size)
            count = evaluations_in(step, size, PIECE_SECS)
            cost = evaluation_cost(kind, side_px, side_px, config.history_size)
            ratios = []
            for _ in range(TURNS):
                estimated = measure_device(["float32"]).evaluation_secs(cost, "float32")
                ratios.append(estimated / secs_per_picture(step, size, count))
            ratio = statistics.median(ratios)
            details = {"ratios": [round(ratio, 3) for ratio in ratios], "batch_size": size}
            yield Figure(f"plan_estimate_{optimizer}_{side_px}_px", max(ratio, 1 / ratio), details)


if __name__ == "__main__":
    main_of(__doc__, measure)
