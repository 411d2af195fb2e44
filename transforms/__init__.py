"""The steps of the pipeline: Beam around stylecore."""

import stylecore  # noqa: F401 - first of all, before TensorFlow: see stylecore/kernels.py
