# SPDX-License-Identifier: Apache-2.0
"""A build that fails for a while: the daemon reports why, tries again, and continues when the cause is gone."""

from __future__ import annotations

import hashlib
import re
import urllib.error
import urllib.request

import yaml

from demo.site import MODEL, Site, rollout
from demo.world import document, threshold_model
from tests.loopback import QuietHandler, self_signed, server_context, serving
from tests.page.server import free_port

WITHIN_S = 60
DATA = threshold_model([3, -4, 2] * 40, 800)


class Models(QuietHandler):
    """One model."""

    def do_GET(self) -> None:  # noqa: N802 - the name that http.server calls
        self.send_response(200)
        self.send_header("Content-Length", str(len(DATA)))
        self.end_headers()
        self.wfile.write(DATA)


def readiness(port: int) -> tuple[int, str]:
    try:
        with urllib.request.urlopen(f"http://127.0.0.1:{port}/readyz", timeout=10) as answer:
            return answer.status, answer.read().decode()
    except urllib.error.HTTPError as error:
        return error.code, error.read().decode()


def reasons(site: Site, path: str) -> set[str]:
    text = site.world.status_file(path)
    conditions = yaml.load(text, yaml.CSafeLoader)["status"]["conditions"] if text else []
    return {each["reason"] for each in conditions if each["status"] == "False"}


def test_a_source_that_returns_is_built_without_a_restart(site: Site) -> None:
    port, http = free_port(), free_port()
    certificate, key = self_signed(site.world.folder)
    toml = site.world.folder / "gateway.toml"
    toml.write_text(re.sub(r"listen = .*", f'listen = "127.0.0.1:{http}"', toml.read_text()))
    site.start_devices()
    site.world.commit("Begin", site.first_files())
    gateway = site.start_gateway("env", f"SSL_CERT_FILE={certificate}")
    site.world.wait_for("1.0.0", lambda: site.are_ready("1.0.0"), within_s=WITHIN_S)
    source = {"url": f"https://127.0.0.1:{port}/m.json", "sha256": hashlib.sha256(DATA).hexdigest()}
    spec = {
        "version": "1.1.0",
        "source": source,
        "needs": {"operators": ["THRESHOLD"]},
        "parameters": {"threshold": 800},
    }
    made = document("Model", MODEL, spec)
    site.world.commit("1.1.0", {"rollout.yaml": rollout("1.1.0"), "model-1.1.0.yaml": made})
    site.world.wait_for(
        "the reason at the rollout",
        lambda: "SourceUnavailable" in reasons(site, f"rollouts/{MODEL}.yaml"),
        within_s=WITHIN_S,
    )
    assert "SourceUnavailable" in reasons(site, "devices/pump-1.yaml")
    status, text = readiness(http)
    assert (status, "what to do" in text) == (503, True)
    assert f"SourceUnavailable: {MODEL}@1.1.0 cannot be built for line-sensor: " in text
    with serving(Models, server_context(certificate, key), port):
        site.world.wait_for("1.1.0", lambda: site.are_ready("1.1.0"), within_s=WITHIN_S)
    site.world.wait_for("readiness", lambda: readiness(http) == (200, "ok\n"), within_s=WITHIN_S)
    assert not gateway.ended_by_itself
    assert reasons(site, f"rollouts/{MODEL}.yaml") == set()
