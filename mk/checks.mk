# SPDX-License-Identifier: Apache-2.0
.PHONY: mutate-checks
mutate-checks: setup ## change each decision that a safety promise rests on, outside of signing/, and expect a test to fail
	$(PY) -m tools.mutate_checks
