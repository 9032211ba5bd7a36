# SPDX-License-Identifier: Apache-2.0
"""Two gateways, each with devices on its own serial line, that share nothing but the fleet repository."""

from __future__ import annotations

import shutil
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import yaml

from demo.site import SerialLine, Site
from demo.world import FLEET, World, document

BAUD = 115200
WITHIN_S = 60
ROLLOUT_FILE = "rollouts/vibration.yaml"


class HallWorld(World):
    """One gateway's folder and processes; the fleet repository is shared."""

    def __init__(self, folder: Path, gateway: str, shared: World) -> None:
        super().__init__(folder)
        self.remote, self.work, self.gateway = shared.remote, shared.work, gateway
        self._shared = shared.folder

    def make_repository(self) -> None:
        """Use the shared repository, and its signers."""
        shutil.copy(self._shared / "allowed_signers", self.folder)

    def status_commit(self) -> str | None:
        """Return the commit that this gateway's status ref is at."""
        ref = f"refs/heads/status/{self.gateway}"
        return self.run("git", "--git-dir", self.remote, "for-each-ref", "--format=%(objectname)", ref).strip() or None


class Hall(Site):
    """One gateway with its line and devices; it signs its status with a key of its own."""

    def __init__(self, name: str, devices: int, shared: World) -> None:
        self.name = name
        self.world: HallWorld = HallWorld(shared.folder / name, name, shared)
        names = tuple(f"{name}-{number}" for number in range(1, devices + 1))
        super().__init__(self.world, names, SerialLine(BAUD))

    def join(self) -> str:
        """Make keys and devices; return the signers line by which peers know this gateway."""
        self.set_up()
        key = self.world.folder / "status"
        self.world.run("ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-C", self.name, "-f", key)
        configuration = self.world.folder / "gateway.toml"
        text = configuration.read_text().replace('name = "bench"', f'name = "{self.name}"', 1)
        text = text.replace("[keys]\n", '[keys]\nstatus = "status"\n')
        text = text.replace("[signers]\n", '[peers]\nallowed_signers = "gateways"\n[signers]\n')
        configuration.write_text(text)
        return f"{self.name} {key.with_suffix('.pub').read_text()}"

    def power(self) -> None:
        """Power the devices on."""
        self._powered = self.start_devices()

    def unplug(self) -> None:
        """Power the devices off; they keep their flash."""
        self._powered.stop()

    def files(self) -> dict[str, bytes]:
        """Return this gateway's and its devices' files of the fleet repository."""
        selector = {"selector": {"devices": list(self.devices)}}
        common = {name: data for name, data in self.first_files().items() if name != "gateway.yaml"}
        return {**common, f"gateways/{self.name}.yaml": document("Gateway", self.name, selector)}

    @property
    def rollout(self) -> Mapping[str, Any]:
        """Return the rollout's status as this gateway reports it; empty before the first report."""
        text = self.world.status_file(ROLLOUT_FILE)
        status: Mapping[str, Any] = yaml.load(text, yaml.CSafeLoader)["status"] if text else {}
        return status

    def reason(self, device: str) -> str:
        """Return the reason of a device's Ready condition."""
        status = self.world.device_status(device)
        return str(status["conditions"][0]["reason"]) if status else ""

    def wait_for(self, what: str, condition: Callable[[], Any]) -> Any:  # noqa: ANN401 - what the condition found
        """Wait until a condition holds at this gateway."""
        return self.world.wait_for(f"{what} at {self.name}", condition, within_s=WITHIN_S)

    def wait_until_ready(self, version: str) -> None:
        """Wait until all its devices run a version."""
        self.wait_for(version, lambda: self.are_ready(version))

    def wait_until_complete(self) -> None:
        """Wait until it reports the rollout complete."""
        self.wait_for("the end", lambda: self.rollout["complete"])

    def wait_until_it_enforces(self, commit: str) -> None:
        """Wait until it reports that it enforces a commit."""
        self.wait_for(commit, lambda: self.world.enforced() == commit)


class Plant:
    """Both halls."""

    def __init__(self, world: World) -> None:
        self.world = world
        world.make_repository()
        self.halls = (Hall("north", 2, world), Hall("south", 2, world))
        self.north, self.south = self.halls
        known = "".join(hall.join() for hall in self.halls)
        for hall in self.halls:
            (hall.world.folder / "gateways").write_text(known)

    def stop(self) -> None:
        """End everything that was started."""
        for hall in self.halls:
            hall.world.__exit__(None, None, None)

    def begin(self) -> None:
        """Start both halls, and wait until their devices run the pre-baked model."""
        for hall in self.halls:
            hall.power()
        files = {**self.north.files(), **self.south.files(), "fleet.yaml": document("Fleet", FLEET, {})}
        self.world.commit("Begin", files)
        for hall in self.halls:
            hall.start_gateway()
        for hall in self.halls:
            hall.wait_until_ready("1.0.0")

    def wait_until_polled(self, hall: Hall) -> None:
        """Wait until a gateway has fetched what Git and all peers report, and has planned with it.

        It reports a commit as soon as it has it, and fetches its peers after that: a second commit proves that it did.
        """
        for number in range(2):
            head = self.world.commit(f"A reason to poll, {number}", {"notes.md": str(self._count()).encode()})
            hall.wait_until_it_enforces(head)

    def _count(self) -> int:
        return int(self.world.run("git", "rev-list", "--count", "HEAD", cwd=self.world.work))
