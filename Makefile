# One entry for people, for CI and for pre-commit. `make` alone lists the targets.
# Every target works from a fresh clone: what needs Python depends on .venv/.ready, which scripts/bootstrap makes.

SHELL := /bin/bash
.SHELLFLAGS := -eu -o pipefail -c
.DELETE_ON_ERROR:
.DEFAULT_GOAL := help
MAKEFLAGS += --no-builtin-rules

BIN := .venv/bin
PY := $(BIN)/python
READY := .venv/.ready
SDKS_READY := .venv-sdks/.ready
SHELL_SCRIPTS := .ci/run scripts/bootstrap scripts/bootstrap-sdks
UV_COMPILE := $(BIN)/uv pip compile --quiet --universal --python-version 3.11 --fork-strategy fewest --generate-hashes \
	--custom-compile-command "make lock" $(if $(UPGRADE),--upgrade)

# What a caller may set: ARGS goes on to the tool that the target runs, UPGRADE=1 lets `make lock` take newer versions.
ARGS ?=
UPGRADE ?=

.PHONY: help setup setup-sdks demo serve test check proto bench quality fuzz lock fmt up down clean
.PHONY: fmt-check lint types imports proto-lint proto-check lock-check compose-check docker-check shell-check

help: ## List the targets
	@awk 'BEGIN {FS = ":.*## "} /^[a-z-]+:.*## / {printf "  %-12s %s\n", $$1, $$2}' $(firstword $(MAKEFILE_LIST))

# --- getting going ---------------------------------------------------------------------------------------------------

$(READY): scripts/bootstrap requirements-dev.lock pyproject.toml
	@scripts/bootstrap

setup: $(READY) ## Make .venv from the lock file; the other targets do it by themselves

$(SDKS_READY): scripts/bootstrap-sdks requirements-sdks.lock | $(READY)
	@scripts/bootstrap-sdks

setup-sdks: $(SDKS_READY) ## Make .venv-sdks with the vendors' own SDKs, which the tests of tests/sdk call

demo: $(READY) ## Read the sample images through both services; the second run answers from the cache
	@$(BIN)/ocrmux recognize samples --format txt --annotate build/demo $(ARGS)

serve: $(READY) ## Run both services in the foreground
	@$(BIN)/ocrmux serve $(ARGS)

up: ## Build and run redis and both services with docker compose
	docker compose up --build --detach --wait

down: ## Stop what `make up` started
	docker compose down

# --- proving it ------------------------------------------------------------------------------------------------------

test: $(READY) ## Run the tests; ARGS="-k name" picks some
	@$(PY) -m pytest $(ARGS)

check: fmt-check lint types imports proto-lint proto-check lock-check compose-check docker-check shell-check ## Check everything that is not a test

bench: $(READY) ## Measure, side by side in one run (half an hour); ARGS="quota recipe" picks some, tests/bench has the names
	@$(PY) -m tests.bench $(ARGS)

quality: $(READY) ## Measure the error rate of generated pages by profile and engine, into docs/quality.md (a quarter of an hour)
	@$(PY) -m tests.quality $(ARGS)

fuzz: $(READY) ## Feed damaged files to every decoder; ARGS="--minutes 20 --decoder pdf"
	@$(PY) -m tests.fuzz $(ARGS)

fmt-check: $(READY)
	@echo "check: format"
	@$(BIN)/ruff format --check --quiet . || { echo "run: make fmt"; exit 1; }

lint: $(READY)
	@echo "check: lint"
	@$(BIN)/ruff check --quiet .

types: $(READY)
	@echo "check: types"
	@$(BIN)/mypy --no-error-summary .

imports: $(READY)
	@echo "check: imports"
	@mkdir -p build
	@$(BIN)/lint-imports --no-cache --config tests/architecture/import_contracts.toml > build/imports.log 2>&1 || { cat build/imports.log; exit 1; }

proto-lint: $(READY)
	@echo "check: protos"
	@$(BIN)/buf lint
	@$(BIN)/buf format --diff --exit-code

proto-check: $(READY) ## Check that the committed stubs are what the protos give
	@echo "check: generated stubs"
	@$(PY) scripts/generate_stubs.py --check

lock-check: $(READY)
	@echo "check: lock files"
	@$(PY) scripts/check_locks.py

compose-check: $(READY)
	@echo "check: compose file"
	@$(BIN)/check-jsonschema --quiet --builtin-schema vendor.compose-spec docker-compose.yml

docker-check: $(READY)
	@echo "check: Dockerfile"
	@$(BIN)/hadolint deploy/Dockerfile

shell-check: $(READY)
	@echo "check: shell scripts"
	@if [ -x $(BIN)/shellcheck ]; then $(BIN)/shellcheck $(SHELL_SCRIPTS); \
	else echo "  left out: there is no shellcheck for this platform in the lock file"; fi

# --- making what is committed ----------------------------------------------------------------------------------------

fmt: $(READY) ## Format the code and the protos, and fix what the linter can
	@$(BIN)/ruff check --fix --quiet . || true
	@$(BIN)/ruff format --quiet .
	@$(BIN)/buf format --write

proto: $(READY) ## Generate the stubs from the protos
	@$(PY) scripts/generate_stubs.py

lock: $(READY) ## Pin the dependencies of pyproject.toml and the SDKs; UPGRADE=1 takes newer versions
	$(UV_COMPILE) pyproject.toml --group dev --output-file requirements-dev.lock
	$(UV_COMPILE) pyproject.toml --constraints requirements-dev.lock --output-file requirements.lock
	$(UV_COMPILE) requirements-sdks.in --output-file requirements-sdks.lock

clean: ## Delete what was built, .venv included
	rm -rf .venv .venv-sdks build dist .mypy_cache .ruff_cache .pytest_cache .import_linter_cache .hypothesis
	find . -name __pycache__ -type d -prune -exec rm -rf {} +
