# SPDX-License-Identifier: Apache-2.0
"""The kit around a gateway: provenance of models, a followed alias of a registry, alerts with tests, and the image.

    python bench/kit.py

It builds a model of each kind, follows their chains, breaks each link in turn, and builds again in an empty store. Then
it moves an alias of a recorded MLflow server, and measures the time to the pushed proposal and counts idle commits. The
size of the image is printed if `make image` has made one.
"""

from __future__ import annotations

import json
import sys
import tempfile
from pathlib import Path

import yaml

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT))

from bench.followed_alias import followed_alias  # noqa: E402
from tests.provenance.audited_fleet import RUNS, AuditedFleet, audited_fleet, rebuilt  # noqa: E402
from tests.provenance.broken_links import BREAKS, Break  # noqa: E402

ALIAS_TO_PROPOSAL_S = 60
IMAGE_MB = 150


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


def tested_rules() -> tuple[int, int]:
    """Return how many alerts have a unit test that fires and one that does not, and of how many."""
    folder = ROOT / "docs" / "monitoring"
    groups = yaml.safe_load((folder / "alerts.yml").read_text(encoding="utf-8"))["groups"]
    rules = {rule["alert"] for group in groups for rule in group["rules"]}
    tests = yaml.safe_load((folder / "alerts_test.yml").read_text(encoding="utf-8"))["tests"]
    checks = [each for test in tests for each in test["alert_rule_test"]]
    fires = {each["alertname"] for each in checks if each.get("exp_alerts")}
    quiet = {each["alertname"] for each in checks if not each.get("exp_alerts")}
    return len(rules & fires & quiet), len(rules)


def image_mb() -> float | None:
    """Return the size of the largest image in dist/; None: there is none."""
    sizes = [path.stat().st_size / 1e6 for path in (ROOT / "dist").glob("*.oci.tar")]
    return max(sizes, default=None)


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
    tested, rules = tested_rules()
    print(f"rules_tested={tested}/{rules}")
    size = image_mb()
    print(f"image_mb={size:.0f}" if size is not None else "image_mb is not measured: run `make image`")
    missed = (
        good != links,
        found != len(BREAKS),
        not same,
        took > ALIAS_TO_PROPOSAL_S,
        idle > 0,
        tested != rules,
        size is not None and size > IMAGE_MB,
    )
    return int(any(missed))


if __name__ == "__main__":
    sys.exit(main())
