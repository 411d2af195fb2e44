"""What a result file says about its making: commit, times, processor, threads and load.

    began = Start()
    results = measure()
    path.write_text(json.dumps({**results, "provenance": began.provenance()}))

A file whose parts are measured one by one holds one such record for each part, under "parts"; `one_commit` refuses it
if their commits differ.
"""

import datetime
import os
import resource
import subprocess
import time
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

ROOT = Path(__file__).parent.parent
CPU_INFO = Path("/proc/cpuinfo")
CPU_TIMES = Path("/proc/stat")
# Those that choose kernels.
FLAGS = ("avx", "avx2", "fma", "avx512", "avx_vnni", "amx", "asimd", "sve", "bf16")
THREAD_VARIABLES = ("OMP_NUM_THREADS", "TF_NUM_INTRAOP_THREADS", "TF_NUM_INTEROP_THREADS", "ONEDNN_MAX_CPU_ISA")


class MixedCommitsError(RuntimeError):
    """Parts of one result file were measured at different commits, or at none that is known."""


class Start:
    """The beginning of a measurement, made just before it."""

    def __init__(self) -> None:
        self._commit = commit()
        self._began = _now()
        self._load = os.getloadavg()[0]
        self._clock = time.monotonic()
        self._others = _others_secs()

    def provenance(self, threads: Mapping[str, int] | None = None) -> dict[str, Any]:
        """Returns what is known when the measurement ends.

        Args:
          threads: threads that each compared tool computes with, by its name.

        `load_before` is the load average of one minute; `cores_of_others` the cores that processes other than this one
        and its finished children kept busy meanwhile, on average, None where the system does not tell.
        """
        others = _others_secs()
        return {
            "commit": self._commit,
            "start": self._began,
            "end": _now(),
            "load_before": round(self._load, 2),
            "cores_of_others": None
            if others is None or self._others is None
            else round(max(0.0, others - self._others) / max(time.monotonic() - self._clock, 0.01), 2),
            "cpu_cores": len(os.sched_getaffinity(0)),
            "cpu_flags": cpu_flags(),
            "threads": dict(threads or {}),
            "environment": {name: os.environ[name] for name in THREAD_VARIABLES if name in os.environ},
        }


def commit(root: Path = ROOT) -> str | None:
    """Returns the commit of a checkout, with "+changes" if tracked source differs from it; None outside git.

    Results and documents do not count: measurements write them.
    """
    head = _git(root, "rev-parse", "HEAD")
    if head is None:
        return None
    status = ("status", "--porcelain", "--untracked-files=no", "--", ".", ":!benchmarks/results", ":!docs")
    return f"{head}+changes" if _git(root, *status) else head


def cpu_flags(path: Path = CPU_INFO) -> list[str]:
    """Returns the processor's flags that choose kernels, sorted; empty where the system does not list them."""
    if not path.exists():
        return []
    lines = (line.partition(":") for line in path.read_text().splitlines())
    flags = {flag for name, _, value in lines if name.strip() in ("flags", "Features") for flag in value.split()}
    return sorted(flag for flag in flags if flag.startswith(FLAGS))


def one_commit(name: str, parts: Mapping[str, Mapping[str, Any]], measured: Iterable[str]) -> None:
    """Checks that all measured parts of the result file `name` come from one commit.

    A file without any provenance was made before it was recorded, and passes.

    Raises:
      MixedCommitsError: they do not, or a part has no commit.
    """
    commits = {part: parts.get(part, {}).get("commit") for part in measured}
    if parts and (len(set(commits.values())) > 1 or None in commits.values()):
        listed = ", ".join(f"{part} of {(found or 'unknown')[:12]}" for part, found in commits.items())
        raise MixedCommitsError(f"{name}: parts of different commits, measure all again: {listed}")


def _now() -> str:
    return datetime.datetime.now(datetime.UTC).isoformat(timespec="seconds")


def _git(root: Path, *arguments: str) -> str | None:
    try:
        found = subprocess.run(["git", *arguments], cwd=root, capture_output=True, text=True, check=True)
    except (OSError, subprocess.CalledProcessError):
        return None
    return found.stdout.strip()


def _others_secs() -> float | None:
    """Returns processor seconds spent since the start by all but this process and its finished children."""
    if not CPU_TIMES.exists():
        return None
    user, nice, system, _, _, irq, softirq, steal = map(int, CPU_TIMES.read_text().split()[1:9])
    machine = (user + nice + system + irq + softirq + steal) / os.sysconf("SC_CLK_TCK")
    own = (resource.getrusage(who) for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN))
    return machine - sum(usage.ru_utime + usage.ru_stime for usage in own)
