# SPDX-License-Identifier: Apache-2.0
.PHONY: config-docs
config-docs: setup ## write the tables of docs/configuration.md anew from schemas/gateway-config.json
	$(PY) -m tests.daemon.configuration_tables
