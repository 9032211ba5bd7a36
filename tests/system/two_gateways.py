# SPDX-License-Identifier: Apache-2.0
"""Two gateways, each with devices on a line of its own, that share nothing but the fleet repository."""

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
TOLD = "rollouts/vibration.yaml"


class HallWorld(World):
    """What one gateway starts and keeps, in a folder of its own; the fleet repository is everybody's."""

    def __init__(self, folder: Path, gateway: str, shared: World) -> None:
        super().__init__(folder)
        self.remote, self.work, self.gateway = shared.remote, shared.work, gateway
        self._shared = shared.folder
        folder.mkdir()

    def make_repository(self) -> None:
        """Take the one that there is, and whose commits count in it."""
        shutil.copy(self._shared / "allowed_signers", self.folder)

    def status_commit(self) -> str | None:
        """Return the commit that this gateway's status ref is at."""
        ref = f"refs/heads/status/{self.gateway}"
        return self.run("git", "--git-dir", self.remote, "for-each-ref", "--format=%(objectname)", ref).strip() or None


class Hall(Site):
    """One gateway, its line and its devices; what it says is signed with a key of its own."""

    def __init__(self, name: str, devices: int, shared: World) -> None:
        self.name = name
        self.world: HallWorld = HallWorld(shared.folder / name, name, shared)
        names = tuple(f"{name}-{number}" for number in range(1, devices + 1))
        super().__init__(self.world, names, SerialLine(BAUD))

    def join(self) -> str:
        """Make keys and devices; returns the line by which others know this gateway."""
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
        """Switch the devices on."""
        self._powered = self.start_devices()

    def unplug(self) -> None:
        """Switch them off; they keep their flash."""
        self._powered.stop()

    def files(self) -> dict[str, bytes]:
        """Write what the fleet repository says of this gateway and its devices."""
        selector = {"selector": {"devices": list(self.devices)}}
        common = {name: data for name, data in self.first_files().items() if name != "gateway.yaml"}
        return {**common, f"gateways/{self.name}.yaml": document("Gateway", self.name, selector)}

    @property
    def rollout(self) -> Mapping[str, Any]:
        """Return what its status says of the rollout; empty if nothing yet."""
        text = self.world.status_file(TOLD)
        told: Mapping[str, Any] = yaml.load(text, yaml.CSafeLoader)["status"] if text else {}
        return told

    def reason(self, device: str) -> str:
        """Return why a device is not ready, or that it is."""
        status = self.world.device_status(device)
        return str(status["conditions"][0]["reason"]) if status else ""

    def wait_for(self, what: str, condition: Callable[[], Any]) -> Any:  # noqa: ANN401 - what the condition found
        """Wait until a condition holds of it."""
        return self.world.wait_for(f"{what} at {self.name}", condition, within_s=WITHIN_S)

    def wait_until_ready(self, version: str) -> None:
        """Wait until all its devices run a version."""
        self.wait_for(version, lambda: self.are_ready(version))

    def wait_until_complete(self) -> None:
        """Wait until it says that all waves are over."""
        self.wait_for("the end", lambda: self.rollout["complete"])

    def wait_until_it_enforces(self, commit: str) -> None:
        """Wait until it says that it plans with a commit."""
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
        """End all that was started."""
        for hall in self.halls:
            hall.world.__exit__(None, None, None)

    def begin(self) -> None:
        """Bring both halls to where their devices run what they were made with."""
        for hall in self.halls:
            hall.power()
        files = {**self.north.files(), **self.south.files(), "fleet.yaml": document("Fleet", FLEET, {})}
        self.world.commit("Begin", files)
        for hall in self.halls:
            hall.start_gateway()
        for hall in self.halls:
            hall.wait_until_ready("1.0.0")

    def have_looked(self, hall: Hall) -> None:
        """Wait until a gateway has looked at Git, and at all that others say there, and has planned with it.

        Of a commit it tells as soon as it has it, and looks at the others then: the next one proves that it did.
        """
        for number in range(2):
            head = self.world.commit(f"A reason to look, {number}", {"notes.md": str(self._count()).encode()})
            hall.wait_until_it_enforces(head)

    def _count(self) -> int:
        return int(self.world.run("git", "rev-list", "--count", "HEAD", cwd=self.world.work))
