# SPDX-License-Identifier: Apache-2.0
"""Keys, delegation, envelopes, reports and certificates; usable alone, no network."""
