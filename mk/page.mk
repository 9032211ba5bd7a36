# SPDX-License-Identifier: Apache-2.0
.PHONY: pictures
pictures: setup ## take the screenshots of docs/fleet-page.md
	TINYFLEET_PICTURES=docs $(PY) -m pytest -q tests/page/test_browser.py -k pictures
