# What Easel can do, on one screen.
PYTHON ?= python3
VENV   := .venv
BIN    := $(VENV)/bin

.DEFAULT_GOAL := help
.PHONY: help install run test test-services check audit bench chaos format lock docs clean

help:  ## Show this
	@grep -hE '^[a-z-]+:.*## ' $(MAKEFILE_LIST) | awk -F ':.*## ' '{printf "  make %-13s %s\n", $$1, $$2}'

run: $(VENV)/.installed  ## Set up whatever is missing and serve on 127.0.0.1:8005
	@exec $(BIN)/python -m config.quickstart

test: $(VENV)/.installed-dev  ## Run the tests
	$(BIN)/python -m pytest -n auto $(ARGS)

test-services: $(VENV)/.installed-dev  ## Run the tests on PostgreSQL and Redis, started for the occasion
	$(BIN)/python -m tests.services $(BIN)/python -m pytest -n auto $(ARGS)

check: $(VENV)/.installed-dev  ## Lint, types, import rules, migrations, deployment settings, docs
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports --no-cache
	$(BIN)/python -m bandit -q -c pyproject.toml -r config imagegen portraits
	$(BIN)/python -m tests.check_project

audit: $(VENV)/bin/python  ## Known weaknesses of what is installed; needs the network
	$(BIN)/python -m venv $(VENV)/audit
	$(VENV)/audit/bin/pip install -q --disable-pip-version-check pip-audit
	$(VENV)/audit/bin/pip-audit --strict --disable-pip --no-deps -r requirements.txt $(ARGS)

bench: $(VENV)/.installed-dev  ## Load on Easel, a bare floor and LiteLLM, side by side; ARGS="--help" tells more
	$(BIN)/python -m bench $(ARGS)

chaos: $(VENV)/.installed-dev  ## Ten minutes of load while everything dies; ARGS="--seconds 60" for less
	$(BIN)/python -m chaos $(ARGS)

install: $(VENV)/.installed  ## Only set up the virtual environment

format: $(VENV)/.installed-dev  ## Put the code into its form
	$(BIN)/ruff check --fix-only -q .
	$(BIN)/ruff format -q .

docs: $(VENV)/.installed-dev  ## Make the generated pages and pictures in docs/ again
	$(BIN)/python -m config.environment
	$(BIN)/python -m docs.engine_matrix
	$(BIN)/python -m docs.contact_sheet

lock: $(VENV)/.installed-dev  ## Compile requirements*.in into pinned requirements*.txt
	$(BIN)/pip install -q pip-tools
	$(BIN)/pip-compile -q --strip-extras --no-header --no-annotate --no-emit-index-url \
	  --no-emit-trusted-host --no-emit-find-links -U requirements.in
	$(BIN)/pip-compile -q --strip-extras --no-header --no-annotate --no-emit-index-url \
	  --no-emit-trusted-host --no-emit-find-links -U requirements-dev.in

clean:  ## Remove the virtual environment and caches; pictures and database stay
	rm -rf $(VENV) .mypy_cache .ruff_cache .pytest_cache .hypothesis

$(VENV)/bin/python:
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11) and "Easel needs Python 3.11 or later.")'
	$(PYTHON) -m venv $(VENV)

$(VENV)/.installed: requirements.txt | $(VENV)/bin/python
	$(BIN)/python -m pip install -q --disable-pip-version-check -r requirements.txt
	@touch $@

$(VENV)/.installed-dev: requirements-dev.txt $(VENV)/.installed
	$(BIN)/python -m pip install -q --disable-pip-version-check -r requirements-dev.txt
	@touch $@
