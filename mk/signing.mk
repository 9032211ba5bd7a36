# SPDX-License-Identifier: Apache-2.0
.PHONY: vectors bench-signing mutate-signing
vectors: setup ## write tests/vectors/envelope.json anew, with fresh keys
	$(PY) -m tests.signing.make_vectors

bench-signing: setup ## sizes of envelopes, and the time to sign 10,000
	@# as a module: run as a file, its name would hide the package
	$(PY) -m bench.signing

mutate-signing: setup ## take each check of signing/ out and see a test fail
	$(PY) tools/mutate.py signing tests/signing --first tests/signing/test_vectors.py
