# SPDX-License-Identifier: Apache-2.0
.PHONY: command-docs
command-docs: setup ## write docs/commands/ anew from the commands' own help
	$(PY) -m tools.command_pages
