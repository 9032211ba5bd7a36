# SPDX-License-Identifier: Apache-2.0
# What new users see when they clone the repository and follow the README.
.PHONY: fresh
fresh: setup ## run `make demo` and `make test` on a bare Debian, as root and as an ordinary user (root, network, debootstrap)
	$(PY) tools/fresh.py $(if $(USER_ONLY),--user $(USER_ONLY)) $(if $(KEEP),--keep)
