/* SPDX-License-Identifier: Apache-2.0 */
/* What lwIP asks of a compiler. */
#ifndef TINYFLEET_ARCH_CC_H
#define TINYFLEET_ARCH_CC_H

#include <stdint.h>

#define LWIP_NO_INTTYPES_H 1
#define LWIP_NO_UNISTD_H 1
#define LWIP_PLATFORM_DIAG(x)
#define LWIP_PLATFORM_ASSERT(x) __builtin_trap() /* a fault restarts the device */
#define X8_F "x"
#define U16_F "u"
#define S16_F "d"
#define X16_F "x"
#define U32_F "lu"
#define S32_F "ld"
#define X32_F "lx"
#define SZT_F "u"

#endif
