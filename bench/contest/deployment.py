# SPDX-License-Identifier: Apache-2.0
"""What a new champion costs: its delivery at 2400 baud, and its inferences on a Cortex-M4."""

from __future__ import annotations

from collections.abc import Sequence

from bench.bearings.sampling import Int16s
from bench.contest.forests import as_inputs
from bench.serial import BAUD, Run, Workbench
from reconciler.compiler.engine_runner import ExecutionTarget, execute
from reconciler.compiler.payload.payload_encodings import smallest
from tests.firmware.bench import make_pack

BITS_PER_BYTE = 10  # on the line: with start and stop bit


def deployments(packs: Sequence[bytes], baud: int = BAUD) -> list[Run]:
    """Deliver each pack to a new device that already runs another model, until its signed report confirms it."""
    workbench = Workbench(baud)
    return [workbench.run([make_pack(1), pack])[-1] for pack in packs]


def occupation(run: Run, baud: int = BAUD) -> float:
    """Return the share of a deployment during which a byte is on the line."""
    return (run.sent_bytes + run.received_bytes) * BITS_PER_BYTE / baud / run.took_s


def payload_share(run: Run, pack: bytes, baud: int = BAUD) -> float:
    """Return the share of a deployment that the bytes of the payload alone take."""
    return len(smallest(pack).data) * BITS_PER_BYTE / baud / run.took_s


def infer_instructions(pack: bytes, windows: Int16s) -> list[int]:
    """Return the instructions of the inference of each window, features included."""
    inferences = execute(ExecutionTarget.MPS2_AN386, pack, as_inputs(windows)).inferences
    if any(inference.error for inference in inferences):
        raise SystemExit("the engine failed on a window")
    return [inference.instructions for inference in inferences]
