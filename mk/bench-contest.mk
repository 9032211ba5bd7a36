# SPDX-License-Identifier: Apache-2.0
.PHONY: bench-contest
bench-contest: setup firmware-host firmware-runner ## replace models of bearings that run to failure, by the paper's rule and by ours; NASA=dir reads the real data set, SEED=n generates another one
	$(PY) -m bench.contest $(if $(SEED),--seed $(SEED),--pictures docs/pictures) $(if $(NASA),--nasa $(NASA))
