"""Python code in processes of their own that begin with Beam and TensorFlow imported: after a second, not after ten."""

import multiprocessing
import os
import signal
import subprocess
import sys
from multiprocessing.connection import Connection

from tests.support.paths import ROOT

_forkserver = multiprocessing.get_context("forkserver")
_forkserver.set_forkserver_preload(["pipeline.run"])

STYLEBEAM = "import sys; from pipeline.cli.main import main; sys.exit(main(sys.argv[1:]))"


class Process:
    """A process that runs code as `python -c` does, in this repository; like `subprocess.Popen` for what tests ask.

    Attributes:
      pid: its number.
      stderr: its standard error, a text file; its standard output goes nowhere.

    Args:
      code: the code; STYLEBEAM is the command.
      arguments: the rest of its `sys.argv`.
      environment: further environment variables.
    """

    def __init__(self, code: str, *arguments: str, **environment: str) -> None:
        reader, writer = _forkserver.Pipe(duplex=False)
        variables = {**os.environ, **environment}
        self._process = _forkserver.Process(target=_run, args=(code, arguments, variables, writer), daemon=True)
        self._process.start()
        writer.close()
        self.stderr = os.fdopen(os.dup(reader.fileno()), encoding="utf-8")
        reader.close()
        assert self._process.pid is not None
        self.pid = self._process.pid

    @property
    def returncode(self) -> int | None:
        """The exit status, minus the number of the signal that killed it; None while it runs."""
        return self._process.exitcode

    def poll(self) -> int | None:
        """Returns the exit status; None while it runs."""
        return self._process.exitcode

    def send_signal(self, number: int) -> None:
        """Sends a signal, unless it has ended."""
        if self.poll() is None:
            os.kill(self.pid, number)

    def kill(self) -> None:
        """Sends SIGKILL."""
        self.send_signal(signal.SIGKILL)

    def wait(self, timeout: float = 100) -> int:
        """Waits for its end; returns the exit status."""
        self._process.join(timeout)
        status = self._process.exitcode
        if status is None:
            raise subprocess.TimeoutExpired(f"process {self.pid}", timeout)
        return status

    def errors(self, timeout: float = 100) -> str:
        """Waits for its end; returns what it still says on standard error."""
        said = self.stderr.read()
        self.wait(timeout)
        return said


def _run(code: str, arguments: tuple[str, ...], variables: dict[str, str], stderr: Connection) -> None:
    os.environ.clear()
    os.environ.update(variables)
    os.chdir(ROOT)
    os.dup2(stderr.fileno(), 2)
    os.dup2(os.open(os.devnull, os.O_WRONLY), 1)
    stderr.close()
    sys.argv = ["-c", *arguments]
    exec(code, {"__name__": "__main__"})
