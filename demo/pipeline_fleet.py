# SPDX-License-Identifier: Apache-2.0
"""The fleet of the story of a pipeline: three cameras, each a process of its own, behind a broker with TLS."""

from __future__ import annotations

import hashlib
import json
import shutil
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from bench.zoo import Chain
from demo.broker import set_up_broker, start_broker
from demo.narrator import Narrator
from demo.scene_context import StoryContext
from demo.signing_keys import make_keys
from demo.site import Site
from demo.world import TINYFLEET, VDEV, NotObservedError, Running, World, document
from reconciler.compiler.pack.operators import NAMES

CAMERAS = ("cam-1", "cam-2", "cam-3")
SLOT_BYTES, ARENA_BYTES, CLOCK_MHZ = 12 * 1024, 24 * 1024, 25
MODEL, VERSION, PIPELINE = "defects", "1.0.0", "line"
SIDE, CHANNELS, KINDS = 24, 16, 5
INPUT_BYTES = SIDE * SIDE * 3
OPERATORS = frozenset(NAMES.values())


class PipelineFleet:
    """Three cameras with small slots, a gateway, and a fleet repository with a model that fits none of them."""

    def __init__(self, world: World) -> None:
        self.world = world
        self.cameras: dict[str, Running] = {}
        self._site: Site | None = None

    @property
    def site(self) -> Site:
        """The cameras and the gateway, after the set-up."""
        if self._site is None:
            raise NotObservedError("nothing is set up")
        return self._site

    def set_up(self, narrator: Narrator) -> PipelineContext:
        """Create everything and start it."""
        make_keys(self.world)
        broker = set_up_broker(self.world, CAMERAS)
        start_broker(self.world, broker)
        self._site = Site(self.world, CAMERAS, broker, operators=OPERATORS)
        self.site.set_up()
        for name in CAMERAS:
            self.start_camera(name)
        slot, arena = SLOT_BYTES // 1024, ARENA_BYTES // 1024
        narrator.observe(
            f"{len(CAMERAS)} cameras behind a broker, each with slots of {slot} KiB and {arena} KiB of arena"
        )
        context = PipelineContext(self.world, narrator, self.site.start_gateway(), self)
        context.commit("Create the fleet, with a network for images", self.first_files())
        return context

    def stop(self) -> None:
        """All parts of this fleet are processes, which end with the world."""

    def start_camera(self, name: str) -> None:
        """Start one camera, with the flash that it had before."""
        images, flash = self.world.folder / f"images-{name}", self.world.folder / f"flash-{name}"
        for folder in (images, flash):
            folder.mkdir(exist_ok=True)
        shutil.copy(self.world.folder / "images" / name, images / name)
        sizes = ("--slot-bytes", str(SLOT_BYTES), "--arena-bytes", str(ARENA_BYTES))
        self.cameras[name] = self.world.start(
            name, VDEV, "--images", images, "--flash", flash, *self.site.broker_options(), *sizes
        )

    def first_files(self) -> dict[str, bytes]:
        """Return the files of the first commit."""
        data = network()
        path = f"models/{MODEL}.tflite"
        model = {"version": VERSION, "source": {"path": path, "sha256": hashlib.sha256(data).hexdigest()}}
        kind = {
            "architecture": "cortex-m4",
            "slotBytes": SLOT_BYTES,
            "arenaBytes": ARENA_BYTES,
            "operators": sorted(OPERATORS),
            "prebaked": [{"name": "vibration", "version": "1.0.0"}],
        }
        return {
            **self.site.first_files(),
            "type.yaml": document("DeviceType", "line-sensor", kind, {"clock-mhz": str(CLOCK_MHZ)}),
            path: data,
            f"models/{MODEL}.yaml": document("Model", MODEL, model),
        }


class PipelineContext(StoryContext):
    """What the scenes of this story work with."""

    def __init__(self, world: World, narrator: Narrator, gateway_process: Any, fleet: PipelineFleet) -> None:  # noqa: ANN401 - as in the base
        super().__init__(world, narrator, gateway_process)
        self.fleet = fleet
        self.answers: dict[int, str] = {}  # by the seed of the input

    def shown(self) -> Mapping[str, Any]:
        """Return what `tinyfleet pipeline show` shows; empty before there is a status."""
        if not self.world.status_file(f"pipelines/{PIPELINE}.yaml"):
            return {}
        return dict(self.query("pipeline", "show", PIPELINE)[0])

    def condition_of(self, kind: str) -> Mapping[str, str]:
        """Return a condition of the pipeline; empty if there is none yet."""
        return next((each for each in self.shown().get("conditions", ()) if each["type"] == kind), {})

    def input_file(self, seed: int) -> Path:
        """Write an input, the same for the same seed."""
        path = self.world.folder / f"input-{seed}.bin"
        path.write_bytes(np.random.default_rng(seed).bytes(INPUT_BYTES))
        return path

    def infer(self, seed: int) -> Mapping[str, Any]:
        """Run an input through the pipeline, and through the model in one piece."""
        return dict(self.query("pipeline", "run", PIPELINE, "--input", str(self.input_file(seed)), "--compare"))

    def begin(self, seed: int) -> Running:
        """Run an input without waiting for its result."""
        config = self.world.folder / "gateway.toml"
        options = ("--input", self.input_file(seed), "--compare", "--config", config, "--output", "json")
        return self.world.start(f"run-{seed}", TINYFLEET, "pipeline", "run", PIPELINE, *options)

    def result_of(self, run: Running) -> Mapping[str, Any]:
        """Wait for the result of what `begin` began."""
        if run.wait() != 0:
            raise NotObservedError(f"the command failed:\n{run.said}")
        return dict(json.loads(run.log))


def network() -> bytes:
    """Return a residual network for small images: what it computes is random, and depends on every byte of them."""
    net = Chain(5)
    image = net.tensor([1, SIDE, SIDE, 3], 0.02, -3)
    first = net.conv(image, CHANNELS, (3, 3))
    deep = net.conv(net.conv(first, 2 * CHANNELS, (3, 3), (2, 2)), 2 * CHANNELS, (3, 3), relu=0)
    both = net.add(deep, net.conv(first, 2 * CHANNELS, (1, 1), (2, 2), relu=0))
    return net.model.finish([image], [net.softmax(net.dense(net.pool(both), KINDS, relu=0))])
