# SPDX-License-Identifier: Apache-2.0
"""How often an attacker on the link can erase flash with one accepted envelope (docs/specs/protocol.md, section 1).

The attacker holds a genuine envelope, and sends anything else: other payloads for it, blocks of any content, `stage`.
"""

from __future__ import annotations

import random
from collections.abc import Callable, Container, Iterator, Mapping
from dataclasses import dataclass
from functools import partial
from typing import Final

from reconciler.devices.messages import Block, Offer, PayloadOffer, Stage, encode
from reconciler.model import PayloadEncoding
from tests.firmware.bench import Bench, make_pack
from tests.firmware.host import Geometry, HostAgent, HostLibrary

REPLAYS: Final = 1000
NAME: Final = 3
BLOCK_BYTES: Final = 512
CORRECTED_MAX: Final = 32  # TF_CORRECTED_MAX
RECORD_BYTES: Final = 1024
RECORDS: Final = 2 + 3  # to open a transfer, and to its end


def bound(geometry: Geometry) -> int:
    """Return how many erase units one accepted envelope may erase, as the specification says."""
    repairs = CORRECTED_MAX * (-(-BLOCK_BYTES // geometry.erase) + 1)
    records = RECORDS + 2 * repairs
    journal_units = geometry.journal // geometry.erase
    sectors = records // (geometry.journal // RECORD_BYTES) + 1
    decoded_again = geometry.slot // 2 // geometry.erase
    return (geometry.marks + geometry.slot) // geometry.erase + decoded_again + 2 * repairs + sectors * journal_units


@dataclass(frozen=True)
class Replay:
    """The attacker's messages: a genuine envelope, and payloads of garbage for it."""

    envelope: bytes
    payload_bytes: int
    encoding: PayloadEncoding
    chance: random.Random

    def offer(self, block_bytes: int = BLOCK_BYTES) -> bytes:
        """Return the offer, in any block size."""
        shape = PayloadOffer(self.encoding, self.payload_bytes, block_bytes)
        return encode(Offer(NAME, self.envelope, shape))

    def blocks(self) -> Iterator[bytes]:
        """Yield all blocks of the payload, with any content."""
        for at in range(0, self.payload_bytes, BLOCK_BYTES):
            data = self.chance.randbytes(min(BLOCK_BYTES, self.payload_bytes - at))
            yield encode(Block(NAME, at // BLOCK_BYTES, data))


def _alternate(agent: HostAgent, replay: Replay) -> None:
    """Replay the offer with alternating block sizes, each time with a block to write."""
    for turn in range(REPLAYS):
        agent.handle(replay.offer(BLOCK_BYTES if turn % 2 else BLOCK_BYTES // 2))
        agent.handle(next(replay.blocks()))


def _stage_garbage(agent: HostAgent, replay: Replay, corrected: Container[int] = ()) -> None:
    """Offer, send blocks of garbage and stage them, repeatedly. Some frames had a bit corrected."""
    for _ in range(REPLAYS):
        agent.handle(replay.offer())
        for number, block in enumerate(replay.blocks()):
            agent.handle(block, corrected=number in corrected)
        agent.handle(encode(Stage(NAME)))
        agent.settle()


def _stage_corrected(agent: HostAgent, replay: Replay) -> None:
    """As many corrected blocks as a device remembers, as far apart as possible, so that each repairs another unit."""
    blocks = -(-replay.payload_bytes // BLOCK_BYTES)
    _stage_garbage(agent, replay, range(0, blocks, -(-blocks // CORRECTED_MAX)))


_ATTACKS: Final[Mapping[str, tuple[PayloadEncoding, Callable[[HostAgent, Replay], None]]]] = {
    "alternating block sizes": (PayloadEncoding.RAW, _alternate),
    "garbage, staged": (PayloadEncoding.RAW, _stage_garbage),
    "corrected garbage, staged": (PayloadEncoding.RAW, _stage_corrected),
    "compressed garbage, staged": (PayloadEncoding.HEATSHRINK, _stage_garbage),
    "corrected compressed garbage, staged": (PayloadEncoding.HEATSHRINK, _stage_corrected),
}
ATTACKS: Final = tuple(_ATTACKS)


def erases(agent: HostAgent, sign: Callable[[bytes], bytes], attack: str) -> int:
    """Play an attack of 1,000 replays with a new envelope; return how many erase units it erased.

    sign: makes the envelope for a pack that the attacker does not have.
    """
    encoding, play = _ATTACKS[attack]
    # a pack and its encoded payload fill the slot together
    pack_bytes = agent.geometry.slot // (1 if encoding is PayloadEncoding.RAW else 2)
    chance = random.Random(attack)
    replay = Replay(sign(chance.randbytes(pack_bytes)), pack_bytes, encoding, chance)
    before = agent.units_erased
    play(agent, replay)
    return agent.units_erased - before


def erases_per_envelope_max(library: HostLibrary, geometry: Geometry | None = None) -> int:
    """Return the most that any of the attacks erases, on a device that runs a pre-baked model."""
    bench = Bench("attack")
    made = bench.device("pump-1")
    agent = HostAgent(library, made.region(make_pack(1)), geometry=geometry)
    try:
        return max(
            erases(agent, partial(bench.install, made, sequence=sequence), attack)
            for sequence, attack in enumerate(ATTACKS, 1)
        )
    finally:
        agent.close()
