"""The paper's experiments as grids, and their reproduction: `make reproduce`."""
