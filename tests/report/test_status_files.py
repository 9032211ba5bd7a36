# SPDX-License-Identifier: Apache-2.0
"""The README of a status branch."""

from __future__ import annotations

from datetime import UTC, datetime

from reconciler.model import (
    DeviceId,
    Digest,
    Install,
    ModelRef,
    NoChange,
    ObservedDevice,
    Origin,
    Phase,
    RolloutId,
    Version,
)
from reconciler.report.device_status import DeviceFacts, DeviceStatus, PassStamp, device_status
from reconciler.report.gateway_status import GatewayFacts, SourceState, gateway_status
from reconciler.report.status_files import readme

NOON = datetime(2026, 5, 1, 12, tzinfo=UTC)
ROLLOUT = RolloutId("vibration")


def ready(name: str) -> DeviceStatus:
    seen = ObservedDevice(NOON, Phase.CONFIRMED, Digest("a" * 64), sequence=3)
    return device_status(
        DeviceFacts(NoChange(DeviceId(name), "runs it"), seen, "vibration@1.0.0"), PassStamp(NOON, "c1"), None
    )


def updating(name: str) -> DeviceStatus:
    seen = ObservedDevice(NOON, Phase.CONFIRMED, Digest("a" * 64), sequence=3)
    model = ModelRef("vibration", Version("1.1.0"))
    install = Install(DeviceId(name), ROLLOUT, model, Origin.ARTIFACT, {}, "1.1.0 has to be transferred")
    return device_status(DeviceFacts(install, seen, "vibration@1.0.0"), PassStamp(NOON, "c1"), None)


def test_the_readme_counts_devices_and_lists_those_that_are_not_ready() -> None:
    source = SourceState(good=True, reason="Fetched", message="ok")
    gateway = gateway_status(GatewayFacts("hall", source), PassStamp(NOON, "c1"), None)
    devices = [ready("pump"), *(updating(f"pump-{number:02}") for number in range(25))]
    text = readme(gateway, devices, {each.device: ROLLOUT for each in devices}).decode()
    assert "1 of 26 devices" in text
    assert "| vibration | 1 | 25 Updating |" in text
    assert "and 5 more" in text
    assert text.count("| Updating |") == 20
