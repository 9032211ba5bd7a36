# SPDX-License-Identifier: Apache-2.0
.PHONY: bench-pipeline
bench-pipeline: setup ## cut networks: exact against the oracle, partitions against brute force, bytes on the way, and predicted times
	$(PY) -m bench.pipeline
