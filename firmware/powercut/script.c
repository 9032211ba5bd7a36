/* SPDX-License-Identifier: Apache-2.0 */
#define _POSIX_C_SOURCE 200809L
#include "script.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* Bytes from hexadecimal; "-" stands for none. */
static struct tf_view unhex(const char *word)
{
    const size_t size = strcmp(word, "-") == 0 ? 0 : strlen(word) / 2;
    uint8_t *bytes = malloc(size + 1);
    for (size_t i = 0; i < size && bytes != NULL; i++) {
        const char pair[3] = {word[2 * i], word[2 * i + 1], 0};
        bytes[i] = (uint8_t)strtoul(pair, NULL, 16);
    }
    return (struct tf_view){bytes, size};
}

static char *next_word(char **rest)
{
    char *word = strtok_r(NULL, " \n", rest);
    static char none[] = "-";
    return word != NULL ? word : none;
}

static uint32_t next_number(char **rest)
{
    return (uint32_t)strtol(next_word(rest), NULL, 10);
}

static bool next_digest(char **rest, uint8_t digest[TF_DIGEST_BYTES])
{
    const struct tf_view bytes = unhex(next_word(rest));
    if (bytes.size != TF_DIGEST_BYTES) {
        return false;
    }
    memcpy(digest, bytes.data, bytes.size);
    return true;
}

/* geometry erase write provisioned journal marks slot anomalies large learning: regions from scratch on have large erase units */
static bool read_geometry(struct script *script, char **rest)
{
    struct tf_geometry *geometry = &script->geometry;
    geometry->erase_size = next_number(rest);
    geometry->write_size = next_number(rest);
    const uint32_t provisioned = next_number(rest);
    const uint32_t journal = next_number(rest);
    const uint32_t marks = next_number(rest);
    const uint32_t slot = next_number(rest);
    const uint32_t anomalies = next_number(rest);
    const uint32_t large = next_number(rest), small = geometry->erase_size;
    const uint32_t learning = next_number(rest);
    const struct {
        struct tf_region *region;
        uint32_t size, erase_size;
    } laid[] = {
        {&geometry->provisioned, provisioned, small}, {&geometry->journal[0], journal, small}, {&geometry->journal[1], journal, small},
        {&geometry->marks, marks, small}, {&geometry->scratch, large, large}, {&geometry->slot[0], slot, large},
        {&geometry->slot[1], slot, large}, {&geometry->samples[0], anomalies, large}, {&geometry->samples[1], 0, large},
        {&geometry->rows, learning, large}, {&geometry->forest, learning, large},
    };
    for (size_t i = 0; i < sizeof laid / sizeof laid[0]; i++) {
        const uint32_t unit = laid[i].erase_size, offset = (script->flash_bytes + unit - 1) / unit * unit;
        *laid[i].region = (struct tf_region){offset, laid[i].size, unit};
        script->flash_bytes = offset + laid[i].size;
    }
    return true;
}

/* region provisioned-region runs */
static bool read_region(struct script *script, char **rest)
{
    script->region = unhex(next_word(rest));
    return next_digest(rest, script->initial);
}

/* forest digest */
static bool read_forest(struct script *script, char **rest)
{
    return next_digest(rest, script->forest);
}

/* offer encoding block-bytes sequence epoch expect crash digest envelope reissued payload parameter */
static bool read_offer(struct script *script, char **rest)
{
    if (script->offer_count == OFFERS_MAX) {
        return false;
    }
    struct offer *offer = &script->offers[script->offer_count++];
    offer->transfer.encoding = (uint8_t)next_number(rest);
    offer->transfer.block_bytes = (uint16_t)next_number(rest);
    offer->transfer.name = (uint8_t)(script->offer_count);
    offer->sequence = next_number(rest);
    offer->epoch = next_number(rest);
    offer->expect = (int)next_number(rest);
    offer->crash = (enum crash)next_number(rest);
    const bool good = next_digest(rest, offer->digest);
    offer->envelope = unhex(next_word(rest));
    offer->reissued = unhex(next_word(rest));
    offer->payload = unhex(next_word(rest));
    offer->transfer.payload_bytes = (uint32_t)offer->payload.size;
    const char *parameter = next_word(rest);
    offer->configure = strcmp(parameter, "-") != 0;
    offer->parameter = (int32_t)strtol(parameter, NULL, 10);
    return good;
}

/* step part act number runs */
static bool read_step(struct script *script, char **rest)
{
    if (script->step_count == STEPS_MAX) {
        return false;
    }
    struct step *step = &script->steps[script->step_count++];
    step->part = (enum part)next_number(rest);
    step->act = (enum act)next_number(rest);
    step->number = (uint8_t)next_number(rest);
    return next_digest(rest, step->runs);
}

static bool read_line(struct script *script, char *line)
{
    static const struct {
        const char *name;
        bool (*read)(struct script *, char **);
    } kinds[] = {{"geometry", read_geometry}, {"region", read_region}, {"offer", read_offer}, {"forest", read_forest}, {"step", read_step}};
    char *rest = NULL;
    const char *kind = strtok_r(line, " \n", &rest);
    for (size_t i = 0; kind != NULL && i < sizeof kinds / sizeof kinds[0]; i++) {
        if (strcmp(kind, kinds[i].name) == 0) {
            return kinds[i].read(script, &rest);
        }
    }
    return false;
}

const char *script_read(struct script *script, const char *path)
{
    FILE *file = fopen(path, "r");
    char *line = NULL;
    size_t capacity = 0;
    bool good = file != NULL;
    memset(script, 0, sizeof *script);
    while (good && getline(&line, &capacity, file) > 0) {
        good = read_line(script, line);
    }
    free(line);
    if (file != NULL) {
        (void)fclose(file);
    }
    return !good ? "the script can't be read" : script->step_count == 0 ? "the script has no steps" : NULL;
}
