# SPDX-License-Identifier: Apache-2.0
.PHONY: bench-learning
bench-learning: setup firmware-host ## measure what growing a forest costs on emulated boards, and compare it with scikit-learn
	@mkdir -p firmware/build; cd firmware; for preset in mps2-an386 riscv32-virt; do \
	  (flock 9; cmake --preset $$preset -DPython3_EXECUTABLE=$(CURDIR)/$(PY) >/dev/null && \
	  cmake --build --preset $$preset --target grow-bench) 9>build/.$$preset.lock || exit 1; done
	$(PY) -m bench.learning
