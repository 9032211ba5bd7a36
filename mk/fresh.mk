# SPDX-License-Identifier: Apache-2.0
# What a stranger sees who clones this and does as the README says.
.PHONY: fresh
fresh: setup ## `make demo` and `make test` on a bare Debian, as root and as an ordinary user; USER_ONLY=root, KEEP=1 (root, debootstrap)
	$(PY) tools/fresh.py $(if $(USER_ONLY),--user $(USER_ONLY)) $(if $(KEEP),--keep)
