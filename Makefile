# The project's commands. Each makes what it needs under .venv, once; `make -B` makes it anew.
PYTHON ?= python3
VENV := .venv
CONSTRAINTS := .ci/constraints.txt
RIVALS := .venv-rivals
RIVAL_CONSTRAINTS := .ci/rivals-constraints.txt
# Real traces where they lie beside the checkout, else those that come with it.
TRACES ?= $(or $(wildcard ../shared/traces),data)
BIN := $(VENV)/bin
# Outside of the checkout and named by what it is built from, so that a fresh clone uses the same build. Each make asks for
# the digest, on macOS too, which has no sha256sum.
digest = $(shell cat $(1) | $(PYTHON) -c 'import hashlib, sys; print(hashlib.sha256(sys.stdin.buffer.read()).hexdigest()[:16])')
built = $(or $(XDG_CACHE_HOME),$(HOME)/.cache)/headstart/$(notdir $(1))/$(call digest,$(1)/go.mod $(1)/go.sum)
CONTROL_PLANE_MODULE := tests/cluster/control-plane
CONTROL_PLANE := $(call built,$(CONTROL_PLANE_MODULE))
KEDA_MODULE := tests/cluster/keda
KEDA := $(call built,$(KEDA_MODULE))

# Both names, since pip read the first for build requirements too until 25.3, and reads the second since.
export PIP_CONSTRAINT := $(CONSTRAINTS)
export PIP_BUILD_CONSTRAINT := $(CONSTRAINTS)
export PIP_DISABLE_PIP_VERSION_CHECK := 1

.PHONY: help demo test check format proto proto-check notebooks benchmark benchmark-speed benchmark-controller benchmark-keda benchmark-forecasts control-plane keda wheel constraints clean
# Two installations into one environment must not race.
.NOTPARALLEL:
.DELETE_ON_ERROR:

help:
	@echo "make demo             a backtest on bundled traces: a table, a report, what to try next"
	@echo "make test             run the tests"
	@echo "make check            lint, types and import layers"
	@echo "make format           lay out the code as make check wants it"
	@echo "make proto            generate the gRPC code from autoscaler/keda/externalscaler.proto"
	@echo "make notebooks        execute the notebooks again and store what they show"
	@echo "make benchmark        Headstart over many traces, loads and budgets: build/benchmark (TRACES=folder; a quarter of an hour on two idle cores)"
	@echo "make benchmark-speed  time the backtest, a decision and forecasts, MSTL beside them (ten minutes)"
	@echo "make benchmark-controller  run the live controller with 1,000 objects (ten minutes)"
	@echo "make benchmark-keda   poll 1,000 ScaledObjects every second (ten minutes)"
	@echo "make benchmark-forecasts  compare forecasts with other libraries', as policies too (TRACES=folder; hours)"
	@echo "make control-plane    build the Kubernetes programs that tests/cluster starts (Linux, Go 1.26; 5 to 12 minutes, once)"
	@echo "make keda             build the KEDA that tests/cluster starts (Linux, Go 1.26; 10 to 20 minutes, once)"
	@echo "make wheel            build dist/*.whl"
	@echo "make constraints      renew the pinned versions in $(CONSTRAINTS)"
	@echo "make clean            remove what these made in the checkout, .venv as well"

demo: $(VENV)/.installed
	$(BIN)/headstart demo

test: $(VENV)/.installed-test
	$(BIN)/python -m pytest --numprocesses auto --dist loadfile

check: $(VENV)/.installed-lint proto-check
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports

format: $(VENV)/.installed-lint
	$(BIN)/ruff check --fix-only .
	$(BIN)/ruff format .

# Generated from the root, so that the modules import each other by the package's name.
PROTOC = $(BIN)/python -m grpc_tools.protoc -I . autoscaler/keda/externalscaler.proto

proto: $(VENV)/.installed-lint
	$(PROTOC) --python_out=. --pyi_out=. --grpc_python_out=.

proto-check: $(VENV)/.installed-lint
	@fresh=$$(mktemp -d) && trap 'rm -rf "$$fresh"' EXIT && \
	$(PROTOC) --python_out="$$fresh" --pyi_out="$$fresh" --grpc_python_out="$$fresh" && \
	for file in "$$fresh"/autoscaler/keda/*; do \
	  diff -u "autoscaler/keda/$${file##*/}" "$$file" || { echo "autoscaler/keda: generated code is not what externalscaler.proto gives; run make proto" >&2; exit 1; }; \
	done

notebooks: $(VENV)/.installed-test
	for notebook in notebooks/*.ipynb; do $(BIN)/python notebooks/execute.py "$$notebook" || exit 1; done

# Goes on where it was stopped.
benchmark: $(VENV)/.installed
	$(BIN)/headstart benchmark $(TRACES) --out build/benchmark

# Without the rivals' environment, what is timed beside them says so and goes on.
benchmark-speed: $(VENV)/.installed-test
	@$(MAKE) --no-print-directory $(RIVALS)/.installed || echo "$(RIVALS): can't be set up, so MSTL is left out" >&2
	$(BIN)/python -m pytest tests/benchmarks --benchmark-only

benchmark-controller: $(VENV)/.installed-test
	$(BIN)/python -m pytest tests/benchmarks/test_controller.py

benchmark-keda: $(VENV)/.installed-test $(VENV)/keda-callers
	$(BIN)/python -m pytest tests/benchmarks/test_keda_load.py

benchmark-forecasts: $(VENV)/.installed $(RIVALS)/.installed
	$(BIN)/python tests/benchmarks/forecasts/compare.py --traces $(TRACES) --rivals-python $(RIVALS)/bin/python
	$(BIN)/python tests/benchmarks/forecasts/policies.py --traces $(TRACES) --rivals-python $(RIVALS)/bin/python

# What other libraries need is never installed beside ours: statsforecast needs an older pandas.
$(RIVALS)/.installed: PIP_CONSTRAINT := $(RIVAL_CONSTRAINTS)
$(RIVALS)/.installed: PIP_BUILD_CONSTRAINT :=
$(RIVALS)/.installed: $(RIVAL_CONSTRAINTS) | $(BIN)/python
	test -x $(RIVALS)/bin/python || $(PYTHON) -m venv $(RIVALS)
	$(RIVALS)/bin/python -m pip install --quiet pmdarima prophet pyarrow statsforecast statsmodels
	@touch $@

# Asked in the module's folder, where a go since 1.21 is of the version that go.mod names if it may fetch that.
need_go = @(cd $(2) && go version) 2>/dev/null | grep -Eq 'go1\.(2[6-9]|[3-9][0-9])' || \
  { echo "make $(1) needs Go 1.26 or newer, and there is none (Debian 12 has 1.19, too old): https://go.dev/doc/install" >&2; exit 1; }

control-plane: $(CONTROL_PLANE)/kube-apiserver

# Built aside and moved as a whole: who finds the folder finds all programs in it.
$(CONTROL_PLANE)/kube-apiserver:
	$(call need_go,control-plane,$(CONTROL_PLANE_MODULE))
	mkdir -p $(dir $(CONTROL_PLANE))
	partial=$$(mktemp -d $(CONTROL_PLANE).XXXXXX) && trap 'rm -rf "$$partial"' EXIT && chmod 755 "$$partial" && \
	cd $(CONTROL_PLANE_MODULE) && version=$$(go list -m -f '{{.Version}}' k8s.io/kubernetes) && \
	CGO_ENABLED=0 go build -trimpath -o "$$partial/" \
	  -ldflags "-s -w -X k8s.io/component-base/version.gitVersion=$$version" tool && \
	rm -rf $(CONTROL_PLANE) && mv -T "$$partial" $(CONTROL_PLANE)

keda: $(KEDA)/keda-operator

# KEDA's packages are large: two compilers at a time fit into 4 GB of memory. Its CRDs are kept beside the programs, so
# that the tests need neither Go nor its cache of modules.
$(KEDA)/keda-operator:
	$(call need_go,keda,$(KEDA_MODULE))
	mkdir -p $(dir $(KEDA))
	partial=$$(mktemp -d $(KEDA).XXXXXX) && trap 'rm -rf "$$partial"' EXIT && chmod 755 "$$partial" && \
	cd $(KEDA_MODULE) && CGO_ENABLED=0 nice -n 19 go build -p 2 -trimpath -o "$$partial/" -ldflags "-s -w" tool && \
	mv "$$partial/operator" "$$partial/keda-operator" && mv "$$partial/adapter" "$$partial/keda-adapter" && \
	sources=$$(go list -m -f '{{.Dir}}' github.com/kedacore/keda/v2) && \
	install -D -m 644 -t "$$partial/crds" "$$sources"/config/crd/bases/*.yaml && \
	rm -rf $(KEDA) && mv -T "$$partial" $(KEDA)

# What polls the external scaler as KEDA does.
$(VENV)/keda-callers: $(KEDA_MODULE)/callers/main.go $(KEDA_MODULE)/go.sum | $(VENV)/.installed-test
	$(call need_go,benchmark-keda,$(KEDA_MODULE))
	cd $(KEDA_MODULE) && CGO_ENABLED=0 go build -trimpath -o "$(abspath $@)" ./callers

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
	rm -rf $(VENV) $(RIVALS) build dist .mypy_cache .pytest_cache .ruff_cache .import_linter_cache .hypothesis .benchmarks

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
