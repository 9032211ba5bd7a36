# SPDX-License-Identifier: Apache-2.0
"""Runs on MicroPython: updates on LittleFS, on a block device that loses power at each of its operations in turn.

Arguments: a file with the case (tests/micropython/test_power_cuts.py writes it), the name of a seeded bug or `none`,
the first cut, the step to the next one, and `whole` or `torn`. A torn write or erase is done by half.
Prints one line for each violation, and `cuts=N` last.
"""

import json
import os
import sys
from array import array
from binascii import unhexlify

import vfs
from tinyfleet import offer, stage, start
from tinyfleet import state as state_module
from tinyfleet.agent import Agent
from tinyfleet.cbor import ARRAY, Reader, number, octets
from tinyfleet.cbor import array as items
from tinyfleet.files import make_folder, remove
from tinyfleet.port import Port
from tinyfleet.state import CONFIRMED, EMPTY, SLOT_A, SLOT_B, STAGED, TRIAL, VERIFIED

BLOCK, BLOCKS = 4096, 96
ROOT = "/flash"
NEVER = 1 << 30
ROUNDS = 4000


class PowerLossError(BaseException):
    """No handler of errors in the agent may see it."""


class RestartError(BaseException):
    """The agent asked for a restart."""


class Flash:
    """A block device in memory. After `left` operations it stops for good."""

    def __init__(self, data: bytearray, *, torn: bool = False) -> None:
        self.data = data
        self.left = NEVER
        self.operations = 0
        self._torn = torn

    def _spend(self) -> bool:
        """Return whether this operation is done whole; False: the power is lost in it."""
        if self.left <= 0:
            raise PowerLossError
        self.left -= 1
        self.operations += 1
        return self.left > 0

    def readblocks(self, block: int, buffer: bytearray, offset: int = 0) -> None:
        at = block * BLOCK + offset
        buffer[:] = self.data[at : at + len(buffer)]

    def writeblocks(self, block: int, buffer: bytes, offset: int = 0) -> None:
        whole = self._spend()
        at = block * BLOCK + offset
        length = len(buffer) if whole else len(buffer) // 2 if self._torn else 0
        self.data[at : at + length] = bytes(buffer)[:length]
        if not whole:
            raise PowerLossError

    def ioctl(self, operation: int, block: int) -> "int | None":
        if operation == 4:
            return BLOCKS
        if operation == 5:
            return BLOCK
        if operation == 6:
            whole = self._spend()
            length = BLOCK if whole else BLOCK // 2 if self._torn else 0
            self.data[block * BLOCK : block * BLOCK + length] = b"\xff" * length
            if not whole:
                raise PowerLossError
            return 0
        return 0


def restart() -> None:
    raise RestartError


def mount(flash: Flash) -> None:
    vfs.mount(vfs.VfsLfs2(flash, readsize=32, progsize=32, lookahead=32), ROOT)


def unmount() -> None:
    os.chdir("/")
    vfs.umount(ROOT)


class Gateway:
    """Offers one envelope and sends its blocks until the device says how the order ended."""

    def __init__(self, order: dict, window: bytes) -> None:
        self.envelope, self.package = unhexlify(order["envelope"]), unhexlify(order["package"])
        self.digest, self.block = unhexlify(order["digest"]), order["block"]
        self.window = array("h", window)

    def deliver(self, device: Agent) -> int:
        """Return the last result: 0 once the order is done, or the error."""
        payload = items(number(0), number(len(self.package)), number(self.block))
        for _ in range(ROUNDS):
            answer = device.handle(items(number(1), number(1), octets(self.envelope), payload))
            code = self._read(device, answer)
            if code != 1:
                return code
            for _ in range(8):
                device.poll()
            if device.running_digest():
                device.infer(self.window)
        raise ValueError("no end")

    def _read(self, device: Agent, answer: bytes) -> int:
        reader = Reader(answer)
        reader.head(ARRAY)
        kind = reader.head(0)
        reader.head(0)
        if kind == 14:
            return reader.number()
        blocks = -(-len(self.package) // self.block)
        for index in range(reader.head(0), blocks):
            data = self.package[index * self.block : (index + 1) * self.block]
            device.handle(items(number(2), number(1), number(index), octets(data)))
        device.handle(items(number(4), number(1)))
        return 1


def boot() -> Agent:
    device = Agent(ROOT, Port(restart, lambda: 0))
    device.boot()
    return device


def until_done(gateway: Gateway, device: "Agent | None" = None) -> "tuple[Agent, int]":
    """Deliver over restarts; return the device at rest and the result."""
    while True:
        try:
            device = device or boot()
            code = gateway.deliver(device)
            while device.is_busy():
                device.poll()
        except RestartError:
            device = None
        else:
            return device, code


# ------------------------------------------------------------ seeded bugs


def save_state_before_files() -> None:
    original = stage.unpack

    def unpack(device: Agent) -> None:
        device.state.slot(device.state.target).status = VERIFIED
        device.state.phase = STAGED
        device.save()
        original(device)

    stage.unpack = unpack


def receive_into_the_running_slot() -> None:
    original = offer.receive

    def receive(device: Agent, accepted: object, digest: bytes, shape: object) -> None:
        place, confirmed = device.running.place, device.state.confirmed
        device.running.place = device.state.confirmed = SLOT_B if place == SLOT_A else SLOT_A
        original(device, accepted, digest, shape)
        device.running.place, device.state.confirmed = place, confirmed

    offer.receive = receive


def forget_the_sequence() -> None:
    original = offer.record

    def record(device: Agent, accepted: object, digest: bytes, result: int) -> None:
        before = device.state.sequence
        original(device, accepted, digest, result)
        device.state.sequence = before

    offer.record = record


def remove_states_before_writing() -> None:
    original = state_module.StateFiles.save

    def save(self: state_module.StateFiles, state: object) -> None:
        for path in self._paths:
            remove(path)
        original(self, state)

    state_module.StateFiles.save = save


def lose_a_trial_with_the_power() -> None:
    start.TRIAL_BOOTS = 1


def empty_the_old_slot_at_the_trial() -> None:
    original = start.start_trial

    def start_trial(device: Agent) -> bool:
        if device.state.phase == TRIAL:
            for slot in device.state.slots:
                slot.status = EMPTY if slot is not device.state.slot(device.state.target) else slot.status
            device.state.confirmed = 0
        return original(device)

    start.start_trial = start_trial


BUGS = {
    "save_state_before_files": save_state_before_files,
    "receive_into_the_running_slot": receive_into_the_running_slot,
    "forget_the_sequence": forget_the_sequence,
    "remove_states_before_writing": remove_states_before_writing,
    "lose_a_trial_with_the_power": lose_a_trial_with_the_power,
    "empty_the_old_slot_at_the_trial": empty_the_old_slot_at_the_trial,
    "none": lambda: None,
}


# ------------------------------------------------------------ the campaign


def image(case: dict) -> bytearray:
    """Return the flash of a device that has confirmed the first package."""
    flash = Flash(bytearray(b"\xff" * (BLOCK * BLOCKS)))
    vfs.VfsLfs2.mkfs(flash, readsize=32, progsize=32, lookahead=32)
    mount(flash)
    for path, data in case["files"].items():
        if "/" in path:
            make_folder(ROOT + "/" + path.split("/")[0])
        with open(ROOT + "/" + path, "wb") as file:
            file.write(unhexlify(data))
    device, code = until_done(Gateway(case["first"], unhexlify(case["window"])))
    if code != 0 or device.state.phase != CONFIRMED:
        raise ValueError("the first package: %d" % code)
    unmount()
    return flash.data


def violations(case: dict, base: bytearray, cut: int, *, torn: bool) -> "tuple[list, bool]":
    """Lose power at one operation of an update; return what is wrong afterwards, and whether it was lost at all."""
    second = Gateway(case["second"], unhexlify(case["window"]))
    old = unhexlify(case["first"]["digest"])
    flash = Flash(bytearray(base), torn=torn)
    flash.left = cut
    mount(flash)
    lost = False
    try:
        until_done(second)
    except PowerLossError:
        lost = True
    unmount()
    found = []
    mount(Flash(bytearray(flash.data)))  # what belonged to the old one may be closed later: that must not write here
    device = boot()
    running = device.running_digest()
    if running not in (old, second.digest):
        found.append("neither version runs after the loss")
    elif device.infer(second.window) is None:
        found.append("it does not decide")
    if running == second.digest and device.state.sequence != case["second"]["sequence"]:
        found.append("the new version runs with the old sequence")
    device, code = until_done(second, device)
    if code != case["second"]["result"]:
        found.append("the order ends with %d" % code)
    if device.running_digest() != unhexlify(case["second"]["runs"]):
        found.append("another version runs in the end")
    if device.state.sequence != case["second"]["sequence"]:
        found.append("the sequence is %d" % device.state.sequence)
    unmount()
    return found, lost


def main() -> None:
    path, bug, first, step, kind = sys.argv[1:]
    with open(path) as file:
        case = json.load(file)
    base = image(case)
    BUGS[bug]()
    cut, cuts = int(first), 0
    while True:
        try:
            found, lost = violations(case, base, cut, torn=kind == "torn")
        except Exception as error:  # noqa: BLE001 - whatever it is, it is a finding
            found, lost = ["an exception: %r" % error], True
            unmount()
        if not lost:
            break
        cuts += 1
        cut += int(step)
        for what in found:
            print("violation at %d: %s" % (cut - int(step), what))
        if found and bug != "none":
            break
    print("implementation=" + sys.implementation.name)
    print("operations=%d" % cut)
    print("cuts=%d" % cuts)


main()
