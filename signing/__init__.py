# SPDX-License-Identifier: Apache-2.0
"""Keys, delegations, envelopes, reports and certificates. The package works on its own and opens no network."""
