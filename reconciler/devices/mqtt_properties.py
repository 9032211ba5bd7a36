# SPDX-License-Identifier: Apache-2.0
"""Properties of MQTT 5 packets. Each kind of message has the same ones, so they are packed once."""

from __future__ import annotations

from functools import lru_cache

from paho.mqtt.packettypes import PacketTypes
from paho.mqtt.properties import Properties

KEPT = 1024


class PackedProperties(Properties):
    """Properties that no longer change once a packet has them."""

    def __init__(self, packet: int, **values: int) -> None:
        super().__init__(packet)  # type: ignore[no-untyped-call]  # paho leaves it untyped
        for name, value in values.items():
            setattr(self, name, value)
        packed = super().pack()  # type: ignore[no-untyped-call]  # likewise
        object.__setattr__(self, "_packed", packed)  # paho allows only attributes that are properties

    def pack(self) -> bytes:
        """Return the bytes."""
        packed: bytes = object.__getattribute__(self, "_packed")
        return packed


@lru_cache(maxsize=KEPT)
def expiring(seconds: int) -> PackedProperties:
    """Return the properties of a message that the broker drops after this time."""
    return PackedProperties(PacketTypes.PUBLISH, MessageExpiryInterval=seconds)
