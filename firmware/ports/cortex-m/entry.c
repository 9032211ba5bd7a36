/* SPDX-License-Identifier: Apache-2.0 */
/* Where every Cortex-M begins after a reset. */
#include "start.h"
#include "vectors.h"

_Noreturn void board_start(void)
{
    bare_start();
}
