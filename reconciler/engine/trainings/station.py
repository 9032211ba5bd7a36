# SPDX-License-Identifier: Apache-2.0
"""The trainings of this gateway: when one begins, its trials, and what becomes of the models that it makes.

All that counts is in files of the training's folder, each complete or absent. A daemon that was killed finds a run that
is in progress there, with its windows and the trials that are done, and continues.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Collection, Mapping
from concurrent.futures import Executor
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass, replace
from datetime import datetime
from pathlib import Path

from reconciler.compiler.errors import ToolsMissing
from reconciler.compiler.sandbox import BuildLimits
from reconciler.compiler.training.messages import TrialOutcome
from reconciler.compiler.training.run_folder import RunFolder, RunRecord
from reconciler.compiler.training.trainer import Trainer
from reconciler.contest.decision import ContestState
from reconciler.engine.artifacts.build_service_adapter import Builder
from reconciler.engine.clock import Clock
from reconciler.engine.proposals.proposer import WantedModels, training_branch
from reconciler.engine.samples.contest_station import ContestStation, DecidedContest
from reconciler.engine.trainings.gathering import GatheredWindows, gather_windows, layout_by_context
from reconciler.engine.trainings.known_training import Arrived, DecidedTraining, KnownTraining, training_report
from reconciler.engine.trainings.models_of_run import best_models, wanted_models
from reconciler.errors import FleetError
from reconciler.git.proposal_outcomes import (
    AlreadyInForce,
    DeclinedProposal,
    MergedProposal,
    NotPushed,
    ProposalOutcome,
    Proposed,
    TakenOver,
)
from reconciler.knowledge.writer import KnowledgeWriter
from reconciler.model import ContestId, Desired, GatewayId, Training, TrainingId, TrainingPlace
from reconciler.report.training_status import TrainingReport
from reconciler.training.decision import RunResult, TrainingFacts, TrainingState, decide
from reconciler.training.identity import run_digest
from reconciler.training.objective import exposure_of
from reconciler.training.selection import count, shortage

log = logging.getLogger(__name__)

RETRY_S = 300.0  # after a run that this gateway could not do
SHORT_SHARE = 10  # a tenth of the wanted windows must arrive, or be decided, before a shortage is looked at again


@dataclass(frozen=True, slots=True)
class TrainingPorts:
    """What trainings touch."""

    name: GatewayId
    state_dir: Path
    contests: ContestStation
    clock: Clock
    limits: BuildLimits
    builder: Builder  # fetches the files of networks
    cluster: Callable[[], AbstractContextManager[Executor]] | None = None  # for `where: cluster`


@dataclass(frozen=True, slots=True)
class _Start:
    """What a run begins or continues with."""

    desired: Desired
    training: Training
    contest: DecidedContest
    knowledge: KnowledgeWriter


class TrainingStation:
    """The trainings whose contests this gateway evaluates. For the event loop's thread."""

    def __init__(self, ports: TrainingPorts, wake: Callable[[], None]) -> None:
        self.decided: tuple[DecidedTraining, ...] = ()
        self._ports = ports
        self._wake = wake
        self._own: dict[TrainingId, KnownTraining] = {}
        self._in_git: frozenset[TrainingId] = frozenset()

    @property
    def busy(self) -> bool:
        """Return whether trials are running."""
        return any(own.task is not None for own in self._own.values())

    def decide(self, desired: Desired, now: datetime) -> None:
        """Decide on every training whose contest was decided, and begin or continue those that are due."""
        self._in_git = frozenset(desired.trainings)
        knowledge = self._ports.contests.knowledge
        contests = {each.own.contest.name: each for each in self._ports.contests.decided}
        mine = {name: training for name, training in sorted(desired.trainings.items()) if training.contest in contests}
        pending = self._ports.contests.pending  # their trainings continue
        waiting = {name for name, training in desired.trainings.items() if training.contest in pending}
        for name in self._own.keys() - mine.keys() - waiting:
            self._drop(name)
        if knowledge is None:
            self.decided = ()
            return
        decided = []
        for training in mine.values():
            own = self._known(training)
            contest = contests[training.contest]
            facts = self._facts(training, own, contest, knowledge)
            decision = decide(training, facts, now)
            decided.append(DecidedTraining(training, facts, decision))
            if decision.state in {TrainingState.DUE, TrainingState.RUNNING}:
                self._ensure_running(_Start(desired, training, contest, knowledge), own)
        self.decided = tuple(decided)

    def wanted(self) -> tuple[WantedModels, ...]:
        """Return the proposals that should be on the remote."""
        return tuple(
            wanted_models(each.training, own.record, own.models, self._ports.name)
            for each in self.decided
            if each.decision.state in {TrainingState.OPEN, TrainingState.PROPOSING}
            and (own := self._own[each.training.name]).record is not None
            and own.models
        )

    def settle(self, outcomes: Mapping[TrainingId, ProposalOutcome]) -> frozenset[TrainingId]:
        """Keep what became of proposals. Return the trainings of which one was declined."""
        declined = set()
        for name, outcome in outcomes.items():
            own = self._own.get(name)
            if own is None or not own.is_meant(outcome):
                if isinstance(outcome, DeclinedProposal):
                    declined.add(name)  # it is recorded, of an earlier run, or of a training that is gone
                continue
            own.not_pushed, own.proposed = "", False
            match outcome:
                case Proposed():
                    own.proposed = True
                case AlreadyInForce() | MergedProposal():
                    own.save(RunResult.MERGED)
                case DeclinedProposal():
                    own.save(RunResult.DECLINED)
                    declined.add(name)
                case TakenOver():
                    own.not_pushed = "someone else has committed to the branch"
                case NotPushed(message=message):
                    own.not_pushed = message
        return frozenset(declined)

    def unwanted(self, outcomes: Collection[TrainingId]) -> frozenset[TrainingId]:
        """Return, of the trainings with a branch, those that propose nothing now: suspended, changed in Git, or gone.

        One whose contest was not decided yet keeps its branch: it may propose the same in a moment.
        """
        wanted = {each.branch for each in self.wanted()}
        undecided = self._in_git - {each.training.name for each in self.decided}
        return frozenset(name for name in outcomes if training_branch(name) not in wanted and name not in undecided)

    def reports(self) -> tuple[TrainingReport, ...]:
        """Return what the status says of each training."""
        return tuple(training_report(self._ports.name, each, self._own[each.training.name]) for each in self.decided)

    def next_change_at(self) -> datetime | None:
        """Return when time alone may change a decision."""
        return min((each.decision.until for each in self.decided if each.decision.until is not None), default=None)

    def git_changed(self) -> None:
        """Give a run that this gateway could not do another chance."""
        for own in self._own.values():
            own.retry_at_s = 0.0

    async def stop(self) -> None:
        """End the trials in progress; those that are done are kept."""
        tasks = [own.task for own in self._own.values() if own.task is not None]
        for own in self._own.values():
            if own.trainer is not None:
                own.trainer.cancelled.set()
        if tasks:
            await asyncio.wait(tasks)

    # ------------------------------------------------------------ one training

    def _known(self, training: Training) -> KnownTraining:
        own = self._own.get(training.name)
        if own is None:
            folder = RunFolder(self._ports.state_dir, training.name)
            own = self._own[training.name] = KnownTraining(folder, folder.record())
            if own.record is not None and own.record.result is not RunResult.RUNNING:
                own.read_models(training, own.record)
            else:
                own.count(own.folder.outcomes().values())
        return own

    def _drop(self, name: TrainingId) -> None:
        own = self._own.pop(name)
        if own.trainer is not None:
            own.trainer.cancelled.set()

    def _facts(
        self, training: Training, own: KnownTraining, contest: DecidedContest, knowledge: KnowledgeWriter
    ) -> TrainingFacts:
        record = own.record
        new = self._new_windows(own, training.contest, knowledge)
        short = own.short if self._is_still_short(training, own, (new, contest.decision.evidence.decided)) else ""
        changed = record is not None and record.document != _document_digest(training)
        result = record.result if record is not None else RunResult.NONE
        if changed and result in {RunResult.RUNNING, RunResult.KEPT}:
            result = RunResult.NONE  # what it would make is no longer wanted
        return TrainingFacts(
            result,
            record.began_at if record is not None else None,
            new,
            contest.decision.state is ContestState.NO_SUCCESSOR,
            own.proposed,
            own.folder.requested(),
            changed,
            short,
        )

    def _is_still_short(self, training: Training, own: KnownTraining, arrived: Arrived) -> bool:
        """Return whether it is too early to look at a shortage again. Votes and labels can end one, too."""
        step = max(1, training.when.new_windows // SHORT_SHARE)
        more = max(abs(now - before) for now, before in zip(arrived, own.short_at, strict=True))
        return more < step and self._ports.clock.steady_s() < own.short_until_s

    def _new_windows(self, own: KnownTraining, contest: ContestId, knowledge: KnowledgeWriter) -> int:
        since = own.record.last_sample if own.record is not None else 0
        newest = knowledge.last_sample(contest)
        if own.counted[:2] != (since, newest):
            own.counted = (since, newest, knowledge.count_after(contest, since))
        return own.counted[2]

    def _ensure_running(self, start: _Start, own: KnownTraining) -> None:
        if own.task is None and self._ports.clock.steady_s() >= own.retry_at_s:
            own.task = asyncio.create_task(self._run(start, own), name=f"train {start.training.name}")

    async def _run(self, start: _Start, own: KnownTraining) -> None:
        training = start.training
        own.retry_at_s, own.tools_missing = self._ports.clock.steady_s() + RETRY_S, ""
        try:
            files: dict[str, bytes] = {
                space.source.sha256: await self._ports.builder.source_file(start.desired, space.source)
                for space in training.try_
                if space.source is not None
            }
            begun = await asyncio.to_thread(self._begun, start, own)
            if begun is not None:
                await self._trials(training, own, *begun, files)
            own.retry_at_s = 0.0
        except ToolsMissing as failure:
            own.tools_missing = str(failure)
            log.error("training %s: %s", training.name, failure, extra={"reason": failure.reason})  # noqa: TRY400
        except FleetError as failure:
            log.error("training %s failed: %s: %s", training.name, failure.reason, failure)  # noqa: TRY400 - expected
        except Exception:  # the task has no other reader: a bug must not end trainings silently
            log.exception("training %s: a bug; it is tried again", training.name)
        finally:
            own.task = own.trainer = None
        self._wake()

    def _begun(self, start: _Start, own: KnownTraining) -> tuple[RunRecord, bytes] | None:
        """Return the run that is in progress, or begin one. None: there are too few windows. In a thread."""
        training, contest = start.training, start.contest
        record = own.folder.record()
        if record is not None and record.result is RunResult.RUNNING:
            data = own.folder.snapshot(record)
            if data is not None and record.digest == run_digest(training, record.snapshot):
                return record, data
        resolved, layouts = contest.own, self._ports.contests.layouts
        now = self._ports.clock.now()
        gathered = gather_windows(
            start.knowledge, resolved.contest, resolved.voters, training, layout_of=layout_by_context(layouts), now=now
        )
        counts = count(gathered.rows)
        own.short, own.short_at = shortage(counts, training.data), (own.counted[2], contest.decision.evidence.decided)
        own.short_until_s = self._ports.clock.steady_s() + RETRY_S
        own.folder.take_request()
        if own.short:
            log.info("training %s waits for data: %s", training.name, own.short)
            return None
        return self._begin(training, own, gathered, now)

    def _begin(
        self, training: Training, own: KnownTraining, gathered: GatheredWindows, now: datetime
    ) -> tuple[RunRecord, bytes]:
        snapshot = gathered.snapshot()
        record = RunRecord(
            run_digest(training, snapshot.sha256),
            _document_digest(training),
            snapshot.sha256,
            now,
            snapshot.newest,
            gathered.last_sample,
            training.trials,
            count(gathered.rows),
            exposure_of(gathered.rows),
            RunResult.RUNNING,
        )
        own.folder.begin(record, snapshot)
        log.info("training %s begins: %d trials on %d windows", training.name, training.trials, len(snapshot.rows))
        return record, snapshot.encoded

    async def _trials(
        self, training: Training, own: KnownTraining, record: RunRecord, snapshot: bytes, files: Mapping[str, bytes]
    ) -> None:
        own.record, own.models, own.proposed = record, (), False
        own.count((await asyncio.to_thread(own.folder.outcomes)).values())
        loop = asyncio.get_running_loop()

        def note(outcome: TrialOutcome) -> None:  # in the thread of the trials
            loop.call_soon_threadsafe(self._note, training, own, outcome)

        own.trainer = trainer = Trainer(own.folder, training, self._ports.limits, files)
        self._wake()
        try:
            done = await asyncio.to_thread(self._run_trials, training, trainer, snapshot, note)
        except FleetError:
            if own.folder.snapshot(record) is not None:
                raise
            done = True  # its windows were deleted under it
        if done:
            await asyncio.to_thread(self._end, training, own, record)

    def _run_trials(
        self, training: Training, trainer: Trainer, snapshot: bytes, note: Callable[[TrialOutcome], None]
    ) -> bool:
        """Run what is left; return whether all trials are done. In a thread."""
        with self._executor(training) as executor:
            return trainer.run(snapshot, note, executor)

    def _note(self, training: Training, own: KnownTraining, outcome: TrialOutcome) -> None:
        """Count a trial that has ended, and have the next pass show it."""
        own.done += 1
        own.failed += outcome.score is None
        if outcome.score is None:
            log.warning("training %s: trial %d failed: %s", training.name, outcome.trial.number, outcome.error)
        self._wake()

    def _executor(self, training: Training) -> AbstractContextManager[Executor | None]:
        if training.where is TrainingPlace.GATEWAY:
            return nullcontext()
        if self._ports.cluster is None:
            raise ToolsMissing("`where: cluster` needs the section [cluster] in the configuration of this gateway")
        return self._ports.cluster()

    def _end(self, training: Training, own: KnownTraining, record: RunRecord) -> None:
        """Record what a run came to. In a thread.

        If its windows were deleted meanwhile, what was trained on them is deleted too, and the run begins again.
        """
        if own.folder.snapshot(record) is None:
            log.info("training %s begins again: its windows were deleted", training.name)
            own.folder.discard()
            own.record = None
            return
        outcomes = own.folder.outcomes().values()
        models = best_models(training, record, outcomes)
        errors = [each.error for each in outcomes if each.score is None]
        result = RunResult.KEPT if models else RunResult.FAILED if len(errors) == len(outcomes) else RunResult.MISSED
        ended = replace(record, result=result, why=errors[0] if result is RunResult.FAILED else "")
        own.folder.end(ended, frozenset(each.outcome.trial.number for each in models))
        own.record = ended
        own.read_models(training, ended)
        log.info("training %s ended: %s, %s", training.name, result, ", ".join(str(each.ref) for each in models) or "-")


def _document_digest(training: Training) -> str:
    """Return the digest of what a run depends on of the document: a change of it begins another run."""
    return run_digest(training, "")
