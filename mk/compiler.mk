# SPDX-License-Identifier: Apache-2.0
.PHONY: bench-pack pack-vectors
bench-pack: setup ## bytes of packs, of deltas, and the time to an artifact that exists
	$(PY) -m bench.pack

pack-vectors: setup ## write tests/vectors/pack.json and patch.json anew
	$(PY) -m tests.compiler.make_vectors

.PHONY: fuzz-compiler
fuzz-compiler: setup ## thousands of random networks against the oracle, and of spoiled packs against the checker
	TINYFLEET_EXAMPLES=1500 $(PY) -m tools.explore --rounds 1 --workers 2 tests/compiler/test_network_exact.py tests/compiler/test_checker.py
	TF_CPP_MIN_LOG_LEVEL=3 $(PY) -m tests.compiler.random_keras 200
