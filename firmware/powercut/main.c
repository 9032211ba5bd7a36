/* SPDX-License-Identifier: Apache-2.0 */
/*
 * powercut script depth torn-first torn-later [stop]
 *
 * Plays a script once. Before each flash operation of its middle part, the simulation is forked once for each way to cut
 * the power during that operation. A fork starts again with the contents of flash and must reach the same end. It is
 * forked in turn at each operation of its recovery, until a path has `depth` cuts. No operation is ever replayed to reach
 * a cut.
 *
 * torn-first, torn-later: in how many ways an operation is torn, for the first cut of a path and for later ones.
 * stop: end at the first problem. The last line on standard output has the counts.
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
    unsigned long recoveries; /* cuts during the recovery from another cut */
    unsigned long bricks;
    unsigned long resent_max;
} campaign;

/* The simulations of the current path: sims[n] is the one after n cuts. */
static struct simulation sims[DEPTH_MAX + 1];

/* ------------------------------------------------------------------ one cut */

/* Perform the operation until its power is cut. False: flash refuses the operation, which counts as a violation. */
static bool lose_power(struct simulation *sim, const struct cut_point *point, const uint8_t *data)
{
    struct flash_model *flash = &sim->flash;
    jmp_buf power;
    flash->power = &power;
    flash->cut_at = flash->operations + 1;
    flash->cut = point->cut;
    flash->random = point->seed;
    if (setjmp(power) != 0) {
        return true;
    }
    (void)(point->erases ? flash_model_erase(flash, point->offset, point->length)
                         : flash_model_write(flash, point->offset, data, point->length));
    return false;
}

static void show(const struct simulation *sim, const char *problem)
{
    static const char *const cuts[] = {"before", "during", "after"};
    printf("step %d:", sim->progress.step);
    for (int i = 0; i < sim->depth; i++) {
        const struct cut_point *point = &sim->path[i];
        printf(" cut %s operation %llu (%s 0x%lx+%lu);", cuts[point->cut], (unsigned long long)point->operation,
               point->erases ? "erase" : "write", (unsigned long)point->offset, (unsigned long)point->length);
    }
    printf(" %s\n", problem);
}

static void record(const struct simulation *sim, const char *problem)
{
    if (sim->progress.resent_max > campaign.resent_max) {
        campaign.resent_max = sim->progress.resent_max;
    }
    if (problem == NULL) {
        return;
    }
    if (campaign.bricks++ < SHOWN_MAX) {
        show(sim, problem);
    }
}

static void try_cut(const struct simulation *outer, const struct cut_point *point, const uint8_t *data)
{
    struct simulation *sim = &sims[outer->depth + 1];
    sim_fork(sim, outer);
    sim->path[outer->depth] = *point;
    if (!lose_power(sim, point, data)) {
        return;
    }
    campaign.cuts++;
    campaign.torn_cuts += point->cut == FLASH_CUT_TORN;
    campaign.recoveries += outer->depth > 0;
    /* the last part of a script is the longest; to play it after first cuts only is enough */
    record(sim, gateway_play(sim, sim->depth == 1 ? PART_AFTER : PART_CUT));
}

/* ------------------------------------------------------------------ all cuts of one operation */

static void watch(struct simulation *sim, uint32_t offset, const uint8_t *data, size_t length)
{
    struct cut_point point = {
        .operation = sim->flash.operations + 1,
        .offset = offset,
        .length = (uint32_t)length,
        .erases = data == NULL,
    };
    if (sim->depth == campaign.depth || sim_step(sim)->part != PART_CUT) {
        return;
    }
    const int ways = 2 + campaign.torn[sim->depth];
    for (int way = 0; way < ways && !(campaign.stop && campaign.bricks > 0); way++) {
        point.cut = way == 0 ? FLASH_CUT_BEFORE : way == 1 ? FLASH_CUT_AFTER : FLASH_CUT_TORN;
        point.seed = (uint32_t)(campaign.cuts + 1) * 2654435761u | 1u;
        try_cut(sim, &point, data);
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
        problem = sim_make(&sims[0], &script, watch);
    }
    if (problem == NULL) {
        problem = gateway_play(&sims[0], PART_AFTER);
    }
    record(&sims[0], problem);
    printf("cuts=%lu torn=%lu recoveries=%lu bricks=%lu resent_blocks_max=%lu\n", campaign.cuts, campaign.torn_cuts,
           campaign.recoveries, campaign.bricks, campaign.resent_max);
    return campaign.bricks > 0;
}
