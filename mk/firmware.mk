# SPDX-License-Identifier: Apache-2.0
# The device agent: the Linux port and the boards, with their sizes held to firmware/budget.json.
FIRMWARE_PRESETS := host mps2-an386 riscv32-virt nrf51-microbit nrf52840 stm32l4 rp2040 esp32c3

.PHONY: firmware firmware-host firmware-clean board-images
firmware: setup ## build the device agent for all ports; print code, RAM and stack of the boards
	@mkdir -p firmware/build; set -e; cd firmware; for preset in $(FIRMWARE_PRESETS); do \
	  exec 9>build/.$$preset.lock; flock 9; \
	  cmake --preset $$preset -DPython3_EXECUTABLE=$(CURDIR)/$(PY) >/dev/null; \
	  cmake --build --preset $$preset; \
	  exec 9>&-; \
	done
	@$(PY) -m firmware.network.build
	@$(PY) -m firmware.library.example
	@$(PY) -m firmware.tools.size_report

board-images: firmware ## write board-check and the firmware of each board as Intel HEX, and as the chip's own tools want it, into firmware/build/images
	@$(PY) -m firmware.tools.board_images

firmware-host: setup ## build the device agent for Linux: library and virtual devices
	@cd firmware && cmake --preset host -DPython3_EXECUTABLE=$(CURDIR)/$(PY) >/dev/null && cmake --build --preset host

# Python leaks on purpose when it exits, and the sanitizer's runtime must be loaded before the library. The vectors
# run in a sanitized process of their own in any case.
IN_PROCESS = $(filter-out %_vectors.py,$(wildcard tests/firmware/test_core_*.py))
ASAN_RUNTIME = $(shell clang -print-file-name=libclang_rt.asan-$(shell uname -m).so)
firmware-asan: setup ## test core and virtual devices under the address and undefined-behaviour sanitizers
	TINYFLEET_HOST_PRESET=host-asan $(PY) -m pytest tests/firmware/test_vdev.py
	TINYFLEET_HOST_PRESET=host-asan LD_PRELOAD=$(ASAN_RUNTIME) ASAN_OPTIONS=detect_leaks=0 \
	  $(PY) -m pytest $(IN_PROCESS)

firmware-clean: ## delete all builds of the firmware, including third-party C
	rm -rf firmware/build
