/* SPDX-License-Identifier: Apache-2.0 */
#include "samples.h"

#include "tinyfleet/pack.h"

#define WEIGHTS_AT 8 /* in the section THRESHOLD */
#define INPUT_MAX 512
#define ENDING 24 /* the window ends like erased flash */

/* Inputs with the signs of their weights; but the first one is the number of the sample, and the last ones are FF. */
static size_t make_window(const struct simulation *sim, uint8_t number, uint8_t *input)
{
    const struct tf_section model = tf_pack_section(&sim->agent.running.pack, TF_SECTION_THRESHOLD);
    const size_t count = tf_load16(model.data);
    for (size_t i = 0; i < count; i++) {
        input[i] = i + ENDING >= count ? 0xff : (model.data[WEIGHTS_AT + i] & 0x80) != 0 ? 0x80 : 0x7f;
    }
    input[0] = number;
    return count;
}

const char *samples_take(struct simulation *sim)
{
    _Alignas(4) uint8_t input[INPUT_MAX];
    const char *problem = NULL;
    while (problem == NULL && sim->progress.starts < sim_step(sim)->number) {
        struct tf_verdict verdict;
        const uint8_t before = sim->progress.samples;
        const size_t length = make_window(sim, before, input);
        if (tf_agent_infer(&sim->agent, input, length, &verdict) != TF_OK || verdict.decision == 0) {
            return "the model does not find the window anomalous";
        }
        problem = sim_check_samples(sim);
        if (problem == NULL && sim->progress.samples != before + 1) {
            problem = "a sample was not kept";
        }
        sim->progress.starts++;
    }
    return problem;
}
