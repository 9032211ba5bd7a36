# SPDX-License-Identifier: Apache-2.0
"""Has devices follow the root of the gateway's delegation (docs/specs/rotation.md section 4)."""

from __future__ import annotations

import logging
from collections.abc import Mapping
from dataclasses import dataclass, field

from reconciler.devices.conversation import Lost
from reconciler.devices.link_session import LinkSession
from reconciler.devices.messages import RotateRoot
from reconciler.devices.reports import DeviceReport
from reconciler.model import DeviceId
from signing.gateway_keystore import GatewayKey
from signing.rotation import describe_rotation

log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class RootRotations:
    """The rotations that lead to the root of the gateway's delegation."""

    root: bytes = b""  # id of the root of the delegation
    cwt: bytes = b""
    rotations: Mapping[bytes, bytes] = field(default_factory=dict)  # by the id of the root that signed each

    @classmethod
    def of(cls, gateway: GatewayKey) -> RootRotations:
        """Take what the gateway's key directory holds."""
        return cls(gateway.root_id, gateway.cwt, gateway.rotations)

    def order_for(self, report: DeviceReport) -> RotateRoot | None:
        """Return what to send to a device with this report; None: its root is right, or nothing leads on from it."""
        if report.root is None or report.root == self.root or report.root not in self.rotations:
            return None
        rotation = self.rotations[report.root]
        last = describe_rotation(rotation)[1].key_id == self.root
        return RotateRoot(rotation, self.cwt if last else b"")

    async def follow(self, session: LinkSession, device: DeviceId, report: DeviceReport) -> DeviceReport | Lost:
        """Send what is missing, one rotation after the other; return the device's report afterwards.

        What the device answers is not signed, so only its report counts. If that has the same root as before, the
        device has refused, and so it will refuse the orders of this gateway.
        """
        for _ in self.rotations:
            order = self.order_for(report)
            if order is None:
                return report
            before = report.root
            await session.rotate_root(device, order)
            answer = await session.report(device)
            if isinstance(answer, Lost):
                return answer
            report = answer
            if report.root == before:
                log.warning(
                    "%s does not accept the rotation of its root, and so it will refuse what is ordered", device
                )
                return report
            log.info("%s follows root %s", device, (report.root or b"").hex())
        return report
