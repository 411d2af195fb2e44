"""The step that computes pictures on GPU workers, and what only it uses."""
