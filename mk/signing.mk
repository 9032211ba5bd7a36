# SPDX-License-Identifier: Apache-2.0
.PHONY: vectors
vectors: setup ## write tests/vectors/*.json anew, with fresh keys
	$(PY) -m tests.signing.make_vectors
