# SPDX-License-Identifier: Apache-2.0
"""Whether a delivery in progress is still wanted."""

from __future__ import annotations

import pytest

from reconciler.engine.delivery.still_wanted import Purpose, still_wanted
from reconciler.model import (
    Action,
    ActivatePrebaked,
    Blocked,
    BlockedReason,
    Configure,
    Hold,
    HoldReason,
    Install,
    NoChange,
    Origin,
)
from tests.engine.reports import PUMP
from tests.plan.example_fleet import EVERYWHERE, V1, V2, device, fleet

DESIRED = fleet([device(1)])
PARAMETERS = {"threshold": 0.5}  # the model's own
INSTALL = Install(PUMP, EVERYWHERE.name, V2, Origin.ARTIFACT, PARAMETERS, "is to be transferred")
IN_PROGRESS = Purpose(EVERYWHERE.name, V2, PARAMETERS)
OUTDATED = Purpose(EVERYWHERE.name, V1, PARAMETERS)


@pytest.mark.parametrize(
    ("purpose", "action", "wanted"),
    [
        (IN_PROGRESS, INSTALL, True),
        (IN_PROGRESS, Install(PUMP, EVERYWHERE.name, V2, Origin.OTHER_SLOT, PARAMETERS, "is still there"), True),
        (IN_PROGRESS, Install(PUMP, EVERYWHERE.name, V1, Origin.ARTIFACT, PARAMETERS, "another"), False),
        (IN_PROGRESS, Install(PUMP, EVERYWHERE.name, V2, Origin.ARTIFACT, {}, "other parameters"), False),
        (IN_PROGRESS, ActivatePrebaked(PUMP, EVERYWHERE.name, V1, PARAMETERS, "falls back"), False),
        (IN_PROGRESS, Hold(PUMP, EVERYWHERE.name, HoldReason.WINDOW, "the window is closed"), False),
        (IN_PROGRESS, Hold(PUMP, EVERYWHERE.name, HoldReason.SUSPENDED, "suspended"), False),
        (IN_PROGRESS, Hold(PUMP, EVERYWHERE.name, HoldReason.IN_PROGRESS, "it is on trial"), True),
        (IN_PROGRESS, NoChange(PUMP, "it has arrived"), True),
        (IN_PROGRESS, Configure(PUMP, EVERYWHERE.name, PARAMETERS, "it has arrived, without its parameters"), True),
        (IN_PROGRESS, Blocked(PUMP, EVERYWHERE.name, BlockedReason.SILENT, "silent"), True),
        (IN_PROGRESS, Blocked(PUMP, EVERYWHERE.name, BlockedReason.WRONG_TYPE, "another type"), False),
        (IN_PROGRESS, Blocked(PUMP, EVERYWHERE.name, BlockedReason.CLONED, "two of them"), False),
        (OUTDATED, NoChange(PUMP, "Git went back to what it runs"), False),
        (OUTDATED, Hold(PUMP, EVERYWHERE.name, HoldReason.IN_PROGRESS, "another is tried"), False),
        (Purpose(EVERYWHERE.name, None, PARAMETERS), NoChange(PUMP, "set"), True),
        (Purpose(EVERYWHERE.name, None, {}), NoChange(PUMP, "Git went back"), False),
        (Purpose(EVERYWHERE.name, None, {}), Configure(PUMP, EVERYWHERE.name, {}, "a rollback sets others"), True),
        (Purpose(EVERYWHERE.name, None, {}), Configure(PUMP, EVERYWHERE.name, PARAMETERS, "Git changed since"), False),
    ],
)
def test_a_delivery_continues_as_long_as_its_purpose_is_wanted(purpose: Purpose, action: Action, wanted: bool) -> None:  # noqa: FBT001 - a column of the table
    assert still_wanted(purpose, action, DESIRED) is wanted
