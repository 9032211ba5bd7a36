# SPDX-License-Identifier: Apache-2.0
# The property tests with fresh examples. `make test` draws the same ones each time.
MINUTES ?= 60

.PHONY: explore
explore: setup firmware-runner ## the property tests with fresh examples for MINUTES (60); prints how to run again what fails
	$(PY) -m tools.explore --minutes $(MINUTES)
