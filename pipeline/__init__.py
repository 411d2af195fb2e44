"""Entry points: they parse, build and run."""
