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

# What a caller may set: ARGS goes on to the tool that the target runs, UPGRADE=1 lets `make lock` take newer versions,
# FORCE=1 lets `make proto-publish` break callers.
ARGS ?=
UPGRADE ?=
FORCE ?=

.PHONY: help setup setup-sdks demo serve test check proto bench load quality fuzz lock fmt up down clean
.PHONY: setup-go-tools proto-plugins proto-publish proto-breaking clients clients-check go-check java-check node-check
.PHONY: fmt-check lint types imports proto-lint proto-check lock-check compose-check docker-check shell-check

help: ## List the targets
	@awk 'BEGIN {FS = ":.*## "} /^[a-z-]+:.*## / {printf "  %-14s %s\n", $$1, $$2}' $(firstword $(MAKEFILE_LIST))

# --- getting going ---------------------------------------------------------------------------------------------------

$(READY): scripts/bootstrap requirements-dev.lock pyproject.toml
	@scripts/bootstrap

setup: $(READY) ## Make .venv from the lock file; the other targets do it by themselves

$(SDKS_READY): scripts/bootstrap-sdks requirements-sdks.lock | $(READY)
	@scripts/bootstrap-sdks

setup-sdks: $(SDKS_READY) ## Make .venv-sdks with the vendors' own SDKs, which the tests of tests/sdk call

# The tools of other languages, at the versions of tools/go/go.mod and tools/node/package-lock.json. Each Go tool is a
# target of its own, so that nothing is built that is not asked for.
GO_TOOLS := $(addprefix build/tools/,protoc-gen-go protoc-gen-go-grpc staticcheck ghz grpcurl)
GO_PLUGINS := $(filter build/tools/protoc-gen-%,$(GO_TOOLS))
NODE_PLUGINS := tools/node/node_modules/.ready

$(GO_TOOLS): tools/go/go.mod tools/go/go.sum
	@GOBIN="$(CURDIR)/build/tools" go -C tools/go install $$(go -C tools/go list tool | grep '/$(@F)$$')
	@touch $@

setup-go-tools: $(GO_TOOLS) ## Build the Go plugins and tools into build/tools: staticcheck, ghz, grpcurl

$(NODE_PLUGINS): tools/node/package.json tools/node/package-lock.json
	@npm ci --prefix tools/node --silent --no-audit --no-fund
	@touch $@

# Those that can be built here; scripts/generate_stubs.py tells which are left out, and whether that is a failure.
proto-plugins: $(READY)
	@if $(PY) scripts/toolchains.py go 2>/dev/null; then $(MAKE) --silent $(GO_PLUGINS); fi
	@if $(PY) scripts/toolchains.py node 2>/dev/null; then $(MAKE) --silent $(NODE_PLUGINS); fi

# The clients of other languages: library, conformance driver and example, each where its toolchain is there.
client_sources = $(shell find clients/$(1) -type f -not -path '*/node_modules/*' -not -path '*/target/*' \
	-not -path '*/dist*' -not -path '*/build/*')
for_each_language = +@for language in go java node; do \
	if reason=$$($(PY) scripts/toolchains.py $$language 2>&1); then $(MAKE) --silent $(1); \
	else echo "  left out: clients/$$language: $$reason"; test -z "$${CI:-}"; fi; done

build/clients/go.built: $(call client_sources,go)
	@mkdir -p build/clients/go
	@go -C clients/go build -o "$(CURDIR)/build/clients/go/" ./internal/conformance ./examples/readfolder
	@touch $@

build/clients/java.built: $(call client_sources,java) $(wildcard proto/ocrmux/*/v1/*.proto)
	@mkdir -p build/clients
	@mvn --batch-mode --quiet --no-transfer-progress --file clients/java package -DskipTests
	@touch $@

build/clients/node.built: $(call client_sources,node)
	@mkdir -p build/clients
	@npm ci --prefix clients/node --silent --no-audit --no-fund
	@npm run build --prefix clients/node --silent
	@touch $@

clients: $(READY) ## Build the Go, Java and Node clients with their conformance drivers
	$(call for_each_language,build/clients/$$language.built)

demo: $(READY) ## Read the sample images through both services; the second run answers from the cache
	@$(BIN)/ocrmux recognize samples --format txt --annotate build/demo $(ARGS)

serve: $(READY) ## Run both services in the foreground
	@$(BIN)/ocrmux serve $(ARGS)

up: ## Build and run redis and both services with docker compose
	docker compose up --build --detach --wait

down: ## Stop what `make up` started
	docker compose down

# --- proving it ------------------------------------------------------------------------------------------------------

# Tests go two at a time, or four where there are as many cores, a file's together, as they share servers. Those marked
# `alone` follow one after the other: what they count depends on processes being served promptly.
test: $(READY) clients ## Run the tests; ARGS="-k name" picks some
ifeq ($(ARGS),)
	@$(PY) -m pytest -m "not alone" --numprocesses=logical --maxprocesses=4 --dist=loadfile
	@$(PY) -m pytest -m alone
else
	@$(PY) -m pytest $(ARGS)
endif

check: fmt-check lint types imports proto-lint proto-check proto-breaking lock-check compose-check docker-check shell-check clients-check ## Check everything that is not a test

bench: $(READY) ## Measure, side by side in one run (half an hour); ARGS="quota recipe" picks some, tests/bench has the names
	@$(PY) -m tests.bench $(ARGS)

load: $(READY) build/tools/ghz ## Put loads on a pair with ghz and `ocrmux bench`, into docs/load.md (four minutes)
	@$(PY) -m tests.load $(ARGS)

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

proto-check: proto-plugins ## Check that the committed stubs and docs/api-reference.md are what the protos give
	@echo "check: generated stubs"
	@$(PY) scripts/generate_stubs.py --check

proto-breaking: $(READY) ## Check that the protos break no caller of the published contract, nor of main
	@echo "check: breaking changes"
	@$(PY) scripts/published_contract.py

clients-check: clients ## Check the Go, Java and Node code: format, lint, types
	@echo "check: clients in other languages"
	$(call for_each_language,$$language-check)

go-check: build/tools/staticcheck
	@unformatted=$$(gofmt -l clients/go); test -z "$$unformatted" || { echo "run gofmt -w on: $$unformatted"; exit 1; }
	@go -C clients/go vet ./...
	@cd clients/go && "$(CURDIR)/build/tools/staticcheck" ./...

java-check: build/clients/java.built # the build itself has Error Prone, and takes warnings for errors

node-check: build/clients/node.built
	@npm run lint --prefix clients/node --silent
	@npm run types --prefix clients/node --silent
	@npm run format:check --prefix clients/node --silent
	@npm run package:check --prefix clients/node --silent

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

proto: proto-plugins ## Generate the stubs and docs/api-reference.md from the protos
	@$(PY) scripts/generate_stubs.py

proto-publish: $(READY) ## Publish the protos as the contract that later ones are compared with; FORCE=1 although it breaks callers
	@$(PY) scripts/published_contract.py --publish $(if $(FORCE),--force)

lock: $(READY) ## Pin the dependencies of pyproject.toml and the SDKs; UPGRADE=1 takes newer versions
	$(UV_COMPILE) pyproject.toml --group dev --output-file requirements-dev.lock
	$(UV_COMPILE) pyproject.toml --constraints requirements-dev.lock --output-file requirements.lock
	$(UV_COMPILE) requirements-sdks.in --output-file requirements-sdks.lock

clean: ## Delete what was built, .venv included
	rm -rf .venv .venv-sdks build dist tools/node/node_modules clients/node/{node_modules,build,dist,dist-conformance}
	rm -rf clients/java/{.,client,conformance,examples}/target .mypy_cache .ruff_cache .pytest_cache .import_linter_cache .hypothesis
	find . -name __pycache__ -type d -prune -exec rm -rf {} +
