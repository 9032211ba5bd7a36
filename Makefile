# SPDX-License-Identifier: Apache-2.0
# The targets that developers, CI and the README use. `make help` lists them.
SHELL := /bin/bash
.SHELLFLAGS := -eu -o pipefail -c
.DEFAULT_GOAL := help

VENV := .venv
PY := $(VENV)/bin/python
STAMP := $(VENV)/.setup-stamp
REQUIREMENTS := requirements/base.txt requirements/dev.txt requirements/build.txt requirements/learn.txt requirements/functions.txt requirements/dask.txt requirements/remote.txt

.PHONY: help setup check test fix demo
help: ## list the targets
	@grep -hE '^[a-z-]+:.*## ' $(MAKEFILE_LIST) | sort | awk -F ':.*## ' '{printf "  %-23s %s\n", $$1, $$2}'

setup: $(STAMP) ## install the virtual environment and Debian packages that are missing
$(STAMP): $(REQUIREMENTS) requirements/standards.txt requirements/debian.txt pyproject.toml tools/setup.sh
	tools/setup.sh $(VENV) $(REQUIREMENTS)
	touch $@

check: setup ## check format, lint, types and layers
	$(VENV)/bin/ruff format --check .
	$(VENV)/bin/ruff check .
	$(VENV)/bin/mypy
	$(VENV)/bin/lint-imports --no-cache

test: setup ## run every test, with campaigns in their short form
	$(PY) -m pytest -n 3 --dist loadscope

fix: setup ## format, and fix what can be fixed automatically
	$(VENV)/bin/ruff format .
	$(VENV)/bin/ruff check --fix .

demo: setup demo-firmware ## play the two-minute demo; STORY=name selects a story, KEEP=1 leaves it running
	$(PY) -m demo $(STORY) $(if $(KEEP),--keep)

-include mk/*.mk
