# SPDX-License-Identifier: Apache-2.0
.PHONY: bench-kit
bench-kit: setup ## verify where models come from: good chains, each link broken in turn, and a rebuild
	$(PY) bench/provenance.py
