# SPDX-License-Identifier: Apache-2.0
"""What survives a loss of power: the state, and the two files that hold it in turn.

Each file holds a whole state with a serial number and a CRC. The newest valid one counts, and the next one overwrites
the other, so whatever a loss of power leaves of a file, the state before it is complete in the other.
"""

import json
from binascii import crc32, hexlify, unhexlify

from tinyfleet.errors import FLASH, Refused
from tinyfleet.files import sync

IDLE, RECEIVING, STAGED, TRIAL, CONFIRMED = range(5)
EMPTY, RECEIVED, VERIFIED, PASSED = range(4)  # status of a slot: RECEIVED while it is the target of an open transfer
NONE, SLOT_A, SLOT_B, PREBAKED = 0, 2, 3, 16  # where a package is stored; pre-baked ones count up from PREBAKED
_FILES = ("state.0", "state.1")
_NUMBERS = (
    ("boots", 0),
    ("sequence", 0),  # highest accepted
    ("epoch", 0),
    ("exp", 0),
    ("flags", 0),  # bits 1 ... 3 of the report
    ("result", 0),  # of the last accepted envelope: WORKING, OK, or why it failed
    ("phase", IDLE),
    ("confirmed", NONE),  # what passed the last trial and is still good
    ("target", SLOT_A),  # what receiving, staged and trial refer to
    ("trial_boots", 0),
    ("rolled_back", 0),  # 1: a newer package has failed since the last confirmation
    ("error", 0),
    ("faults", 0),  # consecutive starts after a fault
    ("payload_bytes", 0),
    ("block_bytes", 0),
    ("encoding", 0),
    ("name", 0),  # of the transfer, on the link
    ("rotation", 0),  # number of the last accepted one; 0: the provisioned root is in force
)
_BYTES = ("gateway", "envelope", "failed", "configured", "root")  # empty: not set


class Slot:
    """Slot A or B: its package, and the envelope that authorised it."""

    def __init__(self) -> None:
        self.status = EMPTY
        self.size = 0
        self.digest = self.signer = self.envelope = b""

    def to_list(self) -> list:
        """Return what JSON can hold."""
        return [self.status, self.size, _hex(self.digest), _hex(self.signer), _hex(self.envelope)]

    def read(self, values: list) -> "Slot":
        """Take the values of to_list()."""
        self.status, self.size = values[:2]
        self.digest, self.signer, self.envelope = [unhexlify(value) for value in values[2:]]
        return self


class State:
    """All that one write saves: what changes together is saved together."""

    def __init__(self, values: "dict | None" = None) -> None:
        values = values or {}
        for name, initial in _NUMBERS:
            setattr(self, name, values.get(name, initial))
        for name in _BYTES:
            setattr(self, name, unhexlify(values.get(name, "")))
        self.parameters = [tuple(pair) for pair in values.get("parameters", [])]
        slots = values.get("slots")
        self.slots = [Slot().read(slots[i]) if slots else Slot() for i in range(2)]

    def to_dict(self) -> dict:
        """Return what JSON can hold."""
        values = {name: getattr(self, name) for name, _ in _NUMBERS}
        for name in _BYTES:
            values[name] = _hex(getattr(self, name))
        values["parameters"] = self.parameters
        values["slots"] = [slot.to_list() for slot in self.slots]
        return values

    def slot(self, place: int) -> Slot:
        """Return slot A or B."""
        return self.slots[place - SLOT_A]


class StateFiles:
    """Loads and saves the state in a folder."""

    def __init__(self, folder: str) -> None:
        self._paths = [folder + "/" + name for name in _FILES]
        self._serial = 0
        self.damaged = False  # loading skipped a file that is not a valid state

    def load(self) -> State:
        """Return the newest state; a new one if there is none."""
        newest: dict | None = None
        for path in self._paths:
            record = self._read(path)
            if record is not None and record["serial"] > self._serial:
                newest, self._serial = record["state"], record["serial"]
        return State(newest)

    def save(self, state: State) -> None:
        """Write the state, over the older file, and read it back."""
        serial = self._serial + 1
        content = json.dumps({"serial": serial, "state": state.to_dict()}).encode()
        path = self._paths[serial % 2]
        try:
            with open(path, "wb") as file:
                file.write(content + b"\n%08x" % crc32(content))
            sync()
        except OSError:
            raise Refused(FLASH) from None
        record = self._read(path)
        if record is None or record["serial"] != serial:
            raise Refused(FLASH)
        self._serial = serial

    def _read(self, path: str) -> "dict | None":
        try:
            with open(path, "rb") as file:
                content, _, crc = file.read().rpartition(b"\n")
        except OSError:
            return None
        if crc != b"%08x" % crc32(content):
            self.damaged = True
            return None
        return json.loads(content)


def _hex(data: bytes) -> str:
    return hexlify(data).decode()
