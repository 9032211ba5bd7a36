# SPDX-License-Identifier: Apache-2.0
# Branch coverage of the whole suite, including commands and daemons that tests start. The minimum is in tools/coverage_bars.py.
.PHONY: coverage
coverage: export COVERAGE_FILE := $(CURDIR)/build/coverage/data
coverage: setup ## run every test and measure branch coverage; fail below the minimum
	rm -rf build/coverage && mkdir -p build/coverage
	$(PY) -m pytest -n 2 --dist loadscope --cov --cov-report=
	$(PY) -m coverage combine --quiet --append build/coverage 2>/dev/null || true  # processes that ended after the suite
	$(PY) -m coverage json --quiet -o build/coverage/report.json
	$(PY) tools/coverage_bars.py build/coverage/report.json
