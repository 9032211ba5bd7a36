# SPDX-License-Identifier: Apache-2.0
.PHONY: config-docs
config-docs: setup ## generate the tables of docs/configuration.md from schemas/gateway-config.json
	$(PY) -m tests.daemon.configuration_tables
