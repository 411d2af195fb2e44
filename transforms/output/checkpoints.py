"""Checkpoints: snapshots of running pictures, saved from time to time, so that a killed worker loses little."""

import logging
from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor

from stylecore.run.problem import Problem
from stylecore.run.snapshot import Snapshot, SnapshotError, read_snapshot
from transforms.output import storage
from transforms.output.paths import NPZ, Output

SAVING_THREADS = 8
# The state of L-BFGS for the largest pictures that fit into a device.
MAX_CHECKPOINT_BYTES = 16 * 2**30

logger = logging.getLogger(__name__)


def save_checkpoints(output: Output, snapshots: Mapping[str, Snapshot]) -> None:
    """Saves snapshots; one that cannot be written is logged, and the work goes on.

    Args:
      output: the output directory.
      snapshots: the snapshot of each run by its run_id.
    """

    def save(run_id: str) -> None:
        try:
            storage.write(output.checkpoint(run_id), snapshots[run_id].to_bytes(), NPZ)
        except storage.StorageError as error:
            logger.warning("no checkpoint: %s", error)

    with ThreadPoolExecutor(SAVING_THREADS) as pool:
        list(pool.map(save, snapshots))


def load_checkpoint(output: Output, run_id: str, problem: Problem) -> Snapshot | None:
    """Returns the snapshot from which a run goes on; None if there is none that can be read.

    Args:
      output: the output directory.
      run_id: names the run.
      problem: the run's problem, with images at their final size.
    """
    try:
        return read_snapshot(storage.read_bytes(output.checkpoint(run_id), MAX_CHECKPOINT_BYTES), problem)
    except storage.NotFoundError:
        return None
    except (storage.StorageError, SnapshotError) as error:
        logger.warning("%s: begins anew: %s", run_id, error)
        return None
