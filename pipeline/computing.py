"""Options and device -> how large batches are, and how runs are computed."""

import os
from typing import TYPE_CHECKING

from apache_beam.options.pipeline_options import DirectOptions, PipelineOptions, PortableOptions

from pipeline.beam_options import StyleBeamOptions, runs_here
from pipeline.dataflow.estimates import gpu_device
from pipeline.dataflow.gpus import Gpu, gpu_of_device, gpu_of_memory, parse_gpu
from pipeline.options import OptionError
from stylecore.networks.precision import Arithmetic, device_arithmetic
from stylecore.planning.batches import ComputingDevice, full_batch
from stylecore.planning.costs import TWO_CORES
from stylecore.planning.room import Room
from transforms.batch import BatchLimits

if TYPE_CHECKING:
    from transforms.stylize.stylize_runs import StylizeOptions


def batch_limits(options: PipelineOptions, here: ComputingDevice | None = None) -> BatchLimits:
    """Returns what bounds batches: the options, and the memory and speed of the chosen device or of this machine.

    Args:
      options: the command line's options.
      here: this machine's device; None asks TensorFlow.
    """
    own = options.view_as(StyleBeamOptions)
    gpu: Gpu | None = None
    if own.gpu:
        gpu = parse_gpu(own.gpu)[0]
    elif (device := _device_here(options, here)) is not None and device.is_gpu:
        gpu = gpu_of_device(device.name) or gpu_of_memory(device.memory_bytes)
    room = Room(device_memory_bytes(options, here), own.tile_px)
    return limits_on(gpu, room, own.batch_size, own.max_batch_secs)


def limits_on(gpu: Gpu | None, room: Room, batch_size: int | None, max_secs: float) -> BatchLimits:
    """Returns what bounds batches.

    Args:
      gpu: the type of GPU that computes; None for a CPU.
      room: the device's memory, and the tiles that were asked for.
      batch_size: runs in a batch; None chooses by the size of their pictures.
      max_secs: the longest estimated time of a batch.
    """
    return BatchLimits(
        batch_size=batch_size,
        max_secs=max_secs,
        full=full_batch(is_gpu=gpu is not None),
        room=room,
        secs_per_pixel_and_iteration=(gpu_device(gpu) if gpu else TWO_CORES).secs_per_pixel_and_iteration(),
    )


def arithmetic(options: PipelineOptions) -> Arithmetic:
    """Returns the precisions that the computing device supports."""
    if name := options.view_as(StyleBeamOptions).gpu:
        return gpu_arithmetic(parse_gpu(name)[0])
    return device_arithmetic() if runs_here(options) else Arithmetic("these workers")


def gpu_arithmetic(gpu: Gpu) -> Arithmetic:
    """Returns the precisions that a type of GPU supports."""
    return Arithmetic.of(gpu.name, gpu.bfloat16_flops > 0)


def stylize_options(options: PipelineOptions, require_gpu: bool) -> "StylizeOptions":
    """Returns how runs are computed.

    Args:
      options: the command line's options.
      require_gpu: a worker without a GPU stops the job.
    """
    # Imported here: `plan` shares this file and needs no TensorFlow.
    from transforms.stylize.stylize_runs import StylizeOptions

    own = options.view_as(StyleBeamOptions)
    return StylizeOptions(
        deterministic=own.deterministic,
        checkpoint_secs=own.checkpoint_secs,
        run_timeout_secs=own.run_timeout_secs,
        room=Room(device_memory_bytes(options), own.tile_px),
        xla=own.xla,
        require_gpu=require_gpu,
        frames=own.frames,
        measures=own.measures == "all",
    )


def device_memory_bytes(options: PipelineOptions, here: ComputingDevice | None = None) -> int | None:
    """Returns a process' share of the device's memory, None where this machine cannot know it; see `batch_limits`.

    Every process sees all GPUs of its machine, and TensorFlow takes their memory as it needs it, so that the processes
    of a machine may meet on one GPU.
    """
    own = options.view_as(StyleBeamOptions)
    if own.device_memory_gb:
        return int(own.device_memory_gb * 1e9)
    if own.gpu:
        memory_bytes: int | None = parse_gpu(own.gpu)[0].memory_bytes
    elif (device := _device_here(options, here)) is None:
        return None
    else:
        known = gpu_of_device(device.name) if device.is_gpu else None
        memory_bytes = known.memory_bytes if known else device.memory_bytes
    return None if memory_bytes is None else memory_bytes // _processes(options)


def _device_here(options: PipelineOptions, here: ComputingDevice | None) -> ComputingDevice | None:
    """Returns the device of this machine, None if the job runs elsewhere."""
    if not runs_here(options):
        return None
    if here is None:
        # Imported here: `plan` shares this file and needs no TensorFlow.
        from stylecore.run.devices import computing_device

        here = computing_device()
    return here


def _processes(options: PipelineOptions) -> int:
    """Returns how many processes of a worker's machine compute."""
    direct = options.view_as(DirectOptions)
    if runs_here(options):
        count = direct.direct_num_workers if direct.direct_running_mode == "multi_processing" else 1
        return max(1, count or os.cpu_count() or 1)
    count = int(options.view_as(PortableOptions).sdk_worker_parallelism)
    if count < 1:
        raise OptionError(f"--sdk_worker_parallelism must be >= 1 with --gpu: processes share the GPU, got {count}")
    return count
