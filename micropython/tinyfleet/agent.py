# SPDX-License-Identifier: Apache-2.0
"""The agent: answers messages, does the work that they leave, and runs the model.

It decides as the agent in C does (firmware/src); the functions have the names of their counterparts there.
"""

from tinyfleet import cbor, envelope, errors, offer, report, rotation, stage, start, trial
from tinyfleet.cbor import ARRAY, NULL, SIMPLE, UINT, Reader
from tinyfleet.device import INFERENCE, INPUT, MALFORMED, NO_JOB, REFUSED, RESTART, TRY, UNPACK, WATCH, Device
from tinyfleet.errors import Refused
from tinyfleet.state import RECEIVING
from tinyfleet.transfer import Shape

HEALTHY_MS = 60_000
_TRANSFER_NAME_MAX = 23
_BLOCK, _ROTATE, _HAVE, _RESULT = 2, 24, 13, 14


class Agent(Device):
    """A device that is spoken to."""

    def boot(self) -> None:
        """Choose what to run."""
        start.boot(self)

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
            if kind == _ROTATE and count == 3:
                return self._on_rotate(reader)
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
            code = offer.accept(self, data, shape)
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
        if self.job != NO_JOB:
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
        return self._answer(name, lambda: stage.order(self, name))

    def _on_rotate(self, reader: Reader) -> bytes:
        signed, delegation = reader.octets(), reader.octets()
        reader.end()
        if not 1 <= len(signed) <= rotation.ROTATION_MAX or len(delegation) > rotation.DELEGATION_MAX:
            raise Refused(errors.MESSAGE)
        try:
            code = rotation.accept(self, signed, delegation)
        except Refused as refused:
            code = refused.code
        return cbor.array(cbor.number(_RESULT), NULL, cbor.number(code))

    def poll(self) -> None:
        """Do the next piece of work; call it often."""
        try:
            self._work()
        except Refused as refused:
            self.state.error = refused.code  # the file system: the next call tries again

    def _work(self) -> None:
        job = self.job
        if job == UNPACK:
            stage.unpack(self)
        elif job == TRY:
            trial.try_golden(self)
        elif job == WATCH and self.has_passed(trial.TRIAL_MS, self.since):
            trial.confirm(self)  # the sensor is silent: the golden vectors have passed, and they decide
        elif job == RESTART:
            self.port.reset()
        if self.state.faults and self.has_passed(HEALTHY_MS, self.started):
            self.state.faults = 0
            self.save()

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
            if self.job == WATCH:
                trial.reject(self, refused.code)
            raise
        self.scores.add(decision, score)
        if self.job == WATCH:
            self.done += 1
            if self.done >= self.port.trial_inferences:
                trial.confirm(self)
        return decision, score
