# make demo | make test | make lint | make clean
# Needs Python 3.11 or newer with pip; everything is installed into .venv here.

PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
# Twice quiet: no progress and no warnings, errors only.
PIP := $(BIN)/python -m pip install --quiet --quiet --disable-pip-version-check

# As in pyproject.toml. Installed on its own and first: a CPU build that pip's configuration offers is then taken, and
# what needs torch finds it there. `make TORCH_OPTIONS="--index-url https://download.pytorch.org/whl/cpu"` asks for one.
TORCH := torch>=2.6,<2.14
TORCH_OPTIONS ?=

# `make test ARGS="tests/spatial -x"` runs a part, without coverage.
ARGS ?=

.DEFAULT_GOAL := help
.PHONY: help demo test lint clean
.DELETE_ON_ERROR:
.NOTPARALLEL: # two pips must not write into one environment at once

help:
	@echo "make demo   segment an example scan from one prompt; pictures and report in demo-output/"
	@echo "make test   run all tests with coverage (ARGS=... for a part of them)"
	@echo "make lint   ruff, mypy and the import contracts"
	@echo "make clean  remove .venv and everything that was made"

demo: $(VENV)/installed
	$(BIN)/medsam2 demo

test: $(VENV)/installed-dev
	$(BIN)/python -m pytest $(if $(ARGS),$(ARGS),--cov)

lint: $(VENV)/installed-dev
	$(BIN)/ruff check
	$(BIN)/ruff format --check
	$(BIN)/mypy
	$(BIN)/lint-imports

clean:
	rm -rf $(VENV) build dist demo-output .coverage coverage.xml
	rm -rf .pytest_cache .mypy_cache .ruff_cache .import_linter_cache .hypothesis
	find src tests -name __pycache__ -type d -prune -exec rm -rf {} +

$(VENV)/bin/python:
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || { \
		echo "medsam2 needs Python 3.11 or newer; '$(PYTHON)' is older or not there. Name one: make PYTHON=python3.11"; \
		exit 1; }
	$(PYTHON) -m venv $(VENV)

# The stamp is older than pyproject.toml when something has to be installed again.
$(VENV)/torch-installed: pyproject.toml | $(VENV)/bin/python
	$(PIP) "$(TORCH)" $(TORCH_OPTIONS)
	@touch $@

$(VENV)/installed: $(VENV)/torch-installed
	$(PIP) --editable .
	@touch $@

$(VENV)/installed-dev: $(VENV)/torch-installed
	$(PIP) --editable ".[dev]"
	@touch $@ $(VENV)/installed
