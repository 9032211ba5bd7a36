# SPDX-License-Identifier: Apache-2.0
"""Text that others chose, made safe to show: a terminal, a log or a page must not take it for commands.

Each package that takes in foreign text passes it through `printable` where it arrives. Log lines pass through it once
more, whatever they quote.
"""

from __future__ import annotations

import re
from typing import Final

# C0 and C1 controls except tab and line feed; marks that change the direction of text, or are not seen; lone
# surrogates. Escape sequences of terminals begin with one of the controls.
_UNPRINTABLE: Final = re.compile(
    "[\x00-\x08\x0b-\x1f\x7f-\x9f\u061c\u200b-\u200f\u2028-\u202e\u2060-\u206f\ufeff\ufff9-\ufffb\ud800-\udfff]"
)
REPLACEMENT: Final = "\ufffd"


def printable(text: str) -> str:
    """Replace each character that is not shown, or that changes how others are shown."""
    return _UNPRINTABLE.sub(REPLACEMENT, text)


def printable_line(text: str) -> str:
    """Make text printable, in one line."""
    return printable(text).replace("\n", " ").replace("\t", " ")
