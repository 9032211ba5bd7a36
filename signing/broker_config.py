# SPDX-License-Identifier: Apache-2.0
"""Generates the MQTT broker's configuration and access list from the templates in systemd/ (protocol.md, section 4)."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import PurePath
from string import Template

from signing.key_files import KeyStoreError
from signing.pki import NAME, Role, Subject

CONFIGURATION, ACCESS = "tinyfleet.conf", "tinyfleet.acl"


@dataclass(frozen=True, slots=True)
class Listener:
    """The address that the broker listens on, and the folder with its files on that machine."""

    folder: PurePath
    broker: Subject
    port: int
    address: str = ""  # empty: all addresses of the machine


def configuration(template: str, listener: Listener) -> str:
    """Fill in the template of the broker's configuration file."""
    folder = str(listener.folder)
    for value in (folder, listener.address):  # both become part of a line that the broker splits at spaces
        if any(character.isspace() for character in value):
            raise KeyStoreError(f"{value!r} has a space in it, which the broker's configuration can't express")
    address = f"{listener.port} {listener.address}".rstrip()
    return Template(template).substitute(listener=address, folder=folder, broker=listener.broker.name)


def access(
    template: str, fleet: str, gateways: Iterable[str], clients: Iterable[str] = (), uplinks: Iterable[str] = ()
) -> str:
    """Fill in the template of the access control list."""
    if not NAME.fullmatch(fleet):
        raise KeyStoreError(f"{fleet!r} is not a valid fleet name")
    blocks = [_gateway_rights(fleet, name) for name in gateways]
    callers = [_client_rights(fleet, name) for name in clients] + [_uplink_rights(fleet, name) for name in uplinks]
    return Template(template).substitute(fleet=fleet, gateways="\n".join(blocks), clients="\n".join(callers))


def _gateway_rights(fleet: str, gateway: str) -> str:
    user = Subject(Role.GATEWAY, gateway).common_name
    base = f"tinyfleet/{fleet}"
    lines = (
        f"user {user}",
        f"topic write {base}/+/down",
        f"topic read {base}/+/up",
        f"topic read {base}/+/presence",
        f"topic readwrite {base}/gateway/{gateway}/presence",
        f"topic read {base}/request/+",
        f"topic write {base}/answer/+",
        f"topic write {base}/server/+/request/{gateway}",
        f"topic read {base}/server/+/answer/{gateway}",
        f"topic read {base}/server/{gateway}/request/+",
        f"topic write {base}/server/{gateway}/answer/+",
    )
    return "\n".join(lines) + "\n"


def _client_rights(fleet: str, client: str) -> str:
    user = Subject(Role.CLIENT, client).common_name
    base = f"tinyfleet/{fleet}"
    lines = (f"user {user}", f"topic write {base}/request/{client}", f"topic read {base}/answer/{client}")
    return "\n".join(lines) + "\n"


def _uplink_rights(fleet: str, gateway: str) -> str:
    """Return the rights of a gateway at the brokers of others: to ask in its own name, and to be answered."""
    user = Subject(Role.UPLINK, gateway).common_name
    base = f"tinyfleet/{fleet}/server/+"
    lines = (f"user {user}", f"topic write {base}/request/{gateway}", f"topic read {base}/answer/{gateway}")
    return "\n".join(lines) + "\n"
