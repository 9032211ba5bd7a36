# SPDX-License-Identifier: Apache-2.0
.PHONY: bench-pipeline
bench-pipeline: setup firmware-host firmware-runner ## cut networks, run them over virtual devices with the speed of boards, kill devices, and count what a tag costs
	@cd firmware; exec 9>build/.mps2-an386.lock; flock 9; cmake --build --preset mps2-an386 --target crypto-bench >/dev/null
	$(PY) -m bench.pipeline
