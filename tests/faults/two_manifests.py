"""Two jobs with different manifests in one output directory, each in a process of its own.

On a local disk the second is refused while the first is computing, and takes over once the first was killed (SIGKILL).
On Cloud Storage (the emulator) the first one's process is on another machine, as far as the second can tell: the second
takes over while the first is computing, and the first stops when it would write what belongs to the second. The first
command, given again, takes the directory back. Started together, they race for job.json, and one of them owns it.
"""

import json
import re
import signal
import time

import pyarrow.parquet as pq

from tests.faults.jobs import finished, keeps_the_contract, main_of, pictures, write_grid
from tests.support import gcs_emulator
from tests.support.outputs import metrics_of
from tests.support.processes import STYLEBEAM, Process

OPTIONS = ("--measures=none", "--batch_size=1", "--dataset=none", "--checkpoint_secs=1")
# The name of the machine is what tells a job whether it can know of another one's process.
_AS_ON = f"import platform; platform.node = lambda: '{{host}}'; {STYLEBEAM}"


def measure(folder, seeds, iterations):
    figures = {}
    for part in (on_a_disk, on_the_emulator, together_on_a_disk, together_on_the_emulator):
        (folder / part.__name__).mkdir()
        for name, value in part(folder / part.__name__, seeds, iterations).items():
            figures[f"{part.__name__}_{name}"] = value
        print(figures, flush=True)
    return figures


def on_a_disk(folder, seeds, iterations):
    first_manifest, second_manifest = write_manifests(folder, seeds, iterations)
    output = folder / "out"
    figures, kept = refused_then_taken_over(first_manifest, second_manifest, output)
    back = start(first_manifest, output)
    said = said_by(back)
    return {
        **figures,
        "said_when_taken_back": said,
        "taken_back": back.returncode == 0 and owner(output) == str(first_manifest) and rows_are(output, 4 * seeds, 48),
        "finished_untouched": kept.items() <= finished(output).items(),
        "pictures": len(pictures(output)),
        "contract": keeps_the_contract(output, killed=True),
    }


def refused_then_taken_over(first_manifest, second_manifest, output):
    """Starts the second job beside the first, kills the first, and starts the second again.

    Returns:
      The figures, and the finished pictures of both as `finished` describes them.
    """
    first = start(first_manifest, output)
    hold(first, lambda: len(finished(output)) >= 2)
    record = (output / "job.json").read_bytes()
    second = start(second_manifest, output)
    refusal = said_by(second)
    figures = {
        "refused_with_2": second.returncode == 2,
        "refusal": refusal,
        "refused_in_one_line": len(refusal) == 1
        and f"process {first.pid} is computing {first_manifest} there" in refusal[0],
        "refused_job_wrote_nothing": (output / "job.json").read_bytes() == record,
    }
    first.kill()
    first.wait()
    kept = finished(output)
    second = start(second_manifest, output)
    said = said_by(second)
    kept_after = finished(output)
    rows = rows_of(second_manifest)
    figures |= {
        "second_ends_with_0": second.returncode == 0 and said == [],
        "left_by_the_first": len(kept),
        "first_was_in_the_middle": 2 <= len(kept) < rows_of(first_manifest),
        "pictures_of_both": len(kept_after) == len(kept) + rows and kept.items() <= kept_after.items(),
        "metrics_are_the_seconds": owner(output) == str(second_manifest) and rows_are(output, rows, 40),
    }
    return figures, kept_after


def on_the_emulator(folder, seeds, iterations):
    manifests = write_manifests(folder, seeds, iterations)
    with gcs_emulator.running() as emulator:
        first = start(manifests[0], "gs://bucket/out", host="elsewhere")
        hold(first, lambda: len(emulator.objects("out/runs/")) >= 2)
        left = len(emulator.objects("out/runs/"))
        second = start(manifests[1], "gs://bucket/out")
        while json.loads(emulator.read("out/job.json"))["manifest"] != str(manifests[1]):
            time.sleep(0.02)
        first.send_signal(signal.SIGCONT)
        went_on, stopped = said_by(second), said_by(first)
        emulator.copy("out", folder / "after")
        back = start(manifests[0], "gs://bucket/out")
        went_back = said_by(back)
        before, after = folder / "after", folder / "back"
        emulator.copy("out", after)
    return {
        "first_was_in_the_middle": 2 <= left < 4 * seeds,
        "first_stops_with_1": first.returncode == 1,
        "first_said": stopped,
        "first_says_why_in_one_line": len(stopped) == 1
        and f"a later job, of {manifests[1]}, has taken over" in stopped[0],
        "second_ends_with_0": second.returncode == 0 and went_on == [],
        "metrics_are_the_seconds": owner(before) == str(manifests[1]) and rows_are(before, 4 * seeds, 40),
        "pictures_of_both": len(pictures(before)) == 8 * seeds,
        "contract": keeps_the_contract(before),
        "taken_back": back.returncode == 0
        and went_back == []
        and owner(after) == str(manifests[0])
        and rows_are(after, 4 * seeds, 48),
        "no_picture_touched": pictures(after) == pictures(before),
        "contract_then": keeps_the_contract(after),
    }


def together_on_a_disk(folder, seeds, iterations):
    """Both are of this machine: the one that comes second to job.json is refused."""
    manifests = write_manifests(folder, seeds, iterations)
    output = folder / "out"
    jobs = [start(manifest, output) for manifest in manifests]
    said = [said_by(job) for job in jobs]
    return one_owns(output, manifests, jobs, said, 2, r"process \d+ is computing ")


def together_on_the_emulator(folder, seeds, iterations):
    """They are of different machines, and each request takes 50 ms: the earlier one stops."""
    manifests = write_manifests(folder, seeds, iterations)
    with gcs_emulator.running() as emulator:
        emulator.latency_secs = 0.05
        jobs = [start(manifests[0], "gs://bucket/out", host="elsewhere"), start(manifests[1], "gs://bucket/out")]
        said = [said_by(job) for job in jobs]
        emulator.copy("out", folder / "out")
    return one_owns(folder / "out", manifests, jobs, said, 1, "a later job, of .*, has taken over")


def one_owns(output, manifests, jobs, said, status, reason):
    """Returns whether one of two jobs ended well and the other with a status and a line, and all is of the one."""
    winner = 0 if jobs[0].returncode == 0 else 1
    return {
        "statuses": [job.returncode for job in jobs],
        "one_ends_with_0_and_one_does_not": sorted(job.returncode for job in jobs) == [0, status],
        "the_other_says_why_in_one_line": said[winner] == []
        and len(said[1 - winner]) == 1
        and bool(re.search(reason, said[1 - winner][0])),
        "all_is_of_the_one": owner(output) == str(manifests[winner])
        and rows_are(output, rows_of(manifests[winner]), (48, 40)[winner]),
        "contract": keeps_the_contract(output),
    }


def write_manifests(folder, seeds, iterations):
    """Writes two manifests, of pictures of 48 and of 40 pixels; returns their paths."""
    paths = []
    for name, size in (("first", 48), ("second", 40)):
        (folder / name).mkdir()
        paths.append(write_grid(folder / name, seeds, (size,), iterations=iterations))
    return paths


def start(manifest, output, host=None):
    """Starts `stylebeam run`, on a machine of another name if one is given."""
    code = _AS_ON.format(host=host) if host else STYLEBEAM
    return Process(code, "run", "--manifest", str(manifest), "--output", str(output), *OPTIONS)


def said_by(job):
    """Waits until a job ends; returns what it said on standard error beside its progress and where weights are from."""
    lines = job.errors().splitlines()
    return [line for line in lines if not line.startswith("weights of ") and " runs done, " not in line]


def hold(job, condition):
    """Halts a job (SIGSTOP) once a condition holds, which must be before it ends: in the middle of its work."""
    while not condition():
        if job.poll() is not None:
            raise RuntimeError(f"exit status {job.returncode}\n{job.errors()[-3000:]}")
        time.sleep(0.02)
    job.send_signal(signal.SIGSTOP)


def owner(output):
    """Returns the manifest that job.json names."""
    return json.loads((output / "job.json").read_text())["manifest"]


def rows_of(manifest):
    """Returns the number of a manifest's rows."""
    return pq.read_metadata(manifest).num_rows


def rows_are(output, count, size):
    """Returns whether metrics/ has so many rows, all done, of pictures of that size alone."""
    rows = metrics_of(output)
    done = [row for row in rows if row["status"] == "done" and max(row["height"], row["width"]) == size]
    return len(done) == len(rows) == count


if __name__ == "__main__":
    main_of(__doc__, measure, seeds=2, iterations=60)
