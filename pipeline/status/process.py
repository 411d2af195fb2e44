"""Which process a job runs in, so that others on the same machine know at once whether it still does."""

import os
import platform
from collections.abc import Mapping
from pathlib import Path
from typing import Any

_STATE, _START = 0, 19  # Fields of /proc/PID/stat after the name: proc(5) counts them as 3 and 22.


def this_process() -> dict[str, Any]:
    """Returns host, process number and a token that no other process has, nor this number another time."""
    pid = os.getpid()
    return {"host": platform.node(), "pid": pid, "token": f"{_realm()}/{_started(pid)}" if _started(pid) else None}


def is_alive(process: Any) -> bool | None:
    """Returns whether a process, as `this_process` described it, is still there.

    None means that this cannot be said: it is of another machine or container, of a system without /proc, or ourselves,
    who may have done with the job.
    """
    if not isinstance(process, Mapping) or process.get("host") != platform.node():
        return None
    pid, (realm, _, started) = process.get("pid"), str(process.get("token")).rpartition("/")
    if not isinstance(pid, int) or pid <= 0 or pid == os.getpid() or realm != _realm():
        return None
    try:
        os.kill(pid, 0)  # Signal 0 asks only.
    except ProcessLookupError:
        return False
    except PermissionError:
        pass  # Another user's, but there.
    now = _started(pid)
    return None if now is None else now == started


def _started(pid: int) -> str | None:
    """When a process began, in ticks since the machine did; empty if only its status is left, None if unreadable."""
    try:
        fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    except OSError:
        return None
    return "" if fields[_STATE] in "ZX" else fields[_START]


def _realm() -> str:
    """Within it process numbers mean the same: this start of this machine, this container."""
    try:
        boot = Path("/proc/sys/kernel/random/boot_id").read_text().strip()
        return f"{boot}/{Path('/proc/self/ns/pid').readlink()}"
    except OSError:
        return ""
