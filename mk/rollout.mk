# SPDX-License-Identifier: Apache-2.0
.PHONY: bench-rollout-failures
bench-rollout-failures: setup ## 2,000 rollouts that go wrong over gateways that lag, are cut off, or lie; then 50 x 200 devices
	$(PY) -m bench.rollout_failures
