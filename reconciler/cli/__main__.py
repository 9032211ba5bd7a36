# SPDX-License-Identifier: Apache-2.0
"""`python -m reconciler.cli` is the command `tinyfleet` of this source tree."""

from __future__ import annotations

from reconciler.cli import main

if __name__ == "__main__":
    main()
