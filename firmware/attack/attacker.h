/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Someone on the link, without any key: has every envelope and payload of the script, hears every answer, and sends
 * whatever may do harm. All choices follow from the seed.
 */
#ifndef TINYFLEET_ATTACK_ATTACKER_H
#define TINYFLEET_ATTACK_ATTACKER_H

#include "script.h"

enum mood {
    MOOD_WILD,      /* any message, in any order */
    MOOD_RELAY,     /* what the gateway sends, as it is */
    MOOD_GARBAGE,   /* the same, with wrong blocks */
    MOOD_ALTERNATE, /* the open offer, with other shapes that fit */
};
#define MOODS 4

struct attacker {
    uint32_t random;
    enum mood mood;
    bool insists;   /* never changes its mood */
    uint32_t flips; /* flips a bit in one of this many messages */
    uint8_t offers; /* how many of the script's offers the attacker has */
    uint8_t offer;  /* of the last message of this type, and so probably open */
    uint32_t next;  /* MOOD_WILD: the next block in order */
    uint32_t step;  /* MOOD_RELAY and MOOD_GARBAGE: within a transfer */
    uint8_t message[TF_MESSAGE_MAX];
};

void attacker_init(struct attacker *attacker, uint32_t seed, uint8_t offers);

/* A number below `limit`. */
uint32_t attacker_draw(struct attacker *attacker, uint32_t limit);

/* The next message. `state`: what the attacker has learned from answers. */
struct tf_view attacker_message(struct attacker *attacker, const struct script *script, const struct tf_state *state, bool *corrected);

#endif
