# SPDX-License-Identifier: Apache-2.0
"""What the engine does when Git changes during a transfer, and with devices that were reset, cloned or replaced."""

from __future__ import annotations

import json
import re
import shutil
import socket
import urllib.request
from collections.abc import Mapping
from typing import Any

from click.testing import CliRunner

from demo.site import SerialLine, Site, model, rollout
from demo.world import document, threshold_model
from reconciler.cli import cli
from reconciler.report.model_status import read_model_file

WITHIN_S = 60
SECOND = threshold_model([3, -4, 2] * 40, 800)
LARGE = threshold_model([(7 * i * i) % 41 - 20 for i in range(3000)], 800)
SLOW_BAUD = 9600


def tinyfleet(site: Site, *words: str) -> Any:  # noqa: ANN401 - any JSON value
    command = [*words, "--output", "json", "--config", str(site.world.folder / "gateway.toml")]
    return json.loads(CliRunner().invoke(cli, command).stdout)


def begin_slow_transfer(site: Site) -> None:
    """Start a site with a slow line, and wait until a large model is in transfer."""
    site.link = SerialLine(SLOW_BAUD)
    site.start_devices()
    site.world.commit("Begin", site.first_files())
    site.start_gateway()
    site.world.wait_for("1.0.0", lambda: site.are_ready("1.0.0"), within_s=WITHIN_S)
    site.world.commit("large", {"rollout.yaml": rollout("2.0.0"), **model("2.0.0", LARGE)})
    site.world.wait_for("a transfer in progress", lambda: "phase=1" in site.phases(), within_s=WITHIN_S)


def reasons(site: Site) -> list[str]:
    return [site.world.device_status(device)["conditions"][0]["reason"] for device in site.devices]


def condition(status: Mapping[str, Any], kind: str) -> Mapping[str, str]:
    found: Mapping[str, str] = next(each for each in status["conditions"] if each["type"] == kind)
    return found


def test_a_suspended_transfer_stops_and_resumes_where_it_was(site: Site) -> None:
    begin_slow_transfer(site)
    site.world.commit("wait", {"rollout.yaml": rollout("2.0.0", suspend=True)})
    site.world.wait_for("held", lambda: set(reasons(site)) == {"HeldSuspended"}, within_s=WITHIN_S)
    site.world.wait_for("the transfer's end", lambda: "cancelled" in site.gateway.said, within_s=WITHIN_S)
    assert "phase=1" in site.phases()  # the blocks are kept
    assert "Confirmed" not in site.gateway.said
    site.world.commit("continue", {"rollout.yaml": rollout("2.0.0")})
    site.world.wait_for("2.0.0", lambda: site.are_ready("2.0.0"), within_s=WITHIN_S)


def test_a_reverted_version_is_not_delivered(site: Site) -> None:
    begin_slow_transfer(site)
    back = site.world.commit("back", {"rollout.yaml": rollout("1.0.0")})
    site.world.wait_for("the transfer's end", lambda: "cancelled" in site.gateway.said, within_s=WITHIN_S)
    # A status from before 2.0.0 has the same devices: only the commit distinguishes them.
    site.world.wait_for("that commit", lambda: site.world.enforced() == back, within_s=WITHIN_S)
    site.world.wait_for("1.0.0", lambda: site.are_ready("1.0.0"), within_s=WITHIN_S)
    assert "Confirmed" not in site.gateway.said


def test_another_version_replaces_the_one_in_transfer(site: Site) -> None:
    begin_slow_transfer(site)
    site.world.commit("rather", {"rollout.yaml": rollout("1.1.0"), **model("1.1.0", SECOND)})
    site.world.wait_for("1.1.0", lambda: site.are_ready("1.1.0"), within_s=WITHIN_S)
    assert "2.0.0: Confirmed" not in site.gateway.said


def reconciled_once(site: Site) -> Any:  # noqa: ANN401 - any JSON value
    return tinyfleet(site, "reconcile")


def test_a_device_after_a_factory_reset_is_updated_above_its_last_sequence(site: Site) -> None:
    vdev = site.start_devices()
    site.world.commit("Begin", site.first_files())
    reconciled_once(site)
    for threshold in (500, 600, 700):
        site.world.commit("tune", {"rollout.yaml": rollout("1.0.0", parameters={"threshold": threshold})})
        reconciled_once(site)
    assert site.world.device_status("pump-1")["sequence"] == 3
    vdev.stop()
    flash = next(path for path in (site.world.folder / "flash").iterdir() if "pump-1" in path.name)
    flash.unlink()
    site.start_devices()
    ran = CliRunner().invoke(cli, ["reconcile", "--output", "json", "--config", f"{site.world.folder}/gateway.toml"])
    done = json.loads(ran.stdout)
    assert [(each["device"], each["message"]) for each in done["deliveries"]] == [("pump-1", "confirmed, sequence 4")]
    assert "It held sequence 3 and now holds 0" in ran.stderr
    assert site.is_ready("pump-1", "1.0.0")


def test_two_devices_with_one_identity_are_isolated(site: Site) -> None:
    vdev = site.start_devices()
    folder = site.world.folder / "flash"
    site.world.commit("Begin", site.first_files())
    reconciled_once(site)
    vdev.stop()
    flash = next(path for path in folder.iterdir() if "pump-1" in path.name)
    clone = flash.read_bytes()  # its counter stays behind from now on
    for _ in range(4):
        site.start_devices().stop()  # four boots ahead
    for _ in range(2):
        vdev = site.start_devices()
        reconciled_once(site)
        vdev.stop()
        original = flash.read_bytes()
        flash.write_bytes(clone)
        vdev = site.start_devices()
        reconciled_once(site)
        vdev.stop()
        clone = flash.read_bytes()
        flash.write_bytes(original)
    site.start_devices()
    site.world.commit("tune", {"rollout.yaml": rollout("1.0.0", parameters={"threshold": 500})})
    done = reconciled_once(site)
    assert {each["device"] for each in done["deliveries"] if each["succeeded"]} == {"pump-2", "pump-3"}
    status = site.world.device_status("pump-1")
    assert condition(status, "Trusted")["reason"] == "IdentityCloned"
    assert condition(status, "Ready")["status"] == "False"


def test_a_device_with_another_key_than_in_git_is_reported_and_not_served(site: Site) -> None:
    site.start_devices()
    site.forget_key("pump-2")
    site.world.commit("Begin", site.first_files())
    site.start_gateway()
    site.world.wait_for("NotAuthentic", lambda: "NotAuthentic" in reasons_or_none(site), within_s=WITHIN_S)
    assert site.is_ready("pump-1", "1.0.0")
    fleet = tinyfleet(site, "status")
    assert set(fleet["live"]["unauthenticated"]) == {"pump-2"}


def reasons_or_none(site: Site) -> list[str]:
    return reasons(site) if all(site.world.device_status(device) for device in site.devices) else []


def test_summaries_are_added_up_per_model_and_scraped(site: Site) -> None:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    toml = site.world.folder / "gateway.toml"
    toml.write_text(re.sub(r"listen = .*", f'listen = "127.0.0.1:{port}"', toml.read_text()))
    site.start_devices("--infer-every", "20")
    site.world.wait_for(
        "inferences on every device",  # before the gateway polls: it polls again only after minutes
        lambda: len(re.findall(r"inferences=[1-9]\d", phases_or_none(site))) == len(site.devices),
        within_s=WITHIN_S,
    )
    site.world.commit("Begin", site.first_files())
    site.start_gateway()
    site.world.wait_for("1.0.0", lambda: site.are_ready("1.0.0"), within_s=WITHIN_S)

    def total() -> Any:  # noqa: ANN401 - any JSON value
        found = tinyfleet(site, "status")["models"].get("vibration@1.0.0")
        return found if found and found["devices"] == len(site.devices) else None

    phases = site.world.wait_for("the phases of the model", lambda: phases_of(site, "vibration/1.0.0"), within_s=20)
    assert phases["Packaged"].endswith("of RAM for line-sensor.")
    assert phases["Released"] == "3 of 3 devices run it."
    found = site.world.wait_for("summaries", total, within_s=20)
    assert found["inferences"] >= 30
    scraped = page(port, "/metrics")
    assert 'tinyfleet_devices{reason="Ready"} 3.0' in scraped
    assert 'tinyfleet_link_up{link="/dev/line"} 1.0' in scraped
    assert re.search(r'tinyfleet_model_inferences_total\{model="vibration@1.0.0",pack="\w{12}"\} \d{2}', scraped)
    assert page(port, "/readyz") == "ok\n"
    assert page(port, "/healthz") == "ok\n"


def phases_of(site: Site, model: str) -> dict[str, str] | None:
    """Return the message of each phase of a model, once it is released."""
    body = site.world.status_files().get(f"models/{model}.yaml")
    conditions = read_model_file(body).conditions if body is not None else ()
    done = {each.type: each.message for each in conditions if each.status.value == "True"}
    return done if "Released" in done else None


def phases_or_none(site: Site) -> str:
    try:
        return site.phases()
    except OSError:  # the devices do not listen yet
        return ""


def page(port: int, path: str) -> str:
    with urllib.request.urlopen(f"http://127.0.0.1:{port}{path}", timeout=10) as answer:
        text: str = answer.read().decode()
    return text


def test_a_gateway_that_is_not_in_git_reports_it(site: Site) -> None:
    files = site.first_files()
    site.world.commit("Begin", {**files, "gateway.yaml": document("Gateway", "another", {"selector": {}})})
    site.start_gateway()
    site.world.wait_for(
        "the problem", lambda: "no Gateway named bench" in (site.world.status_file("README.md") or ""), within_s=20
    )


def test_a_lost_database_is_rebuilt_from_git_and_the_devices(site: Site) -> None:
    site.start_devices()
    site.world.commit("Begin", site.first_files())
    site.world.commit("1.1.0", {"rollout.yaml": rollout("1.1.0"), **model("1.1.0", SECOND)})
    reconciled_once(site)
    shutil.rmtree(site.world.folder / "state")
    rebuilt = reconciled_once(site)
    assert rebuilt["deliveries"] == []
    assert site.are_ready("1.1.0")
