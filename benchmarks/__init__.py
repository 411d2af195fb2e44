"""Measurements of StyleBeam: `make bench`, `make bench-peers`."""

import stylecore  # noqa: F401 - first of all, before TensorFlow: see stylecore/kernels.py
