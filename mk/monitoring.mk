# SPDX-License-Identifier: Apache-2.0
.PHONY: test-monitoring
test-monitoring: setup ## query each panel of the dashboard on a real Prometheus, and unit-test the alerts (Debian's package prometheus)
	TINYFLEET_MONITORING=1 $(PY) -m pytest -q -p no:cacheprovider tests/docs/test_dashboard.py tests/system/test_monitoring.py
