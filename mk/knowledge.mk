# SPDX-License-Identifier: Apache-2.0
.PHONY: bench-knowledge
bench-knowledge: setup ## how fast a gateway stores samples and votes, and how large they are
	$(PY) -m bench.knowledge
