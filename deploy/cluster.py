"""Beam's job service and several workers on this machine, to run jobs as on a cluster: `make cluster`.

Service and workers are processes in environments of their own, which hold StyleBeam as its sdist installs it: what a
worker needs and the sdist lacks fails here. Dependencies are borrowed from the environment that runs this. Prints the
command that runs a job; Ctrl-C ends everything. See docs/engines.md.
"""

import argparse
import contextlib
import json
import os
import shlex
import signal
import socket
import subprocess
import sys
import sysconfig
import tempfile
import time
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
_START_SECS = 120.0
_STOP_SECS = 5.0
# A worker that ends sooner than this is not started again.
_STEADY_SECS = 1.0


class ClusterError(RuntimeError):
    """The cluster cannot start, or its service has ended."""


def clean_environment() -> dict[str, str]:
    """Returns the environment variables without Python's: a checkout on PYTHONPATH would be found first."""
    return {name: value for name, value in os.environ.items() if not name.startswith("PYTHON")}


def build_sdist(folder: Path) -> Path:
    """Builds StyleBeam's source distribution into `folder`; returns its path."""
    folder.mkdir(parents=True, exist_ok=True)
    made = str(folder)
    command = [sys.executable, "setup.py", "-q", "egg_info", "--egg-base", made, "sdist", "--dist-dir", made]
    subprocess.run(
        command, cwd=ROOT, env=clean_environment(), check=True, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
    )
    (sdist,) = folder.glob("*.tar.gz")
    return sdist


def make_environment(folder: Path, sdist: Path) -> Path:
    """Makes an environment with the sdist installed and this one's dependencies, no checkout; returns its Python."""
    subprocess.run([sys.executable, "-m", "venv", "--without-pip", folder], check=True)
    python = folder / "bin" / "python"
    site = Path(sysconfig.get_path("purelib", vars={"base": str(folder)}))
    # A path in a .pth file is searched, but its own .pth files, such as that of the editable checkout, are not read.
    (site / "dependencies.pth").write_text(sysconfig.get_path("purelib") + "\n")
    install = [sys.executable, "-m", "pip", "--python", str(python), "install", "--quiet", "--no-deps", "--no-index"]
    subprocess.run(
        [*install, "--no-build-isolation", str(sdist)], env=clean_environment(), check=True, stderr=subprocess.DEVNULL
    )
    return python


class Member:
    """A process of the cluster and what it starts, in a group of its own.

    Args:
      name: names its log, `folder/<name>.log`.
      python: its environment's Python, which its own processes find first too.
      arguments: of the Python.
      folder: where it works.
    """

    def __init__(self, name: str, python: Path, arguments: Sequence[str], folder: Path) -> None:
        self.name = name
        self.log = folder / f"{name}.log"
        self._command = [str(python), *arguments]
        self._environment = {**clean_environment(), "PATH": f"{python.parent}{os.pathsep}{os.environ.get('PATH', '')}"}
        self.process = self._start()

    def _start(self) -> subprocess.Popen[bytes]:
        self.started = time.monotonic()
        with self.log.open("ab") as log:
            return subprocess.Popen(
                self._command,
                cwd=self.log.parent,
                env=self._environment,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                start_new_session=True,
            )

    def restart(self) -> None:
        """Starts it again, without what its group has left."""
        self.signal(signal.SIGKILL)
        self.process = self._start()

    def signal(self, number: int) -> None:
        """Sends a signal to the whole group."""
        with contextlib.suppress(ProcessLookupError):
            os.killpg(self.process.pid, number)


@contextlib.contextmanager
def running(folder: Path, workers: int) -> Iterator[tuple[Mapping[str, str], Sequence[Member]]]:
    """Runs a cluster while the context lasts.

    Args:
      folder: for environments and logs.
      workers: the number of workers, >= 1.

    Yields:
      The addresses of the job service ("jobs") and of the dispatcher of workers ("workers"), and its members: the
      service, then the workers.

    Raises:
      ClusterError: a member ends before it answers.
    """
    sdist = build_sdist(folder / "dist")
    members: list[Member] = []
    try:
        ports = _free_ports(workers)
        for number, port in enumerate(ports, start=1):
            python = make_environment(folder / f"environment-{number}", sdist)
            pool = ["-P", "-m", "apache_beam.runners.worker.worker_pool_main", f"--service_port={port}"]
            members.append(Member(f"worker-{number}", python, pool, folder))
        python = make_environment(folder / "environment-service", sdist)
        pools = [f"--pool=localhost:{port}" for port in ports]
        script = ["-P", str(ROOT / "deploy" / "job_service.py"), *pools, "--folder", str(folder / "service")]
        members.insert(0, Member("service", python, script, folder))
        addresses = addresses_of(folder / "service" / "addresses.json", members, ports)
        yield addresses, members
    finally:
        _stop(members)


def _free_ports(count: int) -> list[int]:
    with contextlib.ExitStack() as stack:
        sockets = [stack.enter_context(socket.create_server(("localhost", 0))) for _ in range(count)]
        return [opened.getsockname()[1] for opened in sockets]


def addresses_of(file: Path, members: Sequence[Member], ports: Sequence[int]) -> Mapping[str, str]:
    """Waits until the service has written its addresses and the worker pools answer; returns the addresses.

    Raises:
      ClusterError: a member has ended instead, or two minutes are over.
    """
    deadline = time.monotonic() + _START_SECS
    while not (file.exists() and all(map(_answers, ports))):
        for member in members:
            if member.process.poll() is not None or time.monotonic() > deadline:
                raise ClusterError(f"{member.name} does not start, see its log:\n{member.log.read_text()[-2000:]}")
        time.sleep(0.1)
    addresses: dict[str, str] = json.loads(file.read_text())
    return addresses


def _answers(port: int) -> bool:
    with contextlib.suppress(OSError), socket.create_connection(("localhost", port), 1):
        return True
    return False


def _stop(members: Sequence[Member]) -> None:
    for member in members:
        member.signal(signal.SIGTERM)
    deadline = time.monotonic() + _STOP_SECS
    for member in members:
        with contextlib.suppress(subprocess.TimeoutExpired):
            member.process.wait(max(0.0, deadline - time.monotonic()))
        member.signal(signal.SIGKILL)  # Also what a pool has left behind.
        member.process.wait()


def watch(members: Sequence[Member]) -> None:
    """Starts workers that have died again, until the service ends.

    Raises:
      ClusterError: the service has ended, or a worker as soon as it was started.
    """
    service, *workers = members
    while service.process.poll() is None:
        for worker in workers:
            if (status := worker.process.poll()) is None:
                continue
            if time.monotonic() - worker.started < _STEADY_SECS:
                raise ClusterError(f"{worker.name} ends as soon as it starts, with {status}, see {worker.log}")
            worker.restart()
            print(f"{worker.name} ended with {status}; it is process {worker.process.pid} now", flush=True)
        time.sleep(0.2)
    raise ClusterError(f"the service ended with {service.process.returncode}, see {service.log}")


def job_command(manifest: str, output: str, addresses: Mapping[str, str], memory_gb: float) -> str:
    """Returns the command that runs a job on a cluster, for a shell."""
    return shlex.join(
        [
            str(Path(sys.executable).with_name("stylebeam")),
            "run",
            f"--manifest={manifest}",
            f"--output={output}",
            "--runner=PortableRunner",
            f"--job_endpoint={addresses['jobs']}",
            "--environment_type=EXTERNAL",
            f"--environment_config={addresses['workers']}",
            f"--device_memory_gb={memory_gb:.1f}",
        ]
    )


@contextlib.contextmanager
def emulated(folder: Path) -> Iterator[str]:
    """Serves the files of a folder as gs://bucket, in memory; yields the address for STORAGE_EMULATOR_HOST."""
    from tests.support import gcs_emulator

    with gcs_emulator.running() as emulator:
        for path in sorted(folder.rglob("*")):
            if path.is_file():
                emulator.create(path.relative_to(folder).as_posix(), path.read_bytes())
        yield emulator.url


def main() -> int:
    """Runs a cluster until it is interrupted."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--workers", type=int, default=2, help="default: 2")
    parser.add_argument("--manifest", required=True, help="for the command that is printed")
    parser.add_argument("--output", required=True, help="for the command that is printed")
    parser.add_argument(
        "--emulator", metavar="FOLDER", type=Path, help="serve the files of FOLDER as gs://bucket, in memory"
    )
    options = parser.parse_args()
    for number in (signal.SIGINT, signal.SIGTERM):  # A shell lets its background processes ignore SIGINT.
        signal.signal(number, signal.default_int_handler)
    with contextlib.ExitStack() as stack, contextlib.suppress(KeyboardInterrupt):
        try:
            _serve(stack, options)
        except ClusterError as error:
            print(f"cluster: {error}", file=sys.stderr)
            return 1
    return 0


def _serve(stack: contextlib.ExitStack, options: argparse.Namespace) -> None:
    print(f"starting a job service and {options.workers} workers", flush=True)
    from stylecore.planning.room import machine_memory_bytes

    prefix = ""
    if options.emulator:
        url = stack.enter_context(emulated(options.emulator))
        prefix = f"STORAGE_EMULATOR_HOST={url} "
    folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="stylebeam-cluster-")))
    addresses, members = stack.enter_context(running(folder, options.workers))
    for member in members:
        print(f"{member.name} is process {member.process.pid}, its log {member.log}", flush=True)
    memory_gb = machine_memory_bytes() / 1e9 / options.workers
    print("run a job from another terminal (Ctrl-C here ends service and workers):", flush=True)
    print(prefix + job_command(options.manifest, options.output, addresses, memory_gb), flush=True)
    watch(members)


if __name__ == "__main__":
    sys.exit(main())
