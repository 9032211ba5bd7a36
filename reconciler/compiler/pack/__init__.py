# SPDX-License-Identifier: Apache-2.0
"""The pack format: sections, operators, and the checks that a pack must pass."""
