"""The paper's experiments as grids, and their reproduction: `make reproduce`. The presets' pictures: `make presets`."""

import stylecore  # noqa: F401 - first of all, before TensorFlow: see stylecore/kernels.py
