# The verbs of this repository; `make` alone lists them. Set PYTHON to choose the interpreter.
SHELL := /bin/bash
.SHELLFLAGS := -eu -o pipefail -c
.DELETE_ON_ERROR:
.DEFAULT_GOAL := help

VENV := .venv
BIN := $(VENV)/bin
STAMP := $(VENV)/installed
PYTHON ?=
TORCH := torch==2.13.0
CORES := $(shell getconf _NPROCESSORS_ONLN)
ARGS ?=

.PHONY: help install simulate test faults lint fix bench docs clean

help: ## list the verbs
	@awk -F ':.*## ' '/^[a-z]+:.*## / { printf "  make %-10s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

install: $(STAMP) ## create .venv and install everything into it (at once when nothing changed)
	@echo "$(VENV) is ready"

# PyTorch goes first and alone, so that pip takes the very build that was asked for.
$(STAMP): pyproject.toml
	@found=""; \
	for python in $(or $(PYTHON),python3 python3.12 python3.11); do \
	  if "$$python" -c 'import sys; sys.exit(not (3, 11) <= sys.version_info[:2] < (3, 13))' \
	    2>/dev/null; then found="$$python"; break; fi; \
	done; \
	if [ -z "$$found" ]; then \
	  echo "error: $(or $(PYTHON),no python3) is no Python 3.11 or 3.12;" \
	    "name one: make install PYTHON=/path/to/python3.12" >&2; \
	  exit 1; \
	fi; \
	echo "Creating $(VENV) with $$("$$found" --version)"; \
	"$$found" -m venv $(VENV)
	@echo "Installing $(TORCH), then Isthmus and what it needs (minutes, the first time)"
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check '$(TORCH)'
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check -e '.[simulation,dev]'
	@touch $(STAMP)

simulate: install ## the main job on the embedded data: trains, compares, writes a report (ARGS="--quick")
	@$(BIN)/isthmus simulate $(ARGS)

# Tests of processes wait for each other's answers more than they compute, so there is one more at
# work than cores; and files keep their order, which begins with the long ones.
test: install ## all tests (ARGS="tests/unit -k name" for some)
	@OMP_NUM_THREADS=1 $(BIN)/python -m pytest -n $$(($(CORES) + 1)) --dist loadfile \
	  --no-loadscope-reorder $(ARGS)

faults: install ## bad networks and bad platforms, which need a machine to themselves
	@ISTHMUS_TEST_FAULTS=1 OMP_NUM_THREADS=1 $(BIN)/python -m pytest tests/processes/test_deployment_faults.py

lint: install ## formatting, ruff, types and floors; changes nothing
	@$(BIN)/ruff format --check .
	@$(BIN)/ruff check .
	@$(BIN)/mypy
	@$(BIN)/lint-imports --no-cache

fix: install ## let ruff repair what it can, and bring the README's file tree up to date
	@$(BIN)/ruff format .
	@$(BIN)/ruff check --fix .
	@$(BIN)/python docs/tree.py

bench: install ## overhead of a federated round over a bare training loop
	@OMP_NUM_THREADS=1 $(BIN)/isthmus benchmark rounds $(ARGS)

docs: install ## check that README and docs are true: every command in them is run
	@OMP_NUM_THREADS=1 $(BIN)/python -m pytest tests/docs

clean: ## remove .venv, caches and builds; runs and their cache stay
	rm -rf $(VENV) build dist .mypy_cache .ruff_cache .pytest_cache .hypothesis .import_linter_cache
	find . -name __pycache__ -type d -prune -exec rm -rf {} +
