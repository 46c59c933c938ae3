# The project's commands. Each makes what it needs under .venv, once; `make -B` makes it anew.
PYTHON ?= python3
VENV := .venv
CONSTRAINTS := .ci/constraints.txt
BIN := $(VENV)/bin

# Both names, since pip read the first for build requirements too until 25.3, and reads the second since.
export PIP_CONSTRAINT := $(CONSTRAINTS)
export PIP_BUILD_CONSTRAINT := $(CONSTRAINTS)
export PIP_DISABLE_PIP_VERSION_CHECK := 1

.PHONY: help demo test check format notebooks benchmark-speed wheel constraints clean
# Two installations into one environment must not race.
.NOTPARALLEL:
.DELETE_ON_ERROR:

help:
	@echo "make demo             a backtest on bundled traces: a table, a report, what to try next"
	@echo "make test             run the tests"
	@echo "make check            lint, types and import layers"
	@echo "make format           lay out the code as make check wants it"
	@echo "make notebooks        execute the notebooks again and store what they show"
	@echo "make benchmark-speed  time the backtest and a decision on this machine"
	@echo "make wheel            build dist/*.whl"
	@echo "make constraints      renew the pinned versions in $(CONSTRAINTS)"

demo: $(VENV)/.installed
	$(BIN)/headstart demo

test: $(VENV)/.installed-test
	$(BIN)/python -m pytest

check: $(VENV)/.installed-lint
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports

format: $(VENV)/.installed-lint
	$(BIN)/ruff check --fix-only .
	$(BIN)/ruff format .

notebooks: $(VENV)/.installed-test
	for notebook in notebooks/*.ipynb; do $(BIN)/python notebooks/execute.py "$$notebook" || exit 1; done

benchmark-speed: $(VENV)/.installed-test
	$(BIN)/python -m pytest tests/benchmarks --benchmark-only

wheel: $(VENV)/.installed
	$(BIN)/python -m pip wheel --quiet --no-deps --wheel-dir dist .

# Versions come from an environment of their own, so that what one developer installed by hand is never pinned.
constraints: PIP_CONSTRAINT :=
constraints: PIP_BUILD_CONSTRAINT :=
constraints:
	rm -rf $(VENV)/renewal
	$(PYTHON) -m venv $(VENV)/renewal
	$(VENV)/renewal/bin/python -m pip install --quiet --editable '.[test,lint]' hatchling
	sed -n '/^#/p' $(CONSTRAINTS) > $(VENV)/constraints.txt
	$(VENV)/renewal/bin/python -m pip freeze --exclude-editable >> $(VENV)/constraints.txt
	mv $(VENV)/constraints.txt $(CONSTRAINTS)
	rm -rf $(VENV)/renewal

clean:
	rm -rf $(VENV) build dist .mypy_cache .pytest_cache .ruff_cache .import_linter_cache .hypothesis .benchmarks

$(BIN)/python:
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11) and \
	  "Headstart needs Python 3.11 or newer, and $(PYTHON) is %d.%d; name another: make PYTHON=python3.12" % sys.version_info[:2])'
	@$(PYTHON) -c 'import ensurepip' || { echo "$(PYTHON) can't make virtual environments; on Debian: apt-get install python3-venv" >&2; exit 1; }
	$(PYTHON) -m venv $(VENV)

# A newer pyproject.toml or newer pins install again.
$(VENV)/.installed: pyproject.toml $(CONSTRAINTS) | $(BIN)/python
	$(BIN)/python -m pip install --quiet --editable .
	@touch $@

$(VENV)/.installed-test $(VENV)/.installed-lint: $(VENV)/.installed-%: pyproject.toml $(CONSTRAINTS) | $(BIN)/python
	$(BIN)/python -m pip install --quiet --editable '.[$*]'
	@touch $@ $(VENV)/.installed
