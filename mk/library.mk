# SPDX-License-Identifier: Apache-2.0
# The agent as a source library for other people's firmware.
.PHONY: library library-check
library: setup ## write the source library and its archives for CMake, ESP-IDF, Zephyr, PlatformIO, Arduino and CMSIS-Pack to firmware/build/library
	@$(PY) -m firmware.library
