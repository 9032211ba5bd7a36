# SPDX-License-Identifier: Apache-2.0
"""The device agent for MicroPython: docs/micropython.md describes what it does and what it can't do."""
