# Vitrina. `make` or `make help` lists what can be made.

PYTHON ?= python3
VENV ?= .venv
BIN := $(VENV)/bin
# Other engines, for `make bench-peers`.
PEERS := .venv-peers
CATALOG ?= examples/catalog.jsonl
# The large catalog where it lies beside the checkout, else the sample.
BENCH_CATALOG ?= $(firstword $(wildcard ../shared/data/icecat/products.jsonl.gz) $(CATALOG))
INSTALLED := $(VENV)/.installed
PROTOS := $(shell find protos -name '*.proto') protos/generate.py

.DEFAULT_GOAL := help

.PHONY: help
help: ## List what can be made
	@grep -hE '^[a-z-]+:.*## ' $(MAKEFILE_LIST) | awk -F ':.*## ' '{printf "  make %-16s %s\n", $$1, $$2}'

.PHONY: install
install: $(INSTALLED) ## Make the environment in .venv and the stubs of the protos

$(INSTALLED): requirements/dev.lock pyproject.toml $(PROTOS)
	@$(PYTHON) -c 'import sys; sys.exit("Python 3.11 or newer is needed; say make PYTHON=python3.11" if sys.version_info < (3, 11) else 0)'
	$(PYTHON) -m venv $(VENV)
	$(BIN)/pip install --quiet --disable-pip-version-check --require-hashes -r requirements/dev.lock
	$(BIN)/python protos/generate.py
	$(BIN)/pip install --quiet --disable-pip-version-check --no-deps --no-build-isolation -e .
	@touch $@

.PHONY: run
run: install ## Start everything, import the sample catalog, show a search, serve
	@$(BIN)/vitrina up --sample $(CATALOG)

.PHONY: test
test: install ## Run the whole suite
	$(BIN)/pytest

.PHONY: lint
lint: install ## Check style and types
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy

.PHONY: bench
bench: install ## Measure search, import, memory and start beside their floors; report and plots
	$(BIN)/python -m benchmarks $(BENCH_CATALOG)

.PHONY: bench-load
bench-load: install ## Load the gateway with h2load beside a bare server; report and plot
	$(BIN)/python -m benchmarks.load

.PHONY: bench-scale
bench-scale: install ## Measure how it grows, from ten thousand products to a million; report and plots
	$(BIN)/python -m benchmarks.scale $(BENCH_CATALOG)

.PHONY: bench-peers
bench-peers: install $(PEERS)/.installed ## Measure search beside Chroma, LanceDB, Milvus Lite and Qdrant
	$(BIN)/python -m benchmarks.peers $(BENCH_CATALOG) --peers-python $(PEERS)/bin/python

$(PEERS)/.installed: requirements/peers.lock
	$(PYTHON) -m venv $(PEERS)
	@echo '*' > $(PEERS)/.gitignore
	$(PEERS)/bin/pip install --quiet --disable-pip-version-check --require-hashes -r requirements/peers.lock
	@touch $@

.PHONY: bench-freshness
bench-freshness: install ## Measure from a write until it is found, and look for stale answers
	$(BIN)/python -m benchmarks.freshness latency $(BENCH_CATALOG)
	$(BIN)/python -m benchmarks.freshness stale --rounds 10000

.PHONY: faults
faults: install ## Kill, stop and cut off processes 200 times while every answer is checked
	$(BIN)/python -m faults --kills 200 --report faults/results

.PHONY: lock
lock: ## Resolve the lock files anew (needs uv)
	for lock in "dev services gemini eval dev" "services services" "embedder embedder gemini"; do \
	  set -- $$lock; out=requirements/$$1.lock; shift; \
	  uv pip compile --quiet --universal --python-version 3.11 --generate-hashes --no-annotate \
	    --no-header --no-emit-index-url --no-strip-extras $$(printf -- '--extra %s ' "$$@") \
	    pyproject.toml -o $$out; \
	done
	uv pip compile --quiet --universal --python-version 3.11 --generate-hashes --no-annotate \
	  --no-header --no-emit-index-url --no-strip-extras requirements/peers.in -o requirements/peers.lock

.PHONY: clean
clean: ## Remove the environment, stubs and caches; data stays
	rm -rf $(VENV) $(PEERS) *.egg-info .mypy_cache .pytest_cache .ruff_cache .hypothesis
	find protos \( -name '*_pb2*.py' -o -name '*_pb2*.pyi' \) -delete
