# SPDX-License-Identifier: Apache-2.0
# The agent as a source library for other people's firmware.
LIBRARY_TOOLS := firmware/build/library-tools

.PHONY: library library-check
library: setup ## write the source library for CMake, ESP-IDF, Zephyr, PlatformIO, Arduino and CMSIS-Pack to firmware/build/library
	@$(PY) -m firmware.library

$(LIBRARY_TOOLS)/.stamp: requirements/library.txt
	rm -rf $(LIBRARY_TOOLS)
	$(PY) -m pip install --quiet --disable-pip-version-check --target $(LIBRARY_TOOLS) -r $<
	touch $@

library-check: setup $(LIBRARY_TOOLS)/.stamp ## build and run the examples of the library, and let package managers read its manifests
	$(PY) -m pytest -q -p no:cacheprovider tests/library
	@$(PY) -m firmware.library.package_managers
