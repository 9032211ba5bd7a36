# SPDX-License-Identifier: Apache-2.0
.PHONY: bench-operations
bench-operations: setup ## operations near and far over real brokers with TLS: times, calls in a second, and what 2,000 calls survive
	$(PY) -m bench.operations
