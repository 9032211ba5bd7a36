# SPDX-License-Identifier: Apache-2.0
.PHONY: command-docs
command-docs: setup ## generate docs/commands/ from the help of the commands
	$(PY) -m tools.command_pages
