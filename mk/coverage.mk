# SPDX-License-Identifier: Apache-2.0
# Branches that the whole suite takes, commands and daemons that tests start included. Fails below the bars of tools/coverage_bars.py.
.PHONY: coverage
coverage: export COVERAGE_FILE := $(CURDIR)/build/coverage/data
coverage: setup ## the whole suite, measured; prints branch_coverage_reconciler= branch_coverage_signing= branch_coverage_plan=
	rm -rf build/coverage && mkdir -p build/coverage
	$(PY) -m pytest -n 2 --dist loadscope --cov --cov-report=
	$(PY) -m coverage combine --quiet --append build/coverage 2>/dev/null || true  # of processes that ended after the suite
	$(PY) -m coverage json --quiet -o build/coverage/report.json
	$(PY) tools/coverage_bars.py build/coverage/report.json
