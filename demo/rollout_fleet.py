# SPDX-License-Identifier: Apache-2.0
"""The fleet of the demo, from nothing to a gateway whose devices run their pre-baked model."""

from __future__ import annotations

from demo.demo_fleet import BAUD, DEVICES, ON_BROKER, PRESS, DemoFleet
from demo.narrator import Narrator
from demo.rollout_scenes import initial_state
from demo.scene_context import SceneContext


class RolloutFleet(DemoFleet):
    """Mills behind a broker, and a press on a slow line."""

    def set_up(self, narrator: Narrator) -> SceneContext:
        """Create everything and start it."""
        self.make_keys()
        narrator.observe(
            "created an offline root key, a delegated gateway key and certificates; mosquitto runs with TLS"
        )
        self.make_repository()
        with narrator.bar("tinyfleet provision", len(DEVICES)) as advance:
            self.provision(advance)
        narrator.observe(f"provisioned {len(DEVICES)} devices: {len(ON_BROKER)} virtual devices behind the broker,")
        narrator.observe(f"and {PRESS}, an emulated Cortex-M4 on a {BAUD}-baud line")
        context = SceneContext(self.world, narrator, self.start(), self)
        context.commit("Create the fleet, with a rollout of the pre-baked model", {})
        initial_state(context)
        return context
