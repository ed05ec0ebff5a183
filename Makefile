# `make demo` shows the pipeline at work; `make test` runs every check and test. Both set up what they need in .venv.

PYTHON ?= $(shell for p in python3 python3.13 python3.12 python3.11 python; do \
  $$p -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null && echo $$p && break; done)
BIN := .venv/bin
WORKERS ?= 2

.PHONY: help demo demo-down test check scan audit security capabilities guarantees soak bench lock clean install
.DEFAULT_GOAL := help

help:
	@echo "make demo    put the pipeline up on this machine and send photographs through it"
	@echo "make test    static checks and all tests"
	@echo "make check   static checks only: ruff, mypy, import-linter"
	@echo "make security  outside judges of templates, policies and locked packages; scan works without the internet"
	@echo "make capabilities  write docs/capabilities.md from the tests that prove its rows"
	@echo "make guarantees  run the law under faults; its figures go into docs/guarantees.md (8 minutes)"
	@echo "make soak    the same for many seeds: make soak SEEDS=0-9999 STORMS=1-50"
	@echo "make bench   measurements, printed with the machine and the versions"

.venv/bin/python:
	@test -n "$(PYTHON)" || { echo "error: no Python 3.11 or newer found; hint: make PYTHON=/path/to/python3.11 $(MAKECMDGOALS)" >&2; exit 1; }
	$(PYTHON) -m venv .venv

.venv/installed: .venv/bin/python requirements.lock pyproject.toml
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --require-hashes -r requirements.lock
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --no-deps --editable .
	@touch $@

.venv/installed-dev: .venv/bin/python requirements-dev.lock pyproject.toml
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --require-hashes -r requirements-dev.lock
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --no-build-isolation --no-deps --editable .
	@touch $@ .venv/installed

install: .venv/installed

demo: .venv/installed
	@bash demo/demo.sh

demo-down: .venv/installed
	$(BIN)/imgpipe down --yes --delete-data
	$(BIN)/imgpipe local stop

check: .venv/installed-dev
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports

test: check
	$(BIN)/pytest -n $(WORKERS) --dist loadgroup --capability-report .pytest_cache/capabilities.json
	$(BIN)/python docs/capabilities.py .pytest_cache/capabilities.json --check
	$(BIN)/python docs/guarantees.py --check

.venv/security/installed: requirements-security.lock .venv/installed-dev
	$(BIN)/python -m venv .venv/security
	.venv/security/bin/python -m pip install --quiet --disable-pip-version-check --require-hashes -r requirements-security.lock
	@touch $@

# In the folder of a package.json's own: $(1) if there is npm, which $(2) goes without otherwise.
define npm_install
@mkdir -p $(@D) && cp $< $(@D)/
@if command -v npm >/dev/null; then \
  cd $(@D) && npm install --silent --no-audit --no-fund --no-package-lock && touch installed \
  || echo "npm could not install $(1): $(2) without it" >&2; \
else echo "no npm here: $(2) without $(1)" >&2; fi
endef

.venv/security-node/installed: tests/security/scan/package.json
	$(call npm_install,cdk-nag,scanning)

# What checkov, cdk-nag, parliament and cloudsplaining say of the exported templates, less what is waived with a reason.
scan: .venv/security/installed .venv/security-node/installed
	$(BIN)/python -m tests.security.scan

# Asks a vulnerability service about every locked package: needs the internet.
audit: .venv/security/installed
	$(BIN)/python -m tests.security.audit

security: scan audit

capabilities: .venv/installed-dev
	-$(BIN)/pytest -q -m capability -n $(WORKERS) --dist loadgroup --capability-report .pytest_cache/capabilities.json
	$(BIN)/python docs/capabilities.py .pytest_cache/capabilities.json

# The law of docs/guarantees.md under faults, by seeds. A failing seed prints the command that replays it.
FIGURES = $(BIN)/python -m tests.faults.law.figures
SEEDS ?= 0-9999
# Only the simulation's seeds given, only the simulation runs: a storm takes more than a minute.
STORMS ?= $(if $(filter file default undefined,$(origin SEEDS)),1-50)

guarantees: .venv/installed-dev
	$(FIGURES) --simulations 0-999 --storms 1,33,143,368 --write
	$(BIN)/python docs/guarantees.py

soak: .venv/installed-dev
	$(FIGURES) --simulations "$(SEEDS)" --storms "$(STORMS)"
	IMGPIPE_SOAK=1 $(BIN)/pytest -q -n $(WORKERS) tests/faults/test_every_call.py tests/faults/test_struck.py \
	  tests/faults/test_denied.py tests/e2e/test_orders.py

.venv/bench-node/installed: tests/benchmarks/core/package.json
	$(call npm_install,sharp,measuring)

# BENCH=--quick takes two minutes in place of twelve; BENCH=core measures the image core alone.
bench: .venv/installed-dev requirements-bench.lock .venv/bench-node/installed
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --require-hashes -r requirements-bench.lock
	$(BIN)/python -m tests.benchmarks $(BENCH)

LOCK = $(BIN)/uv pip compile -q --universal --python-version 3.11 --generate-hashes --no-emit-index-url --no-header
lock: .venv/installed-dev
	$(LOCK) pyproject.toml -o requirements.lock
	$(LOCK) pyproject.toml --extra dev -o requirements-dev.lock
	$(LOCK) pyproject.toml --extra dev --extra bench -o requirements-bench.lock
	$(LOCK) tests/security/requirements.in -o requirements-security.lock
	$(LOCK) --no-annotate --no-deps imgpipe/deploy/requirements-lambda.in -o imgpipe/deploy/requirements-lambda.txt

clean:
	-$(BIN)/imgpipe local stop
	rm -rf .venv .imgpipe dist build .pytest_cache .mypy_cache .ruff_cache
