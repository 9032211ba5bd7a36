/* SPDX-License-Identifier: Apache-2.0 */
#include "faults.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

const char faults_help[] = "  drop=P        lose messages with probability P, in each direction\n"
                           "  corrupt=P     change a byte of a message with probability P, in each direction (MQTT)\n"
                           "  bit-errors=P  flip bits with probability P, in each direction (serial)\n"
                           "  delay=MS      delay each answer\n"
                           "  bearing=X     add a failing bearing's tone to the vibration, amplitude 0 to 1\n"
                           "  golden=1      fail the golden vectors of every pack on trial\n"
                           "  crash=1       crash during every trial\n"
                           "  cut=N         cut the power during the N-th flash operation from now\n"
                           "  none          clear all faults\n";

static bool is_share(double value)
{
    return value >= 0.0 && value <= 1.0;
}

static bool is_count(double value)
{
    return value >= 0.0 && value <= 1e9 && floor(value) == value;
}

static bool is_switch(double value)
{
    return is_count(value) && value <= 1.0;
}

static bool set(struct faults *faults, const char *name, size_t length, double value)
{
    const struct {
        const char *name;
        bool (*valid)(double);
        double *share;
        uint32_t *count;
        bool *flag;
    } known[] = {
        { .name = "drop", .valid = is_share, .share = &faults->drop },
        { .name = "corrupt", .valid = is_share, .share = &faults->corrupt },
        { .name = "bit-errors", .valid = is_share, .share = &faults->bit_errors },
        { .name = "bearing", .valid = is_share, .share = &faults->bearing },
        { .name = "delay", .valid = is_count, .count = &faults->delay_ms },
        { .name = "cut", .valid = is_count, .count = &faults->cut_after },
        { .name = "golden", .valid = is_switch, .flag = &faults->golden },
        { .name = "crash", .valid = is_switch, .flag = &faults->crash },
    };

    for (size_t i = 0; i < sizeof known / sizeof known[0]; i++) {
        if (strlen(known[i].name) != length || memcmp(known[i].name, name, length) != 0) {
            continue;
        }
        if (!known[i].valid(value)) {
            return false;
        }
        if (known[i].share != NULL) {
            *known[i].share = value;
        } else if (known[i].count != NULL) {
            *known[i].count = (uint32_t)value;
        } else {
            *known[i].flag = value != 0.0;
        }
        return true;
    }
    return false;
}

const char *faults_request(struct faults *faults, const char *request)
{
    const char *equals = strchr(request, '=');
    char *end;

    if (strcmp(request, "none") == 0) {
        *faults = (struct faults){ .random = faults->random };
        return NULL;
    }
    if (equals == NULL) {
        return "expected NAME=VALUE or none";
    }
    const double value = strtod(equals + 1, &end);

    if (end == equals + 1 || *end != 0) {
        return "the value is not a number";
    }
    return set(faults, request, (size_t)(equals - request), value) ? NULL : "unknown fault, or value out of range";
}

static uint32_t next_random(struct faults *faults)
{
    uint32_t s = faults->random;

    s ^= s << 13;
    s ^= s >> 17;
    s ^= s << 5;
    faults->random = s;
    return s;
}

static bool happens(struct faults *faults, double chance)
{
    return chance > 0.0 && next_random(faults) < chance * 4294967295.0;
}

bool faults_drop(struct faults *faults)
{
    return happens(faults, faults->drop);
}

void faults_corrupt(struct faults *faults, uint8_t *message, size_t length)
{
    if (length > 0 && happens(faults, faults->corrupt)) {
        message[next_random(faults) % length] ^= (uint8_t)(1u + next_random(faults) % 255u);
    }
}

void faults_flip_bits(struct faults *faults, uint8_t *bytes, size_t length)
{
    if (faults->bit_errors <= 0.0) {
        return;
    }
    for (size_t bit = 0; bit < 8 * length; bit++) {
        if (happens(faults, faults->bit_errors)) {
            bytes[bit / 8] ^= (uint8_t)(1u << bit % 8);
        }
    }
}
