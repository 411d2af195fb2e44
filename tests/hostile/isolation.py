"""Runs hostile cases in processes of their own, so that a crash, a hang or exhausted memory is an ordinary result."""

import collections
import dataclasses
import importlib
import multiprocessing
import multiprocessing.connection
import os
import pathlib
import re
import resource
import time
import traceback

DONE, REFUSED, BUG, CRASH, HANG = "done", "refused", "bug", "crash", "hang"
LIMIT_SECS = 60.0
LIMIT_BYTES = 6 * 2**30


@dataclasses.dataclass(frozen=True)
class Outcome:
    """How one case ended: `kind` is one of the constants above, `peak_bytes` the peak of its process so far."""

    index: int
    kind: str
    reason: str
    secs: float
    peak_bytes: int


@dataclasses.dataclass
class Summary:
    """All outcomes of a suite."""

    outcomes: list[Outcome]
    secs: float

    @property
    def broken(self):
        """The outcomes that must not occur: crashes, hangs, and errors other than a refusal."""
        return [outcome for outcome in self.outcomes if outcome.kind not in (DONE, REFUSED)]

    @property
    def peak_bytes(self):
        return max(outcome.peak_bytes for outcome in self.outcomes)

    def __str__(self):
        kinds = collections.Counter(outcome.kind for outcome in self.outcomes)
        refused = [re.sub(r"\d+", "N", o.reason)[:90] for o in self.outcomes if o.kind == REFUSED]
        reasons = collections.Counter(refused).most_common(25)
        slowest = max(self.outcomes, key=lambda outcome: outcome.secs)
        return "\n".join(
            [
                f"{len(self.outcomes)} cases in {self.secs:.0f} s: {dict(kinds)}",
                f"slowest {slowest.secs:.1f} s (case {slowest.index}: {slowest.kind} {slowest.reason})",
                f"peak memory of a process {self.peak_bytes / 2**20:.0f} MB",
                f"{len(set(refused))} kinds of reasons, the most frequent:",
                *(f"{count:6d}  {reason}" for reason, count in reasons),
                *(f"BROKEN case {o.index}: {o.kind} {o.reason}" for o in self.broken[:20]),
            ]
        )


def run_isolated(task, indices, seed, workers=2, limit_secs=LIMIT_SECS, limit_bytes=LIMIT_BYTES):
    """Runs `task(seed, index)` for every index.

    Args:
      task: "module:function"; the function returns (DONE, REFUSED or BUG, reason), and any exception is a BUG.
      indices: indices of the cases to run.
      seed: seed of the suite; a case depends only on it and the index.
      workers: number of processes at a time.
      limit_secs: seconds after which a case counts as a hang.
      limit_bytes: address space of each process.
    """
    start = time.monotonic()
    waiting, outcomes = collections.deque(indices), []
    pool = [_Worker(task, seed, limit_bytes) for _ in range(min(workers, len(waiting)))]
    for worker in pool:
        worker.begin(waiting)
    while busy := [worker for worker in pool if worker.index is not None]:
        multiprocessing.connection.wait([worker.pipe for worker in busy], timeout=1)
        for worker in busy:
            outcome = worker.outcome(limit_secs)
            if outcome is not None:
                outcomes.append(outcome)
                worker.begin(waiting)
    for worker in pool:
        worker.stop()
    return Summary(sorted(outcomes, key=lambda outcome: outcome.index), time.monotonic() - start)


class _Worker:
    def __init__(self, task, seed, limit_bytes):
        self._arguments = (task, seed, limit_bytes)
        self.index: int | None = None
        self._open()

    def _open(self):
        context = multiprocessing.get_context("spawn")
        self.pipe, theirs = context.Pipe()
        self._process = context.Process(target=_serve, args=(theirs, *self._arguments), daemon=True)
        self._process.start()
        theirs.close()
        self.pipe.recv()  # The process is ready: its imports are not part of a case.

    def begin(self, waiting):
        self.index = waiting.popleft() if waiting else None
        self._since = time.monotonic()
        if self.index is not None:
            self.pipe.send(self.index)

    def outcome(self, limit_secs):
        assert self.index is not None
        secs = time.monotonic() - self._since
        try:
            if self.pipe.poll():
                return Outcome(self.index, *self.pipe.recv())
        except EOFError:
            self._process.join()
            ended = Outcome(self.index, CRASH, f"exit status {self._process.exitcode}", secs, 0)
        else:
            if secs < limit_secs:
                return None
            self._process.kill()
            ended = Outcome(self.index, HANG, f"no end after {secs:.0f} s", secs, 0)
        self.stop()
        self._open()
        return ended

    def stop(self):
        self.pipe.close()
        self._process.join(5)
        if self._process.is_alive():
            self._process.kill()
            self._process.join()


def _serve(pipe, task, seed, limit_bytes):
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    module, _, name = task.partition(":")
    function = getattr(importlib.import_module(module), name)
    resource.setrlimit(resource.RLIMIT_AS, (limit_bytes, limit_bytes))
    os.dup2(os.open(os.devnull, os.O_WRONLY), 2)  # libtiff and HDF5 print there what their exceptions say too.
    pipe.send("ready")
    while True:
        try:
            index = pipe.recv()
        except EOFError:
            return
        start = time.monotonic()
        try:
            kind, reason = function(seed, index)
        except Exception as error:
            where = traceback.extract_tb(error.__traceback__)[-1]
            kind, reason = BUG, f"{type(error).__name__}: {error} ({where.filename}:{where.lineno})"
        pipe.send((kind, reason, time.monotonic() - start, _peak_bytes()))


def _peak_bytes():
    """Returns the peak of this process alone; getrusage's figure includes the peak of the parent process."""
    status = pathlib.Path("/proc/self/status").read_text()
    (peak_kb,) = re.findall(r"^VmHWM:\s+(\d+) kB$", status, re.MULTILINE)
    return int(peak_kb) * 1024
