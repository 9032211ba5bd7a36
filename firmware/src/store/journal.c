/* SPDX-License-Identifier: Apache-2.0 */
#include "store/journal.h"

#include <string.h>

#include "store/flash.h"
#include "tinyfleet/crc32.h"

#define SNAPSHOT 0x324a4654u /* "TFJ2" */
#define SNAPSHOT_1 0x314a4654u /* "TFJ1": no root, and longer slots */
#define SLOT_B_OF_1 608
#define TICK 0x31544654u     /* "TFT1" */
#define STEP 32              /* records start at multiples of it */
#define COVERED offsetof(struct tf_record, crc)

_Static_assert(COVERED == 992, "the CRC is where docs/specs/flash.md says");

struct tick {
    uint32_t magic;
    uint32_t serial;
    uint32_t crc;
    uint8_t blank[20];
};

_Static_assert(sizeof(struct tick) == STEP, "a tick is one step");

/* What one pass over both sectors has found. */
struct scan {
    bool found;
    uint8_t sector; /* of the newest snapshot */
    uint32_t at;
    uint32_t serial;
    uint32_t used[2]; /* everything from here on is FF */
    bool damaged;
};

static void count_start(struct tf_state *state)
{
    state->boots++;
    if (state->phase == TF_PHASE_TRIAL) {
        state->trial_boots++;
    }
}

static bool is_tick(const struct tick *tick)
{
    return tick->magic == TICK && tick->crc == tf_crc32(0, tick, offsetof(struct tick, crc));
}

static bool is_snapshot(const struct tf_hal *hal, uint32_t offset)
{
    uint8_t piece[STEP];
    uint32_t crc = 0;
    for (uint32_t done = 0; done < COVERED; done += STEP) {
        if (tf_flash_read(hal, offset + done, piece, STEP) != TF_OK) {
            return false;
        }
        crc = tf_crc32(crc, piece, STEP);
    }
    return tf_flash_read(hal, offset + COVERED, piece, 4) == TF_OK && tf_load32(piece) == crc;
}

/* Examine one position; returns the length of the record there, or one step. */
static uint32_t examine(struct scan *scan, const struct tf_hal *hal, uint8_t sector, uint32_t at)
{
    const struct tf_region *region = &hal->geometry.journal[sector];
    struct tick head;
    const bool readable = tf_flash_read(hal, region->offset + at, &head, STEP) == TF_OK;
    if (readable && tf_all((const uint8_t *)&head, 0xff, STEP)) {
        return STEP;
    }
    if (readable && (head.magic == SNAPSHOT || head.magic == SNAPSHOT_1) && region->size - at >= TF_RECORD_BYTES && is_snapshot(hal, region->offset + at)) {
        if (!scan->found || head.serial > scan->serial) {
            scan->found = true;
            scan->sector = sector;
            scan->at = at;
            scan->serial = head.serial;
        }
        scan->used[sector] = at + TF_RECORD_BYTES;
        return TF_RECORD_BYTES;
    }
    scan->damaged = scan->damaged || !readable || !is_tick(&head);
    scan->used[sector] = at + STEP;
    return STEP;
}

/* Bring the state of a snapshot of version 1 into the form of this one. */
static void convert(struct tf_state *state)
{
    memmove(&state->slot[1], (uint8_t *)state + SLOT_B_OF_1, sizeof state->slot[1]);
    memset(state->root, 0, sizeof state->root);
}

/* Apply the ticks after the newest snapshot. What can't be read is a torn record: to stop here would stop every start. */
static void replay(struct tf_journal *journal, const struct tf_hal *hal, uint32_t from)
{
    const struct tf_region *region = &hal->geometry.journal[journal->sector];
    struct tick tick;
    for (uint32_t at = from; at < journal->position; at += STEP) {
        if (tf_flash_read(hal, region->offset + at, &tick, STEP) == TF_OK && is_tick(&tick) &&
            tick.serial > journal->record.serial) {
            journal->record.serial = tick.serial;
            count_start(&journal->record.state);
        }
    }
}

int tf_journal_load(struct tf_journal *journal, const struct tf_hal *hal)
{
    struct scan scan = {0};
    for (uint8_t sector = 0; sector < 2; sector++) {
        for (uint32_t at = 0; at < hal->geometry.journal[sector].size;) {
            at += examine(&scan, hal, sector, at);
        }
        hal->watchdog_kick(hal->ctx);
    }
    memset(journal, 0, sizeof *journal);
    memset(journal->record.blank, 0xff, sizeof journal->record.blank);
    journal->damaged = scan.damaged;
    if (!scan.found) {
        /* The sectors may contain anything: make the first commit erase one before it writes. */
        journal->position = hal->geometry.journal[0].size;
        return TF_OK;
    }
    journal->sector = scan.sector;
    journal->position = scan.used[scan.sector];
    int error = tf_flash_read(hal, hal->geometry.journal[scan.sector].offset + scan.at, &journal->record, offsetof(struct tf_record, blank));
    if (error == TF_OK) {
        if (journal->record.magic == SNAPSHOT_1) {
            convert(&journal->record.state);
        }
        replay(journal, hal, scan.at + TF_RECORD_BYTES);
    }
    return error;
}

/* Write one record and read it back. */
static int put(struct tf_journal *journal, const struct tf_hal *hal, const uint8_t *record, uint32_t length)
{
    uint8_t piece[STEP];
    uint32_t offset = hal->geometry.journal[journal->sector].offset + journal->position;
    journal->position += length;
    int error = tf_flash_write(hal, offset, record, length);
    for (uint32_t done = 0; done < length && error == TF_OK; done += STEP) {
        error = tf_flash_read(hal, offset + done, piece, STEP);
        if (error == TF_OK && !tf_same(piece, record + done, STEP)) {
            error = TF_ERR_FLASH;
        }
    }
    return error;
}

/* Write a record to the rest of the active sector. After a failed write, try the next position. */
static int append(struct tf_journal *journal, const struct tf_hal *hal, const uint8_t *record, uint32_t length)
{
    int error = TF_ERR_JOURNAL;
    while (error != TF_OK && journal->position + length <= hal->geometry.journal[journal->sector].size) {
        error = put(journal, hal, record, length);
    }
    return error;
}

/*
 * Erase the other sector and write the record there. Never erase the sector with the newest state: if the other sector is
 * worn out, that state still holds.
 */
static int switch_sector(struct tf_journal *journal, const struct tf_hal *hal)
{
    const uint8_t from = journal->sector;
    const uint8_t to = from ^ 1;
    const struct tf_region *region = &hal->geometry.journal[to];
    int error = tf_flash_erase(hal, region->offset, region->size);
    if (error == TF_OK) {
        journal->sector = to;
        journal->position = 0;
        error = append(journal, hal, (const uint8_t *)&journal->record, TF_RECORD_BYTES);
    }
    if (error != TF_OK) {
        journal->sector = from;
        journal->position = region->size;
    }
    return error;
}

int tf_journal_commit(struct tf_journal *journal, const struct tf_hal *hal)
{
    struct tf_record *record = &journal->record;
    record->magic = SNAPSHOT;
    record->serial++;
    record->crc = tf_crc32(0, record, COVERED);
    if (append(journal, hal, (const uint8_t *)record, TF_RECORD_BYTES) == TF_OK || switch_sector(journal, hal) == TF_OK) {
        return TF_OK;
    }
    return TF_ERR_JOURNAL;
}

int tf_journal_tick(struct tf_journal *journal, const struct tf_hal *hal)
{
    struct tick tick = {.magic = TICK, .serial = journal->record.serial + 1};
    count_start(&journal->record.state);
    memset(tick.blank, 0xff, sizeof tick.blank);
    tick.crc = tf_crc32(0, &tick, offsetof(struct tick, crc));
    if (append(journal, hal, (const uint8_t *)&tick, sizeof tick) == TF_OK) {
        journal->record.serial = tick.serial;
        return TF_OK;
    }
    return tf_journal_commit(journal, hal);
}
