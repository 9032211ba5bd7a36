# SPDX-License-Identifier: Apache-2.0
"""Packages for MicroPython (docs/specs/package.md), translated from packs."""
