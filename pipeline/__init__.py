"""Entry points: they parse, build and run."""

import stylecore  # noqa: F401 - first of all, before TensorFlow: see stylecore/kernels.py
