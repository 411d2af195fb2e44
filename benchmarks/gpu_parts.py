"""The parts of benchmarks/gpu.py, each run in a process of its own, which prints what it will measure and each figure.

python -m benchmarks.gpu_parts PART --device gpu --sides_px 256 512 --weights imagenet --secs 60
"""

import argparse
import dataclasses
import functools
import json
import statistics
import sys
import time
from collections.abc import Callable, Iterator, Mapping
from typing import Any

import numpy as np
import tensorflow as tf

from benchmarks import ceilings, performance_doc
from benchmarks.figures import Figure
from benchmarks.gpus import (
    GRADIENT_TOLERANCES,
    LOSS_TOLERANCES,
    known_gpu,
    precision_of,
    relative_error,
    rounding,
    secs_at_peak,
)
from benchmarks.gpus import pictures as two_pictures
from benchmarks.step_time import (
    DEEPEST,
    BareConvolutions,
    Step,
    bare_step,
    evaluations_in,
    our_step,
    ratios,
    secs_per_picture,
)
from stylecore import StyleConfig, stylize
from stylecore.errors import one_line
from stylecore.networks.precision import device_arithmetic
from stylecore.networks.weights.sources import Weights, WeightsError, load_weights
from stylecore.planning.batches import full_batch
from stylecore.planning.buckets import step_kind
from stylecore.planning.costs import EvaluationCost, evaluation_cost
from stylecore.planning.pyramid import stages
from stylecore.planning.room import machine_memory_bytes
from stylecore.run.devices import computing_device, device_name
from stylecore.run.engine import Engine
from stylecore.run.problem import prepare
from stylecore.run.speed import measure_device

MAX_BATCH_SIZE = 256
BATCH_SIZES = (1, 4, 16)
MEMORY_SHARE = 0.8
# Of a GPU with an unknown memory: that of the smallest in the table.
UNKNOWN_MEMORY_BYTES = 16 * 10**9
COMPARED_BATCH_SIZE = 2
TURNS, PIECE_SECS = 5, 0.5
PRESETS = ("basic", "fast")
RANDOM_WEIGHTS = "random:0"


class NotMeasuredError(Exception):
    """A figure that cannot be had here, with the reason."""


@dataclasses.dataclass(frozen=True)
class Setting:
    """What a part measures with.

    Attributes:
      device: TensorFlow's name of the device.
      name: the name that its driver gives it, or "CPU".
      sides_px: of square pictures.
      weights: VGG19's.
      ends: when the part's time is over, on the clock of time.monotonic.
    """

    device: str
    name: str
    sides_px: tuple[int, ...]
    weights: Weights
    ends: float

    @property
    def on_gpu(self) -> bool:
        """Whether the device is a GPU."""
        return "GPU" in self.device

    @property
    def memory_bytes(self) -> int:
        """The device's memory."""
        if not self.on_gpu:
            return machine_memory_bytes()
        return computing_device().memory_bytes or UNKNOWN_MEMORY_BYTES

    @functools.cached_property
    def arithmetics(self) -> tuple[str, ...]:
        """The arithmetics that the device has."""
        arithmetic = device_arithmetic()
        # NVIDIA's tensor cores have had both since the same generation.
        reduced = ("tf32", "bfloat16") if self.on_gpu else ("bfloat16",)
        return ("float32", *reduced) if arithmetic.prefers_bfloat16 else ("float32",)

    @property
    def usual(self) -> tuple[str, ...]:
        """The arithmetics that runs use: TensorFloat-32 takes float32's place."""
        return self.arithmetics[1:] if "tf32" in self.arithmetics else self.arithmetics

    @functools.cache  # noqa: B019 - one setting a process
    def engine(self, arithmetic: str, optimizer: str = "adam", xla: bool = False, device: str | None = None) -> Engine:
        """Returns the engine of a step of `basic`."""
        kind = step_kind(config_of(arithmetic, optimizer), self.weights.fingerprint)
        return Engine(kind, self.weights.network, self.device if device is None else device, xla)

    def batch_size(self, side_px: int, arithmetic: str) -> int:
        """Returns a power of two: as many pictures as fill the device, by pixels, and fit into its memory."""
        pixels = full_batch(self.on_gpu).pixels
        fitting = int(MEMORY_SHARE * self.memory_bytes) // cost_of(arithmetic, side_px).bytes_held
        most = max(1, min(MAX_BATCH_SIZE, pixels // side_px**2, fitting))
        return 1 << (most.bit_length() - 1)

    def secs_left(self) -> float:
        """Returns the seconds that the part has left."""
        return self.ends - time.monotonic()


Measurement = Callable[[], tuple[float, dict[str, Any]]]
Part = Callable[[Setting], Mapping[str, Measurement]]


def config_of(arithmetic: str, optimizer: str = "adam") -> StyleConfig:
    """Returns the configuration `basic` in the precision of an arithmetic."""
    return StyleConfig(optimizer=optimizer, precision=precision_of(arithmetic), iterations=1_000_000)


def cost_of(arithmetic: str, side_px: int, optimizer: str = "adam") -> EvaluationCost:
    """Returns the cost of one evaluation of one square picture."""
    config = config_of(arithmetic, optimizer)
    return evaluation_cost(step_kind(config, ""), side_px, side_px, config.history_size)


def correctness(setting: Setting) -> Mapping[str, Measurement]:
    """Error of the gradient and the losses against the CPU's in float32, without and with XLA."""
    side_px = min(setting.sides_px)
    content, style = two_pictures(side_px)
    # Away from the content, where its loss would be zero.
    start = (content.astype(np.float32) + style) / 2
    problems = [prepare(content, style, config_of("float32")).starting_from(start)] * COMPARED_BATCH_SIZE

    @functools.cache
    def reference() -> tuple[Any, Any]:
        with rounding("float32"):
            return evaluated(setting.engine("float32", device="/device:CPU:0"))

    def evaluated(engine: Engine) -> tuple[Any, Any]:
        state, _, losses = engine.advance(engine.start(problems), engine.constants(problems), 1)
        # Adam's first moment is now the gradient, times a constant.
        return losses.total.numpy(), state.optimizer.mu.numpy()

    def error(arithmetic: str, xla: bool) -> tuple[float, dict[str, Any]]:
        with rounding(arithmetic):
            total, gradient = evaluated(setting.engine(arithmetic, xla=xla))
        loss_error, gradient_error = map(relative_error, (total, gradient), reference())
        tolerances = LOSS_TOLERANCES[arithmetic], GRADIENT_TOLERANCES[arithmetic]
        within = loss_error <= tolerances[0] and gradient_error <= tolerances[1]
        return gradient_error, {"loss_error": loss_error, "tolerances": tolerances, "within": within}

    return {
        f"gradient_error_{arithmetic}{'_xla' if xla else ''}": functools.partial(error, arithmetic, xla)
        for xla, arithmetics in ((False, setting.arithmetics), (True, setting.usual))
        for arithmetic in arithmetics
    }


def over_convolutions(setting: Setting) -> Mapping[str, Measurement]:
    """Time of the step over that of the bare convolutions, in the same batches."""

    def ratio(arithmetic: str, side_px: int) -> tuple[float, dict[str, Any]]:
        size = setting.batch_size(side_px, arithmetic)
        with rounding(arithmetic), tf.device(setting.device):
            ours = our_step(setting.engine(arithmetic), config_of(arithmetic), side_px, size)
            bare = bare_step(
                BareConvolutions(setting.weights.network, DEEPEST, precision_of(arithmetic)), side_px, size
            )
            value, turns = ratio_of(ours, bare, size)
        return value, {"ratios": turns, "batch_size": size}

    return {
        f"step_over_convolutions_{arithmetic}_{side_px}_px": functools.partial(ratio, arithmetic, side_px)
        for side_px in setting.sides_px
        for arithmetic in setting.usual
    }


def peaks(setting: Setting) -> Mapping[str, Measurement]:
    """What the device reaches in a large matrix product, in the network's convolutions, and in memory."""

    def product(arithmetic: str) -> tuple[float, dict[str, Any]]:
        side = 8192 if setting.on_gpu else 1024
        with rounding(arithmetic), tf.device(setting.device):
            factor = tf.cast(tf.random.stateless_normal([side, side], [0, 0]), precision_of(arithmetic))
            corner = tf.function(lambda a: tf.matmul(a, a)[0, 0])
            secs = ceilings.best_secs(lambda: corner(factor).numpy())
        return 2 * side**3 / secs, {"side": side}

    @functools.cache
    def layers() -> Any:
        with tf.device(setting.device):
            return measure_device([precision_of(arithmetic) for arithmetic in setting.usual])

    def convolutions(arithmetic: str) -> tuple[float, dict[str, Any]]:
        return layers().flops_per_sec[precision_of(arithmetic)], {}

    return {
        **{f"matmul_flops_per_sec_{name}": functools.partial(product, name) for name in setting.arithmetics},
        **{f"convolution_flops_per_sec_{name}": functools.partial(convolutions, name) for name in setting.usual},
        "gram_flops_per_sec": lambda: (layers().gram_flops_per_sec, {}),
        "bytes_per_sec": lambda: (layers().bytes_per_sec, {}),
    }


def batches(setting: Setting) -> Mapping[str, Measurement]:
    """Seconds of an evaluation of one picture by the size of the batch, and its share of the data sheet's peak."""

    def measure(arithmetic: str, side_px: int, size: int) -> tuple[float, dict[str, Any]]:
        with rounding(arithmetic):
            step = our_step(setting.engine(arithmetic), config_of(arithmetic), side_px, size)
            secs = steady_secs(step, size)
        return secs, reached(setting, arithmetic, side_px, secs)

    return {
        f"secs_per_picture_{arithmetic}_{side_px}_px_batch_{size}": functools.partial(
            measure, arithmetic, side_px, size
        )
        for side_px in setting.sides_px
        for arithmetic in setting.usual
        for size in sorted({*BATCH_SIZES, setting.batch_size(side_px, arithmetic)})
        if size <= setting.batch_size(side_px, arithmetic)
    }


def memory(setting: Setting) -> Mapping[str, Measurement]:
    """Peak memory of a batch over its estimate."""

    def ratio(optimizer: str, arithmetic: str, side_px: int) -> tuple[float, dict[str, Any]]:
        estimated = cost_of(arithmetic, side_px, optimizer).bytes_held
        # A quarter of a full batch: L-BFGS holds more than Adam.
        size = max(1, setting.batch_size(side_px, arithmetic) // 4)
        with rounding(arithmetic):
            engine, config = setting.engine(arithmetic, optimizer), config_of(arithmetic, optimizer)
            held = peak_bytes(setting, lambda: our_step(engine, config, side_px, size))
        return held / (estimated * size), {"peak_bytes": held, "estimated_bytes": estimated * size, "batch_size": size}

    return {
        f"memory_over_estimate_{optimizer}_{arithmetic}_{side_px}_px": functools.partial(
            ratio, optimizer, arithmetic, side_px
        )
        for side_px in setting.sides_px
        for optimizer in ("adam", "lbfgs")
        for arithmetic in setting.usual
    }


def xla(setting: Setting) -> Mapping[str, Measurement]:
    """Time of a step compiled by XLA over that of a step without, at the smallest size."""
    side_px = min(setting.sides_px)

    def ratio(optimizer: str, arithmetic: str) -> tuple[float, dict[str, Any]]:
        size, config = setting.batch_size(side_px, arithmetic), config_of(arithmetic, optimizer)
        with rounding(arithmetic):
            plain = our_step(setting.engine(arithmetic, optimizer), config, side_px, size)
            began = time.perf_counter()
            compiled = our_step(setting.engine(arithmetic, optimizer, xla=True), config, side_px, size)
            compile_secs = time.perf_counter() - began
            value, turns = ratio_of(compiled, plain, size)
        return value, {"ratios": turns, "batch_size": size, "first_call_secs": compile_secs}

    return {
        f"xla_over_plain_{optimizer}_{arithmetic}_{side_px}_px": functools.partial(ratio, optimizer, arithmetic)
        for optimizer in ("adam", "lbfgs")
        for arithmetic in setting.usual
    }


def pictures(setting: Setting) -> Mapping[str, Measurement]:
    """Pictures an hour at the largest size: from the steps of full batches as they are predicted, and by `stylize`."""
    side_px, gpu = max(setting.sides_px), known_gpu(setting.name)

    @functools.cache
    def steps(preset: str) -> tuple[float, dict[str, Any]]:
        config = device_arithmetic().settle(StyleConfig(preset=preset))
        arithmetic = "bfloat16" if config.precision == "bfloat16" else setting.usual[0]
        engine = Engine(step_kind(config, setting.weights.fingerprint), setting.weights.network, setting.device)
        secs = 0.0
        with rounding(arithmetic):
            for height, _, iterations in stages(config, side_px, side_px):
                size = setting.batch_size(height, arithmetic)
                one_size = dataclasses.replace(config, pyramid=(), iterations=1_000_000)
                secs += iterations * steady_secs(our_step(engine, one_size, height, size), size)
        details: dict[str, Any] = {"side_px": side_px, "arithmetic": arithmetic}
        if gpu:
            predicted = 3600 / performance_doc.picture_secs(config, config.precision, gpu, side_px)
            details |= {"predicted": predicted, "over_predicted": 3600 / secs / predicted}
        return 3600 / secs, details

    def whole(preset: str) -> tuple[float, dict[str, Any]]:
        config = device_arithmetic().settle(StyleConfig(preset=preset))
        size = setting.batch_size(side_px, "float32")
        expected = size * 3600 / steps(preset)[0]
        if expected > setting.secs_left():
            raise NotMeasuredError(f"a batch of {size} takes {expected:.0f} seconds")
        generator = np.random.default_rng(0)
        images = list(generator.integers(0, 256, (2 * size, side_px, side_px, 3), np.uint8))
        began = time.perf_counter()
        found = stylize(images[:size], images[size:], [config] * size, size, weights=setting.weights)
        secs = time.perf_counter() - began
        if failures := [result.error for result in found if result.error]:
            raise NotMeasuredError(one_line(failures[0], 200))
        return size * 3600 / secs, {"batch_size": size, "side_px": side_px}

    return {
        **{f"pictures_per_hour_{preset}": functools.partial(steps, preset) for preset in PRESETS},
        "pictures_per_hour_fast_by_stylize": functools.partial(whole, "fast"),
    }


# In the order in which they are measured: XLA compiles for long and comes last.
PARTS: Mapping[str, Part] = {
    "correctness": correctness,
    "pictures": pictures,
    "convolutions": over_convolutions,
    "batches": batches,
    "memory": memory,
    "peaks": peaks,
    "xla": xla,
}


def ratio_of(ours: Step, other: Step, batch_size: int) -> tuple[float, list[float]]:
    """Returns the median ratio of the seconds of two steps that take turns, and all ratios."""
    found = [
        round(value, 3) for value in ratios((batch_size, ours), (batch_size, other), turns=TURNS, piece_secs=PIECE_SECS)
    ]
    return statistics.median(found), found


def steady_secs(step: Step, batch_size: int) -> float:
    """Returns the seconds of one evaluation of one picture, the median of three pieces."""
    count = evaluations_in(step, batch_size, PIECE_SECS)
    return statistics.median(secs_per_picture(step, batch_size, count) for _ in range(3))


def reached(setting: Setting, arithmetic: str, side_px: int, secs: float) -> dict[str, Any]:
    """Returns the arithmetic a second, and its share of the data sheet's peak where that is known."""
    cost, gpu = cost_of(arithmetic, side_px), known_gpu(setting.name)
    details: dict[str, Any] = {"flops_per_sec": cost.flops / secs}
    if gpu and (at_peak := secs_at_peak(cost, arithmetic, gpu)):
        details["share_of_peak"] = at_peak / secs
    return details


def peak_bytes(setting: Setting, work: Callable[[], Any]) -> int:
    """Returns by how much the GPU's memory in use rose at most while `work` ran."""
    if not setting.on_gpu:
        raise NotMeasuredError(
            "a process tells only its own highest peak: benchmarks/held_memory.py takes one for each"
        )
    name = setting.device.removeprefix("/device:")
    tf.config.experimental.reset_memory_stats(name)
    before = tf.config.experimental.get_memory_info(name)["current"]
    work()
    return int(tf.config.experimental.get_memory_info(name)["peak"] - before)


def measured(setting: Setting, part: Part) -> Iterator[dict[str, Any]]:
    """Yields the names of a part's figures, then each figure, or why it was not measured."""
    measurements = part(setting)
    yield {"names": list(measurements)}
    for name, measure in measurements.items():
        if setting.secs_left() <= 0:
            return
        try:
            value, details = measure()
        except (NotMeasuredError, tf.errors.OpError) as error:
            yield {"name": name, "not_measured": one_line(error, 200)}
        else:
            yield {"figure": dataclasses.asdict(Figure(name, value, details))}


def weights_at_hand(wanted: str) -> tuple[str, Weights]:
    """Returns VGG19 with the weights of this name, where no source has them with random ones, and the name used."""
    try:
        return wanted, load_weights("vgg19", wanted)
    except WeightsError:
        return RANDOM_WEIGHTS, load_weights("vgg19", RANDOM_WEIGHTS)


def main() -> None:
    """Measures one part and prints a line for each figure."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("part", choices=PARTS)
    parser.add_argument("--device", choices=("gpu", "cpu"), default="gpu")
    parser.add_argument("--sides_px", type=int, nargs="+", required=True)
    parser.add_argument("--weights", default="imagenet")
    parser.add_argument("--secs", type=float, required=True)
    arguments = parser.parse_args()
    ends = time.monotonic() + arguments.secs
    if arguments.device == "gpu" and not tf.config.list_physical_devices("GPU"):
        sys.exit("TensorFlow finds no GPU here; --device cpu is a trial without one")
    for gpu in tf.config.list_physical_devices("GPU"):
        tf.config.experimental.set_memory_growth(gpu, True)
    weights_name, weights = weights_at_hand(arguments.weights)
    device = f"/device:{arguments.device.upper()}:0"
    setting = Setting(device, device_name(), tuple(arguments.sides_px), weights, ends)
    _print({"device": setting.name, "weights": weights_name, "arithmetics": setting.arithmetics})
    for line in measured(setting, PARTS[arguments.part]):
        _print(line)


def _print(line: Mapping[str, Any]) -> None:
    print(json.dumps(line), flush=True)


if __name__ == "__main__":
    main()
