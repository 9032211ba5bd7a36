# SPDX-License-Identifier: Apache-2.0
.PHONY: bench-fleet soak
bench-fleet: setup firmware-host ## from git push to all devices confirmed, at rest and after a restart, over a real broker: 1,000 and 10,000 devices
	$(PY) -m bench.fleet 1000 10000 --idle-intervals $(or $(IDLE),2)

soak: setup firmware-host ## 1,000 devices lose their power at once, again and again, in the midst of updates
	$(PY) -m bench.fleet_soak 1000
