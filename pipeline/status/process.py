"""The process of a job, described so that another process on the same machine can tell whether it is alive."""

import os
import platform
from collections.abc import Mapping
from pathlib import Path
from typing import Any

_STATE, _START = 0, 19  # Fields of /proc/PID/stat after the name: proc(5) counts them as 3 and 22.


def this_process() -> dict[str, Any]:
    """Returns host, process number, and a token that distinguishes a later process with the same number."""
    pid = os.getpid()
    return {"host": platform.node(), "pid": pid, "token": f"{_realm()}/{_started(pid)}" if _started(pid) else None}


def is_alive(process: Any) -> bool | None:
    """Returns whether a process that `this_process` described is alive.

    None means that this is unknown: the process belongs to another machine or container or to a system without /proc,
    or is this process, which may be done with the job.
    """
    if not isinstance(process, Mapping) or process.get("host") != platform.node():
        return None
    pid, (realm, _, started) = process.get("pid"), str(process.get("token")).rpartition("/")
    if not isinstance(pid, int) or pid <= 0 or pid == os.getpid() or realm != _realm():
        return None
    try:
        os.kill(pid, 0)  # Signal 0 only checks.
    except ProcessLookupError:
        return False
    except PermissionError:
        pass  # It exists, and belongs to another user.
    now = _started(pid)
    return None if now is None else now == started


def _started(pid: int) -> str | None:
    """Returns the start of a process in ticks since boot; empty if it has exited, None if it cannot be read."""
    try:
        fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    except OSError:
        return None
    return "" if fields[_STATE] in "ZX" else fields[_START]


def _realm() -> str:
    """Names the boot and the container within which a process number is unique; empty if they cannot be read."""
    try:
        boot = Path("/proc/sys/kernel/random/boot_id").read_text().strip()
        return f"{boot}/{Path('/proc/self/ns/pid').readlink()}"
    except OSError:
        return ""
