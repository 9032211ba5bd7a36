# SPDX-License-Identifier: Apache-2.0
"""A window closes in the middle of a transfer: its blocks are kept, and the next window resumes it.

Nothing here depends on the speed of the machine: the window's end is set once the transfer is in progress, and what
happened is read from the log and the status.
"""

from __future__ import annotations

import re
from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

from demo.site import SerialLine, Site, model, rollout
from demo.world import GATEWAY, document, threshold_model

BAUD = 9600
WITHIN_S = 120
LARGE = threshold_model([(7 * i * i) % 41 - 20 for i in range(4000)], 800)
SMALL = threshold_model([3, -4, 2] * 40, 800)
DAYS = ("Mon", "Tue", "Wed", "Thu", "Fri", "Sat", "Sun")
ZONE = ZoneInfo("Asia/Kolkata")  # its offset is not a whole number of hours
SOON, LATER = timedelta(seconds=3), timedelta(seconds=15)
WRITTEN = 5  # flash operations of a device: some blocks have arrived


def window(start: datetime, duration: timedelta) -> dict[str, object]:
    local = start.astimezone(ZONE)
    return {
        "days": list(DAYS),  # a copy: the fleet repository takes no YAML anchors
        "start": f"{local:%H:%M}",
        "duration": f"{round(duration.total_seconds())}s",
        "timeZone": ZONE.key,
    }


def gateway(*windows: dict[str, object]) -> dict[str, bytes]:
    written = document("Gateway", GATEWAY, {"selector": {}, "windows": list(windows)})
    return {"gateway.yaml": re.sub(rb"(?m)start: (\d\d:\d\d)$", rb"start: '\1'", written)}  # PyYAML leaves 00:03 plain


def receiving(site: Site) -> dict[str, int]:
    """Count the flash operations of each device that is receiving."""
    found = re.findall(r"^(\S+) alive=1 phase=1 .* operations=(\d+)", site.phases(), re.MULTILINE)
    return {name: int(operations) for name, operations in found}


def log(site: Site) -> str:
    return (site.world.folder / "gateway.log").read_text()


def up_to_date_since(site: Site, device: str) -> datetime:
    conditions = {each["type"]: each for each in site.world.device_status(device)["conditions"]}
    return datetime.fromisoformat(str(conditions["UpToDate"]["since"])).replace(tzinfo=UTC)


def reasons(site: Site) -> set[str]:
    return {site.world.device_status(device)["conditions"][0]["reason"] for device in site.devices}


def test_a_transfer_stops_with_its_window_and_resumes_with_the_next(site: Site) -> None:
    world = site.world
    site.link = SerialLine(BAUD)
    site.start_devices()
    world.commit("Begin", site.first_files())
    site.start_gateway()
    world.wait_for("1.0.0", lambda: site.are_ready("1.0.0"), within_s=WITHIN_S)

    # The window ends while a transfer is in progress, and another opens at a full minute soon after.
    world.commit("large", {"rollout.yaml": rollout("2.0.0"), **model("2.0.0", LARGE)})
    begun = world.wait_for("a transfer", lambda: receiving(site), within_s=WITHIN_S)
    (device, operations), *_ = begun.items()
    world.wait_for("blocks", lambda: receiving(site).get(device, 0) > operations + WRITTEN, within_s=WITHIN_S)
    now = datetime.now(UTC)
    began = now.replace(second=0, microsecond=0) - timedelta(minutes=1)
    opens_at = (now + LATER + timedelta(minutes=1)).replace(second=0, microsecond=0)
    world.commit("windows", gateway(window(began, now + SOON - began), window(opens_at, timedelta(hours=2))))
    closed = rf"{device}: cancelled vibration@2\.0\.0: outside its maintenance windows; the next opens "
    world.wait_for(
        "the window's end", lambda: re.search(closed + f"{opens_at:%a %Y-%m-%d %H:%M}", log(site)), within_s=60
    )
    assert "phase=1" in site.phases()  # the blocks are kept

    # The next window resumes the transfer.
    world.wait_for("2.0.0", lambda: site.are_ready("2.0.0"), within_s=WITHIN_S)
    interrupted = set(re.findall(r"(pump-\d): cancelled vibration@2\.0\.0", log(site)))
    assert device in interrupted
    assert all(up_to_date_since(site, name) >= opens_at for name in interrupted)
    sent = dict(re.findall(r"(pump-\d): vibration@2\.0\.0: Confirmed \((\d+) blocks", log(site)))
    whole = max(map(int, sent.values()))
    assert int(sent[device]) < whole

    # While the window stays closed for hours, a critical rollout does not wait for it.
    far = datetime.now(UTC).replace(second=0, microsecond=0) + timedelta(hours=3)
    files = {**gateway(window(far, timedelta(minutes=5))), "rollout.yaml": rollout("3.0.0"), **model("3.0.0", SMALL)}
    world.commit("small", files)
    world.wait_for("all held", lambda: reasons(site) == {"HeldWindow"}, within_s=WITHIN_S)
    assert all(site.world.device_status(name)["model"] == "vibration@2.0.0" for name in site.devices)
    world.commit("critical", {"rollout.yaml": rollout("3.0.0", critical=True)})
    world.wait_for("3.0.0", lambda: site.are_ready("3.0.0"), within_s=WITHIN_S)
