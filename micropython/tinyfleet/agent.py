# SPDX-License-Identifier: Apache-2.0
"""The agent: takes envelopes, receives packages, tries them, confirms them and falls back.

It decides as the agent in C does (firmware/src); the functions have the names of their counterparts there.
"""

import json
import time
from binascii import unhexlify
from hashlib import sha256

from tinyfleet import cbor, envelope, errors, package, report, running
from tinyfleet.cbor import ARRAY, NULL, SIMPLE, UINT, Reader
from tinyfleet.errors import Refused
from tinyfleet.heatshrink import Decoder
from tinyfleet.running import Running
from tinyfleet.state import (
    CONFIRMED,
    EMPTY,
    IDLE,
    NONE,
    PASSED,
    PREBAKED,
    RECEIVED,
    RECEIVING,
    SLOT_A,
    SLOT_B,
    STAGED,
    TRIAL,
    VERIFIED,
    StateFiles,
)
from tinyfleet.transfer import HEATSHRINK, Shape, Transfer

JOURNAL, SLOT, GOLDEN, RESET, INFERENCE, MALFORMED, REFUSED, INPUT = (1 << bit for bit in range(8))  # its `flags`
TRIAL_BOOTS = 2
FAULTS_MAX = 5
HEALTHY_MS = 60_000
TRIAL_MS = 60_000
ANSWER_MS = 8_000
_TRANSFER_NAME_MAX = 23
_FOLDERS = {SLOT_A: "slot_a", SLOT_B: "slot_b"}
_HEX = ("vendor", "class", "id", "root", "public", "seed")
_BLOCK, _HAVE, _RESULT = 2, 13, 14
_NO_JOB, _UNPACK, _TRY, _WATCH, _RESTART = range(5)


class Port:
    """What a board gives the agent."""

    def __init__(self, reset: object, ticks_ms: object, *, was_fault: bool = False, trial_inferences: int = 1) -> None:
        self.reset = reset  # restarts the device
        self.ticks_ms = ticks_ms  # milliseconds since start
        self.was_fault = was_fault  # the watchdog or a fault ended the last run
        self.trial_inferences = trial_inferences  # how many inferences on real input a trial needs
        self.unix_s: object | None = None  # returns the seconds since 1970, where there is a clock


def read_identity(root: str) -> dict:
    """Read what provisioning wrote (docs/specs/package.md section 7)."""
    try:
        with open(root + "/device.json") as file:
            identity = json.load(file)
        for name in _HEX:
            identity[name] = unhexlify(identity[name])
        for entry in identity["prebaked"]:
            entry["digest"] = unhexlify(entry["digest"])
    except (OSError, ValueError, KeyError, TypeError):
        raise Refused(errors.PROVISIONED) from None
    return identity


class Agent:
    """One device. `root` is the folder that has device.json, the slots and the state."""

    def __init__(self, root: str, port: Port) -> None:
        self.root = root
        self.port = port
        self.identity = read_identity(root)
        self.answer_ms = self.identity.get("answer_ms", ANSWER_MS)
        self.scores = report.Scores()
        self.transfer = Transfer(root + "/incoming")
        self.flags = 0
        self.report_due = True
        self.running = Running()
        self._files = StateFiles(root)
        self.state = self._files.load()
        self._job = _NO_JOB
        self._done = 0  # golden vectors or inferences of a trial
        self._since = self._started = port.ticks_ms()

    # ------------------------------------------------------------ start

    def boot(self) -> None:
        """Choose what to run. The start is counted, in flash, before a package runs that may never return."""
        if self._files.damaged:
            self.flags |= JOURNAL
        if self.state.phase == RECEIVING:
            self.transfer.open(self.state, fresh=False)
        else:
            self.transfer.discard()
        try:
            self._count_boot()
        except Refused as refused:
            self.state.error = refused.code  # a full or worn-out file system must not keep the device from starting
        for candidate in (self._start_trial, self._start_confirmed, self._start_previous, self._start_prebaked):
            if candidate():
                return

    def _save(self) -> None:
        self._files.save(self.state)

    def _count_boot(self) -> None:
        state, fault = self.state, self.port.was_fault
        state.boots += 1
        self.flags |= INFERENCE if fault else 0
        if state.phase == STAGED:
            state.trial_boots = 1
            state.flags &= ~(GOLDEN | RESET)
            state.phase = TRIAL
            self._save()
            return
        if state.phase == TRIAL:
            state.trial_boots += 1
            self._save()
            if fault or state.trial_boots > TRIAL_BOOTS:
                self._trial_failed(errors.FAULT if fault else errors.RESET)
            return
        if fault:
            state.faults += 1
            if state.faults >= FAULTS_MAX:
                state.faults = 0
                if state.confirmed != NONE:
                    self._reject_confirmed()
        self._save()

    def _reject_confirmed(self) -> None:
        """Give up a package that keeps faulting: it would keep the device from ever receiving a better one."""
        state = self.state
        state.failed, state.error, state.rolled_back = self._digest_at(state.confirmed), errors.FAULT, 1
        if state.confirmed < PREBAKED:
            state.slot(state.confirmed).status = VERIFIED
        state.confirmed = NONE
        state.phase = IDLE if state.phase == CONFIRMED else state.phase

    def _start_trial(self) -> bool:
        if self.state.phase != TRIAL:
            return False
        try:
            self._start(self.state.target, running.TRIAL)
        except Refused as refused:
            self._trial_failed(refused.code)
            return False
        self._job = _TRY
        return True

    def _start_confirmed(self) -> bool:
        place = self.state.confirmed
        if place == NONE:
            return False
        usual = running.CONFIRMED if place < PREBAKED else running.ASKED
        why = running.PREVIOUS if self.state.rolled_back else usual
        return self._try_to_start(place, why)

    def _start_previous(self) -> bool:
        """Run a slot that once passed its trial, when the newer one can't run."""
        state = self.state
        for place in (SLOT_A, SLOT_B):
            if state.slot(place).status == PASSED and self._try_to_start(place, running.PREVIOUS):
                state.confirmed = place
                state.phase = CONFIRMED if state.phase == IDLE else state.phase
                self._save()
                return True
        return False

    def _start_prebaked(self) -> bool:
        count = len(self.identity["prebaked"])
        return any(self._try_to_start(PREBAKED + number, running.NO_SLOT) for number in range(count))

    def _try_to_start(self, place: int, why: int) -> bool:
        try:
            self._start(place, why)
        except Refused as refused:
            if place < PREBAKED:
                self._empty_slot(place, refused.code)
            return False
        return True

    def _empty_slot(self, place: int, error: int) -> None:
        """Make sure that nothing falls back to a slot that does not hold what its envelope says."""
        state = self.state
        state.flags |= SLOT
        state.error, state.rolled_back, state.failed = error, 1, state.slot(place).digest
        state.slot(place).status = EMPTY
        if state.confirmed == place:
            state.confirmed = NONE
            state.phase = IDLE if state.phase == CONFIRMED else state.phase
        self._save()

    def _folder(self, place: int) -> str:
        return _FOLDERS[place] if place < PREBAKED else "prebaked_%d" % (place - PREBAKED)

    def _digest_at(self, place: int) -> bytes:
        if place >= PREBAKED:
            return self.identity["prebaked"][place - PREBAKED]["digest"]
        return self.state.slot(place).digest

    def _start(self, place: int, why: int) -> None:
        """Verify what is stored at a place, and load it; nothing of it runs before its digest is right."""
        self.running.stop()
        name = self._folder(place)
        folder = self.root + "/" + name
        if place < PREBAKED:
            slot = self.state.slot(place)
            digest, size = slot.digest, slot.size
            if size > self.identity["slot_bytes"]:
                raise Refused(errors.TOO_LARGE)
            envelope.verify_kept(slot.envelope, slot.signer, self._trust(), digest, size)
        else:
            entry = self.identity["prebaked"][place - PREBAKED]
            digest, size = entry["digest"], entry["size"]
        if not package.has_digest(folder, digest, size):
            raise Refused(errors.IMAGE)
        self.running.start(self.root, name, place, why, digest)
        self.running.configure(self.parameters_in_force())

    # ------------------------------------------------------------ messages

    def handle(self, message: bytes, *, corrected: bool = False) -> bytes:
        """Carry out a message; return the answer, empty if there is none."""
        handlers = (
            (3, self._on_ask),
            (4, self._on_offer),
            (4, self._on_block),
            (2, self._on_missing),
            (2, self._on_stage),
        )
        reader = Reader(message)
        try:
            count, kind = reader.head(ARRAY), reader.head(UINT)
            if kind < len(handlers) and count == handlers[kind][0]:
                if kind == _BLOCK and corrected:
                    return b""  # a digest that is wrong later would not say which block it was: it is sent again
                return handlers[kind][1](reader)
        except Refused:
            pass
        self.flags |= MALFORMED
        return b""

    def report(self) -> bytes:
        """Return an unsolicited report."""
        self.report_due = False
        return report.signed(self, report.REPORT, b"")

    def _result(self, name: int, code: int) -> bytes:
        return cbor.array(cbor.number(_RESULT), cbor.number(name), cbor.number(code))

    def _have(self, name: int) -> bytes:
        self.transfer.flush()
        first = self.transfer.first_missing()
        return cbor.array(cbor.number(_HAVE), cbor.number(name), cbor.number(first), cbor.octets(self.transfer.held()))

    def _answer(self, name: int, order: object) -> bytes:
        """Return the answer to what an order gives: a code, or None if blocks are needed."""
        try:
            code = order()
        except Refused as refused:
            code = refused.code
        return self._have(name) if code is None else self._result(name, code)

    def _name(self, reader: Reader) -> int:
        name = reader.head(UINT)
        if name > _TRANSFER_NAME_MAX:
            raise Refused(errors.MESSAGE)
        return name

    def _on_ask(self, reader: Reader) -> bytes:
        what, nonce = reader.head(UINT), reader.octets_of(8)
        reader.end()
        if what > report.PARAMETERS:
            raise Refused(errors.MESSAGE)
        if self.state.phase == RECEIVING:
            self.transfer.flush()
        return report.signed(self, what, nonce)

    def _on_offer(self, reader: Reader) -> bytes:
        name, data = self._name(reader), reader.octets()
        shape: Shape | None = None
        if reader.peek() == ARRAY:
            reader.expect(ARRAY, 3)
            shape = Shape(name, reader.head(UINT), reader.head(UINT), reader.head(UINT))
        else:
            reader.expect(SIMPLE, NULL[0] & 31)
        reader.end()
        if not 1 <= len(data) <= envelope.ENVELOPE_MAX:
            raise Refused(errors.MESSAGE)
        try:
            code = self._accept(data, shape)
        except Refused as refused:
            code = refused.code
        if code is not None and code < 0:
            self.flags |= REFUSED
        return self._have(name) if code is None else self._result(name, code)

    def _is_open(self, name: int) -> bool:
        return self.state.phase == RECEIVING and name == self.state.name

    def _on_block(self, reader: Reader) -> bytes:
        name, index, data = self._name(reader), reader.head(UINT), reader.octets()
        reader.end()
        if not self._is_open(name):
            raise Refused(errors.MESSAGE)
        if self._job != _NO_JOB:
            return b""  # all blocks are held and are being unpacked
        try:
            self.transfer.add(index, data)
        except Refused as refused:
            if refused.code == errors.MESSAGE:
                raise
            self.state.error = refused.code
            self.transfer.open(self.state, fresh=False)  # what the file holds decides what is missing
        return b""

    def _on_missing(self, reader: Reader) -> bytes:
        name = self._name(reader)
        reader.end()
        return self._have(name) if self._is_open(name) else self._result(name, errors.NO_TRANSFER)

    def _on_stage(self, reader: Reader) -> bytes:
        name = self._name(reader)
        reader.end()
        return self._answer(name, lambda: self._stage(name))

    # ------------------------------------------------------------ offers

    def _trust(self) -> envelope.Trust:
        state = self.state
        trust = envelope.Trust(
            self.identity, state.sequence, envelope.Delegation(state.gateway, state.epoch, state.exp)
        )
        trust.running = self.running_digest()
        trust.slot_bytes = max([self.identity["slot_bytes"]] + [entry["size"] for entry in self.identity["prebaked"]])
        trust.now = self.port.unix_s() if self.port.unix_s else 0
        return trust

    def _accept(self, data: bytes, shape: "Shape | None") -> "int | None":
        """Carry out the envelope of an offer; return a code, or None if its transfer is open."""
        state, digest = self.state, sha256(data).digest()
        if digest == state.envelope:
            return self._repeat(shape)
        if state.phase not in {IDLE, CONFIRMED, RECEIVING} or self._job == _RESTART:
            raise Refused(errors.BUSY)
        accepted = envelope.verify(data, self._trust())
        manifest = accepted.manifest
        if manifest.configure:
            return self._configured(accepted, digest)
        place = self._find(manifest)
        if place != NONE:
            return self._activate(accepted, digest, place)
        if shape is None:
            raise Refused(errors.NO_PAYLOAD)
        return self._receive(accepted, digest, shape)

    def _repeat(self, shape: "Shape | None") -> "int | None":
        """Answer the last accepted envelope again: an answer was lost, or the device restarted."""
        state = self.state
        if state.result != errors.WORKING or state.phase in {STAGED, TRIAL}:
            return state.result
        if shape is None:
            raise Refused(errors.NO_PAYLOAD)
        if not shape.is_that_of(state):
            raise Refused(errors.NO_TRANSFER)
        state.name = shape.name  # not saved, so that replays under ever new names do not wear out flash
        if state.phase != RECEIVING:
            self._open()
        return None

    def _record(self, accepted: envelope.Accepted, digest: bytes, result: int) -> None:
        """Record what every accepted envelope changes. It is saved together with what this envelope asks for."""
        state, delegation = self.state, accepted.delegation
        state.sequence = accepted.manifest.sequence
        state.gateway, state.epoch, state.exp = delegation.key, delegation.epoch, delegation.exp
        state.envelope, state.result = digest, result
        if state.failed == accepted.manifest.digest:
            state.failed = b""  # a new try: the report must not give the verdict on the earlier one

    def _keep(self, accepted: envelope.Accepted, place: int) -> None:
        slot = self.state.slot(place)
        slot.envelope, slot.signer = accepted.kept, accepted.delegation.key
        slot.digest, slot.size = accepted.manifest.digest, accepted.manifest.size

    def _configured(self, accepted: envelope.Accepted, digest: bytes) -> int:
        manifest = accepted.manifest
        if not self.running.accepts(manifest.values):
            raise Refused(errors.PARAMETER)
        self._record(accepted, digest, errors.OK)
        self.state.configured, self.state.parameters = manifest.digest, manifest.values
        self.report_due = True
        self._save()
        self.running.configure(self.parameters_in_force())
        return errors.OK

    def _find(self, manifest: envelope.Manifest) -> int:
        """Return where this package is stored already."""
        for place in (SLOT_A, SLOT_B):
            slot = self.state.slot(place)
            if slot.status >= VERIFIED and (slot.digest, slot.size) == (manifest.digest, manifest.size):
                return place
        for number, entry in enumerate(self.identity["prebaked"]):
            if (entry["digest"], entry["size"]) == (manifest.digest, manifest.size):
                return PREBAKED + number
        return NONE

    def _activate(self, accepted: envelope.Accepted, digest: bytes, place: int) -> int:
        """The device already has the package: only the envelope had to travel."""
        state = self.state
        runs_already = place == state.confirmed and place == self.running.place
        if place < PREBAKED:
            self._keep(accepted, place)
        self._record(accepted, digest, errors.OK if runs_already else errors.WORKING)
        if runs_already:
            self._save()
            return errors.OK
        self._empty_receiving()
        state.target, state.phase = place, STAGED
        self._job, self.report_due = _RESTART, True
        self._save()
        self.transfer.discard()
        return errors.WORKING

    def _empty_receiving(self) -> None:
        for slot in self.state.slots:
            slot.status = EMPTY if slot.status == RECEIVED else slot.status

    def _receive(self, accepted: envelope.Accepted, digest: bytes, shape: Shape) -> None:
        state, manifest = self.state, accepted.manifest
        target = state.slot(state.target) if state.target < PREBAKED else None
        same = target is not None and (target.digest, target.size) == (manifest.digest, manifest.size)
        if state.phase == RECEIVING and same and shape.is_that_of(state):
            self._keep(accepted, state.target)  # the blocks are good for this envelope too
            self._record(accepted, digest, errors.WORKING)
            state.name = shape.name
            self._save()
            return
        shape.check(manifest.size, self.identity["slot_bytes"], report.BLOCK_MAX)
        if state.phase == RECEIVING:
            self._close_transfer()
        self._record(accepted, digest, errors.WORKING)
        state.target = SLOT_B if SLOT_A in {self.running.place, state.confirmed} else SLOT_A
        self._keep(accepted, state.target)
        state.encoding, state.payload_bytes, state.block_bytes = shape.encoding, shape.payload_bytes, shape.block_bytes
        state.name = shape.name
        self._open()

    def _open(self) -> None:
        state = self.state
        self.transfer.discard()
        state.slot(state.target).status = RECEIVED
        state.phase, self.report_due = RECEIVING, True
        self._save()
        self.transfer.open(state, fresh=True)

    def _rest(self) -> None:
        """Return to the phase before the update."""
        self.state.phase = CONFIRMED if self.state.confirmed != NONE else IDLE
        self.report_due = True
        self._save()

    def _close_transfer(self) -> None:
        self._job = _NO_JOB
        self._empty_receiving()
        self._rest()
        self.transfer.discard()

    # ------------------------------------------------------------ staging

    def _stage(self, name: int) -> "int | None":
        state = self.state
        if name != state.name or state.sequence == 0:
            raise Refused(errors.NO_TRANSFER)
        if state.phase == RECEIVING:
            if self._job == _NO_JOB and self.transfer.first_missing() < self.transfer.blocks():
                return None
            self._job = _UNPACK
            return errors.WORKING
        if state.phase in {STAGED, TRIAL}:
            return errors.WORKING if state.phase == STAGED else errors.OK
        return errors.NO_TRANSFER if state.result == errors.WORKING else state.result

    def _source(self, file: object) -> object:
        slot = self.state.slot(self.state.target)
        return Decoder(file, slot.size) if self.state.encoding == HEATSHRINK else file

    def _unpack(self) -> None:
        """From the payload to the files in the slot; the state that names them comes last."""
        state = self.state
        slot = state.slot(state.target)
        folder = self.root + "/" + self._folder(state.target)
        self.transfer.close()
        error = self._payload_error(slot.digest, slot.size)
        if error != errors.OK:
            self._reject_payload(error)
            return
        try:
            with open(self.transfer.path, "rb") as file:
                package.unpack(self._source(file), folder)
            package.Config(folder)
        except OSError:
            self._reject_payload(errors.FLASH)
            return
        except Refused as refused:
            self._trial_failed(refused.code)
            self._job = _NO_JOB
            self.transfer.discard()
            return
        if not package.has_digest(folder, slot.digest, slot.size):
            self._reject_payload(errors.FLASH)  # what was written does not read back
            return
        slot.status = VERIFIED
        state.phase, self.report_due, self._job = STAGED, True, _RESTART
        self._save()
        self.transfer.discard()

    def _payload_error(self, digest: bytes, size: int) -> int:
        try:
            with open(self.transfer.path, "rb") as file:
                return errors.OK if package.digest_of(self._source(file), size) == digest else errors.IMAGE
        except OSError:
            return errors.FLASH
        except Refused as refused:
            return refused.code

    def _reject_payload(self, error: int) -> None:
        """The order has failed: if the transfer started again, an attacker could wear out flash without end."""
        self.state.error = self.state.result = error
        self._close_transfer()

    # ------------------------------------------------------------ trials

    def _trial_failed(self, error: int) -> None:
        state = self.state
        state.failed, state.error, state.result = self._digest_at(state.target), error, error
        state.rolled_back, state.trial_boots = 1, 0
        state.flags |= GOLDEN if error == errors.GOLDEN else RESET if error in {errors.RESET, errors.FAULT} else 0
        if state.target < PREBAKED:
            # Keep the package, since a newer envelope may ask for it again; but it is never a fallback.
            complete = state.phase == TRIAL and error != errors.IMAGE
            state.slot(state.target).status = VERIFIED if complete else EMPTY
        self._rest()

    def _reject(self, error: int) -> None:
        self._job = _RESTART
        self._trial_failed(error)  # saved before the restart: the next start must not try this package again

    def _confirm(self) -> None:
        state = self.state
        if state.target < PREBAKED:
            state.slot(state.target).status = PASSED
        state.confirmed, state.result, state.error = state.target, errors.OK, errors.OK
        state.rolled_back = state.faults = state.flags = state.trial_boots = 0
        state.failed = b""
        if state.configured != self.running.digest:
            state.parameters = []  # they belong to the previous package
        self.running.why = running.CONFIRMED if state.target < PREBAKED else running.ASKED
        self._job = _NO_JOB
        self._rest()

    def _try_golden(self) -> None:
        if self._done == self.running.golden_count():
            self._done, self._since = 0, self.port.ticks_ms()
            if self.port.trial_inferences == 0:
                self._confirm()
            else:
                self._job = _WATCH
            return
        self._done += 1
        try:
            self.running.check_golden(self._done - 1)
        except Refused as refused:
            self._reject(refused.code)

    def poll(self) -> None:
        """Do the next piece of work; call it often."""
        try:
            self._work()
        except Refused as refused:
            self.state.error = refused.code  # the file system: the next call tries again

    def _work(self) -> None:
        job = self._job
        if job == _UNPACK:
            self._unpack()
        elif job == _TRY:
            self._try_golden()
        elif job == _WATCH and self._has_passed(TRIAL_MS, self._since):
            self._confirm()  # the sensor is silent: the golden vectors have passed, and they decide
        elif job == _RESTART:
            self.port.reset()
        if self.state.faults and self._has_passed(HEALTHY_MS, self._started):
            self.state.faults = 0
            self._save()

    def _has_passed(self, milliseconds: int, since: int) -> bool:
        return time.ticks_diff(self.port.ticks_ms(), since) >= milliseconds

    def is_busy(self) -> bool:
        """Return whether poll() has more to do at once."""
        return self._job not in {_NO_JOB, _WATCH}

    # ------------------------------------------------------------ inference

    def running_digest(self) -> "bytes | None":
        """Return the digest of the running package."""
        return self.running.digest or None

    def parameters_in_force(self) -> "list[tuple[int, int]]":
        """Return what an envelope has set for the running package."""
        digest = self.running_digest()
        return self.state.parameters if digest and self.state.configured == digest else []

    def infer(self, window: "list[int]") -> "tuple[int, int]":
        """Run the model on the samples of one window, interleaved by channel; return its decision and its score."""
        if not self.running.is_loaded():
            raise Refused(errors.NOTHING)
        if not self.running.takes(window):
            self.flags |= INPUT
            raise Refused(errors.INPUT)  # the sensor is at fault, not the model
        try:
            decision, score = self.running.infer(window)
        except Refused as refused:
            self.scores.faults += 1
            self.flags |= INFERENCE
            if self._job == _WATCH:
                self._reject(refused.code)
            raise
        self.scores.add(decision, score)
        if self._job == _WATCH:
            self._done += 1
            if self._done >= self.port.trial_inferences:
                self._confirm()
        return decision, score
