# SPDX-License-Identifier: Apache-2.0
.PHONY: bench-rollout
bench-rollout: setup firmware-host ## all that follows, and its bars at the end
	$(PY) -m bench.rollout
.PHONY: bench-rollout-failures
bench-rollout-failures: setup ## 2,000 rollouts that go wrong over gateways that lag, are cut off, or lie; beside them 50 x 200 devices
	$(PY) -m bench.rollout_failures
.PHONY: bench-rollout-pr
bench-rollout-pr: setup ## what reviewing a change to 10,000 and to 100,000 devices costs, from Git alone
	$(PY) -m bench.rollout_pr
.PHONY: bench-rollout-stop
bench-rollout-stop: setup firmware-host ## from a canary's failed trial to the stopped rollout in the status ref
	$(PY) -m bench.rollout_stop
.PHONY: bench-reach
bench-reach: setup ## one rollout over five gateways of 10,000 devices each, which exchange their status over Git
	$(PY) -m bench.reach
