# SPDX-License-Identifier: Apache-2.0
.PHONY: bench-plan
bench-plan: setup ## time to load and plan 1,000, 10,000 and 100,000 devices
	$(PY) bench/plan.py
