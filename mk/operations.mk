# SPDX-License-Identifier: Apache-2.0
.PHONY: bench-operations
bench-operations: setup ## time of a call over a real broker with TLS, calls in a second, and what is refused before dispatch
	$(PY) -m bench.operations
