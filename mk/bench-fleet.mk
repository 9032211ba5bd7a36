# SPDX-License-Identifier: Apache-2.0
.PHONY: bench-fleet
bench-fleet: setup firmware-host ## from git push to all devices confirmed, over a real broker with TLS: 1,000 and 10,000
	ulimit -n 65536 && $(PY) -m bench.fleet 1000 10000
