# SPDX-License-Identifier: Apache-2.0
.PHONY: bench-rollout-pr
.PHONY: bench-rollout
bench-rollout: bench-rollout-failures bench-rollout-pr ## both of what follows
bench-rollout-pr: setup ## what reviewing a change to 10,000 devices costs, from Git alone
	$(PY) -m bench.rollout_pr
