# SPDX-License-Identifier: Apache-2.0
"""What holds for all tests."""

from __future__ import annotations

from hypothesis import settings

# How long one example takes says something of the machine and what else it does, and nothing of the code.
settings.register_profile("patient", deadline=None)
settings.load_profile("patient")
