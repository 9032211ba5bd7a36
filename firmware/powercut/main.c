/* SPDX-License-Identifier: Apache-2.0 */
/*
 * powercut script depth torn-first torn-later [stop]
 *
 * Plays a script once. Before each flash operation of its middle part the world is forked: once for each way to cut that
 * operation. A forked world starts again with what is in flash, must come to the same end, and is forked in turn at each
 * operation of its recovery, until `depth` cuts lie on one path. Nothing is ever played twice to get to a cut.
 *
 * torn-first, torn-later: how many ways to tear an operation are tried for the first cut of a path, and for later ones.
 * stop: at the first problem. The last line on standard output has the counts.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "gateway.h"

#define SHOWN_MAX 5

static struct {
    int depth;
    int torn[DEPTH_MAX];
    bool stop;
    unsigned long cuts;
    unsigned long torn_cuts;
    unsigned long recoveries; /* cuts while recovering from another one */
    unsigned long bricks;
    unsigned long resent_max;
} campaign;

/* One world for each cut on a path; the first has none. */
static struct world worlds[DEPTH_MAX + 1];

/* ------------------------------------------------------------------ one cut */

/* Do to flash what the operation does until its power goes. false: flash refuses the operation, which counts as a violation. */
static bool lose_power(struct world *world, const struct place_of_cut *place, const uint8_t *data)
{
    struct flash_model *flash = &world->flash;
    jmp_buf power;
    flash->power = &power;
    flash->cut_at = flash->operations + 1;
    flash->cut = place->cut;
    flash->random = place->seed;
    if (setjmp(power) != 0) {
        return true;
    }
    (void)(place->erases ? flash_model_erase(flash, place->offset, place->length)
                         : flash_model_write(flash, place->offset, data, place->length));
    return false;
}

static void show(const struct world *world, const char *problem)
{
    static const char *const cuts[] = {"before", "amid", "after"};
    printf("step %d:", world->progress.step);
    for (int i = 0; i < world->depth; i++) {
        const struct place_of_cut *place = &world->path[i];
        printf(" cut %s operation %llu (%s 0x%lx+%lu);", cuts[place->cut], (unsigned long long)place->operation, place->erases ? "erase" : "write",
               (unsigned long)place->offset, (unsigned long)place->length);
    }
    printf(" %s\n", problem);
}

static void judge(const struct world *world, const char *problem)
{
    if (world->progress.resent_max > campaign.resent_max) {
        campaign.resent_max = world->progress.resent_max;
    }
    if (problem == NULL) {
        return;
    }
    if (campaign.bricks++ < SHOWN_MAX) {
        show(world, problem);
    }
}

static void try_cut(const struct world *outer, const struct place_of_cut *place, const uint8_t *data)
{
    struct world *world = &worlds[outer->depth + 1];
    world_fork(world, outer);
    world->path[outer->depth] = *place;
    if (!lose_power(world, place, data)) {
        return;
    }
    campaign.cuts++;
    campaign.torn_cuts += place->cut == FLASH_CUT_TORN;
    campaign.recoveries += outer->depth > 0;
    /* what comes after is the longest part, and no cut more or less changes it much */
    judge(world, gateway_play(world, world->depth == 1 ? PART_AFTER : PART_CUT));
}

/* ------------------------------------------------------------------ all cuts of one operation */

static void watch(struct world *world, uint32_t offset, const uint8_t *data, size_t length)
{
    struct place_of_cut place = {
        .operation = world->flash.operations + 1,
        .offset = offset,
        .length = (uint32_t)length,
        .erases = data == NULL,
    };
    if (world->depth == campaign.depth || world_step(world)->part != PART_CUT) {
        return;
    }
    const int ways = 2 + campaign.torn[world->depth];
    for (int way = 0; way < ways && !(campaign.stop && campaign.bricks > 0); way++) {
        place.cut = way == 0 ? FLASH_CUT_BEFORE : way == 1 ? FLASH_CUT_AFTER : FLASH_CUT_TORN;
        place.seed = (uint32_t)(campaign.cuts + 1) * 2654435761u | 1u;
        try_cut(world, &place, data);
    }
}

int main(int argc, char **argv)
{
    static struct script script;
    if (argc < 5) {
        (void)fprintf(stderr, "usage: powercut script depth torn-first torn-later [stop]\n");
        return 2;
    }
    const int depth = atoi(argv[2]);
    campaign.depth = depth < DEPTH_MAX ? depth : DEPTH_MAX;
    campaign.torn[0] = atoi(argv[3]);
    for (int i = 1; i < DEPTH_MAX; i++) {
        campaign.torn[i] = atoi(argv[4]);
    }
    campaign.stop = argc > 5 && strcmp(argv[5], "stop") == 0;
    const char *problem = script_read(&script, argv[1]);
    if (problem == NULL) {
        problem = world_make(&worlds[0], &script, watch);
    }
    if (problem == NULL) {
        problem = gateway_play(&worlds[0], PART_AFTER);
    }
    judge(&worlds[0], problem);
    printf("cuts=%lu torn=%lu recoveries=%lu bricks=%lu resent_blocks_max=%lu\n", campaign.cuts, campaign.torn_cuts, campaign.recoveries, campaign.bricks,
           campaign.resent_max);
    return campaign.bricks > 0;
}
