# SPDX-License-Identifier: Apache-2.0
"""Events in the forms of chats and Alertmanager, taken by a receiver over real HTTP.

Each test states the shape that the vendor documents, so that it reads like the vendor's page.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import re
from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from reconciler import config
from reconciler.config import ChatConfig, GatewayConfig
from reconciler.daemon import event_forms
from reconciler.daemon.event_forms import Form, FormedReceiver
from reconciler.daemon.outgoing_http import SecretUnusable, WebhookRejected
from reconciler.daemon.webhook_queue import EventQueue, QueuedEvent
from reconciler.daemon.webhook_sender import EventNotifier, receivers_of
from reconciler.model import RolloutId
from reconciler.report.rollout_events import EventKind, FleetEvent
from tests.daemon.test_webhook_sender import WEAR, status
from tests.daemon.webhook_receiver import Receiver, Taken

NOON = datetime(2026, 11, 21, 12, 0, tzinfo=UTC)
EVENT = FleetEvent(
    EventKind.BUILD_FAILED, "hall", RolloutId("wear"), "wear@2.0.0", "w1", "c" * 40, "DoesNotFit: 9 > 8", NOON
)
HOSTILE = (
    '<!channel> <https://evil.example|click> @channel [x](https://evil.example) *bold* `code` & \\ "quoted" ünïcode'
)
FORMS: dict[str, Callable[[str], Form]] = {
    "slack": event_forms.slack,
    "mattermost": event_forms.mattermost,
    "teams": event_forms.teams,
    "matrix": lambda url: event_forms.matrix(url.removesuffix("/hook"), "!fleet:plant.example", "a-token"),
    "alertmanager": lambda url: event_forms.alertmanager(url.removesuffix("/hook"), "a-token"),
}


def queued(event: FleetEvent) -> QueuedEvent:
    return QueuedEvent(event.key, json.dumps(event.as_dict(), sort_keys=True).encode(), 0)


def taken(name: str, event: FleetEvent = EVENT, answers: tuple[int, ...] = ()) -> Taken:
    """Send an event in one form, and return what arrived."""
    receiver = Receiver(answers=list(answers))
    with receiver.served() as url:
        FormedReceiver(FORMS[name](url), 5.0).post(queued(event), NOON.timestamp())
    got = receiver.taken.get_nowait()
    assert receiver.taken.empty()
    assert got.headers["Content-Type"] == "application/json"
    return got


def said(name: str, document: Any) -> str:  # noqa: ANN401 - JSON
    """Return the text that people would see."""
    match name:
        case "teams":
            (attachment,) = document["attachments"]
            return " ".join(each["text"] for each in attachment["content"]["body"] if each["type"] == "TextBlock")
        case "matrix":
            return str(document["body"])
        case "alertmanager":
            return str(document[0]["annotations"]["description"])
        case _:
            return str(document["text"])


def test_slack_takes_text() -> None:
    got = taken("slack")
    assert (got.method, got.path) == ("POST", "/hook")
    assert got.document == {"text": "hall: rollout wear: build-failed (wear@2.0.0): DoesNotFit: 9 &gt; 8"}


def test_mattermost_takes_markdown_text() -> None:
    got = taken("mattermost")
    assert (got.method, got.path) == ("POST", "/hook")
    assert got.document == {"text": r"hall: rollout wear: build-failed (wear@2.0.0): DoesNotFit: 9 \> 8"}


def test_teams_takes_a_message_with_an_adaptive_card() -> None:
    """`type` is `message`, `attachments` are cards, and `contentType` is that of adaptive cards."""
    got = taken("teams", answers=(202,))
    assert got.document.keys() == {"type", "attachments"}
    assert got.document["type"] == "message"
    (attachment,) = got.document["attachments"]
    assert attachment["contentType"] == "application/vnd.microsoft.card.adaptive"
    card = attachment["content"]
    assert (card["type"], card["version"], card["$schema"]) == (
        "AdaptiveCard",
        "1.2",
        "http://adaptivecards.io/schemas/adaptive-card.json",
    )
    title, message, facts = card["body"]
    assert title["text"] == "hall: rollout wear: build-failed"
    assert message["text"] == r"DoesNotFit: 9 \> 8"
    assert facts["type"] == "FactSet"
    assert {each["title"]: each["value"] for each in facts["facts"]} == {
        "gateway": "hall",
        "rollout": "wear",
        "model": "wear@2.0.0",
        "commit": "c" * 40,
    }


def test_matrix_takes_a_notice_with_put_and_a_transaction_id() -> None:
    got = taken("matrix")
    assert got.method == "PUT"
    assert re.fullmatch(
        r"/_matrix/client/v3/rooms/%21fleet%3Aplant\.example/send/m\.room\.message/[0-9a-f]{32}", got.path
    )
    assert got.headers["Authorization"] == "Bearer a-token"
    assert got.document == {
        "msgtype": "m.notice",
        "body": "hall: rollout wear: build-failed (wear@2.0.0): DoesNotFit: 9 > 8",
        "m.mentions": {},
    }
    assert taken("matrix").path == got.path  # so the homeserver drops a repeated request
    assert taken("matrix", replace(EVENT, revision="w2")).path != got.path


def test_alertmanager_takes_a_list_of_alerts_with_rfc_3339_times() -> None:
    got = taken("alertmanager")
    assert (got.method, got.path) == ("POST", "/api/v2/alerts")
    assert got.headers["Authorization"] == "Bearer a-token"
    (alert,) = got.document
    assert alert["labels"] == {
        "alertname": "TinyfleetEventBuildFailed",
        "severity": "warning",
        "gateway": "hall",
        "rollout": "wear",
        "model": "wear@2.0.0",
    }
    assert alert["annotations"]["description"] == "DoesNotFit: 9 > 8"
    times = {name: datetime.fromisoformat(alert[name]) for name in ("startsAt", "endsAt")}
    assert times["startsAt"] == NOON
    assert times["endsAt"] - NOON == timedelta(days=1)


def test_alertmanager_without_a_token_gets_none() -> None:
    receiver = Receiver()
    with receiver.served() as url:
        FormedReceiver(event_forms.alertmanager(url.removesuffix("/hook"), None), 5.0).post(queued(EVENT), 0.0)
    assert "Authorization" not in receiver.taken.get_nowait().headers


@pytest.mark.parametrize("name", FORMS)
def test_an_event_of_a_contest_names_it(name: str) -> None:
    proposed = replace(EVENT, event=EventKind.PROPOSED, contest="bearings", message="see the branch")
    assert "bearings" in json.dumps(taken(name, proposed).document)


@pytest.mark.parametrize("name", FORMS)
def test_an_event_of_a_training_is_about_that(name: str) -> None:
    trained = replace(EVENT, event=EventKind.TRAINED, contest="bearings", training="nightly", rollout=RolloutId(""))
    assert "training nightly: trained" in json.dumps(taken(name, trained).document)


@pytest.mark.parametrize("name", FORMS)
def test_hostile_text_becomes_neither_link_nor_mention(name: str) -> None:
    """What a receiver would interpret is escaped; those that take plain text get it unchanged."""
    text = said(name, taken(name, replace(EVENT, message=HOSTILE)).document)
    assert "ünïcode" in text
    match name:
        case "slack":
            assert not set("<>") & set(text)
            assert "&lt;!channel&gt;" in text
            assert "&amp;" in text
        case "teams" | "mattermost":
            assert not re.search(r"(?<!\\)[\[\]<>*`_]", text)
            assert "@channel" not in text
        case _:
            assert HOSTILE in text


@pytest.mark.parametrize("name", FORMS)
def test_a_refusal_keeps_the_event_and_names_no_secret(
    name: str, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    receiver = Receiver(answers=[503])
    with contextlib.closing(EventQueue(tmp_path / "events.db")) as queue, receiver.served() as url:
        queue.put([], 0.0)
        notifier = EventNotifier("hall", FormedReceiver(FORMS[name](url), 5.0), queue, 3600.0)
        asyncio.run(notifier.check({WEAR: status(done=3)}, ()))
        assert [event.tries for event in queue.due(1e12)] == [1]
        asyncio.run(asyncio.wait_for(_until_taken(notifier, queue), 30))
    assert receiver.taken.qsize() == 2
    assert "the receiver answered 503" in caplog.text
    assert "a-token" not in caplog.text
    assert url not in caplog.text


async def _until_taken(notifier: EventNotifier, queue: EventQueue) -> None:
    while queue.due(1e12):
        await asyncio.sleep(0.1)  # the second attempt is due after two seconds
        await notifier.check({WEAR: status(done=3)}, ())


def test_redirects_with_a_token_are_not_followed() -> None:
    elsewhere, receiver = Receiver(), Receiver(answers=[307])
    with elsewhere.served() as other, receiver.served() as url:
        receiver.location = other
        with pytest.raises(WebhookRejected, match="answered 307"):
            FormedReceiver(FORMS["matrix"](url), 5.0).post(queued(EVENT), 0.0)
    assert elsewhere.taken.empty()


# ---------------------------------------------------------------- configuration

EVERY = """
name = "hall"
[repository]
url = "/fleet"
[keys]
gateway = "g"
[slack]
url_file = "chat.url"
[teams]
url_file = "chat.url"
[mattermost]
url_file = "chat.url"
[matrix]
url = "https://matrix.example.org"
room = "!fleet:example.org"
token = "token"
[alertmanager]
url = "http://localhost:9093"
"""


def configured(folder: Path, text: str = EVERY) -> GatewayConfig:
    path = folder / "gateway.toml"
    path.write_text(text)
    for name, content in (("chat.url", "https://hooks.example.org/T0/B0/secret\n"), ("token", "a-token\n")):
        (folder / name).touch(mode=0o600)
        (folder / name).write_text(content)
    return config.read(path)


def test_every_configured_receiver_is_made(tmp_path: Path) -> None:
    settings = configured(tmp_path)
    assert list(receivers_of(settings)) == ["slack", "teams", "mattermost", "matrix", "alertmanager"]
    assert settings.slack == ChatConfig(tmp_path / "chat.url", 10.0)


@pytest.mark.parametrize(
    ("file", "content", "says"),
    [
        ("chat.url", "ftp://hooks.example.org/x", "must hold a URL"),
        ("chat.url", "https://", "must hold a URL"),
        ("chat.url", "https://a.example/one two", "one line"),
        ("token", "", "one line"),
        ("token", "a\r\nHost: evil.example", "one line"),
    ],
)
def test_unsuitable_secrets_are_refused(tmp_path: Path, file: str, content: str, says: str) -> None:
    settings = configured(tmp_path)
    (tmp_path / file).write_bytes(content.encode())
    with pytest.raises(SecretUnusable, match=says):
        receivers_of(settings)


def test_secrets_that_others_can_read_are_refused(tmp_path: Path) -> None:
    settings = configured(tmp_path)
    (tmp_path / "chat.url").chmod(0o640)
    with pytest.raises(SecretUnusable, match=r"URL for slack .* chmod 600"):
        receivers_of(settings)


def test_the_alias_of_a_matrix_room_is_refused_with_a_hint(tmp_path: Path) -> None:
    with pytest.raises(config.ConfigInvalid, match="expected a room id"):
        configured(tmp_path, EVERY.replace("!fleet", "#fleet"))
