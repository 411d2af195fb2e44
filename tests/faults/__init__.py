"""Faults that take minutes to show; see README.md. `make test` does not run them."""
