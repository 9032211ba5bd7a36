/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The curve in as little code as possible: loops over 8 words of 32 bits, one formula for adding and doubling, no tables.
 *
 * Field elements are numbers below 2^255 + 2^12, modulo the prime p = 2^255 - 19; only freeze() makes them unique. No
 * branch and no address depends on a scalar or a coordinate, except where a comment says that the values are public.
 */
#include <stdbool.h>
#include <string.h>

#include "codec/bytes.h"
#include "crypto/curve.h"

#define WORDS 8
#define SCALAR_BITS 253

typedef uint32_t number[WORDS];

/* Extended coordinates: x = X/Z, y = Y/Z, xy = T/Z. */
struct point {
    number x, y, z, t;
};

/* 2^252 + 27742317777372353535851937790883648493, the order of the base point. */
static const number order = {0x5cf5d3ed, 0x5812631a, 0xa2f79cd6, 0x14def9de, 0, 0, 0, 0x10000000};
/* -121665/121666 */
static const number d = {0x135978a3, 0x75eb4dca, 0x4141d8ab, 0x00700a4d, 0x7779e898, 0x8cc74079, 0x2b6ffe73, 0x52036cee};
/* A square root of -1: 2^((p-1)/4). */
static const number root = {0x4a0ea0b0, 0xc4ee1b27, 0xad2fe478, 0x2f431806, 0x3dfbd7a7, 0x2b4d0099, 0x4fc1df0b, 0x2b832480};
static const number one = {1};

/* ------------------------------------------------------------------ 256-bit numbers */

static void load(number r, const uint8_t *bytes)
{
    for (int i = 0; i < WORDS; i++, bytes += 4) {
        r[i] = (uint32_t)bytes[0] | (uint32_t)bytes[1] << 8 | (uint32_t)bytes[2] << 16 | (uint32_t)bytes[3] << 24;
    }
}

static void store(uint8_t *bytes, const number a)
{
    for (int i = 0; i < 4 * WORDS; i++) {
        bytes[i] = (uint8_t)(a[i / 4] >> (8 * (i % 4)));
    }
}

/* r = a - b; returns 1 when b is larger. */
static uint32_t subtract(number r, const number a, const number b)
{
    uint32_t borrow = 0;
    for (int i = 0; i < WORDS; i++) {
        uint64_t x = (uint64_t)a[i] - b[i] - borrow;
        r[i] = (uint32_t)x;
        borrow = (uint32_t)(x >> 32) & 1;
    }
    return borrow;
}

/* Set r to a where mask is all ones. */
static void choose(uint32_t *r, const uint32_t *a, uint32_t mask, int words)
{
    for (int i = 0; i < words; i++) {
        r[i] ^= mask & (r[i] ^ a[i]);
    }
}

static void multiply_wide(uint32_t wide[2 * WORDS], const number a, const number b)
{
    memset(wide, 0, 2 * WORDS * sizeof wide[0]);
    for (int i = 0; i < WORDS; i++) {
        const uint32_t factor = a[i];
        uint32_t carry = 0;
#pragma GCC unroll 8
        for (int j = 0; j < WORDS; j++) {
            uint64_t x = (uint64_t)factor * b[j] + wide[i + j] + carry;
            wide[i + j] = (uint32_t)x;
            carry = (uint32_t)(x >> 32);
        }
        wide[i + WORDS] = carry;
    }
}

/* ------------------------------------------------------------------ field */

/* Fold the part above 2^255 back in, times 19, since 2^255 is 19 modulo p. above counts units of 2^256. */
static void fold(number r, uint32_t above)
{
    uint64_t x = (uint64_t)(above << 1 | r[WORDS - 1] >> 31) * 19;
    r[WORDS - 1] &= 0x7fffffff;
    for (int i = 0; i < WORDS; i++) {
        x += r[i];
        r[i] = (uint32_t)x;
        x >>= 32;
    }
}

static void add(number r, const number a, const number b)
{
    uint64_t x = 0;
    for (int i = 0; i < WORDS; i++) {
        x += (uint64_t)a[i] + b[i];
        r[i] = (uint32_t)x;
        x >>= 32;
    }
    fold(r, (uint32_t)x);
}

/* a + 2 p - b, which is never negative. */
static void sub(number r, const number a, const number b)
{
    int64_t x = -38; /* 2 p is 2^256 - 38; the 2^256 is added at the end */
    for (int i = 0; i < WORDS; i++) {
        x += (int64_t)a[i] - b[i];
        r[i] = (uint32_t)x;
        x >>= 32;
    }
    fold(r, (uint32_t)(x + 1));
}

static void mul(number r, const number a, const number b)
{
    uint32_t wide[2 * WORDS];
    uint64_t x = 0;
    multiply_wide(wide, a, b);
    for (int i = 0; i < WORDS; i++) {
        x += (uint64_t)wide[i + WORDS] * 38 + wide[i];
        r[i] = (uint32_t)x;
        x >>= 32;
    }
    fold(r, (uint32_t)x);
}

/* a to the power of 2^bits - 2^8 + low. */
static void power(number r, const number a, int bits, uint32_t low)
{
    number base;
    memcpy(base, a, sizeof base);
    memcpy(r, one, sizeof base);
    for (int i = bits - 1; i >= 0; i--) {
        mul(r, r, r);
        if (i >= 8 || (low >> i & 1) != 0) { /* the exponent is public */
            mul(r, r, base);
        }
    }
}

/* Reduce to the unique representation below p. */
static void freeze(number r)
{
    static const number p = {0xffffffed, 0xffffffff, 0xffffffff, 0xffffffff, 0xffffffff, 0xffffffff, 0xffffffff, 0x7fffffff};
    number less;
    uint32_t borrow = subtract(less, r, p);
    choose(r, less, borrow - 1, WORDS);
}

static bool is_zero(const number a)
{
    uint32_t any = 0;
    number frozen;
    memcpy(frozen, a, sizeof frozen);
    freeze(frozen);
    for (int i = 0; i < WORDS; i++) {
        any |= frozen[i];
    }
    return any == 0;
}

/* ------------------------------------------------------------------ points */

/* r = p + q for any two points, which may be equal (Hisil, Wong, Carter and Dawson 2008, section 3.1). */
static void add_points(struct point *r, const struct point *p, const struct point *q)
{
    number a, b, c, e;
    sub(a, p->y, p->x);
    sub(c, q->y, q->x);
    mul(a, a, c);
    add(b, p->y, p->x);
    add(c, q->y, q->x);
    mul(b, b, c);
    sub(e, b, a);
    add(b, b, a); /* h */
    mul(c, p->t, q->t);
    mul(c, c, d);
    add(c, c, c);
    mul(a, p->z, q->z);
    add(a, a, a);
    mul(r->t, e, b);
    number f;
    sub(f, a, c);
    add(c, a, c); /* g */
    mul(r->x, e, f);
    mul(r->y, c, b);
    mul(r->z, f, c);
}

static void negate(number a)
{
    static const number zero = {0};
    sub(a, zero, a);
}

/* Public points only: the base point, and keys that verify signatures. */
static bool decode(struct point *r, const uint8_t bytes[32])
{
    number u, v, x;
    load(r->y, bytes);
    r->y[WORDS - 1] &= 0x7fffffff;
    memcpy(r->z, one, sizeof one);
    mul(u, r->y, r->y);
    mul(v, u, d);
    sub(u, u, one); /* y^2 - 1 */
    add(v, v, one); /* d y^2 + 1 */
    /* x = u v^3 (u v^7)^((p-5)/8) is a root of u / v, or of -u / v, or neither has one. */
    mul(x, v, v);
    mul(x, x, v);
    mul(r->t, x, x);
    mul(r->t, r->t, v);
    mul(r->t, r->t, u);
    mul(x, x, u);
    power(r->t, r->t, 252, 0xfd);
    mul(r->x, x, r->t);
    mul(x, r->x, r->x);
    mul(x, x, v);
    sub(v, x, u);
    if (!is_zero(v)) {
        add(v, x, u);
        if (!is_zero(v)) {
            return false;
        }
        mul(r->x, r->x, root);
    }
    freeze(r->x);
    if ((r->x[0] & 1) != bytes[31] >> 7) {
        negate(r->x);
    }
    mul(r->t, r->x, r->y);
    return true;
}

static void encode(uint8_t bytes[32], const struct point *p)
{
    number inverse, x, y;
    power(inverse, p->z, 255, 0xeb);
    mul(x, p->x, inverse);
    mul(y, p->y, inverse);
    freeze(x);
    freeze(y);
    y[WORDS - 1] |= x[0] << 31;
    store(bytes, y);
}

static uint32_t bit(const number a, int i)
{
    return a[i / 32] >> (i % 32) & 1;
}

/* a p + b q. Each step doubles and adds one of 0, p, q, p + q, selected by reading all of them. */
static void multiply_points(struct point *r, const number a, const struct point *p, const number b, const struct point *q)
{
    struct point sums[4] = {0};
    struct point picked = {0};
    memcpy(sums[0].y, one, sizeof one);
    memcpy(sums[0].z, one, sizeof one);
    sums[1] = *p;
    sums[2] = *q;
    add_points(&sums[3], p, q);
    *r = sums[0];
    for (int i = SCALAR_BITS - 1; i >= 0; i--) {
        const uint32_t wanted = bit(a, i) | bit(b, i) << 1;
        add_points(r, r, r);
        for (uint32_t k = 0; k < 4; k++) {
            uint32_t differs = k ^ wanted;
            choose((uint32_t *)&picked, (const uint32_t *)&sums[k], ((differs | (0 - differs)) >> 31) - 1, 4 * WORDS);
        }
        add_points(r, r, &picked);
    }
}

static void decode_base(struct point *base)
{
    uint8_t bytes[32]; /* y = 4/5, x even */
    memset(bytes, 0x66, sizeof bytes);
    bytes[0] = 0x58;
    (void)decode(base, bytes);
}

/* ------------------------------------------------------------------ scalars */

static void reduce_wide(number r, const uint32_t wide[2 * WORDS])
{
    memset(r, 0, sizeof(number));
    for (int i = 64 * WORDS - 1; i >= 0; i--) {
        number less;
        for (int k = WORDS - 1; k > 0; k--) {
            r[k] = r[k] << 1 | r[k - 1] >> 31;
        }
        r[0] = r[0] << 1 | (wide[i / 32] >> (i % 32) & 1);
        choose(r, less, subtract(less, r, order) - 1, WORDS);
    }
}

void tf_curve_reduce(uint8_t scalar[32], const uint8_t wide[64])
{
    uint32_t words[2 * WORDS];
    number r;
    load(words, wide);
    load(words + WORDS, wide + 32);
    reduce_wide(r, words);
    store(scalar, r);
}

void tf_curve_mul_add(uint8_t scalar[32], const uint8_t a[32], const uint8_t b[32], const uint8_t c[32])
{
    uint32_t wide[2 * WORDS];
    number x, y;
    load(x, a);
    load(y, b);
    multiply_wide(wide, x, y);
    load(x, c);
    uint64_t carry = 0;
    for (int i = 0; i < 2 * WORDS; i++) {
        carry += (uint64_t)wide[i] + (i < WORDS ? x[i] : 0);
        wide[i] = (uint32_t)carry;
        carry >>= 32;
    }
    reduce_wide(x, wide);
    store(scalar, x);
    tf_wipe(y, sizeof y); /* may contain the device's private scalar */
    tf_wipe(wide, sizeof wide);
}

void tf_curve_base(uint8_t point[32], const uint8_t scalar[32])
{
    static const number nothing = {0};
    struct point base;
    struct point r;
    number a;
    decode_base(&base);
    load(a, scalar);
    multiply_points(&r, a, &base, nothing, &base);
    encode(point, &r);
    tf_wipe(a, sizeof a);
}

int tf_curve_check(const uint8_t signature[64], const uint8_t key[32], const uint8_t h[32])
{
    struct point base;
    struct point negated;
    struct point r;
    number s, k;
    load(s, signature + 32);
    if (subtract(k, s, order) == 0 || !decode(&negated, key)) {
        return TF_ERR_SIGNATURE;
    }
    negate(negated.x);
    negate(negated.t);
    decode_base(&base);
    load(k, h);
    multiply_points(&r, s, &base, k, &negated);
    encode((uint8_t *)k, &r); /* in the place of the scalar: the stack is deepest here */
    return tf_same((const uint8_t *)k, signature, sizeof k) ? TF_OK : TF_ERR_SIGNATURE;
}

/*
 * The peer's key is the u of the other form of the curve: y = (u - 1) / (u + 1), and either x gives the same product. A
 * clamped scalar is a multiple of 8 below 2^255: it is divided by 8, which leaves 252 bits, and the product doubled thrice.
 */
void tf_curve_agree(uint8_t shared[32], const uint8_t scalar[32], const uint8_t peer[32])
{
    static const number nothing = {0};
    struct point p;
    struct point r;
    number a, u, v;
    memset(shared, 0, 32);
    load(u, peer);
    u[WORDS - 1] &= 0x7fffffff; /* RFC 7748: the highest bit does not count */
    add(v, u, one);
    sub(u, u, one);
    power(v, v, 255, 0xeb);
    mul(u, u, v);
    freeze(u);
    store((uint8_t *)v, u); /* its highest bit is 0: the even x */
    if (!decode(&p, (const uint8_t *)v)) {
        return;
    }
    load(a, scalar);
    for (int i = 0; i < WORDS; i++) {
        a[i] = a[i] >> 3 | (i + 1 < WORDS ? a[i + 1] << 29 : 0);
    }
    multiply_points(&r, a, &p, nothing, &p);
    for (int i = 0; i < 3; i++) {
        add_points(&r, &r, &r);
    }
    add(u, r.z, r.y);
    sub(v, r.z, r.y);
    power(v, v, 255, 0xeb); /* of 0 it is 0 */
    mul(u, u, v);
    freeze(u);
    store(shared, u);
    tf_wipe(a, sizeof a);
    tf_wipe(&r, sizeof r);
}
