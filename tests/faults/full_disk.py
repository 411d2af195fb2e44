"""In the middle of a job the disk gets full, or the output read-only, or it vanishes: a clear line, and nothing lost.

The disks are tmpfs, which root can mount on Linux; elsewhere these two parts are left out, and the figures say so. The
full disk has so little room beyond the weights that a few pictures fill it.
"""

import contextlib
import os
import shutil
import subprocess
import time

from tests.faults.jobs import Job, finished, keeps_the_contract, main_of, pictures, write_grid
from tests.support.outputs import metrics_of

DISK_KB = 256 * 1024  # VGG19's weights take a third of it.
OPTIONS = ("--batch_size=2", "--checkpoint_secs=0.1", "--dataset=none", "--measures=none")


def measure(folder, seeds, iterations, tmpfs_kb):
    manifest = write_grid(folder, seeds, iterations=iterations)
    figures = {}
    for fault in (full, read_only, vanished):
        (folder / fault.__name__).mkdir()
        for name, value in fault(manifest, folder / fault.__name__, 4 * seeds, tmpfs_kb).items():
            figures[f"{fault.__name__}_{name}"] = value
        print(figures, flush=True)
    return figures


def full(manifest, folder, runs, tmpfs_kb):
    """The disk is full after a few pictures; later there is room again."""
    with small_disk(folder, DISK_KB) as is_mounted:
        if not is_mounted:
            return {"not_run_needs_root": True}
        output = folder / "out"
        weights_kb = disk_kb_left_by_weights(manifest, output, folder, tmpfs_kb)
        status, line, kept = run_into_it(manifest, output)
        subprocess.run(["mount", "-o", f"remount,size={DISK_KB}k", folder], check=True)
        return {
            "kb_left_for_the_job": weights_kb,
            **verdict(manifest, output, runs, status, line, kept, "No space left"),
        }


def disk_kb_left_by_weights(manifest, output, folder, tmpfs_kb):
    """Lets a job publish its weights, then shrinks the disk until `tmpfs_kb` are left."""
    job = Job(manifest, output, *OPTIONS)
    job.wait_for("weights of")
    while not list(output.glob("weights/*.weights.h5")) and job.process.poll() is None:
        time.sleep(0.02)
    job.process.kill()
    job.wait()
    used = sum(path.stat().st_blocks // 2 for path in folder.rglob("*") if path.is_file())
    subprocess.run(["mount", "-o", f"remount,size={used + tmpfs_kb}k", folder], check=True)
    return tmpfs_kb


def read_only(manifest, folder, runs, tmpfs_kb):
    """The output is mounted read-only in the middle of a job; later it can be written again."""
    with small_disk(folder, DISK_KB) as is_mounted:
        if not is_mounted:
            return {"not_run_needs_root": True}
        output, remount = folder / "out", ["mount", "-o"]
        status, line, kept = run_into_it(
            manifest, output, lambda: subprocess.run([*remount, "remount,ro", folder], check=False)
        )
        refused = Job(manifest, output, *OPTIONS)
        before_work = refused.wait()
        subprocess.run([*remount, "remount,rw", folder], check=True)
        found = verdict(manifest, output, runs, status, line, kept, "Read-only file system")
        return {"status_of_a_job_begun_then": before_work, "refused_with_2": before_work == 2, **found}


def vanished(manifest, folder, runs, tmpfs_kb):
    """The output directory is moved away in the middle of a job and later moved back."""
    output, away = folder / "out", folder / "away"
    status, line, _ = run_into_it(manifest, output, lambda: output.rename(away))
    is_made_anew = output.exists() and bool(list(output.glob("images/*")))
    shutil.rmtree(output, ignore_errors=True)
    away.rename(output)
    found = verdict(manifest, output, runs, status, line, finished(output), "vanished")
    return {"not_made_anew": not is_made_anew, **found}


def run_into_it(manifest, output, fault=None):
    """Runs a job and causes the fault after its first pictures; returns status, last line and finished pictures."""
    job = Job(manifest, output, *OPTIONS)
    if fault:
        while len(finished(output)) < 2 and job.process.poll() is None:
            time.sleep(0.02)
        while fault() is not None and job.process.poll() is None and fault_failed(output):
            time.sleep(0.02)
    status = job.wait()
    return status, job.said.strip().splitlines()[-1], finished(output)


def fault_failed(output):
    """Returns whether the fault failed: a file system stays writable if a file was being written at that moment."""
    return os.access(output, os.W_OK) and not os.statvfs(output).f_flag & os.ST_RDONLY


def verdict(manifest, output, runs, status, line, kept, reason):
    """Resumes the job and returns the figures of both: how the first ended and what the second did."""
    resumed = Job(manifest, output, *OPTIONS)
    again = resumed.wait()
    after = finished(output)
    rows = metrics_of(output)
    return {
        "status": status,
        "status_is_1": status == 1,
        "line": line,
        "line_says_why": line.startswith("stylebeam: ") and reason in line,
        "finished_before": len(kept),
        "finished_untouched": all(after.get(run_id) == known for run_id, known in kept.items()),
        "resumed_with_0": again == 0,
        "computed_by_resumed": len({run_id for run_id, _ in resumed.started}),
        "none_computed_again": not {run_id for run_id, _ in resumed.started} & set(kept),
        "all_done": len(pictures(output)) == runs and [row["status"] for row in rows] == ["done"] * runs,
        "contract": keeps_the_contract(output),
    }


@contextlib.contextmanager
def small_disk(folder, size_kb):
    """Mounts a tmpfs of `size_kb` on `folder`; yields whether that was possible."""
    mounted = subprocess.run(["mount", "-t", "tmpfs", "-o", f"size={size_kb}k", "tmpfs", folder], check=False)
    try:
        yield mounted.returncode == 0
    finally:
        if mounted.returncode == 0:
            subprocess.run(["umount", "-l", folder], check=True)


if __name__ == "__main__":
    main_of(__doc__, measure, seeds=4, iterations=20, tmpfs_kb=160)
