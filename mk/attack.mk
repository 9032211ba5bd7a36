# SPDX-License-Identifier: Apache-2.0
.PHONY: bench-attack
bench-attack: setup firmware-host ## attack a gateway and a device: forged results, flash wear, connections, hostile Git servers
	$(PY) -m bench.attack
