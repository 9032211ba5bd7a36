# SPDX-License-Identifier: Apache-2.0
"""Scenes with external failures: a power cut, and an unsigned commit."""

from __future__ import annotations

from demo.demo_fleet import BAUD, MILLS, PRESS
from demo.models import BETTER, LARGER, MODEL, PREBAKED
from demo.rollout_scenes import ready_with
from demo.scene_context import SceneContext
from demo.world import GATEWAY

CUT_AFTER_BYTES = 2200  # by then the board has about three blocks of 688 bytes


def power_cut_during_transfer(context: SceneContext) -> None:
    """The Cortex-M4 loses power during a transfer at 2400 baud, and resumes the transfer afterwards."""
    board, line, model = context.fleet.board, context.fleet.board.line, f"{MODEL}@{LARGER.version}"
    files = {**context.fleet.version(LARGER), **context.fleet.own_rollout("press", "press-sensor", LARGER)}
    before = len(context.deliveries(PRESS))
    context.commit(f"Roll out {LARGER.trees} trees to the press", files)
    context.wait("a transfer to the press", lambda: PRESS in context.query("status")["live"]["inProgress"]["devices"])
    began = line.to_board_bytes
    context.watch(f"bytes on the {BAUD}-baud line", lambda: line.to_board_bytes - began, CUT_AFTER_BYTES)
    board.switch_off()
    held, cut_at = board.blocks_held(), line.to_board_bytes
    context.narrator.action(f"cut the power of {PRESS} after {cut_at - began} bytes of the transfer")
    context.require("the transfer was incomplete", held and not context.runs(PRESS, model))
    context.observe(f"the flash of {PRESS}, read without power, has {held} complete blocks of the new model")
    board.switch_on()
    context.narrator.action(f"switch the power of {PRESS} on again")
    context.wait(f"{PRESS} to run {model}", lambda: context.ready(PRESS, model))
    context.observe(f"status/{GATEWAY}: {PRESS} has confirmed {model} after {line.to_board_bytes - cut_at} more bytes")
    results, total = context.deliveries(PRESS)[before:], board.blocks_held()
    sent = sum(each.sent for each in results)
    context.require("the last delivery was confirmed", results[-1].outcome == "Confirmed")
    context.require("complete blocks were not sent again", sent <= total + (total - held))
    context.observe(
        f"the model has {total} blocks; the log of the gateway shows {sent} sent, and no complete block twice"
    )


def unsigned_commit(context: SceneContext) -> None:
    """An unsigned commit is refused and changes nothing, until it is removed from the history."""
    good = context.world.enforced()
    sequences = {device: context.fleet.device_state(device)["sequence"] for device in MILLS}
    bad = context.commit("Go back to the old model", context.fleet.fleet_rollout(PREBAKED), signed=False)
    refused = context.wait("the refusal in the status", lambda: _refusal(context))
    context.observe(f"status/{GATEWAY}: {refused['reason']}: {refused['message']}")
    context.require("the message names the commit", bad[:8] in refused["message"])
    context.require("the last good commit is enforced", context.world.enforced() == good)
    context.observe(
        f"the gateway still enforces {(good or '')[:10]}; "
        f"metrics: tinyfleet_source_ready {context.metric('tinyfleet_source_ready'):.0f}"
    )
    now = {device: context.fleet.device_state(device)["sequence"] for device in MILLS}
    context.require("no device received an order", now == sequences)
    context.require("all devices run the same models as before", ready_with(context, BETTER.version) == len(MILLS))
    context.observe(f"asked {len(MILLS)} mills: none received an order")
    context.drop_last_commit()
    context.wait("the source to be ready again", lambda: context.gateway()["SourceReady"]["status"] == "True")
    context.observe(
        f"status/{GATEWAY}: {context.gateway()['SourceReady']['reason']}: the unsigned commit is gone from the history"
    )


def _refusal(context: SceneContext) -> dict[str, str] | None:
    found: dict[str, str] = context.gateway().get("SourceReady", {})
    return found if found.get("status") == "False" else None
