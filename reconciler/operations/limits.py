# SPDX-License-Identifier: Apache-2.0
"""The version of the specification, and its limits (docs/specs/operations.md, section 8)."""

from __future__ import annotations

VERSION = 1
CALL_BYTES = 8
DIGEST_BYTES = 8
DATA_BYTES_MAX = 1 << 20
PART_BYTES_MAX = 4000
DEADLINE_MS_MAX = 600_000
PATH_MAX = 4  # servers that a request may pass
NESTING_MAX = 4  # operations that call operations
RANK_MAX = 8
REMEMBERED_S = 600.0  # how long a call is known
REMEMBERED_CALLS = 1 << 18
REMEMBERED_BYTES = 16 << 20
PARTS_BYTES_MAX = 16 << 20
PARTS_S = 60.0
IN_PROGRESS_MAX = 256
IN_PROGRESS_OF_CLIENT = 64
