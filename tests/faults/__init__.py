"""Tests of faults that take minutes, which `make test` does not run; see README.md."""
