# SPDX-License-Identifier: Apache-2.0
# The one place a developer, CI and the README agree on. `make help` lists what there is.
SHELL := /bin/bash
.SHELLFLAGS := -eu -o pipefail -c
.DEFAULT_GOAL := help

VENV := .venv
PY := $(VENV)/bin/python
STAMP := $(VENV)/.setup-stamp
REQUIREMENTS := requirements/base.txt requirements/dev.txt requirements/build.txt requirements/dask.txt

.PHONY: help setup check test fix demo
help: ## list the targets
	@grep -hE '^[a-z-]+:.*## ' $(MAKEFILE_LIST) | sort | awk -F ':.*## ' '{printf "  %-16s %s\n", $$1, $$2}'

setup: $(STAMP) ## virtual environment and Debian packages, only where missing
$(STAMP): $(REQUIREMENTS) requirements/debian.txt pyproject.toml tools/setup.sh
	tools/setup.sh $(VENV) $(REQUIREMENTS)
	touch $@

check: setup ## format, lint, types, layers
	$(VENV)/bin/ruff format --check .
	$(VENV)/bin/ruff check .
	$(VENV)/bin/mypy
	$(VENV)/bin/lint-imports --no-cache

test: setup ## every test in its short form
	$(PY) -m pytest -n 2 --dist loadscope

fix: setup ## format and mend what can be mended
	$(VENV)/bin/ruff format .
	$(VENV)/bin/ruff check --fix .

demo: setup demo-firmware ## a two-minute demo; STORY=name selects a story, KEEP=1 leaves it running
	$(PY) -m demo $(STORY) $(if $(KEEP),--keep)

-include mk/*.mk
