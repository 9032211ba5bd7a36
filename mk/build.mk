# SPDX-License-Identifier: Apache-2.0
.PHONY: bench-pack build-vectors
bench-pack: setup ## bytes of packs, of deltas, and the time to an artifact that exists
	$(PY) -m bench.pack

build-vectors: setup ## write tests/vectors/pack.json and patch.json anew
	$(PY) -m tests.build.make_vectors
