# SPDX-License-Identifier: Apache-2.0
"""The forms in which a pack is transferred: raw, compressed or as a patch."""
