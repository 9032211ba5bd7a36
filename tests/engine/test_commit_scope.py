# SPDX-License-Identifier: Apache-2.0
"""Attacks with a gateway's stolen key on a real repository: what it signs counts only within its contest."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from reconciler.automation_scope import Grant
from reconciler.engine.desired.commit_scope import CommitScope
from reconciler.git.automation import AutomatedCommits
from reconciler.git.mirror import Mirror
from reconciler.git.remote_settings import GitLimits, Remote
from reconciler.git.signatures import SignatureMode, SignaturePolicy
from reconciler.git.source import Advanced, CommitSource, Kept, PollResult
from reconciler.load import CheckCache
from reconciler.model import Commit, Desired, GatewayId
from tests.git.forge import Forge, SshKey, make_forge, make_ssh_key
from tests.load.repo import HEAD, MODEL_BYTES, SHA256

PACK = MODEL_BYTES.decode()

LIMITS = GitLimits(ask_s=10, transfer_s=20, local_s=20, verify_s=30, depth=4)
FOREST = f"spec:\n  version: '{{version}}'\n  source: {{{{path: models/f.tflite, sha256: '{SHA256}'}}}}\n"
PARAMETERS = "  parameters: {threshold: 0.6, limit: 1}\n"
PATH = "rollouts/pumps.yaml"
ROLLOUT = """\
# why this model: see the wiki
apiVersion: tinyfleet/v1alpha1
kind: Rollout
metadata: {name: pumps}
spec:
  model: {name: forest, version: "1"}  # the champion
  selector: {devices: [pump-1]}
  waves: [{name: all, percent: 100, soak: 1h}]
  parameters: {threshold: 0.6, limit: 1}
"""
IN_SCOPE = ROLLOUT.replace('"1"', '"2"').replace("threshold: 0.6", "threshold: 0.65")
CONTEST = HEAD.format(kind="Contest", name="pumps", more="") + (
    "spec:\n  rollout: pumps\n  gateway: north\n  pool: {quorum: 1}\n  propose: branch\n"
    "  candidates: {models: [forest], thresholds: {least: 0.55, most: 0.65, step: 0.05}}\n"
)


def fleet() -> dict[str, str]:
    """Return the files of a fleet with two gateways and a contest of one of them."""

    def model(name: str, version: str, more: str = "") -> str:
        return HEAD.format(kind="Model", name=name, more="") + FOREST.format(version=version) + PARAMETERS + more

    gateways = [
        HEAD.format(kind="Gateway", name=name, more="") + f"spec:\n  selector: {{devices: [{device}]}}\n"
        for name, device in (("north", "pump-1"), ("south", "pump-2"))
    ]
    devices = [
        HEAD.format(kind="Device", name=f"pump-{number}", more="") + "spec: {type: sensor, link: {mqtt: {}}}\n"
        for number in (1, 2)
    ]
    return {
        "fleet.yaml": HEAD.format(kind="Fleet", name="plant", more="") + "spec: {}\n",
        "types.yaml": HEAD.format(kind="DeviceType", name="sensor", more="")
        + "spec: {architecture: cortex-m4, slotBytes: 65536, arenaBytes: 8192, operators: [CONV_2D]}\n",
        "gateways.yaml": "---\n".join(gateways),
        "devices.yaml": "---\n".join(devices),
        "models/f.yaml": "---\n".join(
            [model("forest", "1"), model("forest", "2"), model("forest", "3", "  poolOnly: true\n"), model("net", "1")]
        ),
        "models/f.tflite": MODEL_BYTES.decode(),
        PATH: ROLLOUT,
        "contests/pumps.yaml": CONTEST,
        "README.md": "the fleet of the plant\n",
        ".github/rollout.yaml": ROLLOUT,
    }


@dataclass
class Plant:
    """A fleet repository, the key of a person, those of two gateways, and a third gateway that follows main."""

    forge: Forge
    mirror: Mirror
    policy: SignaturePolicy
    ada: SshKey
    north: SshKey
    south: SshKey
    state: Path
    base: Commit
    cache: CheckCache

    def poll(self, *, direct: bool = False, grant: Callable[[Desired, GatewayId], Grant] | None = None) -> PollResult:
        scope = CommitScope(self.cache) if grant is None else CommitScope(self.cache, grant)
        automated = AutomatedCommits(self.mirror, scope, direct=direct)
        return CommitSource(self.mirror, self.policy, self.state, automated=automated).poll(self.base)

    def approve(self) -> Commit:
        """Commit on top without looking, as a person does who pulls and pushes."""
        return self.forge.commit({"README.md": f"{self.forge.clock}\n"}, key=self.ada)


@pytest.fixture(scope="session")
def keys(tmp_path_factory: pytest.TempPathFactory) -> dict[str, SshKey]:
    folder = tmp_path_factory.mktemp("keys")
    return {name: make_ssh_key(folder, name) for name in ("ada", "north", "south")}


@pytest.fixture
def plant(tmp_path: Path, keys: dict[str, SshKey]) -> Iterator[Plant]:
    people, gateways = tmp_path / "people", tmp_path / "gateways"
    people.write_text(f"ada@example.org {keys['ada'].public}\n")
    gateways.write_text("".join(f"automation@{name} {keys[name].public}\n" for name in ("north", "south")))
    policy = SignaturePolicy(SignatureMode.EVERY, people, automation=gateways)
    forge = make_forge(tmp_path / "forge")
    base = forge.commit(fleet(), key=keys["ada"])
    with Mirror(tmp_path / "mirror", Remote(f"file://{forge.bare}"), LIMITS) as mirror:
        yield Plant(
            forge, mirror, policy, keys["ada"], keys["north"], keys["south"], tmp_path / "state", base, CheckCache()
        )


def refused(outcome: PollResult, because: str, reason: str = "OutOfScope") -> None:
    assert isinstance(outcome, Kept), outcome
    assert outcome.reason == reason, outcome.message
    assert because in outcome.message


def edit(path: str, old: str, new: str) -> dict[str, str]:
    text = fleet()[path]
    assert old in text
    return {path: text.replace(old, new, 1)}


def test_a_candidate_counts_once_a_person_approved_it(plant: Plant) -> None:
    plant.forge.commit({PATH: IN_SCOPE}, key=plant.north)
    refused(plant.poll(direct=True), "its Contest does not say `propose: direct`", "NotApproved")
    approved = plant.approve()
    outcome = plant.poll()
    assert isinstance(outcome, Advanced)
    assert outcome.commit == approved


def test_direct_needs_the_contest_and_the_gateway(plant: Plant) -> None:
    plant.base = plant.forge.commit(
        {"contests/pumps.yaml": CONTEST.replace("propose: branch", "propose: direct")}, key=plant.ada
    )
    made = plant.forge.commit({PATH: IN_SCOPE}, key=plant.north)
    refused(plant.poll(), "`[automation] direct` is not set here", "NotApproved")
    assert plant.poll(direct=True).commit == made


OUTSIDE = {
    "another version, for the pool alone": (edit(PATH, '"1"', '"3"'), "errors"),
    "another model": (edit(PATH, "name: forest", "name: net"), "no such candidate"),
    "a threshold that blinds the detector": (edit(PATH, "threshold: 0.6", "threshold: 0.99"), "no such"),
    "another parameter": ({PATH: IN_SCOPE.replace("limit: 1", "limit: 2")}, "no such candidate"),
    "a parameter written otherwise": ({PATH: IN_SCOPE.replace("limit: 1", "limit: 1.0")}, "no such"),
    "a wave without soak time": ({PATH: IN_SCOPE.replace("soak: 1h", "soak: 1s")}, "the waves"),
    "more devices": ({PATH: IN_SCOPE.replace("[pump-1]", "[pump-1, pump-2]")}, "the selector"),
    "no rollout": ({PATH: "# gone\n"}, "has 1 errors"),
    "a second rollout": (
        {PATH: IN_SCOPE + "---\n" + ROLLOUT.replace("pumps", "fans").replace("pump-1", "pump-2")},
        "adds or removes a rollout",
    ),
    "a device": ({PATH: IN_SCOPE + "---\n" + fleet()["devices.yaml"].replace("pump-", "fan-")}, ""),
    "the same document twice": ({PATH: IN_SCOPE + "---\n" + ROLLOUT}, "errors"),
    "a key twice": ({PATH: IN_SCOPE + "  selector: {}\n"}, "errors"),
    "an alias": ({PATH: IN_SCOPE.replace("[pump-1]", "&p [pump-1]") + "  gates: *p\n"}, "errors"),
    "text alone": ({PATH: ROLLOUT.replace("see the wiki", "trust me")}, "changes no value"),
    "the contest's candidates": (edit("contests/pumps.yaml", "most: 0.65", "most: 0.95"), "it changes the contests"),
    "the contest's gateway": (edit("contests/pumps.yaml", "north", "south"), "errors"),
    "the contest's mode": (edit("contests/pumps.yaml", "branch", "direct"), "it changes the contests"),
    "a gateway's devices": (edit("gateways.yaml", "2]}\n", "2]}\n  limits: {transfers: 1}\n"), "the gateways"),
    "a model's source": (edit("models/f.yaml", "limit: 1}", "limit: 2}"), "it changes or removes a model"),
    "a model's bytes": ({"models/f.tflite": "other bytes\n"}, "errors"),
    "a note next to it": ({PATH: IN_SCOPE, "README.md": "all is well\n"}, "README.md is not the file"),
    "a hidden copy": ({PATH: IN_SCOPE, ".github/rollout.yaml": IN_SCOPE}, ".github/rollout.yaml is not the file"),
    "a file next to it": ({PATH: IN_SCOPE, "models/x/1/weights": "x"}, "models/x/1/weights is not in"),
    "a workflow": ({PATH: IN_SCOPE, ".github/workflows/w.yml": "on: push\n"}, "is not in the new folder"),
}  # fmt: skip


@pytest.mark.parametrize("case", OUTSIDE)
def test_a_stolen_key_changes_nothing_else(plant: Plant, case: str) -> None:
    files, because = OUTSIDE[case]
    made = plant.forge.commit(files, key=plant.north)
    plant.approve()
    outcome = plant.poll(direct=True)
    refused(outcome, because)
    assert isinstance(outcome, Kept)
    assert made[:12] in outcome.message


def test_the_key_of_another_gateway_is_refused(plant: Plant) -> None:
    plant.forge.commit({PATH: IN_SCOPE}, key=plant.south)
    plant.approve()
    refused(plant.poll(), "no contest of this gateway")


def test_a_contest_added_in_the_same_push_grants_nothing_to_its_own_commit(plant: Plant) -> None:
    """Neither in one commit nor in two, of which the first is refused alone."""
    plant.base = plant.forge.commit({"contests/pumps.yaml": "# none\n"}, key=plant.ada)
    start = plant.forge.head()
    plant.forge.commit({"contests/pumps.yaml": CONTEST, PATH: IN_SCOPE}, key=plant.north)
    plant.approve()
    refused(plant.poll(), "it changes the contests")
    plant.forge.git("reset", "--quiet", "--hard", start)
    plant.forge.commit({"contests/pumps.yaml": CONTEST}, key=plant.north, push=False)
    plant.forge.commit({PATH: IN_SCOPE}, key=plant.north, push=False)
    plant.forge.push("--force")
    plant.approve()
    refused(plant.poll(), "it changes the contests")


def test_a_contest_that_a_person_added_in_the_same_push_counts(plant: Plant) -> None:
    plant.base = plant.forge.commit({"contests/pumps.yaml": "# none\n"}, key=plant.ada)
    plant.forge.commit({"contests/pumps.yaml": CONTEST}, key=plant.ada)
    plant.forge.commit({PATH: IN_SCOPE}, key=plant.north)
    approved = plant.approve()
    assert plant.poll().commit == approved


def test_two_commits_that_are_in_scope_only_together_are_refused(plant: Plant) -> None:
    first = plant.forge.commit({PATH: IN_SCOPE.replace("1h", "0s")}, key=plant.north)
    plant.forge.commit({PATH: IN_SCOPE}, key=plant.north)
    plant.approve()
    refused(plant.poll(), first[:12])


def test_one_step_after_another_stays_among_the_candidates(plant: Plant) -> None:
    """The first step is in scope. The second one leaves the range, although it is as near to the first."""
    plant.forge.commit({PATH: IN_SCOPE}, key=plant.north)
    second = plant.forge.commit({PATH: IN_SCOPE.replace("0.65", "0.7")}, key=plant.north)
    plant.approve()
    refused(plant.poll(), second[:12])


def test_a_tree_before_it_with_errors_is_refused(plant: Plant) -> None:
    plant.forge.commit({"types.yaml": "kind: DeviceTyp\n"}, key=plant.ada)
    plant.forge.commit({PATH: IN_SCOPE}, key=plant.north)
    plant.approve()
    refused(plant.poll(), "errors")


def test_new_versions_are_added_only_below_a_new_folder_of_a_granted_model(plant: Plant) -> None:
    def grant(_desired: Desired, _gateway: GatewayId) -> Grant:
        return Grant({}, models=frozenset({"forest"}))

    document = HEAD.format(kind="Model", name="forest", more="") + (
        f"spec:\n  version: '{{version}}'\n"
        f"  source: {{path: models/forest/{{version}}/model.pack, sha256: '{SHA256}'}}\n"
    )

    def added(version: str, path: str, more: dict[str, str] | None = None) -> PollResult:
        plant.forge.git("reset", "--quiet", "--hard", plant.base)
        files = {path: document.replace("{version}", version), f"models/forest/{version}/model.pack": PACK}
        plant.forge.commit({**files, **(more or {})}, key=plant.north, push=False)
        plant.forge.git(*plant.ada.signs(), "commit", "--quiet", "--allow-empty", "-m", "approved")
        plant.forge.push("--force")
        return plant.poll(grant=grant)

    weights = {"models/forest/9/more/weights.bin": "x"}
    assert isinstance(added("9", "models/forest/9/model.yaml", weights), Advanced)
    refused(added("9", "models/forest/8/model.yaml"), "is not in the new folder of a model that it adds")
    refused(added("9", "models/forest/model.yaml"), "is not in the new folder of a model that it adds")
    refused(added("9", "forest.yaml"), "is not in the new folder of a model that it adds")
    refused(added("9", "models/forest/9/model.yaml", {"models/forest/7/w": "x"}), "models/forest/7/w is not in")
    changed = edit("models/f.yaml", "---\n", "---\n# hello\n")
    refused(added("9", "models/forest/9/model.yaml", changed), "models/f.yaml is not the file of a rollout")
    plant.forge.git("reset", "--quiet", "--hard", plant.base)
    plant.base = plant.forge.commit({"models/forest/9/old.bin": "x"}, key=plant.ada, push=False)
    refused(added("9", "models/forest/9/model.yaml"), "is not in the new folder of a model that it adds")
