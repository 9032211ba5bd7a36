/* SPDX-License-Identifier: Apache-2.0 */
/* Empty on purpose: third-party C includes <stdlib.h>, nothing of it may be used (there is no heap). */
