# SPDX-License-Identifier: Apache-2.0
"""`make mutate-firmware`."""

from __future__ import annotations

import sys

from firmware.mutate.run import main

sys.exit(main())
