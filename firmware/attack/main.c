/* SPDX-License-Identifier: Apache-2.0 */
/*
 * attack script first-seed seeds messages
 *
 * For each seed: a gateway sets up a device, an attacker on the link sends it messages while its power is cut now and then,
 * and then the gateway delivers one more update, which must succeed. After each start a signed model must run, and no flash
 * may be written or erased that guard.h does not list. The last line on standard output has the counts.
 */
#include <setjmp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "attacker.h"
#include "gateway.h"
#include "guard.h"

#define SLICES_MAX 12
#define OPERATIONS_MAX 24 /* until a cut */

static struct {
    unsigned long messages;
    unsigned long accepted; /* envelopes */
    unsigned long cuts;
    unsigned long breaches;
    uint32_t erased_max; /* units, for one envelope without a loss of power */
} campaign;

static struct script script;
static struct simulation sim;
static struct attacker attacker;
static struct guard guard;
static jmp_buf power;

static void watch(struct simulation *device, uint32_t offset, const uint8_t *data, size_t length)
{
    guard_operation(&guard, device, offset, data, length);
}

/* ------------------------------------------------------------------ one attack */

/* A model of the script runs: nothing else was ever signed. */
static bool is_signed(const uint8_t *digest)
{
    bool found = memcmp(digest, script.initial, TF_DIGEST_BYTES) == 0;
    for (uint8_t i = 0; i < script.offer_count; i++) {
        found = found || memcmp(digest, script.offers[i].digest, TF_DIGEST_BYTES) == 0;
    }
    return found;
}

static const char *boot(void)
{
    guard_start(&guard);
    const char *problem = sim_boot(&sim);
    guard_note(&guard, &sim);
    return problem == NULL && !is_signed(sim.agent.running.digest) ? "a model runs that was never signed" : problem;
}

static const char *work(uint32_t slices)
{
    const char *problem = NULL;
    for (uint32_t i = 0; i < slices && problem == NULL; i++) {
        const int requests = tf_agent_poll(&sim.agent, 0);
        guard_note(&guard, &sim);
        if (sim.wants_reset) {
            problem = boot();
        } else if ((requests & TF_POLL_WORK) == 0) {
            return NULL;
        }
    }
    return problem;
}

static const char *send_one(void)
{
    uint8_t reply[TF_MESSAGE_MAX];
    bool corrected = false;
    const struct tf_state *state = &sim.agent.journal.record.state;
    const uint32_t sequence = state->sequence;
    const struct tf_view message = attacker_message(&attacker, &script, state, &corrected);
    const int length = tf_agent_handle(&sim.agent, message.data, message.size, corrected, reply, sizeof reply);
    guard_note(&guard, &sim);
    campaign.messages++;
    campaign.accepted += state->sequence != sequence;
    const uint32_t slices[] = {0, 0, 1, SLICES_MAX};
    return length < 0 ? "a message is an error" : work(slices[attacker_draw(&attacker, 4)]);
}

/* Request a loss of power at one of the next operations. */
static void arm(void)
{
    struct flash_model *flash = &sim.flash;
    flash->power = &power;
    flash->cut_at = flash->operations + 1 + attacker_draw(&attacker, OPERATIONS_MAX);
    flash->cut = (enum flash_cut)attacker_draw(&attacker, 3);
    flash->random = attacker.random;
}

static const char *attack_with_cuts(unsigned long messages, bool cuts)
{
    static unsigned long sent;
    static const char *problem;
    problem = NULL;
    sent = 0;
    if (setjmp(power) != 0) {
        campaign.cuts++;
        problem = boot(); /* the next cut is requested after it */
    }
    while (problem == NULL && guard.breach == NULL && sent < messages) {
        if (cuts && sim.flash.cut_at == 0 && attacker_draw(&attacker, 16) == 0) {
            arm();
        }
        sent++;
        problem = send_one();
    }
    sim.flash.cut_at = 0;
    return problem;
}

/* The gateway's last update: it remembers what runs now. */
static const char *deliver_last(void)
{
    const char *problem = boot();
    for (int turn = 0; problem == NULL && turn < SLICES_MAX; turn++) {
        problem = work(SLICES_MAX);
    }
    memcpy(sim.progress.old, sim.agent.running.digest, TF_DIGEST_BYTES);
    sim.progress.old_parameter = sim.agent.running.parameters[0];
    return problem == NULL ? gateway_play(&sim, PART_AFTER) : problem;
}

static const char *play(uint32_t seed, unsigned long messages)
{
    memset(&guard, 0, sizeof guard);
    const char *problem = sim_make(&sim, &script, watch);
    if (problem == NULL) {
        problem = gateway_play(&sim, PART_SETUP);
    }
    memset(&guard, 0, sizeof guard); /* the setup pays for itself */
    guard_note(&guard, &sim);
    attacker_init(&attacker, seed, (uint8_t)(script.offer_count - 1));
    if (problem == NULL) {
        problem = attack_with_cuts(messages, attacker_draw(&attacker, 2) == 0);
    }
    campaign.erased_max = guard.erased_max > campaign.erased_max ? guard.erased_max : campaign.erased_max;
    if (problem == NULL && guard.breach == NULL) {
        memset(&guard, 0, sizeof guard);
        guard_note(&guard, &sim);
        problem = deliver_last();
    }
    return guard.breach != NULL ? guard.breach : problem;
}

int main(int argc, char **argv)
{
    if (argc < 5) {
        (void)fprintf(stderr, "usage: attack script first-seed seeds messages\n");
        return 2;
    }
    const char *problem = script_read(&script, argv[1]);
    const unsigned long first = strtoul(argv[2], NULL, 10), seeds = strtoul(argv[3], NULL, 10);
    for (unsigned long seed = first; problem == NULL && seed < first + seeds; seed++) {
        problem = play((uint32_t)seed, strtoul(argv[4], NULL, 10));
        if (problem != NULL) {
            campaign.breaches++;
            printf("seed %lu, message %lu: %s\n", seed, campaign.messages, problem);
        }
    }
    printf("messages=%lu accepted=%lu cuts=%lu breaches=%lu erases_per_envelope_max=%lu\n", campaign.messages, campaign.accepted, campaign.cuts,
           campaign.breaches, (unsigned long)campaign.erased_max);
    return campaign.breaches > 0;
}
