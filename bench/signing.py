# SPDX-License-Identifier: Apache-2.0
"""The largest sizes of envelopes, and the time to sign one for each of 10,000 devices."""

from __future__ import annotations

import secrets
import time

from signing import keys
from signing.delegation import Delegation, delegate
from signing.envelope import MAX_VALUES, UINT32_MAX, ConfigureOrder, InstallOrder, make
from signing.identifiers import EngineContract, target
from signing.verify import DeviceState, verify

DEVICES = 10_000
FULL_WIDTH = -(2**31)
TYPICAL_VALUES = 3
VERIFIED = 1_000


def main() -> None:
    """Print the figures."""
    root, gateway = keys.generate(), keys.generate()
    engine = EngineContract(1, frozenset({"ADD", "CONV_2D", "FULLY_CONNECTED", "SOFTMAX"}))
    one, digest = target("plant", "device-0", engine), secrets.token_bytes(32)
    grant = Delegation(gateway.public_key, one.vendor, UINT32_MAX, UINT32_MAX)
    largest = make(gateway, one, InstallOrder(UINT32_MAX, digest, UINT32_MAX))
    configured = {
        count: make(gateway, one, ConfigureOrder(UINT32_MAX, digest, dict.fromkeys(range(count), FULL_WIDTH)))
        for count in (TYPICAL_VALUES, MAX_VALUES)
    }

    start = time.perf_counter()
    for number in range(DEVICES):
        make(gateway, target("plant", f"device-{number}", engine), InstallOrder(number + 1, digest, 50_000))
    signing_s = time.perf_counter() - start

    state = DeviceState(root.public_key, one, UINT32_MAX, UINT32_MAX - 1, grant)
    start = time.perf_counter()
    for _ in range(VERIFIED):
        verify(largest, state)
    verifying_s = time.perf_counter() - start

    print(f"envelope_bytes={len(largest)}")
    print(f"delegation_bytes={len(delegate(root, grant))}")
    print(f"configure_bytes={len(configured[TYPICAL_VALUES])}")
    print(f"configure_8_values_bytes={len(configured[MAX_VALUES])}")
    print(f"sign_10k_s={signing_s:.2f}")
    print(f"verify_us={1e6 * verifying_s / VERIFIED:.0f}")


if __name__ == "__main__":
    main()
