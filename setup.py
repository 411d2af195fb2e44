"""Dataflow's --setup_file; everything that describes the project stands in pyproject.toml."""

from setuptools import setup

setup()
