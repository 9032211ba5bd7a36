# SPDX-License-Identifier: Apache-2.0
"""A real daemon tells a chat and a forge what becomes of commits."""

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


def test_the_outcome_of_each_commit_reaches_forge_and_chat(site: Site) -> None:
    forge, chat, folder = Receiver(), Receiver(), site.world.folder
    with forge.served() as forge_url, chat.served() as chat_url:
        for name, content in (("forge.token", "a-token"), ("slack.url", chat_url)):
            (folder / name).touch(mode=0o600)
            (folder / name).write_text(content)
        with (folder / "gateway.toml").open("a") as toml:
            toml.write('\n[slack]\nurl_file = "slack.url"\n[commit_status]\nforge = "gitea"\n')
            toml.write(
                f'url = "{forge_url.removesuffix("/hook")}"\nrepository = "plant/fleet"\ntoken = "forge.token"\n'
            )
        site.start_devices("--fault", "golden=1")
        first = site.world.commit("Begin", site.first_files())
        site.start_gateway()
        site.world.wait_for("success", lambda: "success" in dict(statuses(forge, first)), within_s=WITHIN_S)
        invalid = site.world.commit("oops", {"rollout.yaml": b"kind: Rollot\n"})
        site.world.wait_for("the mistake", lambda: statuses(forge, invalid), within_s=WITHIN_S)
        ((state, description),) = statuses(forge, invalid)
        assert state == "failure"
        assert description.startswith("not enforced: rollout.yaml:1:")
        bad = site.world.commit("bad", {"rollout.yaml": rollout("1.1.0"), **model("1.1.0", BROKEN)})
        site.world.wait_for("the failure", lambda: "failure" in dict(statuses(forge, bad)), within_s=WITHIN_S)
        assert [state for state, _ in statuses(forge, bad)][-1] == "failure"
        for event in ("complete (vibration@1.0.0)", "stopped (vibration@1.1.0)"):
            assert f"rollout vibration: {event}" in chat.taken.get(timeout=WITHIN_S).document["text"]
        site.gateway.stop()
