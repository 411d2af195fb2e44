"""The compiled step over the bare convolutions of the same shapes, and over the step with other settings.

    python -m benchmarks.step_time [--sides_px 128 256 512] [--precisions float32 bfloat16] [--only PART]

The bare convolutions are the chain of convolutions, ReLU and pooling up to the same layer, and the gradient of the sum
of its output with respect to the picture: no losses, no optimiser, no bookkeeping. Both are compiled, each at its best
batch. The bare convolutions as they are are compared with those that are computed as gradients, see
stylecore/networks/convolutions.py. The style losses beside Gram matrices are compared with these, and L-BFGS's first
Hessians with one another, in batches of the default size. The two take turns of a few seconds each, and the figure is
the median of the turns' ratios, because the load of a shared machine changes.
"""

import argparse
import dataclasses
import functools
import statistics
import time
from collections.abc import Callable, Iterator, Sequence

import keras
import numpy as np
import tensorflow as tf

from benchmarks.figures import Figure, print_figures
from stylecore import StyleConfig
from stylecore.kernels import gradients_are_faster
from stylecore.networks.convolutions import Kernel, are_faster_plain, as_gradient, convolution, kernel_of
from stylecore.networks.features import preprocess
from stylecore.networks.precision import device_arithmetic
from stylecore.networks.weights.sources import load_weights
from stylecore.planning.batches import default_batch_size
from stylecore.planning.buckets import step_kind
from stylecore.run.engine import Engine
from stylecore.run.problem import Problem, prepare

SIDES_PX = (128, 256, 512)
PRECISIONS = ("float32", "bfloat16")
DEEPEST = "block5_conv2"  # of the preset `basic`
BATCH_SIZES = (1, 2, 4, 8)
MAX_PIXELS = 2**19
PARTS = ("convolutions", "gradients", "style_losses", "first_hessian")
# (pictures, side in pixels).
GRADIENTS_AT = ((1, 256), (1, 512), (2, 256), (8, 128))
STYLE_LOSSES_SIDE_PX = FIRST_HESSIAN_SIDE_PX = 256
STYLE_LOSS_STEPS = {"basic": "float32", "fast": "auto"}
TURNS, PIECE_SECS, TRIAL_SECS = 7, 1.5, 1.0

Step = Callable[[int], None]


class BareConvolutions:
    """The chain of a VGG's convolutions up to a layer, and its input gradient.

    Args:
      network: a keras.applications VGG with max pooling.
      deepest: Keras' name of the last layer.
      precision: precision of all arithmetic between the picture and the sum.
      form: gives a kernel the form in which it is computed.
    """

    def __init__(
        self, network: keras.Model, deepest: str, precision: str, form: Callable[[tf.Tensor], Kernel] = kernel_of
    ) -> None:
        self._dtype, self._form = tf.as_dtype(precision), form
        names = [layer.name for layer in network.layers]
        self._layers = [self._layer(layer) for layer in network.layers[1 : names.index(deepest) + 1]]
        spec = tf.TensorSpec([None, None, None, 3], tf.float32)
        self.gradients = tf.function(self._gradients, input_signature=[spec, tf.TensorSpec([], tf.int32)])

    def activation(self, images: tf.Tensor) -> tf.Tensor:
        """Maps [batch, height, width, 3], float32, to the deepest layer's output."""
        values = tf.cast(preprocess(images), self._dtype)
        for layer in self._layers:
            values = layer(values)
        return values

    def gradient(self, images: tf.Tensor) -> tf.Tensor:
        """Returns the gradient of the output's sum with respect to the images."""
        with tf.GradientTape(watch_accessed_variables=False) as tape:
            tape.watch(images)
            total = tf.reduce_sum(tf.cast(self.activation(images), tf.float32))
        return tape.gradient(total, images)

    def _gradients(self, images: tf.Tensor, count: tf.Tensor) -> tf.Tensor:
        # Each round starts from the pixels of the one before; otherwise the graph would compute it only once.
        return tf.while_loop(
            lambda done, _: done < count,
            lambda done, images: (done + 1, images + 1e-6 * self.gradient(images)),
            (tf.constant(0), images),
        )[1]

    def _layer(self, layer: keras.layers.Layer) -> Callable[[tf.Tensor], tf.Tensor]:
        if isinstance(layer, keras.layers.MaxPooling2D):
            return lambda values: tf.nn.max_pool2d(values, 2, 2, "VALID")
        kernel, bias = (tf.cast(tf.constant(values), self._dtype) for values in layer.get_weights())
        prepared = self._form(kernel)
        return lambda values: tf.nn.relu(tf.nn.bias_add(convolution(values, prepared), bias))


def as_it_is(values: tf.Tensor) -> Kernel:
    """Returns a kernel in the form in which it convolves plainly."""
    return Kernel(values, None)


def bare_step(bare: BareConvolutions, side_px: int, batch_size: int) -> Step:
    """Returns a function that runs rounds of the bare convolutions; it has already been called once."""
    images = tf.random.stateless_uniform([batch_size, side_px, side_px, 3], [0, 0], 0.0, 255.0)

    def step(count: int) -> None:
        bare.gradients(images, tf.constant(count)).numpy()

    step(1)
    return step


def faster_bare_step(forms: Sequence[BareConvolutions], side_px: int, batch_size: int) -> Step:
    """Returns `bare_step` of the first form, or of the second one, plain, for batches for which that is faster."""
    return bare_step(forms[are_faster_plain(batch_size, side_px, side_px)], side_px, batch_size)


def our_step(engine: Engine, config: StyleConfig, side_px: int, batch_size: int) -> Step:
    """Returns a function that runs evaluations of a configuration; it has already been called once."""
    image = np.random.default_rng(0).integers(0, 256, (side_px, side_px, 3), np.uint8)
    return step_of(engine, [prepare(image, image[::-1].copy(), config)] * batch_size)


def step_of(engine: Engine, problems: Sequence[Problem]) -> Step:
    """Returns a function that runs evaluations of a batch; it has already been called once."""
    batch = engine.constants(problems)
    state = engine.start(problems)

    def step(count: int) -> None:
        nonlocal state
        state, _, losses = engine.advance(state, batch, count)
        losses.total.numpy()

    step(1)
    return step


def secs_per_picture(step: Step, batch_size: int, count: int) -> float:
    """Returns the seconds of one evaluation of one picture, measured over `count` evaluations."""
    started = time.perf_counter()
    step(count)
    return (time.perf_counter() - started) / count / batch_size


def best_batch(make: Callable[[int], Step], side_px: int) -> tuple[int, Step]:
    """Tries the batch sizes and returns the one with the least seconds per picture, with its step."""
    tried = []
    for size in BATCH_SIZES:
        if size == 1 or size * side_px**2 <= MAX_PIXELS:
            step = make(size)
            count = evaluations_in(step, size, TRIAL_SECS)
            tried.append((min(secs_per_picture(step, size, count) for _ in range(2)), size, step))
    _, size, step = min(tried, key=lambda entry: entry[0])
    return size, step


def evaluations_in(step: Step, batch_size: int, secs: float) -> int:
    """Returns how many evaluations fit into `secs` seconds, at least one."""
    return max(1, round(secs / (secs_per_picture(step, batch_size, 1) * batch_size)))


def ratios(
    ours: tuple[int, Step], other: tuple[int, Step], *, turns: int = TURNS, piece_secs: float = PIECE_SECS
) -> list[float]:
    """Returns the ratio of our seconds to the other step's for each turn, in which each runs for `piece_secs`."""
    counts = [evaluations_in(step, size, piece_secs) for size, step in (ours, other)]
    found = []
    for _ in range(turns):
        secs = [secs_per_picture(step, size, count) for (size, step), count in zip((ours, other), counts, strict=True)]
        found.append(secs[0] / secs[1])
    return found


def measure(
    sides_px: Sequence[int] = SIDES_PX, precisions: Sequence[str] = PRECISIONS, only: str | None = None
) -> Iterator[Figure]:
    """Yields the figures of one part, or of all."""
    if only in (None, "convolutions"):
        yield from over_convolutions(sides_px, precisions)
    if only in (None, "gradients"):
        yield from over_plain_convolutions()
    if only in (None, "style_losses"):
        yield from over_gram_matrices()
    if only in (None, "first_hessian"):
        yield over_plain_first_hessian()


def over_plain_convolutions() -> Iterator[Figure]:
    """Yields, for one picture and for batches, the time of bare convolutions as gradients over that of plain ones."""
    network = load_weights("vgg19", "imagenet").network
    forms = [BareConvolutions(network, DEEPEST, "float32", form) for form in (as_gradient, as_it_is)]
    for size, side_px in GRADIENTS_AT:
        turns = ratios(*((size, bare_step(bare, side_px, size)) for bare in forms))
        used = gradients_are_faster() and not are_faster_plain(size, side_px, side_px)
        details = {"ratios": [round(ratio, 3) for ratio in turns], "batch_size": size, "are_used": used}
        batch = f"_batch_{size}" if size > 1 else ""
        yield Figure(f"convolutions_as_gradients_{side_px}_px{batch}", statistics.median(turns), details)


def over_plain_first_hessian() -> Figure:
    """Returns the time of a step of `gatys` with the spectral first Hessian over that with the plain one."""
    weights = load_weights("vgg19", "imagenet")
    side_px, size = FIRST_HESSIAN_SIDE_PX, default_batch_size(FIRST_HESSIAN_SIDE_PX, FIRST_HESSIAN_SIDE_PX)
    plain = StyleConfig(preset="gatys", iterations=1_000_000)
    engine = Engine(step_kind(plain, weights.fingerprint), weights.network)
    steps = [
        (size, our_step(engine, dataclasses.replace(plain, precondition=precondition), side_px, size))
        for precondition in ("spectral", "none")
    ]
    turns = ratios(*steps)
    details = {"ratios": [round(ratio, 3) for ratio in turns], "batch_size": size}
    return Figure(f"step_with_spectral_first_hessian_{side_px}_px", statistics.median(turns), details)


def over_gram_matrices() -> Iterator[Figure]:
    """Yields the time of a step with each other style loss over that with Gram matrices, for the layers of a preset."""
    weights = load_weights("vgg19", "imagenet")
    side_px, size = STYLE_LOSSES_SIDE_PX, default_batch_size(STYLE_LOSSES_SIDE_PX, STYLE_LOSSES_SIDE_PX)
    for preset, precision in STYLE_LOSS_STEPS.items():
        steps = {}
        for style_loss in ("gram", "gaussian", "sliced"):
            config = StyleConfig(preset=preset, precision=precision, style_loss=style_loss, iterations=1_000_000)
            config = device_arithmetic().settle(dataclasses.replace(config, pyramid=()))
            engine = Engine(step_kind(config, weights.fingerprint), weights.network)
            steps[style_loss] = size, our_step(engine, config, side_px, size)
        for style_loss in ("gaussian", "sliced"):
            turns = ratios(steps[style_loss], steps["gram"])
            details = {
                "ratios": [round(ratio, 3) for ratio in turns],
                "batch_size": size,
                "gram_secs_per_picture": secs_per_picture(steps["gram"][1], size, 2),
                "secs_per_picture": secs_per_picture(steps[style_loss][1], size, 2),
            }
            yield Figure(f"{style_loss}_over_gram_{preset}", statistics.median(turns), details)


def over_convolutions(sides_px: Sequence[int], precisions: Sequence[str]) -> Iterator[Figure]:
    """Yields a figure for each precision and size."""
    weights = load_weights("vgg19", "imagenet")
    for precision in precisions:
        if precision == "bfloat16" and device_arithmetic().refusal:
            continue  # It would take minutes, and nobody could choose it.
        config = StyleConfig(iterations=1_000_000, precision=precision)
        engine = Engine(step_kind(config, weights.fingerprint), weights.network)
        forms = [BareConvolutions(weights.network, DEEPEST, precision, form) for form in (kernel_of, as_it_is)]
        for side_px in sides_px:
            ours = best_batch(functools.partial(our_step, engine, config, side_px), side_px)
            theirs = best_batch(functools.partial(faster_bare_step, forms, side_px), side_px)
            yield _figure(f"step_over_convolutions_{precision}_{side_px}_px", ours, theirs)


def _figure(name: str, ours: tuple[int, Step], bare: tuple[int, Step]) -> Figure:
    turns = ratios(ours, bare)
    details = {
        "ratios": [round(ratio, 3) for ratio in turns],
        "batch_size": ours[0],
        "bare_batch_size": bare[0],
        "secs_per_picture": secs_per_picture(ours[1], ours[0], 2),
    }
    return Figure(name, statistics.median(turns), details)


def main() -> None:
    """Measures and prints."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--sides_px", type=int, nargs="+", default=SIDES_PX)
    parser.add_argument("--precisions", nargs="+", default=PRECISIONS, choices=PRECISIONS)
    parser.add_argument("--only", choices=PARTS)
    print_figures(measure(**vars(parser.parse_args())))


if __name__ == "__main__":
    main()
