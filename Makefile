# One command each; every target first sets up what it needs. `make help` lists them.
#   PYTHON=python3.12   the interpreter to build the environment on (3.10 to 3.13; default: the first that fits)
#   MAX_JOBS=4          compilers at work for `make ops` (default: all cores)

SHELL := /bin/bash
.DEFAULT_GOAL := help
export PYTHON

PY := .venv/bin/python
STAMP := .venv/.ready
# The folders of the configs change when a config comes or goes; its bare name for OpenMIM must follow.
SETUP_FILES := setup.py pyproject.toml packaging/env.sh packaging/mim_lookup.py $(shell find configs -type d)
DISTRIBUTIONS := $(wildcard packaging/transitional/mmdet/*.* packaging/mmcv_ops/*.* packaging/mmcv_ops/mmcv/*.py)

.PHONY: help env ops demo demo-data test test-slow faults faults-full lint imports format bench constraints clean distclean

help: ## list the targets
	@awk -F ':.*## ' '/^[a-z-]+:.*## / {printf "  make %-13s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

env: $(STAMP) ## set up .venv, PyTorch and OpenMMLab included (about 1.5 minutes on a fast connection; no compiler)

$(STAMP): $(SETUP_FILES) $(DISTRIBUTIONS) constraints.txt
	@rm -f $@
	@packaging/env.sh env
	@touch $@

ops: $(STAMP) ## compile mmcv's operators, for Mask2Former on a GPU (about 40 minutes of processor time)
	@packaging/env.sh ops

demo: $(STAMP) ## segment the sample frames and write pictures (after set-up: about 1 minute on a CPU)
	@$(PY) tools/demo.py

demo-data: $(STAMP) ## make five small data sets, convert them and draw sheets of what came out (about 30 seconds)
	@$(PY) tools/demo_data.py

# One worker a core, up to 8: each imports torch and OpenMMLab anew and takes 2 GB. The tests of a file stay together,
# for they share models, and the files in their order, which ends with quick ones.
test: $(STAMP) ## run the tests that take a few seconds each (about 6 minutes on 2 cores)
	@$(PY) -m pytest -m 'not slow' -n logical --maxprocesses 8 --dist loadfile --no-loadscope-reorder

test-slow: $(STAMP) ## run the tests that train, compile or sweep (about 30 minutes)
	@$(PY) -m pytest -m slow

faults: $(STAMP) ## attack what reads and writes files, every kind of fault once, beside the stock libraries (about 5 minutes)
	@$(PY) -m tests.faults.run

faults-full: $(STAMP) ## the same with more trials of each fault (about half an hour)
	@$(PY) -m tests.faults.run --full

lint: $(STAMP) ## check style, format, types and which way imports run (first time: about 1 minute)
	@.venv/bin/ruff check .
	@.venv/bin/ruff format --check .
	@.venv/bin/mypy
	@.venv/bin/lint-imports --no-cache --no-logo

imports: $(STAMP) ## draw how the packages import each other (seconds)
	@$(PY) packaging/import_graph.py

format: $(STAMP) ## mend style and format where that is safe (seconds)
	@.venv/bin/ruff check --fix .
	@.venv/bin/ruff format .

bench: $(STAMP) ## measure ours against named peers (about 15 minutes; use a quiet machine)
	@$(PY) benchmarks/bench.py

constraints: $(STAMP) ## compile constraints.txt anew from packaging/constraints.in and setup.py (seconds)
	@.venv/bin/uv pip compile --quiet --universal --upgrade --python-version 3.10 --no-annotate --all-extras \
		--no-emit-package ultrasam-mmcv-ops --custom-compile-command 'make constraints' packaging/constraints.in setup.py --output-file constraints.txt

clean: ## remove caches, build products and outputs of the demo (instant; environments stay)
	@rm -rf build dist demo_output .pytest_cache .ruff_cache .mypy_cache *.egg-info
	@find . -name .git -prune -o -name '.venv*' -prune -o -type d -name __pycache__ -exec rm -rf {} +

distclean: clean ## remove the environments as well
	@rm -rf .venv ultrasam/.mim
