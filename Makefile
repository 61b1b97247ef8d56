# Everything here needs Python 3.11 or newer, make, and the package registries; each target installs what it needs.
.DEFAULT_GOAL := help
.DELETE_ON_ERROR:
MAKEFLAGS += --no-builtin-rules

# A distribution's Python is optimised by profile, which one compiled by hand seldom is: it comes first if it can make a venv.
PYTHON ?= $(firstword $(foreach python,/usr/bin/python3.11 $(shell command -v python3.11 python3.12 python3.13 python3),\
	$(shell $(python) -c 'import ensurepip, sys; print(sys.executable)' 2>/dev/null)))
UV_VERSION := 0.13.9
HOUSEHOLDS ?= 10000
SEED ?= 1
ARGS ?=

BIN := .venv/bin
UV := .tools/bin/uv
UV_STAMP := .tools/uv-$(UV_VERSION)
INSTALLED := .venv/.installed
LINTED := .tools/lint.txt
LOCK := uv pip compile --universal --python-version 3.11 --generate-hashes --no-emit-index-url --no-annotate \
	--all-extras --group dev pyproject.toml -o requirements.lock

.PHONY: help install demo test test-more audit lint faults bench bench-growth containers-check lock hooks clean

help:  ## Show this list
	@grep -hE '^[a-z-]+:.*##' $(MAKEFILE_LIST) | sed -E 's/^([a-z-]+):.*## /\1\t/' | expand -t 18

install: $(INSTALLED)  ## Make .venv with exactly what requirements.lock names, and `tonle` in it

demo: $(INSTALLED)  ## Register, score, pay and tell HOUSEHOLDS households on a real Kafka and PostgreSQL
	@$(BIN)/tonle demo --households $(HOUSEHOLDS) $(ARGS)

test: lint  ## Lint, then every test that needs Python alone, in three processes; ends with one table
	@TONLE_LINTED=$(LINTED) $(BIN)/pytest -q -m "not more and not long" -n 3 $(ARGS)

test-more: $(INSTALLED)  ## The tests that need apt, Docker or a browser, and the long ones; what cannot run is listed
	@$(BIN)/pytest -q -m "more and not long" $(ARGS) || { code=$$?; [ $$code -eq 5 ] && echo "No test needs more yet."; }

# A check's name, its command; its seconds go into the table of `make test`.
define timed
@printf '%s ... ' '$(1)'; began=$$(date +%s); $(2) && printf '%s\t%s\n' '$(1)' $$(($$(date +%s) - began)) >> $(LINTED)
endef

lint: $(INSTALLED)  ## ruff, formatting, mypy --strict, import rules
	@rm -f $(LINTED)
	$(call timed,ruff,$(BIN)/ruff check --quiet . && echo passed)
	$(call timed,ruff format,$(BIN)/ruff format --quiet --check . && echo passed)
	$(call timed,mypy,$(BIN)/mypy --no-error-summary && echo passed)
	$(call timed,import-linter,$(BIN)/lint-imports --no-logo > .tools/imports.log && echo passed || { cat .tools/imports.log; false; })

faults: HOUSEHOLDS := $(if $(filter file,$(origin HOUSEHOLDS)),20000,$(HOUSEHOLDS))
faults: $(INSTALLED)  ## Kill, stop and restart everything by a schedule from SEED; count lost and doubled; ONLY=sms or payments
	@$(if $(ONLY),TONLE_FAULT_SEED=$(SEED) TONLE_FAULT_HOUSEHOLDS=$(HOUSEHOLDS) \
		$(BIN)/pytest -q -s -m long tests/faults/test_$(ONLY)_under_faults.py $(ARGS),\
		$(BIN)/python -m tests.faults.run --seed $(SEED) --households $(HOUSEHOLDS) $(ARGS))

bench: HOUSEHOLDS := $(if $(filter file,$(origin HOUSEHOLDS)),100000,$(HOUSEHOLDS))
bench: $(INSTALLED)  ## Speed, latency and memory over HOUSEHOLDS (100,000), beside a floor and a baseline; ONLY=part
	@$(BIN)/python -m benchmarks.run --households $(HOUSEHOLDS) $(if $(ONLY),--only $(ONLY)) $(ARGS)

bench-growth: $(INSTALLED)  ## Cost at 10,000 to 700,000 households, several processes, a backlog; SIZES=n,n BACKLOG=n
	@$(BIN)/python -m benchmarks.run --only growth $(if $(SIZES),--sizes $(SIZES)) $(if $(BACKLOG),--backlog $(BACKLOG)) $(ARGS)

containers-check: $(INSTALLED)  ## As root on Debian: images, composed stack, 1,000 households, tests on testcontainers
	@$(BIN)/python -m deploy.containers.check $(ARGS)

audit: $(INSTALLED)  ## Known vulnerabilities of what is locked, secrets in the repository; what was not checked
	@$(BIN)/python -m deploy.audit $(ARGS)

lock: $(UV_STAMP)  ## Write requirements.lock anew from pyproject.toml (UPGRADE=--upgrade for newer versions)
	@PATH="$(CURDIR)/.tools/bin:$$PATH" $(LOCK) $(UPGRADE)

hooks: $(INSTALLED)  ## Run the checks before each commit
	@$(BIN)/pre-commit install

clean:  ## Remove what was installed and built; data under .tonle stays
	rm -rf .venv .tools .mypy_cache .ruff_cache .pytest_cache .hypothesis .import_linter_cache

$(UV_STAMP):
	@echo "Installing uv $(UV_VERSION) into .tools"
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' \
		|| { echo "Python 3.11 or newer is needed; name one with: make PYTHON=/path/to/python3.11"; exit 1; }
	@$(PYTHON) -m venv .tools
	@.tools/bin/pip install --quiet --disable-pip-version-check uv==$(UV_VERSION)
	@touch $@

$(INSTALLED): requirements.lock pyproject.toml $(UV_STAMP)
	@echo "Installing requirements.lock into .venv"
	@test -x $(BIN)/python || $(UV) venv --quiet --python $(PYTHON) .venv
	@$(UV) pip sync --quiet --compile-bytecode --python $(BIN)/python --require-hashes requirements.lock
	@$(UV) pip install --quiet --python $(BIN)/python --no-deps --no-build-isolation --editable .
	@touch $@
