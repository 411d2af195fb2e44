"""Two jobs at once: the same manifest and output directory, different batch sizes, started together.

Their pictures differ in the last bits, which would reveal one job's picture beside the other's metrics.
"""

import json

from tests.faults.jobs import Job, keeps_the_contract, main_of, picture_record, pictures, write_grid
from tests.support.outputs import metrics_of

# The job that wrote the picture sets these, so a picture and its own row agree in them to the last bit.
WINNERS = ("loss_total", "loss_content", "loss_style", "loss_tv", "seconds")


def measure(folder, seeds, iterations):
    manifest, output = write_grid(folder, seeds, iterations=iterations), folder / "out"
    jobs = [Job(manifest, output, f"--batch_size={size}", "--checkpoint_secs=0.1") for size in (2, 3)]
    statuses = [job.wait() for job in jobs]
    print(*(f"{status}: {len(job.started)} begun" for status, job in zip(statuses, jobs)), flush=True)
    rows = metrics_of(output)
    both = set.intersection(*({run_id for run_id, _ in job.started} for job in jobs))
    return {
        "runs": len(pictures(output)),
        "begun_by_both": len(both),
        "statuses": statuses,
        "both_exit_well": statuses == [0, 0],
        "one_row_each": sorted(row["manifest_row"] for row in rows) == list(range(4 * seeds)),
        "every_row_done": all(row["status"] == "done" for row in rows),
        "picture_marker_and_row_agree": all(agree(output, row) for row in rows),
        "contract": keeps_the_contract(output),
        "left_in_checkpoints": len(list((output / "checkpoints").glob("*"))),
    }


def agree(output, row):
    """Returns whether picture, marker and metrics row agree."""
    record = picture_record(output, row["run_id"])
    marker = json.loads((output / "runs" / f"{row['run_id']}.json").read_text())
    return record == marker and all(abs(record[name] - row[name]) <= 1e-6 * abs(row[name]) for name in WINNERS)


if __name__ == "__main__":
    main_of(__doc__, measure, seeds=6, iterations=60)
