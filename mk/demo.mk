# SPDX-License-Identifier: Apache-2.0
# What the demo runs on: virtual devices and one board. `make firmware` builds the other board and prints sizes.
.PHONY: demo-firmware
demo-firmware: setup firmware-host ## build virtual devices and the firmware of the Cortex-M4
	@cd firmware && cmake --preset mps2-an386 -DPython3_EXECUTABLE=$(CURDIR)/$(PY) >/dev/null \
	  && cmake --build --preset mps2-an386 --target tinyfleet.elf
