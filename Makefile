# `make` alone lists what there is. Needs python3 (3.11 or newer, with venv), git and make; everything else comes from
# requirements.lock into .venv.

PYTHON ?= python3
BIN := .venv/bin
# -qq: errors only
PIP := $(BIN)/python -m pip --disable-pip-version-check -qq --retries 10 --timeout 60

# .venv/.installed: every library of the lock is in; it holds the folder's name, because a venv cannot be moved.
# .venv/.ready: hpo itself is in too. An interrupted installation has neither and is made anew.
ifneq ($(shell cat .venv/.installed 2>/dev/null && $(BIN)/python -c "" 2>&1),$(CURDIR))
$(shell rm -f .venv/.installed)
endif

.DEFAULT_GOAL := help
.PHONY: help venv quickstart test soak check format lock clean

help:  ## this list
	@sed -n 's/^\([a-z]*\):.*## \(.*\)/  make \1\t\2/p' Makefile | expand -t 20

venv: .venv/.ready  ## make .venv from requirements.lock (1 to 2 minutes, 3 GB); does nothing when it is up to date

.venv/.installed: requirements.lock
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || { \
	    echo "$(PYTHON) is not Python 3.11 or newer; name one that is: make venv PYTHON=python3.12" >&2; exit 1; }
	@$(PYTHON) -c 'import ensurepip, venv' 2>/dev/null || { \
	    echo "$(PYTHON) cannot make virtual environments; on Debian and Ubuntu: apt-get install python3-venv" >&2; exit 1; }
	@echo "Making .venv with $$($(PYTHON) --version) ..."
	@rm -rf .venv
	@$(PYTHON) -m venv .venv
	@echo "Installing the $$(grep -c '==' requirements.lock) packages of requirements.lock; this takes a minute or two ..."
	@$(PIP) install --require-hashes --only-binary :all: -r requirements.lock
	@echo "$(CURDIR)" > $@

.venv/.ready: .venv/.installed pyproject.toml hpo/__init__.py
	@echo "Installing hpo itself, in place ..."
	@$(PIP) install --no-deps --no-build-isolation -e .
	@touch $@
	@echo "Ready: $(BIN)/hpo --help"

quickstart: venv  ## tune two families of models on a small data set (under 3 minutes)
	@$(BIN)/hpo launch studies/quickstart.toml

test: check  ## the checks, then all tests; what was skipped and why stands at the end
	@$(BIN)/python -m pytest -rs -n auto --maxprocesses 8 --dist loadfile --no-loadscope-reorder

soak: venv  ## the fault suite ten times as long: 300 kills, 30 restarts of the database (25 minutes)
	@$(BIN)/python benchmarks/soak.py

check: venv  ## format, lint, types, import layers
	@$(BIN)/ruff format --check .
	@$(BIN)/ruff check .
	@$(BIN)/mypy
	@$(BIN)/lint-imports --no-logo

format: venv  ## format and sort imports in place
	@$(BIN)/ruff check --select I --fix .
	@$(BIN)/ruff format .

# Versions stay as they are unless pyproject.toml asks for others; `make lock UPGRADE=--upgrade` takes the newest.
# All extras but gpu: docs/decisions/0001-lock-format.md says why, and why no index address may stand in the file.
lock:  ## write requirements.lock anew from pyproject.toml
	@folder=$$(mktemp -d) && trap 'rm -rf "$$folder"' EXIT && \
	$(PYTHON) -m venv "$$folder" && \
	"$$folder/bin/python" -m pip --disable-pip-version-check -qq install 'uv>=0.9' && \
	"$$folder/bin/uv" pip compile pyproject.toml --output-file requirements.lock --quiet $(UPGRADE) \
	    --universal --python-version 3.11 --generate-hashes --no-annotate --no-emit-index-url \
	    --custom-compile-command 'make lock' $(EXTRAS:%=--extra %)

EXTRAS := cmaes dashboard dev onnx parquet postgres report runtime s3 train

clean:  ## remove .venv and every cache; studies and their results in .hpo stay
	@rm -rf .venv .mypy_cache .ruff_cache .pytest_cache .hypothesis .import_linter_cache build dist *.egg-info
	@find . -path ./.hpo -prune -o -name __pycache__ -type d -prune -exec rm -rf {} +
