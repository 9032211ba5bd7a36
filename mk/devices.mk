# SPDX-License-Identifier: Apache-2.0
.PHONY: bench-mqtt bench-serial protocol-vectors
bench-mqtt: setup ## round-trip time of a question and its answer over a real broker with TLS
	$(PY) -m bench.mqtt_round_trip

bench-serial: setup ## time of updates on a half-duplex line at 2400 baud, with the real agent in simulated time
	@cd firmware && cmake --preset host -DPython3_EXECUTABLE=$(CURDIR)/$(PY) >/dev/null && cmake --build --preset host >/dev/null
	$(PY) -m bench.serial

protocol-vectors: setup ## generate tests/vectors/protocol.json and frames.json
	$(PY) -m tests.devices.make_vectors
