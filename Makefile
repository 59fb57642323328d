# Everything a developer does with sqslite. Needs make, git and Python 3.11 or newer; `make help` lists the targets.
# Kept to what GNU make 3.81 and a POSIX shell understand.

.DEFAULT_GOAL := help
SHELL := /bin/sh

VENV := .venv
PY := $(VENV)/bin/python
RUNTIME := $(VENV)/.installed
DEV := $(VENV)/.installed-dev
BENCH := $(VENV)/.installed-bench
FUZZ := $(VENV)/.installed-fuzz

# The newest Python that really runs (a version manager's shim may exist for a version that is not installed), and
# rather one that can make virtual environments than one that is newer. Looked for once, and only for the set-up.
PYTHON ?= $(eval PYTHON := $(shell for also in 'import ensurepip, venv' pass; do \
	for p in python3.13 python3.12 python3.11 python3; do \
	$$p -I -c "import sys; assert sys.version_info >= (3, 11); $$also" >/dev/null 2>&1 && echo $$p && exit; \
	done; done))$(PYTHON)

# Processes for the tests; PostgreSQL's tests share one server per process.
TEST_PROCESSES ?= 2

# How long `make fuzz` looks for requests that are answered wrongly.
FUZZ_SECONDS ?= 600

# What a user's environment may say about other projects must not reach this one: where to import from, where
# and how to install. Where packages come from (an index, certificates, constraints) stays the user's choice.
unexport PYTHONPATH PYTHONHOME PYTHONSAFEPATH PYTHONOPTIMIZE PYTHONWARNINGS VIRTUAL_ENV
unexport PIP_TARGET PIP_PREFIX PIP_ROOT PIP_PYTHON PIP_NO_DEPS PIP_DRY_RUN PIP_IGNORE_INSTALLED
unexport PIP_REQUIREMENT PIP_EDITABLE PIP_REQUIRE_HASHES PIP_NO_BUILD_ISOLATION PIP_REPORT
export PIP_USER := 0
export PIP_DISABLE_PIP_VERSION_CHECK := 1

# The stamp says where the environment was made: in a checkout that was moved or copied it is made anew.
ifneq ($(shell cat $(RUNTIME) 2>/dev/null),$(CURDIR))
.PHONY: $(RUNTIME)
endif

.PHONY: help
help: ## List the targets
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "  make %-18s %s\n", $$1, $$2 }' Makefile

.PHONY: run
run: $(RUNTIME) ## Run the API server (SQLite unless DATABASE_URL says otherwise; PORT, default 8080)
	@$(VENV)/bin/sqslite serve

.PHONY: demo
demo: $(RUNTIME) ## Run the interactive demo against a running server
	@$(VENV)/bin/sqslite demo

.PHONY: db-up
db-up: $(DEV) ## Start PostgreSQL (Docker where it answers, else a private server) and print its DATABASE_URL
	@$(PY) scripts/dev_database.py up

.PHONY: db-down
db-down: ## Stop PostgreSQL; its data stays
	@if [ -x $(PY) ]; then $(PY) scripts/dev_database.py down; fi

.PHONY: db-reset
db-reset: $(DEV) ## Stop PostgreSQL, delete its data, start it afresh
	@$(PY) scripts/dev_database.py delete
	@$(PY) scripts/dev_database.py up

.PHONY: test
test: $(DEV) ## Run all tests, PostgreSQL's included
	$(PY) -m pytest -n $(TEST_PROCESSES) --dist loadgroup

.PHONY: test-integration
test-integration: $(DEV) ## Run the integration tests only
	$(PY) -m pytest -n $(TEST_PROCESSES) --dist loadgroup tests/integration

.PHONY: test-sqs-clients
test-sqs-clients: $(DEV) ## Run the SQS clients against a server, those in Go and Java included (minutes at first)
	SQS_CLIENTS=all $(PY) -m pytest -rs tests/integration/test_sqs_clients.py tests/integration/test_sqs_celery.py

.PHONY: lint
lint: $(DEV) ## Check format, lint, types and the direction of imports
	$(PY) -m ruff format --check .
	$(PY) -m ruff check .
	$(PY) -m mypy
	$(VENV)/bin/lint-imports

.PHONY: check
check: lint ## Run lint and the unit tests
	$(PY) -m pytest tests/unit

.PHONY: proto
proto: $(DEV) ## Generate the gRPC code anew from its .proto file
	$(PY) -m grpc_tools.protoc -I src --python_out=src --pyi_out=src --grpc_python_out=src \
		src/sqslite/entrypoints/grpc/v1/sqslite.proto

.PHONY: promises
promises: $(DEV) ## Break each promise in a copy of the code and see its test go red
	$(PY) scripts/break_promises.py

.PHONY: fuzz
fuzz: $(FUZZ) ## Fuzz the SQS API for FUZZ_SECONDS (default 600): raw requests, then calls in both protocols
	@for target in raw calls; do \
		nice $(PY) -m tests.fuzz $$target -max_total_time=$$(($(FUZZ_SECONDS) / 2)) -timeout=20 \
		-print_final_stats=1 || exit 1; \
	done

.PHONY: bench
bench: $(BENCH) ## Compare full cycles with other queues (under four minutes)
	@$(PY) -m benchmarks

.PHONY: bench-sqs
bench-sqs: $(BENCH) ## Compare the SQS API with ElasticMQ (needs java and mvn) and moto's server
	@$(PY) -m benchmarks sqs

.PHONY: build
build: $(DEV) ## Build the wheel and the source distribution into dist/
	rm -rf dist
	$(PY) -m hatchling build -d dist

.PHONY: clean
clean: ## Delete the PostgreSQL data, containers, volumes, dist/ and caches (keeps .venv and sqslite.db)
	@if [ -x $(PY) ]; then $(PY) scripts/dev_database.py delete; fi
	rm -rf dist build .db .pytest_cache .mypy_cache .ruff_cache .import_linter_cache .hypothesis .schemathesis
	find . -path ./$(VENV) -prune -o -name __pycache__ -type d -prune -exec rm -rf {} +

$(RUNTIME): pyproject.toml
	@test -n "$(PYTHON)" || { echo "sqslite needs Python 3.11 or newer, and none was found. Install one," \
		"or name it: make PYTHON=/path/to/python3" >&2; exit 1; }
	@$(PYTHON) -I -c 'import sys; sys.exit(sys.version_info < (3, 11))' || { \
		echo "sqslite needs Python 3.11 or newer; $(PYTHON) is not." >&2; exit 1; }
	@$(PYTHON) -I -c 'import ensurepip, venv' 2>/dev/null || { echo "$(PYTHON) cannot make virtual environments:" \
		"install its venv module (on Debian and Ubuntu: apt install python3-venv)." >&2; exit 1; }
	@echo "Setting up $(VENV) with $$($(PYTHON) --version) ..." >&2
	@test "$$(cat $@ 2>/dev/null)" = "$(CURDIR)" && $(PY) -I -m pip --version >/dev/null 2>&1 || \
		$(PYTHON) -m venv --clear $(VENV)
	@$(PY) -m pip install --quiet --editable .
	@printf '%s' "$(CURDIR)" > $@

# Dependency groups need a newer pip than the one that old Pythons bring along.
$(DEV): $(RUNTIME)
	@echo "Installing the development tools ..." >&2
	@$(PY) -m pip install --quiet --upgrade 'pip>=25.1'
	@$(PY) -m pip install --quiet --group dev
	@touch $@

# The fuzzer has wheels for Linux only; elsewhere it wants LLVM.
$(FUZZ): $(DEV)
	@echo "Installing the fuzzer ..." >&2
	@$(PY) -m pip install --quiet --group fuzz
	@touch $@

# What sqslite is compared with, and what draws the plots.
$(BENCH): $(DEV)
	@echo "Installing what the benchmarks need ..." >&2
	@$(PY) -m pip install --quiet --group bench
	@touch $@
