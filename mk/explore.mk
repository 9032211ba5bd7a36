# SPDX-License-Identifier: Apache-2.0
# The property tests with fresh examples. `make test` draws the same ones on each run.
MINUTES ?= 60

.PHONY: explore
explore: setup firmware-runner ## run the property tests with fresh examples for MINUTES (60); print how to reproduce each failure
	$(PY) -m tools.explore --minutes $(MINUTES)
