# SPDX-License-Identifier: Apache-2.0
"""Scenes of operations: a program calls what Git has deployed. Every figure is read from the running system."""

from __future__ import annotations

import struct

from demo.operation_fleet import BUCKET, CLIENT, KEPT, RMS, RUNAWAY, OperationContext, function
from demo.world import NotObservedError
from reconciler.model import ValueDescriptor, ValueElement
from reconciler.operations.codes import AnswerCode, OperationFailed
from reconciler.operations.descriptors import DataDescriptor

SAMPLES = struct.pack("<12h", 3, -4, 0, -3, 4, 7, 3, 4, -7, 3, -4, 0)
VOLTS = DataDescriptor((ValueDescriptor(name="window", dtype=ValueElement.INT16, shape=(4, 3), unit="V"),))
CALL = b"one call"


def a_merged_function_answers(context: OperationContext) -> None:
    """A function is merged, and a program calls it through the broker."""
    context.commit("Add rms, 40 lines of WebAssembly in text", function("rms", RMS))
    context.wait("rms to be ready", lambda: context.function("rms").get("Ready", {}).get("reason") == "Ready")
    for each in context.client.operations():
        if each.provider != "node":
            context.observe(f"{CLIENT} sees the operation {each.operation}, by {each.provider} on {each.node}")
    done = context.client.perform("features.rms", SAMPLES)
    context.require("the root mean squares are right", struct.unpack("<3i", done.data) == (3, 4, 4))
    context.observe(f"features.rms of four samples: 3, 4 and 4 mg, after {done.microseconds / 1000:.1f} ms")


def wrong_data_is_refused(context: OperationContext) -> None:
    """Data in volts instead of milligravities is refused before anything runs."""
    calls = context.wait("the count of calls", lambda: context.figures("rms")["calls"])
    failure = _failure(context, "features.rms", VOLTS)
    context.require("it is a mismatch", failure.code is AnswerCode.DESCRIPTOR_MISMATCH)
    context.observe(f"{CLIENT} gets {failure}")
    context.client.call("features.rms", SAMPLES)
    context.wait("the next call to be counted", lambda: context.figures("rms")["calls"] > calls)
    context.require("the refused one was not", context.figures("rms")["calls"] == calls + 1)
    context.observe(f"the function has run {calls + 1} times: not for this request")


def a_function_runs_away(context: OperationContext) -> None:
    """A function that never ends is merged. It costs its own calls, and nothing else."""
    context.commit("Add a function that loops", function("runaway", RUNAWAY))
    context.wait("it to be ready", lambda: context.function("runaway").get("Ready", {}).get("reason") == "Ready")
    failure = _failure(context, "features.runaway")
    context.require("its call fails", failure.code is AnswerCode.FUNCTION_FAILED)
    context.observe(f"{CLIENT} gets {failure}")
    context.wait("its condition", lambda: context.function("runaway")["Serving"]["reason"] == "OutOfFuel")
    context.observe(f"status of runaway: {context.function('runaway')['Ready']['message']}")
    context.require("rms still answers", context.client.call("features.rms", SAMPLES) == struct.pack("<3i", 3, 4, 4))
    context.observe("features.rms answers as before")


def items_outlive_a_crash(context: OperationContext) -> None:
    """The gateway stores windows. The daemon is killed, and a call that is repeated stores nothing twice."""
    for number in range(KEPT + 2):
        context.client.call(f"data.put.{BUCKET}", struct.pack("<3h", number, 0, 0))
    last = context.client.call(f"data.put.{BUCKET}", SAMPLES, call=CALL)
    before = _stat(context)
    context.require("the bucket keeps what Git says", before[0] == KEPT)
    context.observe(f"{KEPT + 3} windows put; the bucket keeps the newest {before[0]}")
    context.gateway_process.kill()
    context.narrator.action("kill -9 of the daemon, and start")
    context.gateway_process = context.fleet.start()
    again = context.client.call(f"data.put.{BUCKET}", SAMPLES, call=CALL, timeout_s=60)
    context.require("the repeated call made no item", again == last)
    context.require("nothing was lost and nothing doubled", _stat(context) == before)
    context.observe(f"the same call again returns item {int.from_bytes(last, 'little')}; still {before[0]} items")


def a_commit_replaces_a_function(context: OperationContext) -> None:
    """A commit replaces rms while the program calls it without a pause, and takes the other one away."""
    files = {path: data for path, data in function("runaway", RUNAWAY).items() if path.endswith(".wat")}
    context.world.run("git", "rm", "-q", "functions/runaway.yaml", cwd=context.world.work)
    context.commit("rms 1.1.0, and no runaway", {**files, **function("rms", RMS, "1.1.0")})
    calls, providers = 0, {""}
    while "rms 1.1.0" not in providers:
        context.require("rms answers", context.client.call("features.rms", SAMPLES) == struct.pack("<3i", 3, 4, 4))
        calls += 1
        providers = {each.provider for each in context.client.operations()}
    context.observe(f"{calls} calls one after the other, each with the right answer, until 1.1.0 answered")
    context.require("the other one is gone", _failure(context, "features.runaway").code is AnswerCode.NO_SUCH_OPERATION)
    context.observe("features.runaway: NoSuchOperation")


def _failure(context: OperationContext, operation: str, what: DataDescriptor | None = None) -> OperationFailed:
    try:
        context.client.call(operation, SAMPLES, what=what)
    except OperationFailed as failure:
        return failure
    raise NotObservedError(f"{operation} was to fail")


def _stat(context: OperationContext) -> tuple[int, ...]:
    return struct.unpack("<4Q", context.client.call(f"data.stat.{BUCKET}", timeout_s=60))
