# SPDX-License-Identifier: Apache-2.0
"""A headless Chromium, driven over the W3C WebDriver protocol: JSON over HTTP to chromedriver."""

from __future__ import annotations

import base64
import json
import re
import subprocess
import time
import urllib.request
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

LIMIT_S = 60
DESKTOP, LAPTOP, TABLET, PHONE = (1280, 900), (1024, 768), (768, 1024), (360, 740)
# Disable everything that a browser does on its own, such as requests to the servers of its vendor.
FLAGS = (
    "--headless=new", "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-dev-shm-usage",
    "--disable-background-networking", "--disable-component-update", "--disable-sync", "--disable-extensions",
    "--hide-scrollbars", "--force-color-profile=srgb",
)  # fmt: skip


class Browser:
    """One browser session."""

    def __init__(self, address: str, session: str) -> None:
        self._base = f"{address}/session/{session}"

    def see(self, url: str, size: tuple[int, int] = DESKTOP, scheme: str = "light") -> None:
        """Open a page in a window of the given size; the size of a phone emulates a mobile device."""
        width, height = size
        phone = size == PHONE
        self.devtools(
            "Emulation.setDeviceMetricsOverride",
            {"width": width, "height": height, "deviceScaleFactor": 1, "mobile": phone},
        )
        self.devtools("Emulation.setEmulatedMedia", {"features": [{"name": "prefers-color-scheme", "value": scheme}]})
        for kind in ("browser", "performance"):
            self.log(kind)  # discard the log of the previous page
        self._post("url", {"url": url})

    def devtools(self, command: str, parameters: Mapping[str, Any] | None = None) -> Any:  # noqa: ANN401 - JSON
        """Run a command of the DevTools protocol."""
        return self._post("goog/cdp/execute", {"cmd": command, "params": dict(parameters or {})})

    def evaluate(self, script: str) -> Any:  # noqa: ANN401 - JSON
        """Run a script in the document and return its result."""
        return self._post("execute/sync", {"script": script, "args": []})

    def wait_until(self, script: str) -> None:
        """Run a script until it returns true."""
        until_s = time.monotonic() + LIMIT_S
        while not self.evaluate(script):
            assert time.monotonic() < until_s, script

    def log(self, kind: str) -> list[dict[str, Any]]:
        """Return the log entries since the last call: `browser` (the console) or `performance` (requests)."""
        found: list[dict[str, Any]] = self._post("se/log", {"type": kind})
        return found

    def requests(self) -> list[str]:
        """Return the URLs that were requested since the page was opened, or since the last call."""
        events = [json.loads(entry["message"])["message"] for entry in self.log("performance")]
        return [each["params"]["request"]["url"] for each in events if each["method"] == "Network.requestWillBeSent"]

    def press(self, key: str) -> None:
        """Press a key on the focused element."""
        down, up = {"type": "keyDown", "value": key}, {"type": "keyUp", "value": key}
        self._post("actions", {"actions": [{"type": "key", "id": "keys", "actions": [down, up]}]})

    def tree(self) -> list[dict[str, Any]]:
        """Return the accessibility tree without ignored nodes."""
        nodes: list[dict[str, Any]] = self.devtools("Accessibility.getFullAXTree")["nodes"]
        return [node for node in nodes if not node["ignored"]]

    def screenshot(self, *, whole: bool = False) -> bytes:
        """Take a screenshot as PNG."""
        data: str = self.devtools("Page.captureScreenshot", {"format": "png", "captureBeyondViewport": whole})["data"]
        return base64.b64decode(data)

    def _post(self, path: str, body: Mapping[str, Any]) -> Any:  # noqa: ANN401 - JSON
        return _request(f"{self._base}/{path}", body)


@contextmanager
def chromium(folder: Path) -> Iterator[Browser]:
    """Start a browser with an empty profile and JavaScript of pages disabled, and end it."""
    driver = subprocess.Popen(["chromedriver", "--port=0"], stdout=subprocess.PIPE, text=True)
    try:
        assert driver.stdout is not None
        found = next(found for line in driver.stdout if (found := re.search(r"successfully on port (\d+)", line)))
        address = f"http://127.0.0.1:{found[1]}"
        options = {
            "args": [*FLAGS, f"--user-data-dir={folder}"],
            "prefs": {"profile.managed_default_content_settings.javascript": 2},
        }
        wanted = {
            "browserName": "chrome",
            "goog:chromeOptions": options,
            "goog:loggingPrefs": {"browser": "ALL", "performance": "ALL"},
        }
        session = _request(f"{address}/session", {"capabilities": {"alwaysMatch": wanted}})["sessionId"]
        yield Browser(address, session)
        _request(f"{address}/session/{session}", None)
    finally:
        driver.terminate()
        driver.communicate(timeout=LIMIT_S)


def _request(url: str, body: Mapping[str, Any] | None) -> Any:  # noqa: ANN401 - JSON
    data = None if body is None else json.dumps(body).encode()
    method = "DELETE" if body is None else "POST"
    request = urllib.request.Request(url, data, {"Content-Type": "application/json"}, method=method)  # noqa: S310 - http on loopback
    with urllib.request.urlopen(request, timeout=LIMIT_S) as answer:  # noqa: S310 - as above
        return json.loads(answer.read())["value"]
