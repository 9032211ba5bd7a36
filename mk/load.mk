# SPDX-License-Identifier: Apache-2.0
.PHONY: fuzz-validate fleet-docs
fuzz-validate: setup ## corrupt the example fleet in 20,000 ways; loading must report only documented problems
	TINYFLEET_FUZZ_ROUNDS=10000 $(PY) -m pytest -q -p no:cacheprovider tests/load/test_fuzz.py

fleet-docs: setup ## generate the tables of docs/fleet-repo.md and the example's schemas from schemas/
	$(PY) -m tests.load.field_tables
	$(VENV)/bin/tinyfleet schema --out fleet-repo-example/.schemas
