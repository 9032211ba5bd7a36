# SPDX-License-Identifier: Apache-2.0
.PHONY: bench-pack pack-vectors
bench-pack: setup ## sizes of packs and patches, and the time to look up an artifact
	$(PY) -m bench.pack

.PHONY: bench-models
bench-models: firmware-runner ## build every .tflite below MODELS=folder, and compare the packs with the oracle
	$(PY) -m bench.models $(MODELS)

pack-vectors: setup ## rewrite tests/vectors/pack.json and patch.json
	$(PY) -m tests.compiler.make_vectors

.PHONY: fuzz-compiler
fuzz-compiler: setup ## compare thousands of random networks with the oracle, and damaged packs with the checker
	TINYFLEET_EXAMPLES=1500 $(PY) -m tools.explore --rounds 1 --workers 2 tests/compiler/test_network_exactness.py tests/compiler/test_checker.py
	TF_CPP_MIN_LOG_LEVEL=3 $(PY) -m tests.compiler.random_keras_models 200

.PHONY: fuzz-build
fuzz-build: setup ## build thousands of networks with odd scales: each is exact or refused by name
	TINYFLEET_EXAMPLES=2000 $(PY) -m tools.explore --rounds 1 --workers 2 tests/compiler/test_odd_networks.py
