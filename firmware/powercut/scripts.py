# SPDX-License-Identifier: Apache-2.0
"""The scripts that the campaign plays: one per kind of flash and per thing that can happen to a device.

Envelopes are signed here, with a root key and gateway keys that are thrown away afterwards.
firmware/powercut/script.c describes the lines.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from enum import IntEnum
from typing import Final

import heatshrink2

from reconciler.compiler.pack.io_section import decode_io
from reconciler.compiler.pack.learn_section import LearnRecipe
from reconciler.compiler.pack.pack_format import SectionId, disassemble
from reconciler.compiler.pack.tunable_parameters_section import decode_parameters
from reconciler.compiler.payload.patch import make_patch
from reconciler.compiler.reference.interpreter import generate_inputs
from reconciler.model import PayloadEncoding
from signing import delegation, envelope, keys, rotation
from signing.cose import SigningKey
from tests.firmware.bench import Bench, Made, make_failing_pack, make_pack
from tests.firmware.learning import FORM, expected_forest, features_of, learning_pack

DONE, GOLDEN, RESET, FAULT = 0, -87, -90, -91
# Leaves room for the envelope that repeats an offer, and is well below the jump that a device allows.
SEQUENCE_STEP: Final = 10
SAMPLE_BYTES: Final = 96  # a record with a window of the first pre-baked model
SAMPLE_UNITS: Final = 3
MANY: Final = 8
FAULTS_IN_A_ROW: Final = 5  # TF_FAULTS_MAX
LESSON: Final = LearnRecipe(rows=7, every=1, seed=42, most_anomalous=1000)
LESSON_FORM: Final = replace(FORM, trees=3, subsample=5)
LEARNING: Final = learning_pack(LESSON_FORM, LESSON)
LEARNING_LIMIT: Final = decode_parameters(disassemble(LEARNING).section(SectionId.PARAMETERS))[0].default
LEARNING_BYTES: Final = 512  # of each of its two regions, at least


@dataclass(frozen=True)
class Flash:
    """A kind of flash, and sizes such that packs span several erase units and blocks cross their boundaries."""

    erase: int
    write: int
    inputs: int  # of the packs; about half of their bytes
    block: int
    encoded_inputs: int  # of packs that are sent encoded: decoding writes small pieces, so it takes many operations
    encoded_block: int
    slot_erase: int = 0  # of the erase units of slots, scratch and samples; 0: as of the other regions

    @property
    def large(self) -> int:
        """The size of the erase units of slots, scratch and samples."""
        return self.slot_erase or self.erase

    @property
    def name(self) -> str:
        """Erase units and write unit."""
        return f"{self.erase}{f'-{self.slot_erase}' if self.slot_erase else ''}/{self.write}"

    @property
    def file_name(self) -> str:
        """The same, as a part of the name of a file."""
        return self.name.replace("/", "-")

    @property
    def slot_bytes(self) -> int:
        """The size of a slot: a pack, and an encoded payload next to it."""
        return _whole(2 * self.inputs + 256, self.large) + _whole(self.inputs + 256, self.large)

    def line(self, region_bytes: int, sample_units: int, learning_bytes: int = 0) -> str:
        """Return the geometry, for the driver."""
        pack = _whole(2 * self.inputs + 256, self.large)
        slot = self.slot_bytes
        marks = (slot // self.large + pack // 48 + 1) * self.write
        provisioned, journal, marks = (_whole(count, self.erase) for count in (max(region_bytes, 2048), 2048, marks))
        log, learning = sample_units * self.large, learning_bytes and _whole(learning_bytes, self.large)
        sizes = (self.erase, self.write, provisioned, journal, marks, slot, log, self.large, learning)
        return f"geometry {' '.join(map(str, sizes))}"


def _failing_learner() -> bytes:
    """Return another model that learns, whose golden vector expects another sum than it gives."""
    pack = bytearray(learning_pack(LESSON_FORM, replace(LESSON, seed=7)))
    golden = disassemble(bytes(pack)).section(SectionId.GOLDEN)
    pack[bytes(pack).index(golden) + len(golden) - 1] ^= 1
    return bytes(pack)


FAILING_LEARNER: Final = _failing_learner()


def _forest_of_the_lesson() -> bytes:
    """Return the SHA-256 of the section that grows from the windows of firmware/powercut/lessons.c."""
    inputs, _ = decode_io(disassemble(LEARNING).section(SectionId.IO))
    rows = [features_of(b"".join(generate_inputs(number + 1, inputs))) for number in range(LESSON.rows)]
    return hashlib.sha256(expected_forest(rows, LESSON_FORM, LESSON)).digest()


def _whole(count: int, unit: int) -> int:
    return -(-count // unit) * unit


FLASHES: Final = (
    Flash(256, 1, 340, 80, 340, 48),
    Flash(256, 32, 340, 96, 340, 64),
    Flash(1024, 4, 620, 176, 620, 80),
    Flash(4096, 8, 2030, 576, 600, 112),
    Flash(256, 4, 620, 176, 620, 80, slot_erase=1024),
)


class Part(IntEnum):
    """The parts of a script. Power is cut in the middle one."""

    SETUP = 0
    CUT = 1
    AFTER = 2


class Crash(IntEnum):
    """How each trial of a new model is ended from outside."""

    NONE = 0
    FAULT = 1
    RESET = 2


class _Act(IntEnum):
    DELIVER = 0
    FLIP_BIT = 1
    RESTART = 2
    DELIVER_HALF = 3
    FAULT = 4
    SAMPLE = 5
    LEARN = 6
    ROTATE = 7


@dataclass
class Script:
    """One device with one kind of flash, and the steps that it goes through."""

    flash: Flash
    sample_units: int = 0  # of the log of anomalies
    more_prebaked: tuple[bytes, ...] = ()
    learns: bool = False  # the first pre-baked model does
    bench: Bench = field(default_factory=lambda: Bench("campaign"))

    def __post_init__(self) -> None:
        """Make the device, and the models that all scripts use."""
        inputs = self.flash.inputs
        self.made: Made = self.bench.device("pump-1")
        self.prebaked = [
            LEARNING if self.learns else make_pack(1, inputs=48),
            make_pack(9, inputs=40),
            *self.more_prebaked,
        ]
        self.one, self.two, self.three = (make_pack(seed, inputs=inputs) for seed in (2, 3, 4))
        # different enough for a patch of several blocks
        self.base, self.patched = (make_pack(seed, inputs=self.flash.encoded_inputs) for seed in (6, 7))
        self.failing = make_failing_pack(5, inputs=inputs)
        self.running = self.prebaked[0]
        self._signer: SigningKey = self.bench.gateway
        self._delegation: bytes | None = self.bench.delegation
        self._epoch = 1
        self._rotations = 0
        self._sequence = 0
        self._offers = 0
        initial = hashlib.sha256(self.running).hexdigest()
        region = self.made.region(*self.prebaked)
        learning_bytes = LEARNING_BYTES if self.learns else 0
        self._lines = [
            self.flash.line(len(region), self.sample_units, learning_bytes),
            f"region {region.hex()} {initial}",
            f"forest {_forest_of_the_lesson().hex()}",
        ]

    @property
    def samples_in_a_unit(self) -> int:
        """How many records fit between a unit's head and its end."""
        return (self.flash.large - 32) // SAMPLE_BYTES

    @property
    def text(self) -> str:
        """The script, for the driver."""
        return "\n".join(self._lines) + "\n"

    def install(  # noqa: PLR0913 - the facts of an offer, most with a usual default
        self,
        part: Part,
        pack: bytes,
        encoding: PayloadEncoding | None = PayloadEncoding.RAW,
        *,
        expect: int = DONE,
        crash: Crash = Crash.NONE,
        base: bytes | None = None,
        left_with: bytes | None = None,
        half: bool = False,
    ) -> None:
        """Install a pack.

        No encoding: the device already has it. left_with: what runs in the end, when that is not the pack.
        half: send only half of the blocks.
        """
        self.hold(pack, encoding, expect=expect, crash=crash, base=base)
        runs = self.running if half else pack if left_with is None else left_with
        self._step(part, _Act.DELIVER_HALF if half else _Act.DELIVER, self._offers - 1, runs)

    def hold(
        self,
        pack: bytes,
        encoding: PayloadEncoding | None = PayloadEncoding.RAW,
        *,
        expect: int = DONE,
        crash: Crash = Crash.NONE,
        base: bytes | None = None,
    ) -> None:
        """Sign an offer of a pack, which no step makes yet."""
        payloads: Mapping[PayloadEncoding | None, Callable[[], bytes]] = {
            None: lambda: b"",
            PayloadEncoding.RAW: lambda: pack,
            PayloadEncoding.HEATSHRINK: lambda: bytes(heatshrink2.compress(pack, window_sz2=8, lookahead_sz2=4)),
            PayloadEncoding.PATCH: lambda: make_patch(pack, base or self.running),
        }
        block = self.flash.block if encoding is PayloadEncoding.RAW else self.flash.encoded_block
        digest = hashlib.sha256(pack).digest()
        manifest = envelope.InstallOrder(self._next_sequence(), digest, len(pack))
        self._offer(manifest, f"{int(encoding or 0)} {block}", f"{expect} {crash:d}", payloads[encoding]())

    def configure(self, part: Part, value: int) -> None:
        """Set the threshold of the running model."""
        self.hold_values(self.running, value)
        self._step(part, _Act.DELIVER, self._offers - 1, self.running)

    def hold_values(self, pack: bytes, value: int, more: Mapping[int, int] | None = None) -> None:
        """Sign an offer that sets the threshold of a pack, which no step makes yet."""
        values = {0: value, **(more or {})}
        manifest = envelope.ConfigureOrder(self._next_sequence(), hashlib.sha256(pack).digest(), values)
        self._offer(manifest, "0 32", "0 0", b"")

    def rotate_gateway_key(self) -> None:
        """From here on a new gateway key signs, with the next epoch. Envelopes carry its delegation."""
        self._signer = keys.generate()
        self._epoch += 1
        grant = delegation.Delegation(self._signer.public_key, self.bench.vendor, epoch=self._epoch)
        self._delegation = delegation.delegate(self.bench.root, grant)

    def rotate_root(self, part: Part) -> None:
        """Have the device follow another root. From here on the key of a gateway that this root delegates signs."""
        signed, self._rotations = self.bench.root, self._rotations + 1
        self.bench = Bench(self.bench.fleet)
        data = rotation.rotate(signed, rotation.Rotation(self.bench.root.public_key, self._rotations))
        self._signer, self._delegation, self._epoch = self.bench.gateway, self.bench.delegation, 1
        root = self.bench.root.public_key.hex()
        self._lines.append(f"offer 0 32 {self._rotations} 1 0 0 {root} {data.hex()} {self.bench.delegation.hex()} - -")
        self._offers += 1
        self._step(part, _Act.ROTATE, self._offers - 1, self.running)
        self._delegation = None  # the device already has it

    def flip_bit(self, part: Part, left_with: bytes) -> None:
        """Flip a bit of the running pack."""
        self._step(part, _Act.FLIP_BIT, 0, left_with)

    def fault(self, part: Part, times: int, left_with: bytes) -> None:
        """End the running model by a fault, several times."""
        self._step(part, _Act.FAULT, times, left_with)

    def sample(self, part: Part, times: int) -> None:
        """Let the running model find several windows anomalous."""
        delegated = self._delegation
        self._step(part, _Act.SAMPLE, times, self.running)
        self._delegation = delegated  # a sample brings none

    def learn(self, part: Part) -> None:
        """Let the running model grow its forest."""
        delegated = self._delegation
        self._step(part, _Act.LEARN, 0, self.running)
        self._delegation = delegated

    def learn_again(self, part: Part, generation: int) -> None:
        """Start another lesson of the running model by an envelope."""
        self.hold_values(self.running, LEARNING_LIMIT, {1: generation})
        self._step(part, _Act.DELIVER, self._offers - 1, self.running)

    def restart(self, part: Part, times: int) -> None:
        """Restart the device several times."""
        self._step(part, _Act.RESTART, times, self.running)

    def _next_sequence(self) -> int:
        self._sequence += SEQUENCE_STEP
        return self._sequence

    def _offer(self, manifest: envelope.Order, form: str, end: str, payload: bytes) -> None:
        """Sign the envelope, and again with the next sequence."""
        reissued = replace(manifest, sequence=manifest.sequence + 1)
        signed = [
            envelope.make(self._signer, self.made.target, each, self._delegation).hex() for each in (manifest, reissued)
        ]
        parameter = manifest.values[0] if isinstance(manifest, envelope.ConfigureOrder) else "-"
        self._lines.append(
            f"offer {form} {manifest.sequence} {self._epoch} {end} {manifest.digest.hex()} "
            f"{signed[0]} {signed[1]} {payload.hex() or '-'} {parameter}"
        )
        self._offers += 1

    def _step(self, part: Part, act: _Act, number: int, runs: bytes) -> None:
        if part is Part.SETUP:
            self._delegation = None  # the device already has it
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
    script.install(Part.CUT, script.patched, PayloadEncoding.PATCH)
    script.install(Part.AFTER, script.one)


def _heatshrink_update(script: Script) -> None:
    script.install(Part.SETUP, script.one)
    script.install(Part.SETUP, script.two)
    script.install(Part.CUT, script.patched, PayloadEncoding.HEATSHRINK)
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
    script.flip_bit(Part.CUT, script.one)
    script.restart(Part.CUT, 1)
    script.install(Part.AFTER, script.three)


def _back_to_prebaked(script: Script) -> None:
    """The other slot has a complete model that failed its trial: nothing may fall back to it."""
    script.install(Part.SETUP, script.one)
    script.install(Part.SETUP, script.failing, expect=GOLDEN, left_with=script.one)
    script.flip_bit(Part.CUT, script.prebaked[0])
    script.restart(Part.CUT, 1)
    script.install(Part.AFTER, script.three)


def _faults(script: Script) -> None:
    """A confirmed model that keeps faulting is rejected, and so is the one before it."""
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
    script.rotate_gateway_key()
    script.install(Part.CUT, script.one, None)
    script.rotate_gateway_key()
    script.install(Part.CUT, script.two)
    script.rotate_gateway_key()
    script.configure(Part.CUT, 11)
    script.install(Part.AFTER, script.three)


def _root_rotation(script: Script) -> None:
    """Also in the middle of a transfer, and after the old root has raised the epoch."""
    script.install(Part.SETUP, script.one)
    script.rotate_gateway_key()
    script.configure(Part.SETUP, 3)
    script.rotate_root(Part.CUT)
    script.install(Part.CUT, script.two, half=True)
    script.rotate_root(Part.CUT)
    script.install(Part.CUT, script.two)
    script.configure(Part.AFTER, 11)
    script.rotate_root(Part.AFTER)


def _change_of_mind(script: Script) -> None:
    """A transfer is abandoned for another one."""
    script.install(Part.SETUP, script.one)
    script.install(Part.CUT, script.two, half=True)
    script.install(Part.CUT, script.three)
    script.install(Part.AFTER, script.two)


def _many_starts(script: Script) -> None:
    """Counting starts fills the journal until it switches sectors."""
    script.install(Part.SETUP, script.one)
    script.restart(Part.CUT, 40)
    script.install(Part.AFTER, script.two)


def _samples_of_a_new_device(script: Script) -> None:
    script.sample(Part.CUT, 2 * script.samples_in_a_unit + 1 if script.samples_in_a_unit < MANY else 3)
    script.sample(Part.AFTER, 2)


def _samples_overwrite_the_oldest(script: Script) -> None:
    """The log is full but for one record: the next ones erase the oldest unit."""
    script.sample(Part.SETUP, script.sample_units * script.samples_in_a_unit - 1)
    script.sample(Part.CUT, 3)
    script.install(Part.AFTER, script.one)


def _samples_around_an_update(script: Script) -> None:
    script.sample(Part.SETUP, script.samples_in_a_unit - 1)
    script.sample(Part.CUT, 2)
    script.restart(Part.CUT, 1)
    script.sample(Part.CUT, 1)
    script.install(Part.AFTER, script.one)


def _learn(script: Script) -> None:
    script.learn(Part.CUT)
    script.restart(Part.CUT, 1)
    script.install(Part.AFTER, script.one)


def _learn_again(script: Script) -> None:
    script.learn(Part.SETUP)
    script.learn_again(Part.CUT, 1)
    script.learn(Part.CUT)
    script.install(Part.AFTER, script.one)


def _learn_after_a_failed_trial(script: Script) -> None:
    """Another model that learns fails its trial: what was learned is still there."""
    script.learn(Part.SETUP)
    script.install(Part.CUT, FAILING_LEARNER, expect=GOLDEN, left_with=script.prebaked[0])
    script.learn(Part.CUT)
    script.install(Part.AFTER, script.one)


LEARNING_SCRIPTS: Final = frozenset({"learn", "learn-again", "learn-failed-trial"})
SAMPLE_SCRIPTS: Final = frozenset({"samples", "samples-overwrite", "samples-restart"})
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
    "root-rotation": _root_rotation,
    "change-of-mind": _change_of_mind,
    "many-starts": _many_starts,
    "samples": _samples_of_a_new_device,
    "samples-overwrite": _samples_overwrite_the_oldest,
    "samples-restart": _samples_around_an_update,
    "learn": _learn,
    "learn-again": _learn_again,
    "learn-failed-trial": _learn_after_a_failed_trial,
}


def write_script(name: str, flash: Flash) -> str:
    """Return the script of this name for this flash."""
    script = Script(flash, SAMPLE_UNITS if name in SAMPLE_SCRIPTS else 0, learns=name in LEARNING_SCRIPTS)
    SCRIPTS[name](script)
    return script.text
