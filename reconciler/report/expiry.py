# SPDX-License-Identifier: Apache-2.0
"""When certificates and revocation lists expire, and the condition that warns before they do.

An expired revocation list or certificate of the broker locks every party out of the broker at once. No message counts
the days that are left: that would change the status every day.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime, timedelta

from reconciler.report.conditions import Condition, Status
from reconciler.report.device_status import PassStamp

EXPIRES_SOON = timedelta(days=30)  # the same everywhere: status, doctor, alerts and `tinyfleet pki renew`


@dataclass(frozen=True, slots=True)
class Expiry:
    """One certificate, revocation list or delegation that the gateway depends on."""

    name: str
    ends: datetime | None  # None: it can't be read
    problem: str = ""  # why not


def expiry_condition(expiries: Iterable[Expiry], stamp: PassStamp) -> Condition:
    """Return the condition `CertificatesValid`; its reason is that of the most urgent of them."""

    def condition(kind: str, status: Status, reason: str, message: str) -> Condition:
        return Condition(kind, status, reason, message, stamp.now, stamp.commit)

    unreadable = [each for each in expiries if each.ends is None]
    dated = sorted((each.ends, each.name) for each in expiries if each.ends is not None)
    expired = [f"{name} expired on {ends:%Y-%m-%d}" for ends, name in dated if ends <= stamp.now]
    soon = [f"{name} expires on {ends:%Y-%m-%d}" for ends, name in dated if ends - stamp.now < EXPIRES_SOON]
    if expired:
        return condition("CertificatesValid", Status.FALSE, "CertificateExpired", "; ".join(expired))
    if unreadable:
        wrong = "; ".join(f"{each.name}: {each.problem}" for each in unreadable)
        return condition("CertificatesValid", Status.FALSE, "CertificateUnreadable", wrong)
    if soon:
        return condition("CertificatesValid", Status.FALSE, "CertificateExpiring", "; ".join(soon))
    return condition("CertificatesValid", Status.TRUE, "CertificatesValid", "No certificate expires soon.")
