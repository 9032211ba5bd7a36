# SPDX-License-Identifier: Apache-2.0
# What is handed out: wheel, sdist and a Debian package, with man pages and shell completion generated from the command.
.PHONY: dist deb test-deb
dist: setup ## build wheel and sdist into dist/
	rm -rf build/share
	$(PY) tools/manual.py build/share
	$(PY) -m hatchling build -d dist
