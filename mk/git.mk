# SPDX-License-Identifier: Apache-2.0
.PHONY: bench-git
bench-git: setup ## time to poll, read and write the repository
	$(PY) -m bench.git_source
