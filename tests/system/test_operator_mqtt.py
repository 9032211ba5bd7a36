# SPDX-License-Identifier: Apache-2.0
"""What an operator sees of a gateway whose devices are behind a broker."""

from __future__ import annotations

import json
import re
from typing import Any

from click.testing import CliRunner

from demo.site import Site
from reconciler.cli import cli
from tests import mosquitto
from tests.firmware.broker import Broker

WITHIN_S = 60


def tinyfleet(site: Site, *words: str) -> Any:  # noqa: ANN401 - any JSON value
    command = [*words, "--output", "json", "--config", str(site.world.folder / "gateway.toml")]
    return json.loads(CliRunner().invoke(cli, command).stdout)


def broker_finding(site: Site) -> dict[str, str]:
    found: dict[str, str] = next(each for each in tinyfleet(site, "doctor") if each["check"] == "broker")
    return found


def test_doctor_connects_to_the_broker_or_asks_the_running_daemon(broker_site: Site, broker: Broker) -> None:
    site = broker_site
    site.world.commit("Begin", site.first_files())
    assert broker_finding(site)["message"].startswith("connected to")
    site.start_devices("--infer-every", "0")
    site.start_gateway()
    site.world.wait_for("1.0.0", lambda: site.are_ready("1.0.0"), within_s=WITHIN_S)
    site.world.wait_for("connected", lambda: broker_finding(site)["message"] == "the daemon is connected", within_s=10)
    broker.stop()
    site.world.wait_for("trouble", lambda: "the daemon reports" in broker_finding(site)["message"], within_s=WITHIN_S)
    site.gateway.stop()
    assert broker_finding(site)["remedy"].startswith("is it running")


def test_doctor_reports_certificates_that_do_not_work(broker_site: Site) -> None:
    site = broker_site
    site.world.commit("Begin", site.first_files())
    toml = site.world.folder / "gateway.toml"
    text = toml.read_text()
    toml.write_text(re.sub(r"^(certificate|key) = .*\n", "", text, flags=re.MULTILINE))
    assert broker_finding(site)["severity"] == "error"
    (site.world.folder / "other.pem").write_text("no certificate")
    toml.write_text(re.sub(r"^ca = .*$", 'ca = "other.pem"', text, flags=re.MULTILINE))
    assert "TLS" in broker_finding(site)["message"]


def test_an_unknown_device_is_listed_and_not_served(broker_site: Site, broker: Broker) -> None:
    site = broker_site
    site.start_devices("--infer-every", "0")
    site.world.commit("Begin", site.first_files())
    site.start_gateway()
    site.world.wait_for("1.0.0", lambda: site.are_ready("1.0.0"), within_s=WITHIN_S)
    unknown = broker.client()
    unknown.publish("tinyfleet/demo/nobody-we-know/up", b"\x82\x0c\x41\x00", qos=1).wait_for_publish(10)
    mosquitto.disconnect(unknown)
    site.world.wait_for(
        "the unknown device in the status",
        lambda: "nobody-we-know" in (site.world.status_file("gateway.yaml") or ""),
        within_s=WITHIN_S,
    )
    site.world.wait_for(
        "the unknown device in the runtime status",
        lambda: tinyfleet(site, "status")["live"]["links"]["mqtt"]["unknownDevices"] == ["nobody-we-know"],
        within_s=10,
    )
    fleet = tinyfleet(site, "status")
    assert fleet["gateway"]["conditions"][0]["status"] == "True"  # it prevents nothing
