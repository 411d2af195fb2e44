# Everything runs in .venv, with the versions of deploy/constraints.txt. Needs Python 3.11, make and a package index.
PYTHON ?= python3.11
VENV := .venv
BIN := $(VENV)/bin
DEMO := demo/output

.PHONY: install demo test check lint clean

install: $(VENV)/.installed

$(VENV)/.installed: pyproject.toml setup.py deploy/constraints.txt
	$(PYTHON) -m venv --clear $(VENV)
	$(BIN)/python -m pip install --quiet --constraint deploy/constraints.txt --editable ".[dev,demo]"
	touch $@

# 2 photographs x 2 styles x 3 configurations; a second `make demo` computes nothing again.
demo: install
	$(BIN)/python -m demo.inputs $(DEMO)
	$(BIN)/stylebeam grid demo/grid.yaml --output $(DEMO)/manifest.parquet
	$(BIN)/stylebeam run --manifest $(DEMO)/manifest.parquet --output $(DEMO)/gallery
	@echo "open file://$(CURDIR)/$(DEMO)/gallery/gallery/index.html"

test: install
	$(BIN)/python -m pytest

lint: install
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/mypy

check: lint test

clean:
	rm -rf $(VENV) $(DEMO) build dist *.egg-info
