# SPDX-License-Identifier: Apache-2.0
.PHONY: vectors bench-signing mutate-signing
vectors: setup ## generate tests/vectors/envelope.json, with fresh keys
	$(PY) -m tests.signing.make_vectors

bench-signing: setup ## sizes of envelopes, and the time to sign 10,000
	@# as a module, because its name would hide the package if it were run as a file
	$(PY) -m bench.signing

mutate-signing: setup ## remove each check of signing/ in turn, and expect a test to fail
	$(PY) -m tools.mutate signing tests/signing --first tests/signing/test_vectors.py
