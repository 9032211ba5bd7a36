# SPDX-License-Identifier: Apache-2.0
"""What the parts of the agent share: identity, state, the running package, and the work that is left to do."""

import time

from tinyfleet import envelope, report
from tinyfleet.identity import read_identity
from tinyfleet.port import Port
from tinyfleet.running import Running
from tinyfleet.state import CONFIRMED, EMPTY, IDLE, NONE, PREBAKED, RECEIVED, SLOT_A, SLOT_B, StateFiles
from tinyfleet.transfer import Transfer

JOURNAL, SLOT, GOLDEN, RESET, INFERENCE, MALFORMED, REFUSED, INPUT = (1 << bit for bit in range(8))  # its `flags`
NO_JOB, UNPACK, TRY, WATCH, RESTART = range(5)  # its `job`
ANSWER_MS = 8_000
_FOLDERS = {SLOT_A: "slot_a", SLOT_B: "slot_b"}


class Device:
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
        self.files = StateFiles(root)
        self.state = self.files.load()
        if self.state.rotation:
            self.identity["root"] = self.state.root  # in force instead of the provisioned one
        self.job = NO_JOB
        self.done = 0  # golden vectors or inferences of a trial
        self.since = self.started = port.ticks_ms()

    def save(self) -> None:
        """Write the state; Refused if the file system fails."""
        self.files.save(self.state)

    def folder(self, place: int) -> str:
        """Return the folder of a slot or of a pre-baked package."""
        return _FOLDERS[place] if place < PREBAKED else "prebaked_%d" % (place - PREBAKED)

    def digest_at(self, place: int) -> bytes:
        """Return the digest of what a place holds."""
        if place >= PREBAKED:
            return self.identity["prebaked"][place - PREBAKED]["digest"]
        return self.state.slot(place).digest

    def trust(self) -> envelope.Trust:
        """Return what an envelope is verified against."""
        state = self.state
        trust = envelope.Trust(
            self.identity, state.sequence, envelope.Delegation(state.gateway, state.epoch, state.exp)
        )
        trust.running = self.running_digest()
        trust.slot_bytes = max([self.identity["slot_bytes"]] + [entry["size"] for entry in self.identity["prebaked"]])
        trust.now = self.port.unix_s() if self.port.unix_s else 0
        return trust

    def running_digest(self) -> "bytes | None":
        """Return the digest of the running package."""
        return self.running.digest or None

    def parameters_in_force(self) -> "list[tuple[int, int]]":
        """Return what an envelope has set for the running package."""
        digest = self.running_digest()
        return self.state.parameters if digest and self.state.configured == digest else []

    def empty_receiving(self) -> None:
        """Empty the slot that a transfer was to fill."""
        for slot in self.state.slots:
            slot.status = EMPTY if slot.status == RECEIVED else slot.status

    def rest(self) -> None:
        """Return to the phase before the update."""
        self.state.phase = CONFIRMED if self.state.confirmed != NONE else IDLE
        self.report_due = True
        self.save()

    def close_transfer(self) -> None:
        """Give up the transfer and the work on it."""
        self.job = NO_JOB
        self.empty_receiving()
        self.rest()
        self.transfer.discard()

    def has_passed(self, milliseconds: int, since: int) -> bool:
        """Return whether this long has passed since a time of the port."""
        return time.ticks_diff(self.port.ticks_ms(), since) >= milliseconds

    def is_busy(self) -> bool:
        """Return whether poll() has more to do at once."""
        return self.job not in {NO_JOB, WATCH}
