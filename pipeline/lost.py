"""What Beam raises where a process of a job has died or does not answer, in one line for the user."""

import re

import grpc
from apache_beam.options.pipeline_options import PipelineOptions, PortableOptions

from stylecore.errors import one_line

# The last line of Beam's tracebacks, which arrive as text from another process.
_DIED = re.compile(r"(RuntimeError: )?(Channel closed prematurely\.|Worker subprocess exited with return code .*)")
_NO_START = re.compile(r"(?:RuntimeError: )?Error starting worker: (.*)", re.DOTALL)
_NO_ANSWER = re.compile(r"_InactiveRpcError: .*StatusCode\.UNAVAILABLE", re.DOTALL)


def lost_part(error: BaseException, options: PipelineOptions) -> str | None:
    """Returns which part of a job is lost, in one line; None if the error says something else.

    Args:
      error: what running the pipeline, or waiting for it, has raised.
      options: the pipeline's options, which name the addresses.
    """
    portable = options.view_as(PortableOptions)
    if isinstance(error, grpc.FutureTimeoutError):
        return f"no job service answers at {portable.job_endpoint}"
    if isinstance(error, grpc.RpcError):
        return f"the job service at {portable.job_endpoint} has ended"
    if not isinstance(error, RuntimeError):
        return None
    text = str(error).strip()
    if _DIED.fullmatch(text.rpartition("\n")[2].strip()):
        return "a worker's process has died"
    if found := _NO_START.search(text):
        return f"no worker starts at {portable.environment_config}: {one_line(found[1], 300)}"
    if _NO_ANSWER.search(text):
        return f"no worker answers at {portable.environment_config}"
    return None
