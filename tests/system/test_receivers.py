# SPDX-License-Identifier: Apache-2.0
"""A real daemon tells a chat, a forge and a collector of traces what becomes of commits."""

from __future__ import annotations

from demo.site import Site, model, rollout
from demo.world import threshold_model
from tests.daemon.webhook_receiver import Receiver

WITHIN_S = 120
BROKEN = threshold_model([3, -4, 2] * 40, 800)


def statuses(receiver: Receiver, commit: str) -> list[tuple[str, str]]:
    """Return the states and descriptions of a commit, in their order."""
    with receiver.taken.mutex:
        got = [each for each in receiver.taken.queue if each.path == f"/repos/plant/fleet/statuses/{commit}"]
    return [(each.document["state"], each.document["description"]) for each in got]


def spans(collector: Receiver, commit: str) -> dict[str, int]:
    """Return the status of the spans of a commit, by name."""
    with collector.taken.mutex:
        sent = [each.document["resourceSpans"][0]["scopeSpans"][0]["spans"] for each in collector.taken.queue]
    found = [span for batch in sent for span in batch if span["traceId"] == commit[:32]]
    return {span["name"]: span["status"]["code"] for span in found}


def test_the_outcome_of_each_commit_reaches_forge_chat_and_collector(site: Site) -> None:
    forge, chat, collector, folder = Receiver(), Receiver(), Receiver(), site.world.folder
    with forge.served() as forge_url, chat.served() as chat_url, collector.served() as collector_url:
        for name, content in (("forge.token", "a-token"), ("slack.url", chat_url)):
            (folder / name).touch(mode=0o600)
            (folder / name).write_text(content)
        with (folder / "gateway.toml").open("a") as toml:
            toml.write('\n[slack]\nurl_file = "slack.url"\n[commit_status]\nforge = "gitea"\n')
            toml.write(
                f'url = "{forge_url.removesuffix("/hook")}"\nrepository = "plant/fleet"\ntoken = "forge.token"\n'
            )
            toml.write(f'[tracing]\nurl = "{collector_url.removesuffix("/hook")}"\n')
        site.start_devices("--fault", "golden=1")
        first = site.world.commit("Begin", site.first_files())
        site.start_gateway()
        site.world.wait_for("success", lambda: "success" in dict(statuses(forge, first)), within_s=WITHIN_S)
        site.world.wait_for("its trace", lambda: "change" in spans(collector, first), within_s=WITHIN_S)
        assert spans(collector, first)["change"] == 1
        invalid = site.world.commit("oops", {"rollout.yaml": b"kind: Rollot\n"})
        site.world.wait_for("the mistake", lambda: statuses(forge, invalid), within_s=WITHIN_S)
        ((state, description),) = statuses(forge, invalid)
        assert state == "failure"
        assert description.startswith("not enforced: rollout.yaml:1:")
        bad = site.world.commit("bad", {"rollout.yaml": rollout("1.1.0"), **model("1.1.0", BROKEN)})
        site.world.wait_for("the failure", lambda: "failure" in dict(statuses(forge, bad)), within_s=WITHIN_S)
        assert [state for state, _ in statuses(forge, bad)][-1] == "failure"
        site.world.wait_for("its trace", lambda: spans(collector, bad).get("change") == 2, within_s=WITHIN_S)
        assert {code for name, code in spans(collector, bad).items() if name.startswith("deliver ")} == {2}, spans(
            collector, bad
        )
        for event in ("complete (vibration@1.0.0)", "stopped (vibration@1.1.0)"):
            assert f"rollout vibration: {event}" in chat.taken.get(timeout=WITHIN_S).document["text"]
        site.gateway.stop()
