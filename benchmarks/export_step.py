"""Writes the step as StableHLO, with inputs and what TensorFlow computes from them, for GPUs without TensorFlow.

    python -m benchmarks.export_step FOLDER [--arithmetics float32 tf32 bfloat16] [--sides_px 256] [--batch_sizes 1]
        [--optimizers adam lbfgs] [--preset basic] [--weights imagenet]

FOLDER gets `weights.npz` and, for each case, a folder with

    step.json        what it is: inputs, outputs, tolerances, counted arithmetic and memory, peaks of known GPUs
    evaluation.mlir  StableHLO: losses and gradient
    step.mlir        StableHLO: one evaluation and the optimiser's answer to it
    inputs.npz       everything that is no weight: pictures, the optimiser's state, targets, loss weights, parameters
    expected.npz     outputs, computed by TensorFlow on the CPU in float32, also for the other arithmetics

Weights are inputs of the functions, so that the modules stay small. benchmarks/run_exported_step.py checks and times
them. `tf32` is the preset's float32 step whose products the GPU rounds to TensorFloat-32, as TensorFlow has it do;
`float32` forbids that.
"""

import argparse
import contextlib
import dataclasses
import itertools
import json
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any, NamedTuple
from unittest import mock

import keras
import numpy as np
import tensorflow as tf
from tensorflow.compiler.mlir.stablehlo import stablehlo

from benchmarks.gpus import (
    ARITHMETICS,
    GRADIENT_TOLERANCES,
    KNOWN_GPUS,
    LOSS_TOLERANCES,
    peaks,
    pictures,
    precision_of,
    rounding,
)
from benchmarks.provenance import commit
from stylecore import StyleConfig
from stylecore.networks.features import FeatureExtractor, rebuilt
from stylecore.networks.layers import layers_in_use
from stylecore.networks.weights.sources import Weights, load_weights
from stylecore.objective.objective import Objective
from stylecore.planning.buckets import StepKind, step_kind
from stylecore.planning.costs import evaluation_cost
from stylecore.run.engine import OPTIMIZERS, Engine
from stylecore.run.problem import prepare

# Before these evaluations Adam moves by the sign of the gradient alone, and L-BFGS has no curvature.
WARM_EVALUATIONS = 4
LOSS_TERMS = ("total", "content", "style", "tv")


class Inputs(NamedTuple):
    """What an optimiser step takes beside the weights, as nests of arrays."""

    images: Any
    state: Any
    targets: Any
    weights: Any
    parameters: Any


@dataclasses.dataclass(frozen=True)
class Exported:
    """A function to export.

    Attributes:
      function: takes a network and fields of Inputs, returns a tuple of nests.
      fields: the fields that it takes.
      outputs: the names of what it returns; one that is also a field becomes that field in the next call.
      checked: output -> the tolerance of its relative error, by the arithmetic.
    """

    function: Callable[..., Any]
    fields: tuple[str, ...]
    outputs: tuple[str, ...]
    checked: Mapping[str, Mapping[str, float]]


def exported(kind: StepKind) -> Mapping[str, Exported]:
    """Returns the functions of a step by name, for a style loss that draws nothing."""
    optimizer = OPTIMIZERS[kind.optimizer]

    def objective(network: keras.Model) -> Objective:
        features = FeatureExtractor(network, sorted({*kind.content_layers, *kind.style_layers}), "max")
        return Objective(
            features,
            kind.content_layers,
            kind.style_layers,
            kind.content_loss,
            kind.style_loss,
            kind.normalize_gradients,
            kind.feature_map,
        )

    def evaluation(network: keras.Model, images: Any, targets: Any, weights: Any) -> tuple[Any, ...]:
        losses, gradient = objective(network).value_and_gradient(images, targets, weights)
        return losses.total, losses.content, losses.style, losses.tv, gradient

    def step(
        network: keras.Model, images: Any, state: Any, targets: Any, weights: Any, parameters: Any
    ) -> tuple[Any, ...]:
        losses, gradient = objective(network).value_and_gradient(images, targets, weights)
        proposal = optimizer.propose(state, parameters, images, losses.total, gradient)
        return proposal.images, proposal.state, losses.total

    return {
        "evaluation": Exported(
            evaluation,
            ("images", "targets", "weights"),
            (*LOSS_TERMS, "gradient"),
            {**dict.fromkeys(LOSS_TERMS, LOSS_TOLERANCES), "gradient": GRADIENT_TOLERANCES},
        ),
        "step": Exported(
            step,
            Inputs._fields,
            ("images", "state", "total"),
            {"images": GRADIENT_TOLERANCES, "total": LOSS_TOLERANCES},
        ),
    }


def inputs_of(config: StyleConfig, weights: Weights, side_px: int, batch_size: int) -> Inputs:
    """Returns the inputs of a batch of equal problems after WARM_EVALUATIONS, made in float32 by TensorFlow."""
    problems = [prepare(*pictures(side_px), config)] * batch_size
    engine = Engine(step_kind(config, weights.fingerprint), weights.network)
    constants = engine.constants(problems)
    state, _, _ = engine.advance(engine.start(problems), constants, WARM_EVALUATIONS)
    found = Inputs(state.images, state.optimizer, constants.targets, constants.weights, constants.parameters)
    return tf.nest.map_structure(np.asarray, found)


def named_leaves(inputs: Inputs) -> dict[str, np.ndarray]:
    """Returns all arrays of the inputs, by their names."""
    return {leaf: array for field in Inputs._fields for leaf, array in flattened(field, getattr(inputs, field)).items()}


def flattened(name: str, value: Any) -> dict[str, Any]:
    """Returns the leaves of a nest of tuples in the order of tf.nest.flatten, by names such as "state.mu"."""
    if not isinstance(value, tuple):
        return {name: value}
    names = getattr(value, "_fields", range(len(value)))
    parts = (flattened(f"{name}.{part}", entry) for part, entry in zip(names, value, strict=True))
    return {leaf: entry for part in parts for leaf, entry in part.items()}


def layer_weights(network: keras.Model, kind: StepKind) -> dict[str, keras.Variable]:
    """Returns the weights of the layers that a step uses, by names such as "network.block1_conv1.kernel"."""
    used = layers_in_use(kind.backbone, frozenset((*kind.content_layers, *kind.style_layers)), 32, 32)
    return {
        f"network.{layer.name}.{variable.name}": variable
        for layer in network.layers
        if layer.name in used
        for variable in layer.weights
    }


def lowered(export: Exported, network: keras.Model, variables: Mapping[str, keras.Variable], inputs: Inputs) -> bytes:
    """Returns a function as a portable StableHLO module; its parameters are the leaves of its fields, then the weights.

    Raises:
      ValueError: the function holds something that cannot become a parameter.
    """
    taken = _taken(export, inputs)
    leaves = tf.nest.flatten(taken)

    def flat(*arrays: Any) -> Any:
        fields = tf.nest.pack_sequence_as(taken, arrays[: len(leaves)])
        values = zip(variables.values(), arrays[len(leaves) :], strict=True)
        with keras.StatelessScope(state_mapping=list(values)):
            return tf.nest.flatten(export.function(network, *fields))

    function = tf.function(flat, jit_compile=True, autograph=False)
    arguments = [*map(tf.constant, leaves), *(tf.convert_to_tensor(variable) for variable in variables.values())]
    if function.get_concrete_function(*arguments).captured_inputs:
        raise ValueError(f"{export.fields}: the function captures tensors that are not among its parameters")
    text = function.experimental_get_compiler_ir(*arguments)(stage="stablehlo")
    # In the oldest form of StableHLO, which older and newer versions of XLA read.
    return stablehlo.serialize_portable_artifact_str(text, stablehlo.get_minimum_version())


@contextlib.contextmanager
def as_on_a_gpu(arithmetic: str) -> Iterator[None]:
    """Traces what TensorFlow would trace on a GPU with this arithmetic, though there is none."""
    rounded = arithmetic != "float32"
    with rounding(arithmetic), mock.patch("stylecore.optimizers.products.products_are_rounded", lambda: rounded):
        yield


def write_case(
    folder: Path, config: StyleConfig, weights: Weights, side_px: int, batch_size: int, arithmetic: str
) -> Path:
    """Writes one case and, if they are missing, the weights.

    Args:
      folder: gets both.
      config: the step's; it is computed at one size, in the precision of the arithmetic.
      weights: the backbone's; the folder has the same or none.
      side_px: of the square pictures.
      batch_size: pictures in the batch.
      arithmetic: a name in ARITHMETICS.

    Returns:
      The case's folder.

    Raises:
      ValueError: the folder has other weights, or the step cannot be lowered.
    """
    config = dataclasses.replace(config, pyramid=(), precision="float32")
    reference = _network(weights.network, config)
    inputs = inputs_of(config, weights, side_px, batch_size)
    config = dataclasses.replace(config, precision=precision_of(arithmetic))
    kind = step_kind(config, weights.fingerprint)
    network = _network(weights.network, config)
    variables = layer_weights(network, kind)
    _write_weights(folder / "weights.npz", layer_weights(reference, kind))
    case = folder / f"{config.optimizer}_{side_px}_px_batch_{batch_size}_{arithmetic}"
    case.mkdir(exist_ok=True)
    _save(case / "inputs.npz", named_leaves(inputs))
    functions, expected = {}, {}
    for name, export in exported(kind).items():
        tensors = tf.nest.map_structure(tf.constant, _taken(export, inputs))
        outputs = dict(zip(export.outputs, export.function(reference, *tensors), strict=True))
        expected.update({f"{name}.{output}": np.asarray(outputs[output]) for output in export.checked})
        with as_on_a_gpu(arithmetic):
            (case / f"{name}.mlir").write_bytes(lowered(export, network, variables, inputs))
        functions[name] = _described(name, export, inputs, outputs, variables, arithmetic)
    _save(case / "expected.npz", expected)
    about = _about(config, kind, weights, side_px, batch_size, arithmetic)
    (case / "step.json").write_text(json.dumps({**about, "functions": functions}, indent=1) + "\n")
    return case


def _network(network: keras.Model, config: StyleConfig) -> keras.Model:
    as_it_is = (config.pooling, config.precision) == ("max", "float32")
    return network if as_it_is else rebuilt(network, config.pooling, config.precision)


def _taken(export: Exported, inputs: Inputs) -> tuple[Any, ...]:
    return tuple(getattr(inputs, field) for field in export.fields)


def _described(
    name: str,
    export: Exported,
    inputs: Inputs,
    outputs: Mapping[str, Any],
    variables: Mapping[str, keras.Variable],
    arithmetic: str,
) -> dict[str, Any]:
    """Returns what step.json says of a function: its parameters and outputs in order, what is checked and fed back."""
    taken = {leaf: array for field in export.fields for leaf, array in flattened(field, getattr(inputs, field)).items()}
    dtypes = {leaf: array.dtype.name for leaf, array in taken.items()}
    dtypes |= {leaf: tf.as_dtype(variable.dtype).name for leaf, variable in variables.items()}
    returned = [leaf for output, value in outputs.items() for leaf in flattened(output, value)]
    places = list(dtypes)
    return {
        "file": f"{name}.mlir",
        "inputs": [{"name": leaf, "dtype": dtype} for leaf, dtype in dtypes.items()],
        "outputs": returned,
        "feeds": {str(index): places.index(leaf) for index, leaf in enumerate(returned) if leaf in taken},
        "checks": {
            output: {
                "expected": f"{name}.{output}",
                "from": output if output in taken else "",
                "tolerance": tolerances[arithmetic],
            }
            for output, tolerances in export.checked.items()
        },
    }


def _about(
    config: StyleConfig, kind: StepKind, weights: Weights, side_px: int, batch_size: int, arithmetic: str
) -> dict[str, Any]:
    cost = evaluation_cost(kind, side_px, side_px, config.history_size)
    counted = {name: batch_size * value for name, value in dataclasses.asdict(cost).items()}
    return {
        "commit": commit(),
        "tensorflow": tf.__version__,
        "config": config.to_dict(),
        "weights": weights.origin,
        "side_px": side_px,
        "batch_size": batch_size,
        "arithmetic": arithmetic,
        **counted,
        "peaks": [{"name": gpu.name, **peaks(gpu)} for gpu in KNOWN_GPUS],
    }


def _save(path: Path, arrays: Mapping[str, Any]) -> None:
    np.savez_compressed(path, **arrays)


def _write_weights(path: Path, variables: Mapping[str, keras.Variable]) -> None:
    arrays = {name: np.asarray(variable) for name, variable in variables.items()}
    if path.exists():
        with np.load(path) as known:
            same = set(known.files) == set(arrays) and all(
                np.array_equal(known[name], array) for name, array in arrays.items()
            )
        if not same:
            raise ValueError(f"{path}: holds other weights, choose another folder")
        return
    path.parent.mkdir(parents=True, exist_ok=True)
    _save(path, arrays)


def main() -> None:
    """Writes every combination that is asked for."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("folder", type=Path, help="is made if it is missing")
    parser.add_argument("--arithmetics", nargs="+", choices=ARITHMETICS, default=ARITHMETICS, help="default: all")
    parser.add_argument("--sides_px", type=int, nargs="+", default=[256], help="default: 256")
    parser.add_argument("--batch_sizes", type=int, nargs="+", default=[1], help="default: 1")
    parser.add_argument("--optimizers", nargs="+", choices=sorted(OPTIMIZERS), default=["adam"], help="default: adam")
    parser.add_argument("--preset", default="basic", help="whose layers and weights are used (default: basic)")
    parser.add_argument("--weights", default="imagenet", help="of the backbone: imagenet, random:SEED or a file")
    arguments = parser.parse_args()
    combinations = itertools.product(
        arguments.optimizers, arguments.sides_px, arguments.batch_sizes, arguments.arithmetics
    )
    with tf.device("/device:CPU:0"):
        weights = load_weights(StyleConfig(preset=arguments.preset).backbone, arguments.weights)
        for optimizer, side_px, batch_size, arithmetic in combinations:
            config = StyleConfig(preset=arguments.preset, optimizer=optimizer, iterations=1_000_000)
            print(write_case(arguments.folder, config, weights, side_px, batch_size, arithmetic), flush=True)


if __name__ == "__main__":
    main()
