# SPDX-License-Identifier: Apache-2.0
# What the demo runs on: virtual devices and one board. The other board and the sizes are `make firmware`.
.PHONY: demo-firmware
demo-firmware: setup firmware-host ## build virtual devices and the Cortex-M4's firmware
	@cd firmware && cmake --preset mps2-an386 -DPython3_EXECUTABLE=$(CURDIR)/$(PY) >/dev/null \
	  && cmake --build --preset mps2-an386 --target tinyfleet.elf
