# SPDX-License-Identifier: Apache-2.0
"""What all tests stand on."""

from __future__ import annotations

import signal

from hypothesis import settings

# A shell starts what runs in its background with SIGINT ignored, and children inherit that: Ctrl-C is tested in some.
signal.signal(signal.SIGINT, signal.default_int_handler)

# How long one example takes says something of the machine and what else it does, and nothing of the code. `make test`
# draws the same examples on each run; `make explore` draws fresh ones, by the seed that it gives pytest.
settings.register_profile("repeatable", deadline=None, database=None, derandomize=True)
settings.register_profile("explore", deadline=None, database=None, print_blob=True)
settings.load_profile("repeatable")
