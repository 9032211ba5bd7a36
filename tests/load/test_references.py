# SPDX-License-Identifier: Apache-2.0
# ruff: noqa: E501 -- a row of a table is one line
"""Problems between documents."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from reconciler.load import Severity
from reconciler.validation.problems import Rule
from tests.load.repo import Repo

SERIAL = "serial: {{port: {port}, baud: {baud}, address: {address}}}"


def serial(port: str = "/dev/ttyS0", baud: int = 2400, address: int = 1) -> str:
    return SERIAL.format(port=port, baud=baud, address=address)


def wave(name: str, rest: str) -> str:
    return f"  waves: [{{name: {name}, {rest}}}]\n"


WINDOW = "  windows: [{{days: [Mon], start: '22:00', duration: 6h, timeZone: {zone}}}]\n"
KEY = f"  publicKey: '{7:064x}'\n"
GATEWAY = "spec:\n  selector: {matchLabels: {site: south}}\n"

# name: (how to break the repository, rule, file, line, JSON path, part of the message)
Case = tuple[Callable[[Repo], Repo], Rule, str, int, str, str]
BROKEN: dict[str, Case] = {
    "no fleet": (lambda r: r.write("fleet.yaml", ""), Rule.FLEET_COUNT, "", 0, "", "no Fleet document"),
    "two fleets": (lambda r: r.append("fleet.yaml", r.document("Fleet", "other", "spec: {}\n")), Rule.FLEET_COUNT, "fleet.yaml", 7, "$.kind", "exactly one"),
    "silent before it reports": (lambda r: r.replace("fleet.yaml", "{}", "{silentAfter: 1m}"), Rule.CONFLICTING_VALUES, "fleet.yaml", 4, "$.spec.silentAfter", "silent"),
    "two devices of one name": (lambda r: r.append("devices.yaml", r.device("pump-1")), Rule.DUPLICATE_NAME, "devices.yaml", 17, "$.metadata.name", "the first one is at devices.yaml:1"),
    "two models of one version": (lambda r: r.write("models/a.yaml", r.model("vibration", "1.0.0")), Rule.DUPLICATE_NAME, "models/vibration.yaml", 5, "$.spec.version", "`vibration@1.0.0`"),
    "a file twice": (lambda r: r.write("copy.yaml", r.device("pump-1") + "---\n" + r.device("pump-2")), Rule.DUPLICATE_NAME, "devices.yaml", 3, "$.metadata.name", "the first one is at copy.yaml:1"),
    "type of a device": (lambda r: r.replace("devices.yaml", "type: sensor", "type: sensr"), Rule.UNRESOLVED_REFERENCE, "devices.yaml", 5, "$.spec.type", "did you mean `sensor`?"),
    "gateway that follows": (lambda r: r.replace("models/vibration.yaml", "spec:\n", "spec:\n  follow: {url: 'mlflow://m.example/v@champion/m.tflite', gateway: hal}\n"), Rule.UNRESOLVED_REFERENCE, "models/vibration.yaml", 5, "$.spec.follow.gateway", "did you mean `hall`?"),
    "pre-baked model": (lambda r: r.replace("types.yaml", "[CONV_2D]", "[ADD]\n  prebaked: [{name: vibratio, version: '1.0.0'}]"), Rule.UNRESOLVED_REFERENCE, "types.yaml", 9, "$.spec.prebaked[0].name", "did you mean `vibration`?"),
    "model of a rollout": (lambda r: r.replace("rollouts.yaml", "vibration", "vibes"), Rule.UNRESOLVED_REFERENCE, "rollouts.yaml", 5, "$.spec.model.name", "no Model named `vibes`"),
    "version of a rollout": (lambda r: r.replace("rollouts.yaml", "1.0.0", "1.0.1"), Rule.UNRESOLVED_REFERENCE, "rollouts.yaml", 5, "$.spec.model.version", "existing versions: `1.0.0`"),
    "parameter of a rollout": (lambda r: r.write("rollouts.yaml", r.rollout("canary", "  parameters: {limt: 2}\n")), Rule.UNKNOWN_PARAMETER, "rollouts.yaml", 7, "$.spec.parameters.limt", "did you mean `limit`?"),
    "rollout to wait for": (lambda r: r.write("rollouts.yaml", r.rollout("canary", "  dependsOn: [canry]\n")), Rule.UNRESOLVED_REFERENCE, "rollouts.yaml", 7, "$.spec.dependsOn[0]", "did you mean `canary`?"),
    "waiting for itself": (lambda r: r.write("rollouts.yaml", r.rollout("canary", "  dependsOn: [canary]\n")), Rule.DEPENDENCY_CYCLE, "rollouts.yaml", 7, "$.spec.dependsOn", "canary -> canary"),
    "type in a selector": (lambda r: r.write("rollouts.yaml", r.rollout("canary", selector="{types: [senso]}")), Rule.UNRESOLVED_REFERENCE, "rollouts.yaml", 6, "$.spec.selector.types[0]", "`sensor`?"),
    "device in a selector": (lambda r: r.write("rollouts.yaml", r.rollout("canary", selector="{devices: [pump-1, pump-9]}")), Rule.UNRESOLVED_REFERENCE, "rollouts.yaml", 6, "$.spec.selector.devices[1]", "no Device named `pump-9`"),
    "device in a wave": (lambda r: r.write("rollouts.yaml", r.rollout("canary", wave("a", "selector: {devices: [pump-9]}"))), Rule.UNRESOLVED_REFERENCE, "rollouts.yaml", 7, "$.spec.waves[0].selector.devices[0]", "pump-9"),
    "two waves of one name": (lambda r: r.write("rollouts.yaml", r.rollout("canary", "  waves: [{name: a, count: 1}, {name: a, count: 2}]\n")), Rule.DUPLICATE_NAME, "rollouts.yaml", 7, "$.spec.waves[1].name", "duplicate wave"),
    "no gateway": (lambda r: r.replace("gateways.yaml", "{}", "{matchLabels: {site: north}, devices: [pump-1]}"), Rule.NO_GATEWAY, "devices.yaml", 10, "$.metadata.name", "no gateway"),
    "two gateways": (lambda r: r.append("gateways.yaml", r.document("Gateway", "yard", "spec:\n  selector: {devices: [pump-2]}\n")), Rule.SEVERAL_GATEWAYS, "devices.yaml", 10, "$.metadata.name", "`hall` and `yard`"),
    "gateway of nothing": (lambda r: r.append("gateways.yaml", r.document("Gateway", "yard", GATEWAY)), Rule.EMPTY_SELECTOR, "gateways.yaml", 11, "$.spec.selector", "matches no device"),
    "rollout of nothing": (lambda r: r.write("rollouts.yaml", r.rollout("canary", selector="{matchLabels: {site: south}}")), Rule.EMPTY_SELECTOR, "rollouts.yaml", 6, "$.spec.selector", "matches no device"),
    "wave of nothing": (lambda r: r.write("rollouts.yaml", r.rollout("canary", wave("a", "selector: {matchLabels: {site: south}}"))), Rule.EMPTY_SELECTOR, "rollouts.yaml", 7, "$.spec.waves[0].selector", "device of the rollout"),
    "two rollouts at one priority": (lambda r: r.append("rollouts.yaml", r.rollout("wide", selector="{types: [sensor]}")), Rule.OVERLAPPING_ROLLOUTS, "rollouts.yaml", 13, "$.spec.selector", "`canary` also selects `pump-1` and 1 more"),
    "time zone": (lambda r: r.write("rollouts.yaml", r.rollout("canary", WINDOW.format(zone="Europe/Berln"))), Rule.UNKNOWN_TIME_ZONE, "rollouts.yaml", 7, "$.spec.windows[0].timeZone", "did you mean `Europe/Berlin`?"),
    "time zone that is a folder": (lambda r: r.write("rollouts.yaml", r.rollout("canary", WINDOW.format(zone="America"))), Rule.UNKNOWN_TIME_ZONE, "rollouts.yaml", 7, "$.spec.windows[0].timeZone", "unknown time zone"),
    "gate that nothing passes": (lambda r: r.replace("models/vibration.yaml", "  parameters:", "  gates: [{metric: auc, atLeast: 2, atMost: 1}]\n  parameters:"), Rule.CONFLICTING_VALUES, "models/vibration.yaml", 7, "$.spec.gates[0].atLeast", "no build can pass"),
    "one address twice": (lambda r: r.write("devices.yaml", r.device("a", link=serial()) + "---\n" + r.device("b", link=serial())), Rule.LINK_MISMATCH, "devices.yaml", 13, "$.spec.link.serial.address", "already used by the device `a`"),
    "two speeds on a line": (lambda r: r.write("devices.yaml", r.device("a", link=serial()) + "---\n" + r.device("b", link=serial(baud=300, address=2))), Rule.LINK_MISMATCH, "devices.yaml", 13, "$.spec.link.serial.baud", "one speed"),
    "line that the gateway lacks": (lambda r: r.replace("gateways.yaml", "{}", "{}\n  links: {mqtt: {}, serial: [{port: /dev/ttyS1, baud: 2400}]}").replace("devices.yaml", "mqtt: {}", serial()), Rule.LINK_MISMATCH, "devices.yaml", 6, "$.spec.link.serial.port", "did you mean `/dev/ttyS1`?"),
    "speed that the gateway lacks": (lambda r: r.replace("gateways.yaml", "{}", "{}\n  links: {mqtt: {}, serial: [{port: /dev/ttyS0, baud: 9600}]}").replace("devices.yaml", "mqtt: {}", serial()), Rule.LINK_MISMATCH, "devices.yaml", 6, "$.spec.link.serial.baud", "at 9600"),
    "link that the gateway lacks": (lambda r: r.replace("gateways.yaml", "{}", "{}\n  links: {serial: [{port: /dev/ttyS0, baud: 2400}]}").write("devices.yaml", r.device("a")), Rule.LINK_MISMATCH, "devices.yaml", 6, "$.spec.link.mqtt", "no `mqtt`"),
    "one key twice": (lambda r: r.write("devices.yaml", r.device("a") + KEY + "---\n" + r.device("b") + KEY), Rule.DUPLICATE_PUBLIC_KEY, "devices.yaml", 15, "$.spec.publicKey", "`a` has the same public key"),
    "line named twice": (lambda r: r.replace("gateways.yaml", "{}", "{}\n  links: {mqtt: {}, serial: [{port: /dev/a, baud: 300}, {port: /dev/a, baud: 600}]}"), Rule.DUPLICATE_NAME, "gateways.yaml", 6, "$.spec.links.serial[1].port", "duplicate serial line"),
}  # fmt: skip


@pytest.mark.parametrize("name", BROKEN)
def test_a_problem_between_documents_is_located_and_explained(name: str, repo: Repo) -> None:
    break_it, rule, file, line, at, words = BROKEN[name]
    break_it(repo)
    problem = next(one for one in repo.problems() if one.rule is rule)
    assert (problem.path, problem.line, problem.json_path) == (file, line, at)
    assert words in str(problem)


@pytest.mark.parametrize("name", [name for name, case in BROKEN.items() if case[1] is Rule.EMPTY_SELECTOR])
def test_a_selector_that_matches_nothing_is_only_a_warning(name: str, repo: Repo) -> None:
    BROKEN[name][0](repo)
    loaded = repo.load()
    assert loaded.desired is not None
    assert [problem.severity for problem in loaded.problems] == [Severity.WARNING]


def test_a_dependency_cycle_is_reported_once_and_completely(repo: Repo) -> None:
    for name, after in (("a", "b"), ("b", "c"), ("c", "a"), ("d", "a")):
        selector = f"{{devices: [pump-{name}]}}"
        repo.append("devices.yaml", repo.device(f"pump-{name}"))
        repo.write(f"rollouts/{name}.yaml", repo.rollout(name, f"  dependsOn: [{after}]\n", selector=selector))
    repo.write("rollouts.yaml", "")
    assert "a -> b -> c -> a" in repo.only().message or "a -> c -> b -> a" in repo.only().message


def test_two_dependency_cycles_are_both_reported(repo: Repo) -> None:
    for name in ("a", "b"):
        repo.append("devices.yaml", repo.device(f"pump-{name}"))
        more = f"  dependsOn: [{name}]\n"
        repo.write(f"rollouts/{name}.yaml", repo.rollout(name, more, selector=f"{{devices: [pump-{name}]}}"))
    repo.write("rollouts.yaml", "")
    assert [problem.path for problem in repo.problems()] == ["rollouts/a.yaml", "rollouts/b.yaml"]


def test_only_a_device_that_two_gateways_serve_is_contested(repo: Repo) -> None:
    repo.replace("gateways.yaml", "{}", "{devices: [pump-1]}")
    repo.append("gateways.yaml", repo.document("Gateway", "yard", "spec:\n  selector: {}\n"))
    problem = repo.only()
    assert (problem.rule, problem.path, problem.line) == (Rule.SEVERAL_GATEWAYS, "devices.yaml", 3)


def test_only_a_device_that_two_rollouts_select_is_named(repo: Repo) -> None:
    repo.write("rollouts.yaml", repo.rollout("canary", selector="{devices: [pump-2]}"))
    repo.append("rollouts.yaml", repo.rollout("wide"))
    assert "`canary` also selects `pump-2` at the same priority" in repo.only().message


def test_devices_without_a_key_share_none(repo: Repo) -> None:
    repo.append("devices.yaml", repo.device("pump-3") + KEY)
    repo.append("devices.yaml", repo.device("pump-4") + KEY)
    assert repo.only().rule is Rule.DUPLICATE_PUBLIC_KEY


def test_rollouts_of_different_priority_may_overlap(repo: Repo) -> None:
    repo.append("rollouts.yaml", repo.rollout("fix", "  priority: 10\n"))
    assert repo.problems() == ()


def test_an_unreadable_file_causes_no_further_problems(repo: Repo) -> None:
    repo.write("types.yaml", "kind: 'DeviceType\n")
    assert repo.only().rule is Rule.INVALID_YAML


def test_a_gateway_with_errors_causes_no_unserved_devices(repo: Repo) -> None:
    repo.replace("gateways.yaml", "selector", "selectr")
    assert {problem.path for problem in repo.problems()} == {"gateways.yaml"}


def test_a_problem_of_every_device_is_listed_for_some_and_counted_for_the_rest(repo: Repo) -> None:
    repo.write("gateways.yaml", "")
    repo.write("devices.yaml", "---\n".join(repo.device(f"pump-{number:03d}") for number in range(200)))
    problems = [problem for problem in repo.problems() if problem.rule is Rule.NO_GATEWAY]
    assert len(problems) == 101
    assert "and 100 more" in problems[-1].message
