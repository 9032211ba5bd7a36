# SPDX-License-Identifier: Apache-2.0
"""A bare, shallow copy of the fleet repository that is ours alone.

It holds two refs of the fleet's branch: `fetched`, what the remote offered last, and `applied`, what is being
enforced. The second keeps the last good commit readable whatever happens to the remote.
"""

from __future__ import annotations

import contextlib
import re
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Self

from reconciler.git import errors
from reconciler.git.commit_tree import CommitTree
from reconciler.git.confined_git import ConfinedGit, GitResult
from reconciler.git.error_messages import meaning
from reconciler.git.history import MoreHistoryNeeded, NotDescended, boundary, has_commit, new_commits
from reconciler.git.mirror_lock import MirrorLock
from reconciler.git.remote import GitLimits, Remote
from reconciler.git.transport import server_program, transport_config
from reconciler.model import Commit

FETCHED = "refs/tinyfleet/fetched"
APPLIED = "refs/tinyfleet/applied"

_FETCH = (
    "fetch", "--quiet", "--no-tags", "--no-recurse-submodules", "--no-write-fetch-head", "--no-auto-gc",
    "--no-auto-maintenance", "--update-shallow",
)  # fmt: skip
_COMMIT_ID = re.compile(r"[0-9a-f]{40}")
_PACKS_BEFORE_TIDYING = 40


class Mirror:
    """The gateway's own copy of one remote. Close it, or use it as a context manager."""

    def __init__(self, path: Path, remote: Remote, limits: GitLimits | None = None) -> None:
        self.path = path.absolute()
        self.remote = remote
        self.limits = limits or GitLimits()
        self._git = ConfinedGit(self.path.parent)
        self._git.confine(self.path)
        self._exclusive = MirrorLock(self.path)
        self._looked_over = False
        self._damage: str | None = None
        self._pinned: Commit | None = None  # known to be pinned; a poll without news must not start a process to ask

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """End the processes that read for us."""
        self._git.clear_cache()

    # ------------------------------------------------------------ the remote

    def tip(self) -> Commit:
        """Ask the remote which commit its branch or tag is at. Nothing is transferred."""
        peeled = f"{self.remote.ref}^{{}}"
        found = self.ask(self.remote.ref, peeled)
        commit = found.get(peeled) or found.get(self.remote.ref)  # an annotated tag is followed to its commit
        if commit is None:
            raise errors.RefMissing(f"the remote has no {self.remote.ref}")
        return commit

    def ask(self, *patterns: str) -> dict[str, Commit]:
        """Ask the remote for the refs that match, and what they are at."""
        limit_s = self.limits.ask_s
        server = server_program(self.remote, "upload-pack")
        result = self.network("ls-remote", "--quiet", *server, "--", self.remote.url, *patterns, limit_s=limit_s)
        if result.status != 0:
            raise meaning(result, "asking the remote", limit_s=limit_s)
        found = {}
        for line in result.out.decode("utf-8", "replace").splitlines():
            commit, _, name = line.partition("\t")
            if _COMMIT_ID.fullmatch(commit) is None:
                raise errors.RemoteUnavailable("the remote's answer is no list of refs that we read (SHA-1 names)")
            found[name] = Commit(commit)
        return found

    def fetch(self) -> Commit:
        """Fetch the ref that is followed, some commits deep, and return its commit."""
        self.transfer(f"--depth={self.limits.depth}", refspec=f"+{self.remote.ref}:{FETCHED}")
        head = self.resolve(FETCHED)
        if head is None:
            raise errors.RefMissing(f"{self.remote.ref} of the remote is no commit")
        return head

    def new_commits(self, base: Commit | None, head: Commit) -> tuple[Commit, ...]:
        """Return the commits after `base` up to `head`, fetching older history only as far as that needs."""
        depth = self.limits.depth
        while True:
            try:
                found = new_commits(self.git, base, head, limit_s=self.limits.local_s, most=self.limits.commits)
            except MoreHistoryNeeded:
                # Each round costs a connection: grow fast, the sum stays below twice what is needed.
                if depth > self.limits.commits or not self._deepen(depth * 3):
                    within = f"within the {depth} commits that were looked at"
                    raise errors.HistoryRewritten(_rewritten(base, head, within)) from None
                depth *= 4
            except NotDescended:
                raise errors.HistoryRewritten(_rewritten(base, head, "anywhere")) from None
            else:
                if len(found) > self.limits.commits:
                    raise errors.HistoryTooLong(f"more than {self.limits.commits} new commits since {_short(base)}")
                return found

    def transfer(self, *options: str, refspec: str, remote: Remote | None = None) -> None:
        """Fetch one refspec, within the limits, or raise what went wrong."""
        remote = remote or self.remote
        server = server_program(remote, "upload-pack")
        limit_s = self.limits.transfer_s
        with self.exclusive():
            words = (*_FETCH, *options, *server, "--", remote.url, refspec)
            result = self.network(*words, limit_s=limit_s, remote=remote)
        if result.status == 0:
            return
        failure = meaning(result, "fetching", limit_s=limit_s)
        if isinstance(failure, errors.RemoteUnavailable) and not result.timed_out:
            # Git's words don't say whose objects are broken: look at ours before the remote is blamed.
            self._look_over(thoroughly=False)
        raise failure

    def network(self, *command: str, limit_s: float, remote: Remote | None = None) -> GitResult:
        """Run one command that speaks with a remote, and with it alone."""
        remote = remote or self.remote
        runner = self.git.with_config(transport_config(remote, self.limits))
        env = {"GIT_SSH_COMMAND": remote.ssh.command(), "GIT_SSH_VARIANT": "ssh"}
        return runner.step(*command, limit_s=limit_s, env=env, file_bytes=self.limits.transfer_bytes)

    # ------------------------------------------------------------ our copy

    @property
    def git(self) -> ConfinedGit:
        """The runner on our copy, made first where there is none and looked over before its first use."""
        if self._damage is not None:
            raise errors.MirrorDamaged(self._damage, retry_after_s=0.0)
        if not self._looked_over:
            self._git.require()
            if self.path.exists():
                self._look_over(thoroughly=False)
            else:
                self._make()
            self._looked_over = True
        return self._git

    def resolve(self, ref: str) -> Commit | None:
        """Return the commit that a ref of ours is at."""
        result = self.git.step("rev-parse", "--verify", "--quiet", f"{ref}^{{commit}}", limit_s=self.limits.local_s)
        return Commit(result.out.decode("ascii").strip()) if result.status == 0 else None

    def pin(self, commit: Commit) -> None:
        """Keep this commit, come what may, as the last one that was applied."""
        if self._pinned != commit and self.resolve(APPLIED) != commit:
            with self.exclusive():
                self.git.local("update-ref", APPLIED, commit, limit_s=self.limits.local_s)
        self._pinned = commit

    def has(self, commit: Commit) -> bool:
        """Tell whether the commit is in our copy."""
        return commit == self._pinned or has_commit(self.git, commit, limit_s=self.limits.local_s)

    def tree(self, commit: Commit, sub_path: str = "") -> CommitTree:
        """Open the files of a commit, of a damaged copy too, as long as these files are whole. Close it after use."""
        return CommitTree(self._git, commit, sub_path, limit_s=self.limits.local_s, on_damage=self.distrust)

    def distrust(self) -> None:
        """Say that a read failed: every object is looked at, and the copy rebuilt, before it is used again."""
        with contextlib.suppress(errors.MirrorDamaged):
            self._look_over(thoroughly=True)

    def rebuild(self, keep: Commit | None) -> None:
        """Fetch a fresh copy, with `keep` in it if the remote still has that, and put it in the place of this one.

        The old copy stays where it is until the new one is whole: what can be read of it goes on being enforced.
        """
        fresh_path = self.path.with_name(self.path.name + ".new")
        shutil.rmtree(fresh_path, ignore_errors=True)
        with Mirror(fresh_path, self.remote, self.limits) as fresh:
            head = fresh.fetch()
            with contextlib.suppress(errors.HistoryRewritten, errors.HistoryTooLong):
                fresh.new_commits(keep, head)
            if keep is not None and fresh.has(keep):
                fresh.pin(keep)
        self.close()
        self._replace_by(fresh_path)
        self._damage = None

    def start_anew(self) -> None:
        """Throw this copy away. For a mirror whose content is elsewhere, too."""
        self.close()
        with self._writing():
            if self.path.is_dir():
                shutil.rmtree(self.path)
            else:
                self.path.unlink(missing_ok=True)
        self._damage, self._pinned, self._looked_over = None, None, False

    def exclusive(self) -> contextlib.AbstractContextManager[None]:
        """Hold the mirror against other processes and threads of ours for one change."""
        return self._exclusive.hold(self.limits.transfer_s)

    def tidy(self) -> bool:
        """Repack once many fetches have left many packs. Return whether that was due."""
        packs = sum(1 for _ in (self.path / "objects" / "pack").glob("*.pack"))
        if packs <= _PACKS_BEFORE_TIDYING:
            return False
        with self.exclusive():
            self.git.local("gc", "--quiet", "--prune=1.day.ago", limit_s=self.limits.transfer_s)
        return True

    # ------------------------------------------------------------ how

    def _deepen(self, by: int) -> bool:
        """Fetch older history; tell whether the remote had any."""
        before = boundary(self.git)
        self.transfer(f"--deepen={by}", refspec=f"+{self.remote.ref}:{FETCHED}")
        return boundary(self.git) != before

    def _look_over(self, *, thoroughly: bool) -> None:
        """Raise, now and at every later use, if our copy is not whole."""
        # Every byte is hashed only when there is reason to: at 100,000 devices that takes seconds.
        how = () if thoroughly else ("--connectivity-only",)
        words = ("fsck", "--no-dangling", "--no-progress", *how)
        checked = self._git.step(*words, limit_s=self.limits.transfer_s)
        if checked.status != 0:
            self._pinned = None
            self._damage = f"the mirror is damaged and is rebuilt at the next poll ({_first(checked.err)})"
            raise errors.MirrorDamaged(self._damage, retry_after_s=0.0)

    def _make(self) -> None:
        with self._writing():
            self.path.parent.mkdir(parents=True, exist_ok=True)
            # An empty template: no sample hooks, no description, nothing that we did not write.
            words = ("init", "--quiet", "--bare", "--template=", "--initial-branch=none", str(self.path))
            self._git.local(*words, limit_s=self.limits.local_s)

    def _replace_by(self, fresh: Path) -> None:
        old = self.path.with_name(self.path.name + ".old")
        with self._writing():
            shutil.rmtree(old, ignore_errors=True)
            if self.path.exists():
                self.path.rename(old)
            fresh.rename(self.path)
            fresh.with_name(fresh.name + ".lock").unlink(missing_ok=True)
            shutil.rmtree(old, ignore_errors=True)

    @contextlib.contextmanager
    def _writing(self) -> Iterator[None]:
        try:
            yield
        except OSError as problem:
            raise errors.MirrorUnwritable(f"{self.path} can't be written: {problem.strerror}") from problem


def _rewritten(base: Commit | None, head: Commit, where: str) -> str:
    return f"{_short(head)} has {_short(base)}, from where trust goes on, not {where} in its history: it was rewritten"


def _short(commit: Commit | None) -> str:
    return commit[:12] if commit else "nothing"


def _first(text: str) -> str:
    return (text.splitlines() or ["no message"])[0][:200]
