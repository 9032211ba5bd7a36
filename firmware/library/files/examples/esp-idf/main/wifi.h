/* SPDX-License-Identifier: Apache-2.0 */
/* Yours: returns when the network is up. */
void wifi_connect(void);
