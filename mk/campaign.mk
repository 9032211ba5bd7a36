# SPDX-License-Identifier: Apache-2.0
# Attempts to break the device agent: power cuts, seeded bugs and fuzzers (docs/testing-firmware.md).
SECONDS ?= 60

.PHONY: powercut powercut-board attack mutate-firmware fuzz
powercut: setup ## cut the power at every flash operation, and find all seeded bugs; print the counts and the time
	$(PY) -m firmware.powercut

CHIP ?= stm32l4
STEP ?= 40
powercut-board: setup ## cut the power at every STEP-th flash operation of an update on the model of a CHIP, drivers included, and find all seeded bugs of its drivers
	$(PY) -m firmware.chips.powercut $(CHIP) --step $(STEP)

attack: setup ## attack the device agent from the link, and find all seeded bugs of the link; print the counts and the time
	$(PY) -m firmware.attack

mutate-firmware: setup ## change firmware/src in one place at a time, and expect a test to fail; PARTS=store names files or folders, RESUME=1 continues the last run
	$(PY) -m firmware.mutate $(PARTS) $(if $(RESUME),--resume)

fuzz: setup ## fuzz frames, messages, envelopes, packs, patches, heatshrink, stages and MQTT for SECONDS each (60); print the executions of each
	$(PY) -m firmware.fuzz --seconds $(SECONDS)
