# SPDX-License-Identifier: Apache-2.0
"""Events as requests to Slack, Teams, Mattermost, Matrix and Alertmanager; a function has all that one of them needs.

Names and messages come from the fleet repository and from devices: each form escapes what its receiver would take for
markup or for a mention of people.
"""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from urllib.parse import quote

from reconciler.daemon.outgoing_http import HttpRequest, json_request, send
from reconciler.daemon.webhook_queue import QueuedEvent

ALERT_LASTS = timedelta(days=1)  # of an event in Alertmanager, which would resolve it after minutes otherwise
MARKDOWN = re.compile(r"([\\`*_\[\]<>#~|])")
MENTION = re.compile(r"@(?=[A-Za-z])")  # not the @ of a version, as in wear@2.0.0
INVISIBLE = "\u200b"  # a zero-width space: it separates an @ from a name, so that nobody is mentioned

Event = Mapping[str, str]
Form = Callable[[QueuedEvent, float], HttpRequest]  # the time is in seconds since 1970


@dataclass(frozen=True, slots=True)
class FormedReceiver:
    """A receiver that takes events in its own form."""

    form: Form
    timeout_s: float

    def post(self, event: QueuedEvent, now_s: float) -> None:
        """Send one event, or raise `WebhookRejected`."""
        send(self.form(event, now_s), self.timeout_s)


def slack(url: str) -> Form:
    """Return the form of Slack's incoming webhooks: `text`, with three characters escaped."""

    def form(event: QueuedEvent, _now_s: float) -> HttpRequest:
        said = _slack_escaped(_sentence(_fields(event)))
        return json_request(url, {"text": said})

    return form


def mattermost(url: str) -> Form:
    """Return the form of Mattermost's incoming webhooks: `text` in Markdown."""

    def form(event: QueuedEvent, _now_s: float) -> HttpRequest:
        return json_request(url, {"text": _markdown_escaped(_sentence(_fields(event)))})

    return form


def teams(url: str) -> Form:
    """Return the form of a Teams webhook: a message with one adaptive card."""

    def form(event: QueuedEvent, _now_s: float) -> HttpRequest:
        fields = _fields(event)
        facts = [
            {"title": name, "value": fields[name]}
            for name in ("gateway", "rollout", "contest", "training", "model", "commit")
            if fields.get(name)
        ]
        card = {
            "$schema": "http://adaptivecards.io/schemas/adaptive-card.json",
            "type": "AdaptiveCard",
            "version": "1.2",
            "body": [
                {"type": "TextBlock", "weight": "Bolder", "wrap": True, "text": _markdown_escaped(_title(fields))},
                {"type": "TextBlock", "wrap": True, "text": _markdown_escaped(fields["message"])},
                {"type": "FactSet", "facts": facts},
            ],
        }
        attachment = {"contentType": "application/vnd.microsoft.card.adaptive", "contentUrl": None, "content": card}
        return json_request(url, {"type": "message", "attachments": [attachment]})

    return form


def matrix(homeserver: str, room: str, token: str) -> Form:
    """Return the form of Matrix: a notice in a room. The transaction id makes a repeated request harmless."""

    def form(event: QueuedEvent, _now_s: float) -> HttpRequest:
        transaction = hashlib.sha256(event.key.encode()).hexdigest()[:32]
        path = f"/_matrix/client/v3/rooms/{quote(room, safe='')}/send/m.room.message/{transaction}"
        content = {"msgtype": "m.notice", "body": _sentence(_fields(event)), "m.mentions": {}}
        return json_request(
            f"{homeserver.rstrip('/')}{path}", content, {"Authorization": f"Bearer {token}"}, method="PUT"
        )

    return form


def alertmanager(url: str, token: str | None) -> Form:
    """Return the form of Alertmanager: one alert, which ends after a day."""

    def form(event: QueuedEvent, now_s: float) -> HttpRequest:
        fields = _fields(event)
        name = "".join(word.capitalize() for word in fields["event"].split("-"))
        labels = {
            "alertname": f"TinyfleetEvent{name}",
            "severity": "info" if fields["event"] == "complete" else "warning",
        }
        named = ("gateway", "rollout", "contest", "training", "model")
        labels |= {each: fields[each] for each in named if fields.get(each)}
        ends = datetime.fromtimestamp(now_s, UTC) + ALERT_LASTS
        alert = {
            "labels": labels,
            "annotations": {"summary": _title(fields), "description": fields["message"], "commit": fields["commit"]},
            "startsAt": fields["since"],
            "endsAt": ends.isoformat(),
        }
        headers = {"Authorization": f"Bearer {token}"} if token is not None else {}
        return json_request(f"{url.rstrip('/')}/api/v2/alerts", [alert], headers)

    return form


def _fields(event: QueuedEvent) -> Event:
    fields: dict[str, str] = json.loads(event.body)
    return fields


def _title(fields: Event) -> str:
    kind = next((each for each in ("training", "contest") if fields.get(each)), "rollout")
    about = f"{kind} {fields[kind]}"
    return f"{fields['gateway']}: {about}: {fields['event']}"


def _sentence(fields: Event) -> str:
    return f"{_title(fields)} ({fields['model']}): {fields['message']}"


def _slack_escaped(text: str) -> str:
    """Escape what Slack documents as control characters; without `<` there is no link and no mention."""
    return text.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")


def _markdown_escaped(text: str) -> str:
    """Escape Markdown, and put something invisible after an @, which a backslash does not keep from mentioning."""
    return MENTION.sub(f"@{INVISIBLE}", MARKDOWN.sub(r"\\\1", text))
