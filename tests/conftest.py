# SPDX-License-Identifier: Apache-2.0
"""Settings of all tests."""

from __future__ import annotations

import signal

from hypothesis import settings

# A shell starts background processes with SIGINT ignored, and children inherit that. Some tests test Ctrl-C.
signal.signal(signal.SIGINT, signal.default_int_handler)

# There is no deadline, because the time of an example depends on the machine and its load. `make test`
# draws the same examples on each run; `make explore` draws fresh ones from the seed that it passes to pytest.
settings.register_profile("repeatable", deadline=None, database=None, derandomize=True)
settings.register_profile("explore", deadline=None, database=None, print_blob=True)
settings.load_profile("repeatable")
