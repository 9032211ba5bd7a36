# SPDX-License-Identifier: Apache-2.0
"""Measures the Git source with 2,000 files (about 100,000 devices) and a status of 10,000 files."""

from __future__ import annotations

import subprocess
import tempfile
import time
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import TypeVar

from reconciler.git.commit_writer import CommitAuthor, CommitMessage
from reconciler.git.mirror import Mirror
from reconciler.git.remote_settings import Remote
from reconciler.git.signatures import SignatureMode, SignaturePolicy
from reconciler.git.source import CommitSource
from reconciler.git.status_writer import Pushed, StatusWriter

FILES = 2_000
DEVICES_PER_FILE = 50
STATUS_FILES = 10_000
NEW_COMMITS = 50
T = TypeVar("T")
DEVICE = """apiVersion: tinyfleet/v1alpha1
kind: Device
metadata: {{name: pump-{number}, labels: {{site: s{site}}}}}
spec: {{type: vibration, link: {{mqtt: {{}}}}}}
---
"""


def measured(step: Callable[[], T]) -> tuple[float, T]:
    """Return the duration of a step in milliseconds, and its result."""
    began = time.perf_counter()
    result = step()
    return (time.perf_counter() - began) * 1000, result


def median_ms(step: Callable[[], object], times: int = 9) -> float:
    """Return the median of several runs, in milliseconds."""
    return sorted(measured(step)[0] for _ in range(times))[times // 2]


def main() -> None:
    """Create a repository, measure and print."""
    with tempfile.TemporaryDirectory() as folder:
        measure(Path(folder))


def measure(folder: Path) -> None:
    """Run every step on a repository in this folder."""
    work, bare, key = folder / "work", folder / "origin.git", folder / "key"
    subprocess.run(["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", str(key)], check=True)
    signers = folder / "allowed_signers"
    signers.write_text(f"a@example.org {key.with_suffix('.pub').read_text()}")

    def git(*words: str) -> None:
        config = ["-c", "user.name=A", "-c", "user.email=a@example.org", "-c", "gpg.format=ssh"]
        signing = ["-c", f"user.signingKey={key}", "-c", "commit.gpgSign=true"]
        subprocess.run(["git", *config, *signing, *words], cwd=work, check=True, capture_output=True)

    work.mkdir()
    subprocess.run(["git", "init", "-q", "--bare", "--initial-branch=main", str(bare)], check=True)
    git("init", "-q", "--initial-branch=main")
    for number in range(FILES):
        path = work / f"site-{number % 40}" / f"devices-{number}.yaml"
        path.parent.mkdir(exist_ok=True)
        devices = range(number * DEVICES_PER_FILE, (number + 1) * DEVICES_PER_FILE)
        path.write_text("".join(DEVICE.format(number=each, site=number % 40) for each in devices))
    git("add", "--all")
    git("commit", "-q", "-m", "fleet")
    git("push", "-q", str(bare), "main")

    policy = SignaturePolicy(SignatureMode.EVERY, allowed_signers=signers)
    with Mirror(folder / "mirror", Remote(str(bare))) as mirror:
        source = CommitSource(mirror, policy, folder / "state")
        first_ms, outcome = measured(lambda: source.poll(None))
        head = outcome.commit
        assert head is not None  # noqa: S101 # a bench that measures a failure is worth nothing
        source.poll(head)
        print(f"first_poll_ms={first_ms:.0f}")
        print(f"poll_unchanged_ms={median_ms(lambda: source.poll(head)):.1f}")

        def listed() -> None:
            with source.tree(head) as tree:
                tree.entries()

        def read() -> None:
            with source.tree(head) as tree:
                for entry in tree.entries():
                    tree.read(entry)

        print(f"list_{FILES}_files_ms={median_ms(listed):.1f}")
        print(f"read_{FILES}_files_ms={median_ms(read, 3):.1f}")
        one = work / "site-0" / "devices-0.yaml"
        one.write_text(one.read_text() + "# changed\n")
        git("commit", "-q", "-a", "-m", "one change")
        git("push", "-q", str(bare), "main")
        print(f"poll_one_commit_ms={measured(lambda: source.poll(head))[0]:.1f}")
        for _ in range(NEW_COMMITS - 1):
            git("commit", "-q", "--allow-empty", "-m", "more")
        git("push", "-q", str(bare), "main")
        print(f"poll_{NEW_COMMITS}_signed_commits_ms={measured(lambda: source.poll(head))[0]:.1f}")
        with Mirror(folder / "mirror", Remote(str(bare))) as again:
            print(f"start_and_check_ms={measured(lambda: again.resolve('HEAD'))[0]:.1f}")
    measure_status(folder, bare, key)


def measure_status(folder: Path, bare: Path, key: Path) -> None:
    """Publish the status of a gateway with as many devices as one may have."""
    files = {f"devices/d{number}.yaml": b"name: d%d\nready: true\n" % number for number in range(STATUS_FILES)}
    author = CommitAuthor("gateway", "gateway@example.org", key)
    with StatusWriter(folder / "status", Remote(str(bare)), "north", author) as status:
        for name, changed in (("first", {}), ("one_change", {"devices/d7.yaml": b"ready: false\n"}), ("unchanged", {})):
            files.update(changed)
            took, done = measured(lambda: status.publish(files, CommitMessage("status", datetime.now(UTC))))
            assert name == "unchanged" or isinstance(done, Pushed), done  # noqa: S101 # as above
            print(f"status_{STATUS_FILES}_files_{name}_ms={took:.1f}")


if __name__ == "__main__":
    main()
