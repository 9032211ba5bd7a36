# SPDX-License-Identifier: Apache-2.0
.PHONY: bench-rollout
bench-rollout: setup firmware-host ## all bench-rollout-… targets, with the figures that have a limit at the end
	$(PY) -m bench.rollout
.PHONY: bench-rollout-failures
bench-rollout-failures: setup ## 2,000 rollouts that go wrong, across gateways that lag, are cut off, or report falsely; also 50 gateways with 200 devices each
	$(PY) -m bench.rollout_failures
.PHONY: bench-rollout-pr
bench-rollout-pr: setup ## cost of reviewing a change to 10,000 and to 100,000 devices, with only Git as input
	$(PY) -m bench.rollout_pr
.PHONY: bench-rollout-stop
bench-rollout-stop: setup firmware-host ## time from a canary's failed trial to the stopped rollout in the status ref
	$(PY) -m bench.rollout_stop
.PHONY: bench-reach
bench-reach: setup ## one rollout over five gateways of 10,000 devices each, which exchange their status over Git
	$(PY) -m bench.reach
