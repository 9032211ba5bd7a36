# SPDX-License-Identifier: Apache-2.0
"""The journal on worn flash, and with records that nobody wrote."""

from __future__ import annotations

import hashlib
import struct
import zlib
from collections.abc import Callable
from itertools import pairwise

import pytest

from reconciler.devices.messages import Stage
from reconciler.devices.reports import DecisionReason, Flag
from signing.verification_error import VerificationCode
from tests.firmware.bench import Bench, Made
from tests.firmware.host import AgentError, HostAgent, Region, Wear
from tests.firmware.orders import NEW, OLD, PREBAKED, THIRD, Delivery, deliver, digest, install, parameters, put, report

JOURNAL = -67
POLL_REPORT = 2
RECORD, TICK = 1024, 32
ENVELOPE_ROOM = 288
REPAIRING_AT = 8 + 154
SEQUENCE_AT, SLOT_AT, STATUS_AT, ENVELOPE_AT = 8 + 4, (8 + 232, 8 + 592), 6, 72


def sectors(agent: HostAgent) -> tuple[Region, Region]:
    regions = agent.geometry.regions()
    return regions["journal0"], regions["journal1"]


def records(agent: HostAgent) -> list[tuple[int, int]]:
    """Return serial and offset of each valid snapshot and tick."""
    found = []
    for sector in sectors(agent):
        data = agent.read_flash(sector.offset, sector.size)
        for at in range(0, sector.size, TICK):
            magic, serial = data[at : at + 4], int.from_bytes(data[at + 4 : at + 8], "little")
            covered = {b"TFJ2": 992, b"TFT1": 8}.get(magic)
            if (
                covered
                and zlib.crc32(data[at : at + covered]).to_bytes(4, "little") == data[at + covered : at + covered + 4]
            ):
                found.append((serial, sector.offset + at))
    return sorted(found)


def newest(agent: HostAgent) -> int:
    """Return the offset of the newest record."""
    return records(agent)[-1][1]


def newest_snapshot(agent: HostAgent) -> int:
    return next(at for _, at in reversed(records(agent)) if agent.read_flash(at, 4) == b"TFJ2")


def end(agent: HostAgent) -> int:
    """Return where the next record goes: after the last byte of the active sector that is not FF."""
    sector = next(s for s in sectors(agent) if s.offset <= newest(agent) < s.offset + s.size)
    data = agent.read_flash(sector.offset, sector.size).rstrip(b"\xff")
    return sector.offset + -(-len(data) // TICK) * TICK


def configure(agent: HostAgent, bench: Bench, made: Made, value: int) -> int:
    sequence = report(agent, made).sequence + 1
    return deliver(agent, Delivery(bench.configure(made, NEW, sequence, {0: value}))).code


def rewrite(agent: HostAgent, change: Callable[[bytearray], None]) -> None:
    """Change the newest snapshot, with a new CRC: as a fault in the agent, or someone with access to flash, would."""
    at = newest_snapshot(agent)
    record = bytearray(agent.read_flash(at, RECORD))
    change(record)
    record[992:996] = zlib.crc32(record[:992]).to_bytes(4, "little")
    agent.write_flash(at, bytes(record))


# ---------------------------------------------------------------- worn flash


def test_a_record_that_does_not_read_back_is_written_to_the_next_place(
    updated: HostAgent, bench: Bench, made: Made
) -> None:
    worn = end(updated)
    updated.wear_flash(worn, TICK, Wear.LOSES_BITS)
    assert configure(updated, bench, made, 7) == 0
    assert newest(updated) == worn + RECORD
    updated.boot()
    assert parameters(updated, made) == {0: 7}
    assert Flag.JOURNAL_REPAIRED in report(updated, made).flags


def test_a_tick_that_does_not_read_back_is_written_to_the_next_place(updated: HostAgent, made: Made) -> None:
    boots, worn = report(updated, made).boots, end(updated)
    updated.wear_flash(worn, TICK, Wear.LOSES_BITS)
    updated.boot()
    assert newest(updated) == worn + TICK
    updated.wear_flash(0, 0, Wear.LOSES_BITS)
    updated.boot()
    assert report(updated, made).boots == boots + 2


def tick_after(agent: HostAgent, later: int = 1) -> bytes:
    """Return a tick with the next serial, or a later one."""
    tick = b"TFT1" + struct.pack("<I", records(agent)[-1][0] + later)
    return tick + zlib.crc32(tick).to_bytes(4, "little")


@pytest.mark.parametrize("reads", ["the beginning", "blank", "a whole tick"])
def test_a_torn_tick_that_can_not_be_read_stops_no_start(updated: HostAgent, made: Made, reads: str) -> None:
    """Flash that corrects errors refuses to read what a power cut has torn, whatever it holds, until it is erased."""
    boots, torn = report(updated, made).boots, end(updated)
    contents = {"the beginning": b"TFT1", "blank": b"", "a whole tick": tick_after(updated)}
    updated.write_flash(torn, contents[reads])
    updated.wear_flash(torn, 8, Wear.UNREADABLE)
    for start in (1, 2):
        updated.boot()
        assert newest(updated) == torn + start * TICK
        assert report(updated, made).boots == boots + start
        assert Flag.JOURNAL_REPAIRED in report(updated, made).flags


def test_a_journal_without_damage_was_not_repaired(updated: HostAgent, made: Made) -> None:
    """Only its two sectors count: the provisioned region behind them has other things than records."""
    for _ in range(2):
        updated.boot()
        assert Flag.JOURNAL_REPAIRED not in report(updated, made).flags


@pytest.mark.parametrize(("at", "sequence"), [(0, 2), (32, 2), (992, 2), (1000, 3), (1016, 3)])
def test_a_torn_snapshot_is_loaded_only_if_all_that_it_says_can_be_read(
    updated: HostAgent, bench: Bench, made: Made, at: int, sequence: int
) -> None:
    """The blank bytes at its end say nothing."""
    assert configure(updated, bench, made, 7) == 0
    updated.wear_flash(newest_snapshot(updated) + at, 8, Wear.UNREADABLE)
    updated.boot()
    assert (report(updated, made).sequence, parameters(updated, made)) == (sequence, {0: 7} if sequence == 3 else {})


def test_a_record_that_can_not_be_read_back_is_written_to_the_next_place(
    updated: HostAgent, bench: Bench, made: Made
) -> None:
    worn = end(updated)
    updated.wear_flash(worn + RECORD // 2, 8, Wear.UNREADABLE)
    assert configure(updated, bench, made, 7) == 0
    assert newest(updated) == worn + RECORD
    updated.boot()
    assert parameters(updated, made) == {0: 7}


def fill(agent: HostAgent, snapshots: int = 0) -> None:
    """Restart until the active sector has room for this many snapshots."""
    first = newest_snapshot(agent)
    sector = next(s for s in sectors(agent) if s.offset <= first < s.offset + s.size)
    while end(agent) + (snapshots + 1) * RECORD <= sector.offset + sector.size:
        agent.boot()


def other_sector(agent: HostAgent) -> Region:
    active = newest(agent)
    return next(s for s in sectors(agent) if not s.offset <= active < s.offset + s.size)


def test_when_no_sector_takes_a_record_the_old_state_holds(updated: HostAgent, bench: Bench, made: Made) -> None:
    assert configure(updated, bench, made, 6) == 0
    fill(updated)
    no_turn_over(updated)
    sequence = report(updated, made).sequence
    assert configure(updated, bench, made, 7) == JOURNAL
    while end(updated) % updated.geometry.journal:  # until there is no room for a tick either
        updated.boot()
    with pytest.raises(AgentError):
        updated.boot()
    updated.wear_flash(0, 0, Wear.KEEPS_BITS)
    updated.boot()
    assert (report(updated, made).sequence, parameters(updated, made)) == (sequence, {0: 6})
    assert configure(updated, bench, made, 8) == 0, "the sector can be erased again"


def no_turn_over(agent: HostAgent) -> None:
    """Let the other sector refuse to be erased."""
    other = other_sector(agent)
    agent.wear_flash(other.offset, other.size, Wear.KEEPS_BITS)


def damage(agent: HostAgent, region: str) -> None:
    offset = agent.geometry.regions()[region].offset + 200
    agent.write_flash(offset, bytes([agent.read_flash(offset, 1)[0] ^ 0x10]))


def boot_fails(agent: HostAgent) -> None:
    with pytest.raises(AgentError) as failed:
        agent.boot()
    assert failed.value.args == (JOURNAL,)


def test_a_rotten_slot_that_can_not_be_recorded_is_an_error(updated: HostAgent) -> None:
    """The start is counted, and the next one would examine the slot again: not a state to work in."""
    fill(updated)
    no_turn_over(updated)
    damage(updated, "slot1")
    boot_fails(updated)


def test_a_rotten_previous_slot_that_can_not_be_recorded_is_an_error(updated: HostAgent) -> None:
    for _ in range(4):
        updated.fault_next_boot()
        updated.boot()
    fill(updated, snapshots=1)
    no_turn_over(updated)
    damage(updated, "slot0")
    updated.fault_next_boot()
    boot_fails(updated)


def test_work_that_can_not_be_recorded_is_reported(updated: HostAgent, bench: Bench, made: Made) -> None:
    delivery = install(bench, made, THIRD, 3)
    put(updated, delivery.offer)
    for index in range(delivery.blocks):
        delivery.send(updated, index)
    fill(updated)
    no_turn_over(updated)
    put(updated, Stage(delivery.name))
    updated.report()
    while not updated.wants_reset and report(updated, made).error == 0:
        updated.poll()
    assert report(updated, made).error == JOURNAL
    assert updated.poll() & POLL_REPORT


def test_a_sector_that_loses_every_record_is_left_for_the_one_before(
    updated: HostAgent, bench: Bench, made: Made
) -> None:
    assert configure(updated, bench, made, 6) == 0
    fill(updated)
    other = other_sector(updated)
    updated.wear_flash(other.offset, other.size, Wear.LOSES_BITS)
    assert configure(updated, bench, made, 7) == JOURNAL
    assert configure(updated, bench, made, 7) == JOURNAL
    updated.wear_flash(0, 0, Wear.LOSES_BITS)
    assert configure(updated, bench, made, 8) == 0
    updated.boot()
    assert parameters(updated, made) == {0: 8}


# ---------------------------------------------------------------- what a record says


def test_an_abandoned_slot_is_recorded_as_empty(updated: HostAgent, bench: Bench, made: Made) -> None:
    put(updated, install(bench, made, THIRD, 3).offer)
    status_at = newest_snapshot(updated) + SLOT_AT[0] + STATUS_AT
    assert updated.read_flash(status_at, 1) == b"\1"
    put(updated, Delivery(bench.install(made, PREBAKED, 4)).offer)
    status_at = newest_snapshot(updated) + SLOT_AT[0] + STATUS_AT
    assert updated.read_flash(status_at, 1) == b"\0"


def test_a_slot_with_a_wrong_payload_is_recorded_as_empty(updated: HostAgent, bench: Bench, made: Made) -> None:
    garbage = Delivery(bench.install(made, THIRD, 3), bytes(len(THIRD)))
    assert deliver(updated, garbage).code == -VerificationCode.IMAGE
    assert updated.read_flash(newest_snapshot(updated) + SLOT_AT[0] + STATUS_AT, 1) == b"\0"


# ---------------------------------------------------------------- records that nobody wrote


def test_only_an_open_transfer_is_repaired(updated: HostAgent) -> None:
    """The last target may run by now."""

    def change(record: bytearray) -> None:
        record[REPAIRING_AT] = 1

    rewrite(updated, change)
    updated.boot()
    assert updated.running() == digest(NEW)


@pytest.mark.parametrize("damage", range(12))
def test_a_tick_with_a_wrong_crc_is_not_counted(updated: HostAgent, made: Made, damage: int) -> None:
    boots, at = report(updated, made).boots, end(updated)
    tick = bytearray(tick_after(updated))
    tick[damage] ^= 0x40
    updated.write_flash(at, bytes(tick))
    updated.boot()
    assert report(updated, made).boots == boots + 1
    assert Flag.JOURNAL_REPAIRED in report(updated, made).flags


@pytest.mark.parametrize("starts", [0, 1])
def test_an_old_tick_is_not_counted(updated: HostAgent, made: Made, starts: int) -> None:
    """The rest of a torn erase may have one, as old as the snapshot or as a tick after it."""
    for _ in range(starts):
        updated.boot()
    boots, at = report(updated, made).boots, end(updated)
    updated.write_flash(at, tick_after(updated, 0))
    updated.boot()
    assert report(updated, made).boots == boots + 1


@pytest.mark.parametrize(("beyond", "sequence"), [(0, 9), (TICK, 2)])
def test_a_snapshot_is_all_in_its_sector(updated: HostAgent, made: Made, beyond: int, sequence: int) -> None:
    """At the last place of the first one, or partly in the second, where nothing else looks for it."""
    first, second = sectors(updated)
    assert first.offset + first.size == second.offset
    record = bytearray(updated.read_flash(newest_snapshot(updated), RECORD))
    record[4:8] = struct.pack("<I", records(updated)[-1][0] + 1)
    record[SEQUENCE_AT : SEQUENCE_AT + 4] = struct.pack("<I", 9)
    record[992:996] = zlib.crc32(record[:992]).to_bytes(4, "little")
    updated.write_flash(second.offset - RECORD + beyond, bytes(record))
    updated.boot()
    assert report(updated, made).sequence == sequence


def test_a_journal_with_anything_but_records_starts_anew(
    make_core: Callable[..., HostAgent], bench: Bench, made: Made
) -> None:
    """The first record needs flash that is erased."""
    agent = make_core(made.region(PREBAKED))
    for sector in sectors(agent):
        agent.write_flash(sector.offset, bytes(range(256)) * (sector.size // 256))
    agent.boot()
    assert deliver(agent, install(bench, made, OLD, 1)).code == 0
    agent.boot()
    assert agent.running() == digest(OLD)


def test_what_is_neither_tick_nor_snapshot_is_neither(updated: HostAgent, bench: Bench, made: Made) -> None:
    """Even with the CRC of one."""
    boots, at, serial = report(updated, made).boots, end(updated), records(updated)[-1][0]
    tick = b"TFT2" + struct.pack("<I", serial + 1)
    updated.write_flash(at, tick + zlib.crc32(tick).to_bytes(4, "little"))
    updated.boot()
    assert report(updated, made).boots == boots + 1
    assert configure(updated, bench, made, 7) == 0

    def change(record: bytearray) -> None:
        record[3:4] = b"3"

    rewrite(updated, change)
    updated.boot()
    assert (report(updated, made).sequence, parameters(updated, made)) == (2, {})


def test_a_snapshot_of_version_1_is_read_and_followed_by_one_of_version_2(
    updated: HostAgent, bench: Bench, made: Made
) -> None:
    """Its slots are 16 bytes longer, and it has no root."""
    before = report(updated, made)
    slots = [8 + 232, 8 + 592, 8 + 952]

    def change(record: bytearray) -> None:
        first, second = (bytes(record[start:stop]) for start, stop in pairwise(slots))
        record[3:4] = b"1"
        record[slots[0] : 8 + 984] = first + bytes(16) + second + b"\xa5" * 16  # what is read as a part of the root
        assert len(record) == RECORD

    rewrite(updated, change)
    updated.boot()
    after = report(updated, made)
    assert (after.sequence, after.running, after.other, after.root) == (
        before.sequence,
        before.running,
        before.other,
        before.root,
    )
    assert configure(updated, bench, made, 7) == 0
    assert updated.read_flash(newest_snapshot(updated), 4) == b"TFJ2"
    assert deliver(updated, Delivery(bench.install(made, OLD, 4))).code == 0  # it holds the pack, and knows its slot


def test_each_record_has_the_next_serial_and_blank_bytes_at_its_end(
    updated: HostAgent, bench: Bench, made: Made
) -> None:
    updated.boot()
    assert configure(updated, bench, made, 7) == 0
    updated.boot()
    updated.boot()
    assert configure(updated, bench, made, 8) == 0
    serials = [serial for serial, _ in records(updated)]
    assert serials == list(range(serials[0], serials[0] + len(serials)))
    assert len(serials) > 5
    for _, at in records(updated):
        said, length = (12, TICK) if updated.read_flash(at, 4) == b"TFT1" else (996, RECORD)
        assert updated.read_flash(at + said, length - said) == b"\xff" * (length - said)


def test_a_record_names_the_accepted_envelope_by_its_sha256(updated: HostAgent, bench: Bench, made: Made) -> None:
    """As received, with its delegation: an agent of another version must know it again."""
    signed = bench.configure(made, NEW, 3, {0: 7})
    assert deliver(updated, Delivery(signed)).code == 0
    at = newest_snapshot(updated) + 8 + 48
    assert updated.read_flash(at, 32) == hashlib.sha256(signed).digest()


@pytest.mark.parametrize("damage", [4, 8, 500, 991, 992])
def test_a_snapshot_with_a_wrong_crc_is_not_loaded(updated: HostAgent, bench: Bench, made: Made, damage: int) -> None:
    assert configure(updated, bench, made, 7) == 0
    at = newest_snapshot(updated) + damage
    updated.write_flash(at, bytes([updated.read_flash(at, 1)[0] ^ 1]))
    updated.boot()
    assert (report(updated, made).sequence, parameters(updated, made)) == (2, {})


@pytest.mark.parametrize(
    ("at", "code"),
    [
        (ENVELOPE_AT + 3 + 60 + 64, VerificationCode.SIGNATURE),
        (ENVELOPE_AT + 3 + 60 + 120, VerificationCode.DIGEST),  # the manifest
        (8 + 32, VerificationCode.SIGNER),  # the key that verified it
        (8, VerificationCode.IMAGE),  # the digest next to it
        (0, VerificationCode.IMAGE),  # the size
    ],
    ids=["signature", "manifest", "signer", "digest", "size"],
)
def test_the_kept_envelope_is_verified_at_each_start(
    updated: HostAgent, made: Made, at: int, code: VerificationCode
) -> None:
    def change(record: bytearray) -> None:
        record[SLOT_AT[1] + at] ^= 4

    rewrite(updated, change)
    updated.boot()
    reported = report(updated, made)
    assert (reported.running, reported.why) == (digest(OLD)[:16], DecisionReason.FELL_BACK_TO_PREVIOUS)
    assert reported.error == -code


def test_a_kept_envelope_longer_than_its_room_is_not_read(updated: HostAgent, made: Made) -> None:
    def change(record: bytearray) -> None:
        record[SLOT_AT[1] + 4 : SLOT_AT[1] + 6] = struct.pack("<H", ENVELOPE_ROOM + 1)

    rewrite(updated, change)
    updated.boot()
    assert report(updated, made).error == -VerificationCode.TOO_LONG
    assert updated.running() == digest(OLD)


def test_an_envelope_from_the_future_is_not_run(updated: HostAgent, made: Made) -> None:
    """A sequence that went back is a journal that was changed: what it has not accepted does not run."""

    def change(record: bytearray) -> None:
        record[SEQUENCE_AT : SEQUENCE_AT + 4] = struct.pack("<I", 1)

    rewrite(updated, change)
    updated.boot()
    assert report(updated, made).error == -VerificationCode.SEQUENCE
    assert updated.running() == digest(OLD)
