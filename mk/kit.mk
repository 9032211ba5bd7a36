# SPDX-License-Identifier: Apache-2.0
.PHONY: bench-kit
bench-kit: setup ## provenance of models, a followed alias, tested alerts, the size of the image, and the dashboard if Prometheus is installed
	$(PY) bench/kit.py
	@if command -v prometheus >/dev/null; then $(MAKE) --no-print-directory test-monitoring; \
	  else echo "panels_with_data is not measured: install Debian's package prometheus"; fi
