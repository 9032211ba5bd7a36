# SPDX-License-Identifier: Apache-2.0
"""The condition that warns before a certificate expires."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest

from reconciler.report.conditions import Condition, Status, carry_over
from reconciler.report.device_status import PassStamp
from reconciler.report.expiry import EXPIRES_SOON, Expiry, expiry_condition

NOON = datetime(2026, 5, 1, 12, tzinfo=UTC)
SECOND = timedelta(seconds=1)


def condition(*expiries: Expiry, now: datetime = NOON) -> Condition:
    return expiry_condition(expiries, PassStamp(now, "c1"))


@pytest.mark.parametrize(
    ("ends", "reason"),
    [
        (NOON - SECOND, "CertificateExpired"),
        (NOON, "CertificateExpired"),
        (NOON + SECOND, "CertificateExpiring"),
        (NOON + EXPIRES_SOON - SECOND, "CertificateExpiring"),
        (NOON + EXPIRES_SOON, "CertificatesValid"),
        (None, "CertificateUnreadable"),
    ],
)
def test_the_reason_follows_the_date(ends: datetime | None, reason: str) -> None:
    found = condition(Expiry("revocation list", ends, "no such file"))
    assert (found.type, found.reason) == ("CertificatesValid", reason)
    assert found.status is (Status.TRUE if reason == "CertificatesValid" else Status.FALSE)


def test_the_most_urgent_reason_wins_and_all_of_its_kind_are_named() -> None:
    late, later = Expiry("broker certificate", NOON - 2 * SECOND), Expiry("delegation", NOON - SECOND)
    gone, soon = Expiry("gateway certificate", None, "no such file"), Expiry("revocation list", NOON + SECOND)
    assert condition(soon, later, gone, late).message == (
        "broker certificate expired on 2026-05-01; delegation expired on 2026-05-01"
    )
    assert condition(soon, gone).message == "gateway certificate: no such file"
    assert condition(soon).message == "revocation list expires on 2026-05-01"
    assert condition().status is Status.TRUE


def test_the_passage_of_days_changes_no_condition_until_it_flips() -> None:
    """Otherwise the status branch would get a commit each day."""
    expiry = Expiry("revocation list", NOON + timedelta(days=60))
    before = condition(expiry)
    seen = {before.reason}
    for day in range(61):
        (after,) = carry_over([condition(expiry, now=NOON + timedelta(days=day))], [before])
        assert (after is before) == (after.reason == before.reason)
        before = after
        seen.add(after.reason)
    assert seen == {"CertificatesValid", "CertificateExpiring", "CertificateExpired"}
