/* SPDX-License-Identifier: Apache-2.0 */
/* For a processor without a C library: the one type that the declarations of Zephyr need. */
typedef long off_t;
