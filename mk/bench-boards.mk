# SPDX-License-Identifier: Apache-2.0
.PHONY: bench-boards
bench-boards: setup ## count the boards of each class of evidence, and time an update of a BBC micro:bit that runs at its own speed
	$(PY) -m bench.boards
