# SPDX-License-Identifier: Apache-2.0
.PHONY: bench-mqtt bench-serial protocol-vectors
bench-mqtt: setup ## how long a question and its answer take over a real broker with TLS
	$(PY) -m bench.mqtt_round_trip

bench-serial: setup ## what updates cost on a half-duplex line of 2400 baud, real agent, simulated time
	@cd firmware && cmake --preset host -DPython3_EXECUTABLE=$(CURDIR)/$(PY) >/dev/null && cmake --build --preset host >/dev/null
	$(PY) -m bench.serial

protocol-vectors: setup ## write tests/vectors/protocol.json and frames.json anew
	$(PY) -m tests.devices.make_vectors
