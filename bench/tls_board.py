# SPDX-License-Identifier: Apache-2.0
"""An update of a device that speaks MQTT over TLS itself, on the emulated MPS2 board and over a real broker.

The broker is configured by `tinyfleet pki broker-config`, the gateway's side is the daemon's own link. The pack has 54
KB. The time is from the start of the board to the signed report that confirms the pack, with the first TLS session, the
restart, and the second one.
"""

from __future__ import annotations

import asyncio
import sys
import tempfile
import time
from pathlib import Path

from firmware.network.build import build
from reconciler.devices.conversation import Confirmed
from reconciler.devices.mqtt_link import MqttLink, MqttSettings
from reconciler.model import DeviceId
from signing.device_credentials import read_device_credentials
from tests.firmware.bench import Bench, make_pack
from tests.firmware.board import MPS2_AN386, Board, write_flash_file
from tests.firmware.network_board import NETWORK, SETTINGS_AT, deliver, settings
from tests.system.broker_site import FLEET, BrokerSite

GATEWAY, DEVICE = "gw-1", "pump-1"
LIMIT_S = 5.0


def main() -> None:
    """Print the figures; fail when one exceeds its limit."""
    elf = build()
    with tempfile.TemporaryDirectory(prefix="tls-") as name:
        took_s, resent = measure(elf, Path(name))
    sys.stdout.write(f"tls_54k_s={took_s:.2f} tls_resent={resent}\n")
    if took_s > LIMIT_S or resent:
        sys.exit("a limit is exceeded")


def measure(elf: Path, folder: Path) -> tuple[float, int]:
    """Start broker and board, and return how long the update took, and how many blocks were sent twice."""
    site = BrokerSite(folder, "p256")
    site.issue("gateway", GATEWAY)
    site.issue("device", DEVICE)
    site.start()
    pki, bench = site.certificates, Bench(FLEET)
    made, pack = bench.device(DEVICE), make_pack(9, inputs=4090, vectors=12)
    credentials = read_device_credentials(pki, DEVICE)
    flash = folder / "flash.bin"
    network = settings(credentials, "localhost", site.port)
    write_flash_file(MPS2_AN386, flash, {0: made.region(make_pack(1)), SETTINGS_AT: network})
    files = (pki / "ca.crt", pki / f"{GATEWAY}.crt", pki / f"{GATEWAY}.key")
    link = MqttLink(MqttSettings("localhost", FLEET, GATEWAY, site.port, *files), [DeviceId(DEVICE)])
    try:
        with Board(MPS2_AN386, elf, flash, extra=NETWORK):
            began = time.monotonic()
            outcome, cost = asyncio.run(deliver(link, bench, made, pack))
            took_s = time.monotonic() - began
    finally:
        site.stop()
    if not isinstance(outcome, Confirmed):
        sys.exit(f"the update failed: {outcome}")
    return took_s, cost.blocks_resent


if __name__ == "__main__":
    main()
