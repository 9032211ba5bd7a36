# SPDX-License-Identifier: Apache-2.0
# The agent in MicroPython.
.PHONY: powercut-micropython
powercut-micropython: setup ## lose power at each flash operation of updates on MicroPython with LittleFS
	TINYFLEET_CUT_STEP=1 $(PY) -m pytest tests/micropython/test_power_cuts.py --timeout 3600
