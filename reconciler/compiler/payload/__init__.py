# SPDX-License-Identifier: Apache-2.0
"""Payloads: how a pack is encoded for its transfer to a device."""
