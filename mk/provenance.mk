# SPDX-License-Identifier: Apache-2.0
.PHONY: bench-kit
bench-kit: setup ## verify where models come from, and follow an alias: chains, broken links, a rebuild, the time to a proposal
	$(PY) bench/provenance.py
