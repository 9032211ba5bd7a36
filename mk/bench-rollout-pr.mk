# SPDX-License-Identifier: Apache-2.0
.PHONY: bench-rollout-pr
bench-rollout: bench-rollout-pr
bench-rollout-pr: setup ## what reviewing a change to 10,000 devices costs, from Git alone
	$(PY) -m bench.rollout_pr
