# SPDX-License-Identifier: Apache-2.0
.PHONY: bench-tls
bench-tls: setup ## time of an update of an emulated board that speaks MQTT over TLS itself
	$(PY) -m bench.tls_board
