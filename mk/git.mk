# SPDX-License-Identifier: Apache-2.0
.PHONY: bench-git
bench-git: setup ## what polling, reading and writing the repository costs
	$(PY) -m bench.git_source
