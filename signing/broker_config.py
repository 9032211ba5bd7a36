# SPDX-License-Identifier: Apache-2.0
"""The broker's configuration, from the templates in systemd/: who may use which topics (protocol.md, section 4)."""

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
    """Where the broker listens, and where its files lie there."""

    folder: PurePath
    broker: Subject
    port: int
    address: str = ""  # empty: all of the machine


def configuration(template: str, listener: Listener) -> str:
    """Fill in the template of the broker's configuration."""
    folder = str(listener.folder)
    for value in (folder, listener.address):  # both end up in a line of words
        if any(character.isspace() for character in value):
            raise KeyStoreError(f"the broker's configuration can't name {value!r}: it has a space in it")
    where = f"{listener.port} {listener.address}".rstrip()
    return Template(template).substitute(listener=where, folder=folder, broker=listener.broker.name)


def access(template: str, fleet: str, gateways: Iterable[str]) -> str:
    """Fill in the template of the list of rights."""
    if not NAME.fullmatch(fleet):
        raise KeyStoreError(f"{fleet!r} can't be the name of a fleet")
    blocks = [_rights(fleet, name) for name in gateways]
    return Template(template).substitute(fleet=fleet, gateways="\n".join(blocks))


def _rights(fleet: str, gateway: str) -> str:
    user = Subject(Role.GATEWAY, gateway).common_name
    base = f"tinyfleet/{fleet}"
    lines = (
        f"user {user}",
        f"topic write {base}/+/down",
        f"topic read {base}/+/up",
        f"topic read {base}/+/presence",
        f"topic readwrite {base}/gateway/{gateway}/presence",
    )
    return "\n".join(lines) + "\n"
