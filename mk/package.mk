# SPDX-License-Identifier: Apache-2.0
# The packages: wheel, sdist and a Debian package, with man pages and shell completion generated from the command.
.PHONY: dist deb test-deb image test-image
dist: setup ## build wheel and sdist into dist/
	rm -rf build/share dist
	$(PY) tools/manual.py build/share
	$(PY) -m hatchling build -d dist

deb: dist ## build a Debian package into dist/
	tools/deb.sh $(VENV)/bin/pip dist/tinyfleet-*.whl dist

test-deb: setup ## install, upgrade, remove and purge the Debian package in a clean chroot (root, network, debootstrap)
	TINYFLEET_CHROOT=1 $(PY) -m pytest -q -p no:cacheprovider tests/package/test_deb.py

image: deb ## build an OCI image of a gateway into dist/ (root, network, debootstrap)
	tools/image.sh $(PY) dist/tinyfleet_*.deb dist

test-image: setup ## build the OCI image, unpack it and start its command, with podman too if that is installed (root, network, debootstrap)
	TINYFLEET_CHROOT=1 $(PY) -m pytest -q -p no:cacheprovider tests/package/test_image.py
