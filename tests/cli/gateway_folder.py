# SPDX-License-Identifier: Apache-2.0
"""The folder of a gateway: a configuration, a database, and the runtime status of a running daemon."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path

from click.testing import CliRunner, Result

from reconciler.cli import cli
from reconciler.daemon import runtime_status
from reconciler.devices.link import LinkStatistics
from reconciler.devices.reports import (
    CapabilitiesBody,
    DecisionReason,
    DeviceReport,
    Flag,
    ModelLocation,
    Score,
    Summary,
)
from reconciler.engine.observed.summaries import Summaries
from reconciler.engine.state.records import DeviceRecord, OrderRecord, QuarantineRecord
from reconciler.engine.state.writer import StateWriter
from reconciler.engine.status.renderer import GATEWAY
from reconciler.errors import FleetError
from reconciler.model import (
    Action,
    Artifact,
    DeviceId,
    Digest,
    ModelRef,
    ObservedDevice,
    Phase,
    RolloutId,
    TypeId,
    Version,
)
from reconciler.report.device_status import DeviceFacts, PassStamp, device_status
from reconciler.report.gateway_status import GatewayFacts, SourceState, gateway_status
from reconciler.report.status_files import device_file, gateway_file

NOW = datetime.now(UTC)
COMMIT = "7d1f0c29a4be5b3e8d6c01f7a92e4c58b3d6f011"
RUNS, FAILED = Digest("ab" * 32), Digest("cd" * 32)
WEAR = ModelRef("wear", Version("1"))
REPORT = DeviceReport(
    counter=9, sequence=4, epoch=1, gateway=b"\x11" * 8, phase=Phase.CONFIRMED, location=ModelLocation.SLOT_A,
    running=bytes.fromhex(RUNS)[:16], other=None, why=DecisionReason.CONFIRMED, failed=None, error=-31,
    flags=Flag.GOLDEN_VECTORS_FAILED | Flag.INFERENCE_FAULT, parameters=0, boots=3, inferences=120, anomalies=7,
    faults=1, transfer=None,
)  # fmt: skip
CAPABILITIES = CapabilitiesBody(
    type="board", class_id=b"\x22" * 16, pack_format=1, operators=b"\x01", slot_bytes=8192, arena_bytes=1024,
    block_bytes=512, block_ms=0, updates=True, prebaked=(), firmware="1.4.0",
)  # fmt: skip


@dataclass
class GatewayFolder:
    """The folder of one gateway."""

    folder: Path

    @property
    def config(self) -> Path:
        return self.folder / "gateway.toml"

    def tinyfleet(self, *arguments: str) -> Result:
        return CliRunner().invoke(cli, [*arguments, "--config", str(self.config)])

    def failure(self, *arguments: str) -> str:
        """Run a command that ends with a known failure, and return its message."""
        error = self.tinyfleet(*arguments).exception
        assert isinstance(error, FleetError), error
        return str(error)

    def state(self) -> StateWriter:
        return StateWriter(self.folder / "state" / "state.db")

    def publish(self, *actions: Action, model: str | None = "wear@1") -> None:
        """Write the status of the last pass: these actions, and the enforced commit."""
        observed_at = PassStamp(NOW, COMMIT)
        gateway = gateway_status(GatewayFacts("hall", SourceState(True, "Fetched", "")), observed_at, None)  # noqa: FBT003
        files = {GATEWAY: gateway_file(gateway)}
        for action in actions:
            seen = ObservedDevice(NOW, Phase.CONFIRMED, RUNS, sequence=4)
            files[f"devices/{action.device}.yaml"] = device_file(
                device_status(DeviceFacts(action, seen, model), observed_at, None)
            )
        state = self.state()
        state.save_status_files(files, set())
        state.close()

    def record_report(self, name: str, ago: timedelta) -> None:
        """Record that a device reported, sampled scores, failed with one pack, and was sent another."""
        device = DeviceId(name)
        state = self.state()
        seen_at = datetime.now(UTC) - ago
        state.save_devices([DeviceRecord(device, seen_at, REPORT, CAPABILITIES, NOW, {}, 0)])
        state.save_artifact(Artifact(WEAR, TypeId("board"), RUNS, 900, 64, frozenset({"ADD"})), "source")
        failure = QuarantineRecord(device, FAILED, "the trial failed with -31", RolloutId("wear"), "revision")
        state.save_quarantine(failure)
        state.save_order(device, OrderRecord(RUNS, 4, b"envelope"))
        score = Score(2, -4, 4, 0, (1, 1, 0, 0, 0, 0, 0, 0))
        Summaries(state).record(device, Summary(REPORT.running, 120, 7, 1, 2, score), seen_at)
        state.close()

    def write_runtime_status(self) -> None:
        """Write the runtime status, as a running daemon does."""
        line = LinkStatistics(unknown={"pump-99"})
        status = runtime_status.RuntimeStatus(
            at=NOW,
            passes=3,
            summary="3 devices",
            commit=COMMIT,
            source_good=True,
            source_reason="Fetched",
            in_progress={DeviceId("pump-1"): "wear@2 is to be transferred"},
            waiting={DeviceId("pump-2"): "lost: no answer to 6 questions"},
            building=("wear@3 for board",),
            build_failures={"wear@4 for board": ("BuildGateFailed", "auc is 0.7, it must be at least 0.9")},
            links={
                "line": runtime_status.LinkFigures("no such port", line),
                "mqtt": runtime_status.LinkFigures(None, LinkStatistics()),
            },
            unauthenticated={"pump-3": (14, "the signature is not the device's")},
        )  # fmt: skip
        runtime_status.write(self.folder / "state", status)


def gateway_folder(folder: Path, more: str = "") -> GatewayFolder:
    """Create a folder with a configuration, in which no daemon has run yet."""
    (folder / "gateway.toml").write_text(
        f'name = "hall"\nstate_dir = "state"\n[repository]\nurl = "{folder}/fleet.git"\n'
        f'[keys]\ngateway = "keys"\nstatus = "status_ed25519"\n{more}'
    )
    return GatewayFolder(folder)
