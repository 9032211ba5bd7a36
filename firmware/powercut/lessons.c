/* SPDX-License-Identifier: Apache-2.0 */
#include "lessons.h"

#include "tinyfleet/pack.h"

#define WINDOW_BYTES 32
#define WINDOWS_MAX 64

/*
 * The window with a number: the golden input of seed number + 1. Rows that are complete decide the number, so however often
 * power is cut, the same rows must be there in the end, and the same forest.
 */
static void make_window(uint32_t number, uint8_t *input)
{
    uint32_t seed = number + 1;
    for (uint32_t i = 0; i < WINDOW_BYTES; i += 2) {
        const uint32_t value = tf_golden_next(&seed) >> 16;
        input[i] = (uint8_t)value;
        input[i + 1] = (uint8_t)(value >> 8);
    }
}

const char *lessons_learn(struct simulation *sim)
{
    _Alignas(4) uint8_t input[WINDOW_BYTES];
    struct tf_verdict verdict;
    const char *problem = sim_settle(sim);
    for (int i = 0; i < WINDOWS_MAX && problem == NULL; i++) {
        if (sim->learner.stage == TF_LEARN_GROWN) {
            return sim_check_lesson(sim);
        }
        if (sim->learner.stage != TF_LEARN_COLLECTING) {
            return "the device neither collects nor has it a forest";
        }
        make_window(sim->learner.rows, input);
        if (tf_agent_infer(&sim->agent, input, sizeof input, &verdict) != TF_OK) {
            return "the model does not take the window";
        }
        problem = sim_check_lesson(sim);
        if (problem == NULL) {
            problem = sim_settle(sim);
        }
    }
    return problem != NULL ? problem : "the forest never grows";
}
