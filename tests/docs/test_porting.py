# SPDX-License-Identifier: Apache-2.0
"""docs/porting.md lists exactly the fields of struct tf_hal, which a port provides."""

from __future__ import annotations

import re

from tests.docs.markdown import ROOT

PAGE = (ROOT / "docs" / "porting.md").read_text(encoding="utf-8")
HAL = (ROOT / "firmware" / "include" / "tinyfleet" / "hal.h").read_text(encoding="utf-8")
CONFIG = (ROOT / "firmware" / "include" / "tinyfleet" / "config.h").read_text(encoding="utf-8")


def test_the_table_has_every_field() -> None:
    body = re.sub(r"/\*.*?\*/", "", HAL.partition("struct tf_hal {")[2].partition("};")[0], flags=re.DOTALL)
    fields = set(re.findall(r"\(\*(\w+)\)\(|(?<=[ *])(\w+);", body))
    named = {one or other for one, other in fields} - {"ctx"}
    table = PAGE.partition("| field of `tf_hal` |")[2].partition("\n\n")[0]
    assert set(re.findall(r"^\| `(\w+)` \|", table, re.MULTILINE)) == named


def test_the_loop_calls_the_same_functions_as_the_boards() -> None:
    loop = set(re.findall(r"(tf_agent_\w+)\(", PAGE.partition("```c\n")[2].partition("```")[0]))
    sources = [
        *(ROOT / "firmware" / "ports" / "bare").glob("*.c"),
        *(ROOT / "firmware" / "ports" / "shared").glob("*.c"),
    ]
    assert len(loop) == 6
    assert loop <= set(re.findall(r"tf_agent_\w+", "".join(path.read_text(encoding="utf-8") for path in sources)))


def test_the_page_states_the_size_of_the_message_buffer() -> None:
    (message,) = re.findall(r"#define TF_MESSAGE_MAX (\d+)", CONFIG)
    overhead = re.search(r"#define TF_FRAME_OVERHEAD (\d+)", (ROOT / "firmware/include/tinyfleet/frame.h").read_text())
    assert overhead
    assert f"= {int(message) + int(overhead[1]):,} on a serial line" in PAGE
