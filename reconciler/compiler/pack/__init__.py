# SPDX-License-Identifier: Apache-2.0
"""The pack format: its sections, its operators, and the checks that every pack must pass."""
