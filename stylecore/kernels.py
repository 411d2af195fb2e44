"""TensorFlow's kernels on a CPU: oneDNN's wherever the processor has AVX2, unless the user says otherwise.

By itself TensorFlow uses oneDNN only from AVX512-VNNI or AVX-VNNI on. Elsewhere Eigen's kernels run: they are slower,
and on processors without AVX-512 the last bits of a picture depend on its position in the batch.

`prefer_onednn` takes effect only before TensorFlow is loaded, so that `stylecore/__init__.py` calls it.
"""

import os
import sys
from pathlib import Path

from stylecore.errors import UsageError

ONEDNN_VARIABLE = "TF_ENABLE_ONEDNN_OPTS"
# A cap on oneDNN's instructions, and its older name.
_CAPS = ("ONEDNN_MAX_CPU_ISA", "DNNL_MAX_CPU_ISA")
# The instructions that decide which of its kernels oneDNN picks, best first, as Linux names them.
_INSTRUCTIONS = ("amx_tile", "avx512_bf16", "avx512_vnni", "avx512f", "avx_vnni", "avx2")
_OF_AVX2 = ("avx_vnni", "avx2")
_CPUINFO = Path("/proc/cpuinfo")


class KernelsError(UsageError, RuntimeError):
    """TensorFlow runs with kernels whose last bits depend on a picture's position in the batch."""


def prefer_onednn(cpuinfo: Path = _CPUINFO) -> None:
    """Turns oneDNN on for a TensorFlow that is loaded later, if the processor has AVX2 and the user has not chosen.

    Args:
      cpuinfo: the file in which Linux lists the processor's instructions; where there is none, nothing is chosen.
    """
    if "tensorflow" not in sys.modules and "avx2" in _flags(cpuinfo):
        os.environ.setdefault(ONEDNN_VARIABLE, "1")


def has_onednn() -> bool:
    """Returns whether TensorFlow computes with oneDNN's kernels on a CPU; loads TensorFlow."""
    from tensorflow.python.util import _pywrap_util_port

    return bool(_pywrap_util_port.IsMklEnabled())


def is_compiled_with_xla() -> bool:
    """Returns whether what is traced is part of a function that XLA compiles: it lacks some of TensorFlow's kernels."""
    import tensorflow as tf
    from tensorflow.python.ops import control_flow_util

    return bool(control_flow_util.GraphOrParentsInXlaContext(tf.compat.v1.get_default_graph()))


def gradients_are_faster(cpuinfo: Path = _CPUINFO) -> bool:
    """Returns whether a convolution's gradient takes less time than the convolution: see networks/convolutions.py.

    It does with oneDNN's kernels for AVX2, which run where there is no AVX-512 or where they are asked for; loads
    TensorFlow.

    Args:
      cpuinfo: the file in which Linux lists the processor's instructions.
    """
    import tensorflow as tf

    if tf.config.list_physical_devices("GPU") or not has_onednn():
        return False
    best = next((name for name in _INSTRUCTIONS if name in _flags(cpuinfo)), None)
    capped = any(os.environ.get(name, "").upper().startswith("AVX2") for name in _CAPS)
    return best in _OF_AVX2 or (best is not None and capped)


def arithmetic_description(cpuinfo: Path = _CPUINFO) -> str:
    """Returns what the last bits of a result depend on: device, TensorFlow's version, kernels, instructions.

    Args:
      cpuinfo: the file in which Linux lists the processor's instructions.
    """
    import tensorflow as tf

    from stylecore.run.devices import device_name

    parts = [device_name(), f"TensorFlow {tf.__version__}"]
    if not tf.config.list_physical_devices("GPU"):
        parts.append("oneDNN" if has_onednn() else "Eigen")
        parts.append(next((name for name in _INSTRUCTIONS if name in _flags(cpuinfo)), "instructions unknown"))
        parts += [f"at most {os.environ[name]}" for name in _CAPS if name in os.environ]
    return ", ".join(parts)


def check_deterministic() -> None:
    """Raises KernelsError where results depend on the position in a batch: on a CPU without oneDNN's kernels."""
    import tensorflow as tf

    if not tf.config.list_physical_devices("GPU") and not has_onednn():
        raise KernelsError(
            "the same bytes need TensorFlow's oneDNN kernels on a CPU, and TensorFlow was loaded without them: "
            f"{ONEDNN_VARIABLE} must be 1, got {os.environ.get(ONEDNN_VARIABLE, 'nothing')}"
        )


def _flags(cpuinfo: Path) -> set[str]:
    try:
        return set(cpuinfo.read_text().split())
    except OSError:
        return set()
