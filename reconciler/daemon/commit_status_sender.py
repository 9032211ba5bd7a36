# SPDX-License-Identifier: Apache-2.0
"""Shows the outcome of a commit at this gateway as a status of the commit on GitHub, GitLab, Gitea or Forgejo.

Only the newest outcome matters: it is retried until the forge takes it, and replaced when it changes. A restarted
daemon sends it once more.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass
from urllib.parse import quote

from reconciler.config import CommitStatusConfig, GatewayConfig
from reconciler.daemon.outgoing_http import HttpRequest, WebhookRejected, json_request, secret_line, send
from reconciler.engine.engine import Engine
from reconciler.report.commit_outcome import CommitOutcome, CommitState, commit_outcome, rejected_outcome

log = logging.getLogger(__name__)

INTERVAL_S = 1.0
FIRST_WAIT_S, LONGEST_WAIT_S = 2.0, 900.0
DESCRIPTION_CHARACTERS = 140  # what GitHub takes; the others take more
GITLAB_STATES = {CommitState.FAILURE: "failed"}
FINAL = frozenset({400, 422})  # the forge understood it and will never take it, such as GitLab a state that it has

Clock = Callable[[], float]
Key = tuple[str, CommitState]


@dataclass(frozen=True, slots=True)
class Forge:
    """Where statuses go, and who sends them."""

    kind: str
    url: str
    repository: str
    token: str
    timeout_s: float

    def request(self, outcome: CommitOutcome, context: str) -> HttpRequest:
        """Return the request that sets the status `context` of a commit."""
        base, said = self.url.rstrip("/"), _shortened(outcome.description)
        if self.kind == "gitlab":
            state = GITLAB_STATES.get(outcome.state, outcome.state.value)
            url = f"{base}/projects/{quote(self.repository, safe='')}/statuses/{outcome.commit}"
            return json_request(
                url, {"state": state, "name": context, "description": said}, {"PRIVATE-TOKEN": self.token}
            )
        url = f"{base}/repos/{quote(self.repository)}/statuses/{outcome.commit}"
        content = {"state": outcome.state.value, "context": context, "description": said}
        if self.kind == "gitea":
            return json_request(url, content, {"Authorization": f"token {self.token}"})
        headers = {
            "Accept": "application/vnd.github+json",
            "Authorization": f"Bearer {self.token}",
            "X-GitHub-Api-Version": "2022-11-28",
        }
        return json_request(url, content, headers)


def forge_of(settings: CommitStatusConfig) -> Forge:
    """Read the token, or raise `SecretUnusable`."""
    token = secret_line(settings.token, "token for commit_status")
    return Forge(settings.forge, settings.url, settings.repository, token, settings.timeout_s)


@dataclass(frozen=True, slots=True)
class _Retry:
    """How often a status was refused, and when it is sent again."""

    tries: int
    due_s: float


class CommitStatusSender:
    """Sends the outcome whenever its commit or its state changes; a mere change of the description is not sent."""

    def __init__(self, gateway: str, forge: Forge, clock_s: Clock) -> None:
        self._context = f"tinyfleet/{gateway}"
        self._forge = forge
        self._clock_s = clock_s
        self._sent: set[Key] = set()
        self._refused: dict[Key, _Retry] = {}

    async def check(self, outcomes: list[CommitOutcome]) -> None:
        """Send what is new, and what is due again."""
        current = {_key(each): each for each in outcomes}
        self._sent &= current.keys()
        self._refused = {key: retry for key, retry in self._refused.items() if key in current}
        for key, outcome in current.items():
            retry = self._refused.get(key, _Retry(0, self._clock_s()))
            if key not in self._sent and retry.due_s <= self._clock_s() and await self._send(outcome, retry):
                self._sent.add(key)

    async def _send(self, outcome: CommitOutcome, retry: _Retry) -> bool:
        """Send one status; return whether that settles it."""
        what = f"status {outcome.state.value} of commit {outcome.commit[:12]}"
        request = self._forge.request(outcome, self._context)
        try:
            await asyncio.to_thread(send, request, self._forge.timeout_s)
        except WebhookRejected as failure:
            wait_s = min(LONGEST_WAIT_S, FIRST_WAIT_S * 2.0 ** min(retry.tries, 16))
            self._refused[_key(outcome)] = _Retry(retry.tries + 1, self._clock_s() + wait_s)
            final = failure.status in FINAL
            next_step = "not sent again" if final else f"attempt {retry.tries + 1}, will retry"
            log.warning("%s: %s (%s)", what, failure, next_step, extra={"reason": failure.reason})
            return final
        log.info("%s was delivered", what)
        return True


def outcomes_of(engine: Engine) -> list[CommitOutcome]:
    """Return the outcome of the enforced commit, and of a newer one that has mistakes."""
    found = []
    gateway, rejected = engine.statuses.gateway, engine.rejected
    if gateway is not None and gateway.commit and gateway.commit == engine.enforced:
        found.append(commit_outcome(gateway.commit, engine.statuses.rollouts.values()))
    if rejected is not None:
        found.append(rejected_outcome(*rejected))
    return found


@contextlib.asynccontextmanager
async def sending_commit_status(settings: GatewayConfig, engine: Engine) -> AsyncIterator[None]:
    """Send statuses for the duration of the context, if `[commit_status]` is configured."""
    if settings.commit_status is None:
        yield
        return
    sender = CommitStatusSender(settings.name, forge_of(settings.commit_status), asyncio.get_running_loop().time)
    task = asyncio.create_task(_run(sender, engine), name="commit status")
    try:
        yield
    finally:
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)


async def _run(sender: CommitStatusSender, engine: Engine) -> None:
    while True:
        await sender.check(outcomes_of(engine))
        await asyncio.sleep(INTERVAL_S)  # outcomes are looked at as often; nothing signals a change of one


def _key(outcome: CommitOutcome) -> Key:
    return outcome.commit, outcome.state


def _shortened(text: str) -> str:
    line = " ".join(text.split())
    return line if len(line) <= DESCRIPTION_CHARACTERS else f"{line[: DESCRIPTION_CHARACTERS - 1]}…"
