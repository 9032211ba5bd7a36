# SPDX-License-Identifier: Apache-2.0
# The agent in MicroPython.
.PHONY: powercut-micropython micropython-wasm
powercut-micropython: setup ## lose power at each flash operation of updates on MicroPython with LittleFS
	TINYFLEET_CUT_STEP=1 $(PY) -m pytest tests/micropython/test_power_cuts.py --timeout 3600

micropython-wasm: ## install the official WebAssembly build of MicroPython, on which the vectors then run too; needs npm
	mkdir -p build/micropython-wasm
	cp tests/micropython/package.json tests/micropython/package-lock.json build/micropython-wasm/
	cd build/micropython-wasm && npm ci --ignore-scripts --no-audit --no-fund
