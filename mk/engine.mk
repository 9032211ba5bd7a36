# SPDX-License-Identifier: Apache-2.0
# The engines that run packs: a runner for each platform, and their cost on a Cortex-M4.
.PHONY: firmware-runner bench-engine bench-crypto fit-cost fuzz-engine
firmware-runner: setup ## build the program that runs single packs, for Linux and both boards
	@mkdir -p firmware/build; set -e; cd firmware; for preset in host mps2-an386 riscv32-virt; do \
	  exec 9>build/.$$preset.lock; flock 9; \
	  cmake --preset $$preset -DPython3_EXECUTABLE=$(CURDIR)/$(PY) >/dev/null; \
	  target=runner-elf; if [ $$preset = host ]; then target=tinyfleet-runner; fi; \
	  cmake --build --preset $$preset --target $$target; \
	  exec 9>&-; \
	done

bench-engine: firmware-runner ## instructions, memory and bytes of four models on a Cortex-M4
	$(PY) -m pip install --quiet --no-deps -r requirements/bench.txt || echo "tflite-micro cannot be installed: its figures are left out"
	@cd firmware && flock build/.mps2-an386.lock cmake --build --preset mps2-an386 >/dev/null
	$(PY) -m bench.engine

fit-cost: firmware-runner ## fit the estimate of instructions to runs on both boards, and test it on other networks
	$(PY) -m bench.cost_model

bench-crypto: setup ## measure instructions of SHA-256, of tags and of opening a session on a Cortex-M4
	@mkdir -p firmware/build; cd firmware; exec 9>build/.mps2-an386.lock; flock 9; \
	  cmake --preset mps2-an386 -DPython3_EXECUTABLE=$(CURDIR)/$(PY) >/dev/null; \
	  cmake --build --preset mps2-an386 --target crypto-bench
	$(PY) -m bench.crypto

fuzz-engine: setup ## run the engine's property tests with many more examples
	TINYFLEET_EXAMPLES=400 $(PY) -m tools.explore --rounds 1 tests/firmware/test_engine.py
