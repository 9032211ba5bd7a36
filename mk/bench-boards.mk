# SPDX-License-Identifier: Apache-2.0
.PHONY: bench-boards
bench-boards: setup ## count the boards of each class of evidence, and time updates: of a BBC micro:bit that runs at its own speed, of an RP2040, and over TLS
	$(PY) -m bench.boards
