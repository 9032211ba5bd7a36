/* SPDX-License-Identifier: Apache-2.0 */
/* Included by third-party code that prints nothing here. */
