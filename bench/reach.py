# SPDX-License-Identifier: Apache-2.0
"""One rollout over five gateways with ten thousand devices each: does it scale, and does it keep its failure budget?

`python -m bench.reach [GATEWAYS DEVICES]`. Devices and links are simulated. Everything between the gateways is real:
each has its own planner, renders the status files of its devices, commits and signs them, pushes them to one bare
repository, and fetches and verifies the status of its peers from there. Two rollouts run: a good model, which reaches
every device although some fail, and a bad one, which the failure budget must stop. One gateway lags: it exchanges its
status a third as often as the others. Each gateway loses its connection now and then.
"""

from __future__ import annotations

import resource
import statistics
import subprocess
import sys
import tempfile
import time
from dataclasses import dataclass, field, replace
from datetime import datetime
from pathlib import Path

from reconciler.engine.observed.peer_statuses import PeerStatuses
from reconciler.engine.status.renderer import PassOutcome, StatusRenderer
from reconciler.engine.status.rollout_facts import RolloutFactsBuilder
from reconciler.git.commit_writer import CommitAuthor, CommitMessage
from reconciler.git.peer_status import PeerStatusReader
from reconciler.git.remote_settings import Remote
from reconciler.git.signatures import CommitVerifier, SignatureMode, SignaturePolicy
from reconciler.git.status_writer import PushPending, StatusWriter
from reconciler.model import (
    Action,
    Desired,
    FailureBudget,
    GatewayId,
    Observed,
    Phase,
    RolloutReport,
    Wave,
    short_digest,
)
from reconciler.plan import Planner
from reconciler.report.device_status import PassStamp
from reconciler.report.gateway_status import GatewayFacts, SourceState
from reconciler.report.rollout_status import RolloutFacts
from tests.plan.example_fleet import EVERYWHERE
from tests.plan.gateway_simulation import (
    ARTIFACTS,
    FAULTY,
    NAME,
    Fate,
    GatewaySimulation,
    SimulatedGateway,
    SimulationSettings,
)

GATEWAYS, DEVICES = 5, 10_000  # of each gateway
GOOD_MODEL, BAD_MODEL = 0.02, 0.6  # the share of devices that something happens to
SEED = 11
LAG = 3  # the lagging gateway takes part in one of three exchanges
SMALL = 1_000  # fleets of fewer devices have one wave less, so that the test is quick
MAX_TICKS = 400
NO_BUDGET = FailureBudget(count=10_000_000)
IN_SYNC = SourceState(good=True, reason="InSync", message="The newest commit is enforced.")


@dataclass(slots=True)
class Measured:
    """What the passes and the exchanges of all gateways took: processor time of a pass, elapsed time of Git."""

    pass_s: list[float] = field(default_factory=list)
    publish_s: list[float] = field(default_factory=list)
    fetch_s: list[float] = field(default_factory=list)
    fetched_bytes: list[int] = field(default_factory=list)  # of the exchanges that fetched something


@dataclass(frozen=True, slots=True)
class Outcome:
    """How one rollout ended."""

    stopped: bool
    done: float  # share of the good devices that run the new model
    failed: int
    allowed: int
    failed_beyond: int  # after the failure that stops the rollout
    minutes: int  # of simulated time


class TimedPlanner(Planner):
    """A planner that measures the processor time of each plan."""

    def __init__(self, pass_s: list[float]) -> None:
        super().__init__()
        self._pass_s = pass_s

    def plan(self, desired: Desired, observed: Observed, now: datetime) -> tuple[Action, ...]:
        """Plan, and append the time."""
        begin = time.process_time()
        actions = super().plan(desired, observed, now)
        self._pass_s.append(time.process_time() - begin)
        return actions


class GitStatus:
    """How one gateway publishes its status to the repository, and reads its peers' status from it."""

    def __init__(self, folder: Path, bare: Path, gateway: GatewayId, desired: Desired) -> None:
        self._own = folder / gateway
        self._own.mkdir()
        remote = Remote(f"file://{bare}")
        author = CommitAuthor(gateway, f"{gateway}@example.org", folder / f"{gateway}.key")
        self._writer = StatusWriter(self._own / "status", remote, gateway, author)
        policy = SignaturePolicy(SignatureMode.HEAD, folder / "signers")
        self._reader = PeerStatusReader(self._own / "peers", remote, CommitVerifier(policy, self._own), named=True)
        self.peers = PeerStatuses(self._reader, gateway)
        self.renderer = StatusRenderer(gateway, {})
        self.facts = RolloutFactsBuilder()
        self.rollouts: tuple[RolloutFacts, ...] = ()  # of the last pass
        mine = {name: device for name, device in desired.devices.items() if name.startswith(f"{gateway}-")}
        self.desired = replace(desired, devices=mine)
        self._files: dict[str, bytes] = {}

    def close(self) -> None:
        """Stop the Git processes."""
        self._writer.close()
        self._reader.close()

    def publish(self, outcome: PassOutcome) -> None:
        """Render what changed, and commit and push all files."""
        changed, gone = self.renderer.render(outcome)
        self._files.update(changed)
        for path in gone:
            self._files.pop(path, None)
        published = self._writer.publish(self._files, CommitMessage("Status", outcome.stamp.now))
        if isinstance(published, PushPending):
            raise SystemExit(f"cannot push: {published.message}")

    def mirrored_bytes(self) -> int:
        """Return the size of all Git objects that came from peers."""
        return sum(file.stat().st_size for file in (self._own / "peers" / "objects").rglob("*") if file.is_file())


class ReachSimulation(GatewaySimulation):
    """The simulation of many gateways, with status exchanged over Git."""

    def __init__(self, folder: Path, setting: SimulationSettings, *, without_budget: bool = False) -> None:
        super().__init__(SEED, setting)
        self.measured = Measured()
        self.lagging = self.gateways[-1]
        if without_budget:  # `allowed` keeps what the rollout really allows
            unlimited = replace(self.rollout, failure_budget=NO_BUDGET)
            self.desired = replace(self.desired, rollouts={NAME: unlimited})
        bare = folder / "fleet.git"
        subprocess.run(["git", "init", "--quiet", "--bare", str(bare)], check=True)
        names = [gateway.name for gateway in self.gateways]
        signers = [f"{name} {make_key(folder, name)}\n" for name in names]
        (folder / "signers").write_text("".join(signers), encoding="utf-8")
        self.statuses = {name: GitStatus(folder, bare, name, self.desired) for name in names}
        for gateway in self.gateways:
            gateway.planner = TimedPlanner(self.measured.pass_s)

    def close(self) -> None:
        """Stop the Git processes."""
        for status in self.statuses.values():
            status.close()

    def report(self, gateway: SimulatedGateway) -> RolloutReport:
        """Collect the facts of a pass, as the engine does; return the report in them."""
        status = self.statuses[gateway.name]
        begin = time.process_time()
        status.rollouts = status.facts.facts(status.desired, gateway.planner, status.renderer.reports, self.now)
        self.measured.pass_s[-1] += time.process_time() - begin
        return status.rollouts[0].report

    def exchange(self, gateway: SimulatedGateway) -> None:
        """Push the status after the last pass, and fetch what the peers have pushed."""
        status, measured = self.statuses[gateway.name], self.measured
        if not status.rollouts or (gateway is self.lagging and self.dice.randrange(LAG)):
            return
        begin = time.perf_counter()
        status.publish(self._outcome(gateway, status))
        published, size = time.perf_counter(), status.mirrored_bytes()
        gateway.peers = dict(status.peers.fetch())
        measured.publish_s.append(published - begin)
        measured.fetch_s.append(time.perf_counter() - published)
        grown = status.mirrored_bytes() - size
        if grown > 0:  # less after a repack
            measured.fetched_bytes.append(grown)

    def _outcome(self, gateway: SimulatedGateway, status: GitStatus) -> PassOutcome:
        return PassOutcome(
            gateway=GatewayFacts(gateway.name, IN_SYNC),
            stamp=PassStamp(self.now, self.desired.commit),
            actions=tuple(action for action in gateway.actions if action.device in gateway.devices),
            observed=gateway.observed or Observed(),
            by_short_digest={short_digest(each.digest): each for each in ARTIFACTS.values()},
            owners=dict.fromkeys(gateway.devices, NAME),
            rollout_facts=status.rollouts,
        )

    @property
    def ended(self) -> bool:
        """Return whether every gateway knows that the rollout is over, and no device is in transition."""
        for gateway in self.gateways:
            evaluation = gateway.planner.evaluations.get(NAME)
            if evaluation is None or not (evaluation.complete or evaluation.progress.stopped):
                return False
            alive = gateway.devices - self.dead
            if any(gateway.seen[name].phase is not Phase.CONFIRMED for name in alive):
                return False
        return True

    def roll_out(self) -> Outcome:
        """Run the rollout to its end, or until its budget is exceeded."""
        minutes = 0
        while minutes < MAX_TICKS and not self.ended and not self.failed_beyond:
            self.tick()
            minutes += 1
        good = [name for name, fate in self.fates.items() if fate is Fate.GOOD]
        stopped = all(gateway.planner.evaluations[NAME].progress.stopped for gateway in self.gateways)
        done = sum(self.done(name) for name in good) / len(good)
        return Outcome(stopped, done, len(self.failed), self.allowed, self.failed_beyond, minutes)


def make_key(folder: Path, name: str) -> str:
    """Create the key that signs a gateway's status; return the public key."""
    path = folder / f"{name}.key"
    subprocess.run(["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-C", name, "-f", str(path)], check=True)
    return path.with_suffix(".key.pub").read_text(encoding="utf-8").strip()


def run(gateways: int, devices: int, faults: float, *, without_budget: bool = False) -> tuple[Outcome, Measured]:
    """Run one rollout in which something happens to a share of the devices."""
    total = gateways * devices
    canary = Wave("canary", count=max(8, total // 1000), soak_s=60)
    rollout = replace(
        EVERYWHERE,
        waves=(canary,) if total < SMALL else (canary, Wave("tenth", percent=10)),
        gates=(FAULTY,),
        failure_budget=FailureBudget(percent=30),
    )
    setting = SimulationSettings(gateways, devices, faults, rollout)
    if faults == BAD_MODEL:  # devices that are merely silent would use up the budget, and nothing would stop
        setting = replace(setting, fates=(Fate.BAD_TRIAL, Fate.BAD_GATE))
    with tempfile.TemporaryDirectory() as folder:
        simulation = ReachSimulation(Path(folder), setting, without_budget=without_budget)
        try:
            return simulation.roll_out(), simulation.measured
        finally:
            simulation.close()


def main() -> None:
    """Run both rollouts and print the figures."""
    gateways, devices = map(int, sys.argv[1:3]) if len(sys.argv) > 1 else (GATEWAYS, DEVICES)
    beyond = 0
    for model, faults in (("good", GOOD_MODEL), ("bad", BAD_MODEL)):
        outcome, measured = run(gateways, devices, faults)
        if outcome.stopped is not (model == "bad") or (model == "good" and outcome.done < 1):
            raise SystemExit(f"the rollout of the {model} model ended unexpectedly: {outcome}")
        beyond += outcome.failed_beyond
        print(
            f"{model} model: {outcome.failed:,} failed, {outcome.allowed:,} allowed; {outcome.done:.1%} of the good"
            f" devices run it after {outcome.minutes} simulated minutes",
            flush=True,
        )
        print(f"{model}_passes={len(measured.pass_s)}")
        print(f"{model}_pass_s_p50={statistics.median(measured.pass_s):.3f}")
        print(f"{model}_pass_s_max={max(measured.pass_s):.3f}")
        print(f"{model}_publish_s_p50={statistics.median(measured.publish_s):.3f}")
        print(f"{model}_fetch_s_p50={statistics.median(measured.fetch_s):.3f}")
        print(f"{model}_fetched_bytes_p50={statistics.median(measured.fetched_bytes):.0f}")
        print(f"{model}_fetched_bytes_max={max(measured.fetched_bytes)}", flush=True)
    print(f"rss_mib={resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024:.0f}")
    print(f"gateways={gateways} devices={gateways * devices} failed_beyond_budget={beyond}")


if __name__ == "__main__":
    main()
