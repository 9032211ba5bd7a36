# SPDX-License-Identifier: Apache-2.0
"""What is known of devices that another gateway serves, and in which words it is waited for."""

from __future__ import annotations

import pytest

from reconciler.model import DeviceId, GatewayId, Observed, PeerWord, RolloutId, RolloutWord
from reconciler.plan.elsewhere import elsewhere, stopped_elsewhere
from reconciler.plan.verdict import Standing
from tests.plan.fleets import NOW

SOUTH, PUMPS = GatewayId("south"), RolloutId("pumps")
PUMP = DeviceId("pump-1")
ONLY = frozenset({PUMP})


def observed(word: RolloutWord | None) -> Observed:
    return Observed(gateway=GatewayId("north"), peers={SOUTH: PeerWord({} if word is None else {PUMPS: word})})


@pytest.mark.parametrize(
    ("seen", "words"),
    [
        (Observed(), "gateway south, never heard"),
        (observed(None), "gateway south, which says nothing of it"),
        (
            observed(RolloutWord("old", at=NOW)),
            "gateway south, whose last word of 2026-11-21 12:00:00 UTC is of another",
        ),
        (observed(RolloutWord("old")), "gateway south, whose last word is of another version of it"),
        (observed(RolloutWord("new", at=NOW)), "gateway south, no news since 2026-11-21 12:00:00 UTC"),
        (observed(RolloutWord("new")), "gateway south, no news"),
    ],
)
def test_it_is_said_for_whom_and_since_when(seen: Observed, words: str) -> None:
    assert elsewhere(seen, PUMPS, SOUTH, "new").who.startswith(words)


@pytest.mark.parametrize(
    ("word", "standing", "away"),
    [
        (RolloutWord("new", done=ONLY), Standing.SETTLED, False),
        (RolloutWord("new", begun=ONLY), Standing.DUE, True),
        (RolloutWord("new", soaking=ONLY), Standing.DUE, False),
        (RolloutWord("new", due=ONLY), Standing.DUE, False),
        (RolloutWord("new", failed=ONLY), Standing.FAILED, True),
        (RolloutWord("new", missing=ONLY), Standing.MISSING, True),
        (RolloutWord("new", out=ONLY), Standing.OUT, True),
        (RolloutWord("new"), Standing.DUE, True),  # nobody knows: it opens nothing, and counts as away
        (RolloutWord("old", done=ONLY), Standing.DUE, True),
        (RolloutWord("new", done=ONLY, failed=ONLY), Standing.SETTLED, False),
    ],
)
def test_of_its_devices_it_is_believed(word: RolloutWord, standing: Standing, *, away: bool) -> None:
    verdict = elsewhere(observed(word), PUMPS, SOUTH, "new").verdict(PUMP)
    assert (verdict.standing, verdict.away) == (standing, away)
    assert verdict.elsewhere.startswith("gateway south")
    assert verdict.proven is (standing is Standing.SETTLED)


def test_a_stop_is_told_with_the_gateway_that_said_it_first() -> None:
    stopped = PeerWord({PUMPS: RolloutWord("new", stopped="stopped: 2 failed, 0 allowed")})
    after = PeerWord({PUMPS: RolloutWord("new", stopped="stopped: 2 failed, 0 allowed (at gateway west)")})
    assert stopped_elsewhere({SOUTH: stopped}, PUMPS, "new") == "stopped: 2 failed, 0 allowed (at gateway south)"
    assert stopped_elsewhere({SOUTH: after}, PUMPS, "new") == "stopped: 2 failed, 0 allowed (at gateway west)"
    assert stopped_elsewhere({SOUTH: stopped}, PUMPS, "newer") == ""
