# SPDX-License-Identifier: Apache-2.0
IDLE ?= 2

.PHONY: bench-fleet soak
bench-fleet: setup firmware-host ## time from git push to 1,000 and 10,000 confirmed devices over a real broker, and the cost at rest (IDLE=0.1 shortens it)
	$(PY) -m bench.fleet 1000 10000 --idle-intervals $(IDLE)

soak: setup firmware-host ## cut the power of 1,000 devices at once, repeatedly, in the middle of updates
	$(PY) -m bench.fleet_soak 1000
