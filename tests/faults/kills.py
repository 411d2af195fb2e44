"""Kills a job (SIGKILL) at random moments, resumes it each time, and compares its pictures with an undisturbed job's.

Five of six kills come a random number of iterations after a start, chosen so that the work lasts until the last kill;
the others come while the process starts. A picture whose marker exists must not be touched or computed again.
"""

import random
import time

from tests.faults.jobs import Job, finished, keeps_the_contract, main_of, pictures, run_job, write_grid
from tests.support.outputs import metrics_of

OPTIONS = ("--deterministic", "--batch_size=4", "--checkpoint_secs=0.1")
STARTING_SECS = 10.0
REPORT_SECS = 0.2  # About the time from one report to the next.


def measure(folder, kills, seed, seeds, iterations):
    manifest = write_grid(folder, seeds, iterations=iterations)
    undisturbed = run_job(manifest, folder / "undisturbed", *OPTIONS)
    figures = kill_and_resume(manifest, folder / "killed", kills, random.Random(seed), 2 * undisturbed.made / kills)
    rows = metrics_of(folder / "killed")
    return {
        "kills": kills,
        **figures,
        "runs": len(pictures(folder / "undisturbed")),
        "computed_undisturbed": len(undisturbed.started),
        "same_pictures_same_bytes": pictures(folder / "killed") == pictures(folder / "undisturbed"),
        "one_row_each": sorted(row["manifest_row"] for row in rows) == list(range(4 * seeds)),
        "every_row_done": all(row["status"] == "done" for row in rows),
        "contract": keeps_the_contract(folder / "killed", killed=True),
        "left_in_checkpoints": len(list((folder / "killed" / "checkpoints").glob("*"))),
    }


def kill_and_resume(manifest, output, kills, chance, most_iterations):
    """Kills `kills` jobs and lets the last one end; returns what was lost and what was computed twice."""
    counted = {"kills_while_computing": 0, "kills_before": 0, "runs_taken_up_in_the_middle": 0}
    iterations_lost, most_lost, repeated, touched = 0, 0, 0, 0
    left: dict[str, int] = {}  # run_id -> iterations that a run had reported when its job was killed
    for number in range(kills + 1):
        before = finished(output)
        job = Job(manifest, output, *OPTIONS)
        if number < kills:
            wait_a_while(job, chance, most_iterations)
            job.process.kill()
        status = job.wait()
        for run_id, iteration in job.started:
            lost = max(0, left.get(run_id, 0) - iteration)
            iterations_lost, most_lost = iterations_lost + lost, max(most_lost, lost)
            counted["runs_taken_up_in_the_middle"] += iteration > 0
        repeated += len({run_id for run_id, _ in job.started} & set(before))
        touched += sum(finished(output)[run_id] != known for run_id, known in before.items())
        left = {run_id: job.reached for run_id, _ in job.started[-4:]} if job.reached else left
        if number < kills:
            counted["kills_while_computing" if job.reached else "kills_before"] += 1
        print(
            f"{number}: status {status}, {len(finished(output))} finished, {job.started[:1]}..{job.reached}", flush=True
        )
    return {
        **counted,
        "last_status": status,
        "finished_pictures_touched": touched,
        "finished_runs_computed_again": repeated,
        "iterations_lost": iterations_lost,
        "most_iterations_lost_of_a_run": most_lost,
        "finished_work_computed_once": not touched and not repeated and status == 0,
    }


def wait_a_while(job, chance, most_iterations):
    """Waits until a random moment of a job, or until it ends."""
    if chance.random() < 1 / 6:
        time.sleep(chance.uniform(0, STARTING_SECS))
        return
    iterations = chance.uniform(1, most_iterations)
    while job.made < iterations and job.process.poll() is None:
        time.sleep(0.02)
    time.sleep(chance.uniform(0, REPORT_SECS))


if __name__ == "__main__":
    main_of(__doc__, measure, kills=30, seed=1, seeds=6, iterations=300)
