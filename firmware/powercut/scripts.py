# SPDX-License-Identifier: Apache-2.0
"""What the campaign plays: for each kind of flash and each thing that can happen to a device, one script.

The orders are signed here, by a root and gateways that are forgotten afterwards; firmware/campaign/script.h says what
the lines mean.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from enum import IntEnum
from typing import Final

import heatshrink2

from reconciler.build.patch import make_patch
from reconciler.devices.codec import Encoding
from signing import delegation, envelope, keys
from signing.cose import Signer
from tests.firmware.bench import Bench, Made, make_failing_pack, make_pack

DONE, GOLDEN, RESET, FAULT = 0, -87, -90, -91
# Room for the envelope that orders the same again, and well below the jump that a device allows.
SEQUENCE_STEP: Final = 10
FAULTS_IN_A_ROW: Final = 5  # TF_FAULTS_MAX


@dataclass(frozen=True)
class Flash:
    """A kind of flash, and sizes of what lies in it such that packs span erase units and blocks lie across them."""

    erase: int
    write: int
    inputs: int  # of the packs: about half their bytes
    block: int
    encoded_inputs: int  # of packs that travel encoded: they are written in small pieces, which makes many operations
    encoded_block: int

    @property
    def name(self) -> str:
        """What it erases and what it writes at once."""
        return f"{self.erase}/{self.write}"

    @property
    def line(self) -> str:
        """The geometry, for the driver."""
        pack = self._round_up(2 * self.inputs + 256)
        slot = pack + self._round_up(self.inputs + 256)
        marks = (slot // self.erase + pack // 48 + 1) * self.write
        return (
            f"geometry {self.erase} {self.write} {self._round_up(2048)} {self._round_up(2048)} "
            f"{self._round_up(marks)} {slot}"
        )

    def _round_up(self, count: int) -> int:
        return -(-count // self.erase) * self.erase


FLASHES: Final = (
    Flash(256, 1, 340, 80, 340, 48),
    Flash(256, 32, 340, 96, 340, 64),
    Flash(1024, 4, 620, 176, 620, 80),
    Flash(4096, 8, 2030, 576, 600, 112),
)


class Part(IntEnum):
    """Of a script; power is cut in the middle one."""

    SETUP = 0
    CUT = 1
    AFTER = 2


class Crash(IntEnum):
    """What ends the trials of an order's model."""

    NONE = 0
    FAULT = 1
    RESET = 2


class _Act(IntEnum):
    ORDER = 0
    ROT = 1
    START = 2
    BEGIN = 3
    FAULT = 4


@dataclass
class Script:
    """One device of one kind of flash, and what is done to it."""

    flash: Flash
    bench: Bench = field(default_factory=lambda: Bench("campaign"))

    def __post_init__(self) -> None:
        """Make the device, and the models that come up in all scripts."""
        inputs = self.flash.inputs
        self.made: Made = self.bench.device("pump-1")
        self.prebaked = [make_pack(1, inputs=48), make_pack(9, inputs=40)]
        self.one, self.two, self.three = (make_pack(seed, inputs=inputs) for seed in (2, 3, 4))
        # differ so much that a patch has several blocks
        self.base, self.patched = (make_pack(seed, inputs=self.flash.encoded_inputs) for seed in (6, 7))
        self.failing = make_failing_pack(5, inputs=inputs)
        self.running = self.prebaked[0]
        self._signer: Signer = self.bench.gateway
        self._delegation: bytes | None = self.bench.delegation
        self._epoch = 1
        self._sequence = 0
        self._orders = 0
        born = hashlib.sha256(self.running).hexdigest()
        self._lines = [self.flash.line, f"region {self.made.region(*self.prebaked).hex()} {born}"]

    @property
    def text(self) -> str:
        """The script, for the driver."""
        return "\n".join(self._lines) + "\n"

    def install(  # noqa: PLR0913 - what an order is, each with what is usual
        self,
        part: Part,
        pack: bytes,
        encoding: Encoding | None = Encoding.RAW,
        *,
        expect: int = DONE,
        crash: Crash = Crash.NONE,
        base: bytes | None = None,
        left_with: bytes | None = None,
        half: bool = False,
    ) -> None:
        """Order a pack.

        No encoding: it lies in the device. left_with: what runs in the end, when that isn't the pack.
        half: only half of the blocks are sent.
        """
        payloads: Mapping[Encoding | None, Callable[[], bytes]] = {
            None: lambda: b"",
            Encoding.RAW: lambda: pack,
            Encoding.HEATSHRINK: lambda: bytes(heatshrink2.compress(pack, window_sz2=8, lookahead_sz2=4)),
            Encoding.PATCH: lambda: make_patch(pack, base or self.running),
        }
        block = self.flash.block if encoding is Encoding.RAW else self.flash.encoded_block
        digest = hashlib.sha256(pack).digest()
        order = envelope.Install(self._next_sequence(), digest, len(pack))
        self._order(order, f"{int(encoding or 0)} {block}", f"{expect} {crash:d}", payloads[encoding]())
        runs = self.running if half else pack if left_with is None else left_with
        self._step(part, _Act.BEGIN if half else _Act.ORDER, self._orders - 1, runs)

    def configure(self, part: Part, value: int) -> None:
        """Set the threshold of what runs."""
        digest = hashlib.sha256(self.running).digest()
        order = envelope.Configure(self._next_sequence(), digest, {0: value})
        self._order(order, "0 32", "0 0", b"")
        self._step(part, _Act.ORDER, self._orders - 1, self.running)

    def delegate_anew(self) -> None:
        """From here on another gateway key signs, with the next epoch; orders carry its delegation."""
        self._signer = keys.generate()
        self._epoch += 1
        grant = delegation.Delegation(self._signer.public_key, self.bench.vendor, epoch=self._epoch)
        self._delegation = delegation.delegate(self.bench.root, grant)

    def rot(self, part: Part, left_with: bytes) -> None:
        """Let a bit of the running pack turn over."""
        self._step(part, _Act.ROT, 0, left_with)

    def fault(self, part: Part, times: int, left_with: bytes) -> None:
        """Let a fault end what runs, again and again."""
        self._step(part, _Act.FAULT, times, left_with)

    def start(self, part: Part, times: int) -> None:
        """Start again and again."""
        self._step(part, _Act.START, times, self.running)

    def _next_sequence(self) -> int:
        self._sequence += SEQUENCE_STEP
        return self._sequence

    def _order(self, order: envelope.Order, form: str, end: str, payload: bytes) -> None:
        """Sign it, and once more with the next sequence."""
        again = replace(order, sequence=order.sequence + 1)
        signed = [
            envelope.make(self._signer, self.made.target, each, self._delegation).hex() for each in (order, again)
        ]
        parameter = order.values[0] if isinstance(order, envelope.Configure) else "-"
        self._lines.append(
            f"order {form} {order.sequence} {self._epoch} {end} {order.digest.hex()} "
            f"{signed[0]} {signed[1]} {payload.hex() or '-'} {parameter}"
        )
        self._orders += 1

    def _step(self, part: Part, act: _Act, number: int, runs: bytes) -> None:
        if part is Part.SETUP:
            self._delegation = None  # the device holds it
        self.running = runs
        self._lines.append(f"step {part:d} {act:d} {number} {hashlib.sha256(runs).hexdigest()}")


def _first_install(script: Script) -> None:
    script.install(Part.CUT, script.one)
    script.install(Part.AFTER, script.two)


def _update(script: Script) -> None:
    script.install(Part.SETUP, script.one)
    script.install(Part.SETUP, script.two)
    script.install(Part.CUT, script.three)
    script.install(Part.AFTER, script.one)


def _delta_update(script: Script) -> None:
    script.install(Part.SETUP, script.one)
    script.install(Part.SETUP, script.base)
    script.install(Part.CUT, script.patched, Encoding.PATCH)
    script.install(Part.AFTER, script.one)


def _heatshrink_update(script: Script) -> None:
    script.install(Part.SETUP, script.one)
    script.install(Part.SETUP, script.two)
    script.install(Part.CUT, script.patched, Encoding.HEATSHRINK)
    script.install(Part.AFTER, script.one)


def _configure(script: Script) -> None:
    script.install(Part.SETUP, script.one)
    script.configure(Part.SETUP, 7)
    script.configure(Part.CUT, 8)
    script.configure(Part.CUT, -9)
    script.install(Part.CUT, script.two)
    script.configure(Part.AFTER, 10)


def _failed_trial(script: Script) -> None:
    script.install(Part.SETUP, script.one)
    script.install(Part.CUT, script.failing, expect=GOLDEN, left_with=script.one)
    script.install(Part.AFTER, script.two)


def _first_model_fails(script: Script) -> None:
    script.install(Part.CUT, script.failing, expect=GOLDEN, left_with=script.prebaked[0])
    script.install(Part.AFTER, script.two)


def _trial_ends_in_a_fault(script: Script) -> None:
    script.install(Part.SETUP, script.one)
    script.install(Part.CUT, script.two, expect=FAULT, crash=Crash.FAULT, left_with=script.one)
    script.install(Part.AFTER, script.three)


def _trial_ends_in_resets(script: Script) -> None:
    script.install(Part.SETUP, script.one)
    script.install(Part.CUT, script.two, expect=RESET, crash=Crash.RESET, left_with=script.one)
    script.install(Part.AFTER, script.three)


def _back_to_previous(script: Script) -> None:
    script.install(Part.SETUP, script.one)
    script.install(Part.SETUP, script.two)
    script.rot(Part.CUT, script.one)
    script.start(Part.CUT, 1)
    script.install(Part.AFTER, script.three)


def _back_to_prebaked(script: Script) -> None:
    """The model that failed its trial lies whole in the other slot: nothing may fall back to it."""
    script.install(Part.SETUP, script.one)
    script.install(Part.SETUP, script.failing, expect=GOLDEN, left_with=script.one)
    script.rot(Part.CUT, script.prebaked[0])
    script.start(Part.CUT, 1)
    script.install(Part.AFTER, script.three)


def _faults(script: Script) -> None:
    """A confirmed model that does nothing but fault is left; so is the one before it."""
    script.install(Part.SETUP, script.one)
    script.install(Part.SETUP, script.two)
    script.fault(Part.CUT, FAULTS_IN_A_ROW, script.one)
    script.fault(Part.CUT, FAULTS_IN_A_ROW, script.prebaked[0])
    script.install(Part.AFTER, script.three)


def _activation(script: Script) -> None:
    script.install(Part.SETUP, script.one)
    script.install(Part.SETUP, script.two)
    script.install(Part.CUT, script.one, None)
    script.install(Part.CUT, script.two, None)
    script.install(Part.CUT, script.prebaked[1], None)
    script.install(Part.AFTER, script.three)


def _delegation(script: Script) -> None:
    script.install(Part.SETUP, script.one)
    script.delegate_anew()
    script.install(Part.CUT, script.one, None)
    script.delegate_anew()
    script.install(Part.CUT, script.two)
    script.delegate_anew()
    script.configure(Part.CUT, 11)
    script.install(Part.AFTER, script.three)


def _change_of_mind(script: Script) -> None:
    """A transfer is given up for another one."""
    script.install(Part.SETUP, script.one)
    script.install(Part.CUT, script.two, half=True)
    script.install(Part.CUT, script.three)
    script.install(Part.AFTER, script.two)


def _many_starts(script: Script) -> None:
    """Counting starts alone fills the journal and turns it over."""
    script.install(Part.SETUP, script.one)
    script.start(Part.CUT, 40)
    script.install(Part.AFTER, script.two)


SCRIPTS: Final[Mapping[str, Callable[[Script], None]]] = {
    "first-install": _first_install,
    "update": _update,
    "delta-update": _delta_update,
    "heatshrink-update": _heatshrink_update,
    "configure": _configure,
    "failed-trial": _failed_trial,
    "first-model-fails": _first_model_fails,
    "trial-fault": _trial_ends_in_a_fault,
    "trial-resets": _trial_ends_in_resets,
    "back-to-previous": _back_to_previous,
    "back-to-prebaked": _back_to_prebaked,
    "faults": _faults,
    "activation": _activation,
    "delegation": _delegation,
    "change-of-mind": _change_of_mind,
    "many-starts": _many_starts,
}


def write_script(name: str, flash: Flash) -> str:
    """Return the script of this name for this flash."""
    script = Script(flash)
    SCRIPTS[name](script)
    return script.text
