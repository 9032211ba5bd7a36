# SPDX-License-Identifier: Apache-2.0
"""The scenes in which something goes wrong outside: the power of a board, and a commit that nobody signed."""

from __future__ import annotations

from demo.models import BETTER, BORN_WITH, LARGER, MODEL
from demo.plant import BAUD, MILLS, PRESS
from demo.scenes import ready_with
from demo.stage import Stage
from demo.world import GATEWAY

CUT_AFTER_BYTES = 2200  # some three blocks of 688 are on the board by then


def power_cut_in_mid_transfer(stage: Stage) -> None:
    """The Cortex-M4 loses its power in the middle of a transfer over 2400 baud, and goes on where it was."""
    board, line, model = stage.plant.board, stage.plant.board.line, f"{MODEL}@{LARGER.version}"
    files = {**stage.plant.version(LARGER), **stage.plant.own_rollout("press", "press-sensor", LARGER)}
    before = len(stage.transfers(PRESS))
    stage.commit(f"{LARGER.trees} trees for the press, which deserves them", files)
    stage.wait("a transfer to the press", lambda: PRESS in stage.asked("status")["live"]["inProgress"]["devices"])
    began = line.to_board_bytes
    stage.watch(f"bytes on the {BAUD}-baud line", lambda: line.to_board_bytes - began, CUT_AFTER_BYTES)
    board.pull_the_plug()
    held, cut_at = board.blocks_held(), line.to_board_bytes
    stage.teller.act(f"pull the plug of {PRESS}, {cut_at - began} bytes into the transfer")
    stage.require("it was in mid-transfer", held and not stage.runs(PRESS, model))
    stage.fact(f"the flash of {PRESS}, read while it has no power: {held} blocks of the new model are whole")
    board.switch_on()
    stage.teller.act(f"give {PRESS} its power back")
    stage.wait(f"{PRESS} on {model}", lambda: stage.ready(PRESS, model))
    stage.fact(f"status/{GATEWAY}: {PRESS} has confirmed {model}; {line.to_board_bytes - cut_at} more bytes went by")
    ended, whole = stage.transfers(PRESS)[before:], board.blocks_held()
    sent = sum(each.sent for each in ended)
    stage.require("it ended well", ended[-1].how == "Confirmed")
    stage.require("what the board held was not sent again", sent <= whole + (whole - held))
    stage.fact(f"the model has {whole} blocks, the gateway's log tells of {sent} sent: none that the board held, again")


def unsigned_commit(stage: Stage) -> None:
    """A commit that nobody signed is refused; nothing changes; and it is mended."""
    good = stage.world.enforced()
    sequences = {device: stage.plant.device_says(device)["sequence"] for device in MILLS}
    bad = stage.commit("Trust me: back to the old model", stage.plant.fleet_rollout(BORN_WITH), signed=False)
    refused = stage.wait("the refusal in the status", lambda: _refusal(stage))
    stage.fact(f"status/{GATEWAY}: {refused['reason']}: {refused['message']}")
    stage.require("the message names the commit", bad[:8] in refused["message"])
    stage.require("the last good commit is enforced", stage.world.enforced() == good)
    stage.fact(
        f"enforced is still {(good or '')[:10]}; "
        f"metrics: tinyfleet_source_ready {stage.metric('tinyfleet_source_ready'):.0f}"
    )
    now = {device: stage.plant.device_says(device)["sequence"] for device in MILLS}
    stage.require("no device was told anything", now == sequences)
    stage.require("all run what they ran", ready_with(stage, BETTER.version) == len(MILLS))
    stage.fact(f"{len(MILLS)} mills asked: no device was told anything")
    stage.drop_last_commit()
    stage.wait("the source ready again", lambda: stage.gateway()["SourceReady"]["status"] == "True")
    stage.fact(f"status/{GATEWAY}: {stage.gateway()['SourceReady']['reason']}: the stranger is out of the history")


def _refusal(stage: Stage) -> dict[str, str] | None:
    found: dict[str, str] = stage.gateway().get("SourceReady", {})
    return found if found.get("status") == "False" else None
