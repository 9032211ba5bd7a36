# SPDX-License-Identifier: Apache-2.0
"""Where models come from: chains, broken links, a rebuild, and a followed alias of a registry.

    python bench/provenance.py

It builds a model of each kind, follows their chains, breaks each link in turn, and builds again in an empty store. Then
it moves an alias of a recorded MLflow server, and measures the time to the pushed proposal and counts idle commits.
"""

from __future__ import annotations

import json
import sys
import tempfile
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT))

from bench.followed_alias import followed_alias  # noqa: E402
from tests.provenance.audited_fleet import RUNS, AuditedFleet, audited_fleet, rebuilt  # noqa: E402
from tests.provenance.broken_links import BREAKS, Break  # noqa: E402

ALIAS_TO_PROPOSAL_S = 60


def good_links(fleet: AuditedFleet) -> tuple[int, int]:
    """Return how many links of all chains are not broken, and of how many."""
    links = []
    for device in RUNS:
        (chain,) = json.loads(fleet.provenance(device, "--output", "json").stdout)
        links += [link["state"] for link in chain["links"]]
    return sum(state != "broken" for state in links), len(links)


def is_found(fleet: AuditedFleet, broken: Break, folder: Path) -> bool:
    """Break a link in a copy, and return whether exactly that is found."""
    copy = fleet.copy(folder)
    broken.apply(copy)
    return tuple(link["link"] for link in copy.broken(broken.device)) == broken.links


def main() -> int:
    """Print the figures; fail if one misses its bar."""
    with tempfile.TemporaryDirectory(prefix="tinyfleet-bench-") as name:
        folder = Path(name)
        fleet = audited_fleet(folder)
        good, links = good_links(fleet)
        found = 0
        for number, (label, broken) in enumerate(BREAKS.items()):
            place = folder / str(number)
            place.mkdir()
            if is_found(fleet, broken, place):
                found += 1
            else:
                print(f"not found: {label}")
        same = rebuilt(fleet, folder / "another-store") == fleet.packs()
        (folder / "followed").mkdir()
        took, idle = followed_alias(folder / "followed")
    print(f"provenance_links={good}/{links}")
    print(f"broken_links_found={found}/{len(BREAKS)}")
    print(f"rebuild_same_digest={int(same)}")
    print(f"alias_to_proposal_s={took:.1f}")
    print(f"idle_commits={idle}")
    return int(good != links or found != len(BREAKS) or not same or took > ALIAS_TO_PROPOSAL_S or idle > 0)


if __name__ == "__main__":
    sys.exit(main())
