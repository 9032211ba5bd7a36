# SPDX-License-Identifier: Apache-2.0
"""`tinyfleet pki device-settings`: the flash content with the network of a device that speaks MQTT over TLS itself."""

from __future__ import annotations

import re
from ipaddress import AddressValueError, IPv4Address, IPv4Interface, NetmaskValueError
from pathlib import Path

import click

from reconciler.cli.inputs.options import DIRECTORY, out_option, output_option
from reconciler.cli.inputs.signing_errors import translated
from reconciler.cli.leaf_command import LeafCommand
from reconciler.cli.result import print_result
from reconciler.devices.network_settings import MAC_BYTES, TlsSettings, encode
from signing import key_files
from signing.device_credentials import read_device_credentials

_HOST = re.compile(r"(?P<host>[A-Za-z0-9.-]{1,253})(:(?P<port>[0-9]{1,5}))?")
_PORT, _PORT_MAX = 8883, 65535
_MULTICAST = 1


class _Address(click.ParamType[IPv4Address]):
    """An IPv4 address."""

    name = "address"

    def convert(
        self, value: str | IPv4Address, param: click.Parameter | None, ctx: click.Context | None
    ) -> IPv4Address:
        try:
            return IPv4Address(value)
        except AddressValueError:
            self.fail(f"{value} is not an IPv4 address", param, ctx)


class _Interface(click.ParamType[IPv4Interface]):
    """An IPv4 address with the length of its network's prefix."""

    name = "address/prefix"

    def convert(
        self, value: str | IPv4Interface, param: click.Parameter | None, ctx: click.Context | None
    ) -> IPv4Interface:
        try:
            interface = IPv4Interface(value)
        except (AddressValueError, NetmaskValueError):
            self.fail(f"{value} is not an IPv4 address with a prefix, such as 192.168.7.20/24", param, ctx)
        if interface.network.prefixlen == interface.max_prefixlen:
            self.fail(f"{value} has no network: state the prefix, such as {interface.ip}/24", param, ctx)
        return interface


class _Mac(click.ParamType[bytes]):
    """A unicast MAC address."""

    name = "mac"

    def convert(self, value: str | bytes, param: click.Parameter | None, ctx: click.Context | None) -> bytes:
        if isinstance(value, bytes):
            return value
        if re.fullmatch(r"[0-9A-Fa-f]{2}(:[0-9A-Fa-f]{2}){5}", value) is None:
            self.fail(f"{value} is not a MAC address of {MAC_BYTES} bytes, such as 02:00:00:00:00:01", param, ctx)
        mac = bytes.fromhex(value.replace(":", ""))
        if mac[0] & _MULTICAST:
            self.fail(f"{value} is a multicast address; the first byte of a device's is even", param, ctx)
        return mac


class _Broker(click.ParamType[tuple[str, int]]):
    """The name in a broker's certificate, and its port."""

    name = "host"

    def convert(
        self, value: str | tuple[str, int], param: click.Parameter | None, ctx: click.Context | None
    ) -> tuple[str, int]:
        if isinstance(value, tuple):
            return value
        found = _HOST.fullmatch(value)
        port = int(found["port"] or _PORT) if found is not None else 0
        if found is None or not 0 < port <= _PORT_MAX:
            self.fail(f"{value}: expected HOST or HOST:PORT", param, ctx)
        return found["host"], port


@click.command("device-settings", cls=LeafCommand)
@click.argument("device")
@click.option("--files", type=DIRECTORY, required=True, help="Folder with ca.crt, DEVICE.crt and DEVICE.key.")
@click.option(
    "--broker", type=_Broker(), metavar="HOST[:PORT]", required=True, help="Name in the broker's certificate, and port."
)
@click.option(
    "--broker-address", type=_Address(), required=True, help="Address of the broker: the device resolves no names."
)
@click.option(
    "--address", type=_Interface(), metavar="ADDRESS/PREFIX", required=True, help="Address of the device, and prefix."
)
@click.option("--router", type=_Address(), required=True, help="Address of the router of its network.")
@click.option("--mac", type=_Mac(), metavar="MAC", required=True, help="Address of its Ethernet controller.")
@out_option("File to write, with mode 0600: it has the device's key.", required=True)
@output_option
def device_settings(  # noqa: PLR0913 - one parameter for each option
    device: str,
    *,
    files: Path,
    broker: tuple[str, int],
    broker_address: IPv4Address,
    address: IPv4Interface,
    router: IPv4Address,
    mac: bytes,
    out: Path,
    output: str,
) -> None:
    """Write the network settings of a device with TLS.

    DEVICE speaks MQTT over TLS itself, and the file is content of its flash.

    The files are those that `tinyfleet pki issue device` writes. The firmware reads the content behind the part of
    flash that belongs to tinyfleet (docs/boards.md).
    """
    if router not in address.network:
        raise click.UsageError(f"the router {router} is not in the network {address.network} of the device")
    host, port = broker
    with translated():
        shown = read_device_credentials(files, device)
        content = encode(
            TlsSettings(mac, address, router, broker_address, host, port, shown.authority, shown.certificate, shown.key)
        )
        key_files.write_private(out, content)
    fields = {"device": device, "file": str(out), "bytes": len(content)}
    print_result(output, fields, f"{device}: {out}, {len(content)} bytes")
