# SPDX-License-Identifier: Apache-2.0
"""The parties of the tests and vectors: fixed identifiers, and keys that live as long as the process."""

from __future__ import annotations

from dataclasses import dataclass, field, replace

from tests.signing.forgery import Forgery, Key

VENDOR = bytes(range(0x10, 0x20))
CLASS = bytes(range(0x20, 0x30))
DEVICE = bytes(range(0x30, 0x40))
OTHER_ID = bytes(range(0x50, 0x60))
DIGEST = bytes(range(0x60, 0x80))
OTHER_DIGEST = bytes(range(0x80, 0xA0))
UINT32_MAX, INT32_MAX = 2**32 - 1, 2**31 - 1
YEAR_2030 = 1893456000


@dataclass(frozen=True)
class State:
    """The state of a device; byte strings in hexadecimal."""

    root: str
    vendor: str = VENDOR.hex()
    class_: str = CLASS.hex()
    device: str = DEVICE.hex()
    slot_bytes: int = 8192
    sequence: int = 0
    held: dict[str, object] | None = None
    running: str | None = None
    now: int | None = None


@dataclass
class Parties:
    """The keys and device states that the vectors use."""

    root: Key = field(default_factory=Key)
    gateway: Key = field(default_factory=Key)
    second_gateway: Key = field(default_factory=Key)
    thief: Key = field(default_factory=Key)

    def forgery(self) -> Forgery:
        return Forgery(self.gateway, self.root, VENDOR, CLASS, DEVICE, DIGEST)

    def states(self) -> dict[str, State]:
        new = State(root=self.root.public_key.hex())
        held = {"key": self.gateway.public_key.hex(), "epoch": 3, "not_after": None}
        works = replace(new, sequence=7, held=held, running=DIGEST.hex())
        return {
            "new": new,
            "works": works,
            "works with clock": replace(works, now=YEAR_2030),
            "works with clock, held expires": replace(works, now=YEAR_2030, held={**held, "not_after": YEAR_2030 - 1}),
            "works with clock, held expires today": replace(
                works, now=YEAR_2030, held={**held, "not_after": YEAR_2030}
            ),
            "has seen a revocation": replace(
                works, held={"key": self.second_gateway.public_key.hex(), "epoch": 4, "not_after": None}
            ),
            "runs nothing": replace(works, running=None),
            "nearly out of numbers": replace(works, sequence=UINT32_MAX - 1),
            "out of numbers": replace(works, sequence=UINT32_MAX),
        }
