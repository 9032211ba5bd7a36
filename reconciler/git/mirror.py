# SPDX-License-Identifier: Apache-2.0
"""The gateway's own bare, shallow mirror of the fleet repository.

It holds two refs: `fetched`, the commit that the remote offered last, and `applied`, the commit that is
enforced. `applied` keeps the last good commit readable whatever happens to the remote.
"""

from __future__ import annotations

import contextlib
import logging
import re
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Self

from reconciler.errors import failure_of_system
from reconciler.git import errors
from reconciler.git.commit_tree import CommitTree
from reconciler.git.confined_git import ConfinedGit, GitResult
from reconciler.git.error_messages import failure_of
from reconciler.git.mirror_lock import MirrorLock
from reconciler.git.new_commits import MoreHistoryNeeded, NotDescended, has_commit, new_commits, shallow_boundary
from reconciler.git.remote_settings import GitLimits, Remote
from reconciler.git.transport import server_program, transport_config
from reconciler.model import Commit

log = logging.getLogger(__name__)

FETCHED = "refs/tinyfleet/fetched"
APPLIED = "refs/tinyfleet/applied"

_FETCH = (
    "fetch", "--quiet", "--no-tags", "--no-recurse-submodules", "--no-write-fetch-head", "--no-auto-gc",
    "--no-auto-maintenance", "--update-shallow",
)  # fmt: skip
_COMMIT_ID = re.compile(r"[0-9a-f]{40}")
_MAX_PACKS = 40
_MAX_LOOSE = 2_000  # objects with a file of their own


class Mirror:
    """A bare copy of one remote. Close it, or use it as a context manager.

    Changes take `exclusive`, which holds off other threads and processes; reads take no lock.
    """

    def __init__(self, path: Path, remote: Remote, limits: GitLimits | None = None) -> None:
        self.path = path.absolute()
        self.remote = remote
        self.limits = limits or GitLimits()
        self._git = ConfinedGit(self.path.parent)
        self._git.confine(self.path)
        self._exclusive = MirrorLock(self.path)
        self._checked = False
        self._damage: str | None = None
        # What the last repack left. Git before 2.37 keeps unused objects in files of their own.
        self._kept_packs, self._kept_loose = 0, 0
        self._pinned: Commit | None = None  # known to be at APPLIED, so that a poll without news starts no process

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """Stop the `cat-file` processes."""
        self._git.clear_cache()

    # ------------------------------------------------------------ the remote

    def tip(self) -> Commit:
        """Ask the remote for the commit of its branch or tag. Transfers no objects."""
        peeled = f"{self.remote.ref}^{{}}"
        found = self.list_refs(self.remote.ref, peeled)
        commit = found.get(peeled) or found.get(self.remote.ref)  # an annotated tag is peeled to its commit
        if commit is None:
            raise errors.RefMissing(f"the remote has no ref {self.remote.ref}")
        return commit

    def list_refs(self, *patterns: str) -> dict[str, Commit]:
        """Ask the remote for the refs that match, with the commit of each."""
        limit_s = self.limits.ask_s
        server = server_program(self.remote, "upload-pack")
        result = self.network("ls-remote", "--quiet", *server, "--", self.remote.url, *patterns, limit_s=limit_s)
        if result.status != 0:
            raise failure_of(result, "asking the remote", limit_s=limit_s)
        found = {}
        for line in result.out.decode("utf-8", "replace").splitlines():
            commit, _, name = line.partition("\t")
            if _COMMIT_ID.fullmatch(commit) is None:
                raise errors.RemoteUnavailable("cannot parse the remote's ref list (expected SHA-1 object names)")
            found[name] = Commit(commit)
        return found

    def fetch(self) -> Commit:
        """Fetch the tracked ref to the configured depth, and return its commit."""
        self.transfer(f"--depth={self.limits.depth}", refspec=f"+{self.remote.ref}:{FETCHED}")
        head = self.resolve(FETCHED)
        if head is None:
            raise errors.RefMissing(f"{self.remote.ref} of the remote is not a commit")
        return head

    def new_commits(self, base: Commit | None, head: Commit) -> tuple[Commit, ...]:
        """Return the commits after `base` up to `head`, fetching as much older history as this needs."""
        depth = self.limits.depth
        while True:
            try:
                found = new_commits(self.git, base, head, limit_s=self.limits.local_s, limit=self.limits.commits)
            except MoreHistoryNeeded:
                # Each round costs a connection, so the depth grows fast; the total stays below twice the need.
                if depth > self.limits.commits or not self._deepen(depth * 3):
                    within = f"within {depth} commits"
                    raise errors.HistoryRewritten(_rewritten(base, head, within)) from None
                depth *= 4
            except NotDescended:
                raise errors.HistoryRewritten(_rewritten(base, head, "in its whole history")) from None
            else:
                if len(found) > self.limits.commits:
                    raise errors.HistoryTooLong(f"more than {self.limits.commits} new commits since {_short(base)}")
                return found

    def transfer(self, *options: str, refspec: str, remote: Remote | None = None) -> None:
        """Fetch one refspec within the limits, or raise the failure."""
        remote = remote or self.remote
        server = server_program(remote, "upload-pack")
        limit_s = self.limits.transfer_s
        with self.exclusive():
            arguments = (*_FETCH, *options, *server, "--", remote.url, refspec)
            result = self.network(*arguments, limit_s=limit_s, remote=remote)
        if result.status == 0:
            return
        failure = failure_of(result, "fetching", limit_s=limit_s)
        if isinstance(failure, errors.RemoteUnavailable) and not result.timed_out:
            # Git's message does not say whose objects are broken: check ours before blaming the remote.
            self._check_integrity(all_objects=False)
        raise failure

    def network(self, *command: str, limit_s: float, remote: Remote | None = None) -> GitResult:
        """Run one command that may contact this remote and no other."""
        remote = remote or self.remote
        runner = self.git.with_config(transport_config(remote, self.limits))
        env = {"GIT_SSH_COMMAND": remote.ssh.command(), "GIT_SSH_VARIANT": "ssh"}
        file_bytes, out_bytes = self.limits.transfer_bytes, self.limits.answer_bytes
        return runner.step(*command, limit_s=limit_s, env=env, file_bytes=file_bytes, out_bytes=out_bytes)

    # ------------------------------------------------------------ the mirror

    @property
    def git(self) -> ConfinedGit:
        """The runner for the mirror, which is created if missing and checked before its first use."""
        if self._damage is not None:
            raise errors.MirrorDamaged(self._damage, retry_after_s=0.0)
        if not self._checked:
            self._git.require()
            if self.path.exists():
                self._check_integrity(all_objects=False)
            else:
                self._make()
            self._checked = True
        return self._git

    def resolve(self, ref: str) -> Commit | None:
        """Return the commit of a ref in the mirror."""
        result = self.git.step("rev-parse", "--verify", "--quiet", f"{ref}^{{commit}}", limit_s=self.limits.local_s)
        return Commit(result.out.decode("ascii").strip()) if result.status == 0 else None

    def pin(self, commit: Commit) -> None:
        """Record this commit as the last applied one, so that it is never pruned."""
        if self._pinned != commit and self.resolve(APPLIED) != commit:
            with self.exclusive():
                self.git.local("update-ref", APPLIED, commit, limit_s=self.limits.local_s)
        self._pinned = commit

    def has(self, commit: Commit) -> bool:
        """Return whether the mirror has the commit."""
        return commit == self._pinned or has_commit(self.git, commit, limit_s=self.limits.local_s)

    def tree(self, commit: Commit, sub_path: str = "") -> CommitTree:
        """Open the files of a commit. Close it after use.

        This also works in a damaged mirror, as long as these files are intact.
        """
        return CommitTree(self._git, commit, sub_path, limit_s=self.limits.local_s, on_damage=self.distrust)

    def distrust(self) -> None:
        """Record that a read failed: the mirror is checked completely, and rebuilt before it is used again."""
        with contextlib.suppress(errors.MirrorDamaged):
            self._check_integrity(all_objects=True)

    def rebuild(self, keep: Commit | None) -> None:
        """Replace the mirror with a fresh one, which contains `keep` if the remote still has it.

        The old mirror stays until the new one is complete, so its readable commits stay enforced.
        """
        new_path = self.path.with_name(self.path.name + ".new")
        shutil.rmtree(new_path, ignore_errors=True)
        with Mirror(new_path, self.remote, self.limits) as new:
            head = new.fetch()
            with contextlib.suppress(errors.HistoryRewritten, errors.HistoryTooLong):
                new.new_commits(keep, head)
            if keep is not None and new.has(keep):
                new.pin(keep)
        self.close()
        self._replace_by(new_path)
        self._damage = None

    def discard(self) -> None:
        """Delete the mirror; the next use creates an empty one. Only for content that exists elsewhere."""
        self.close()
        with self._writing():
            if self.path.is_dir():
                shutil.rmtree(self.path)
            else:
                self.path.unlink(missing_ok=True)
        self._damage, self._pinned, self._checked = None, None, False

    def exclusive(self) -> contextlib.AbstractContextManager[None]:
        """Hold off other threads and processes for one change."""
        return self._exclusive.hold(self.limits.transfer_s)

    def repack_if_due(self, *, prune: str = "1.hour.ago") -> bool:
        """Repack if fetches and commits have left many packs or many loose objects. Return whether it was due.

        What is used by no ref, and older than `prune`, is deleted.
        """
        packs, loose = self._packs(), self._loose_objects()
        if packs <= self._kept_packs + _MAX_PACKS and loose <= self._kept_loose + _MAX_LOOSE:
            return False
        try:
            with self.exclusive():
                self.git.local("gc", "--quiet", f"--prune={prune}", limit_s=self.limits.transfer_s)
        except errors.TransferTooLarge as failure:
            log.warning("cannot repack %s, which grows until it can: %s", self.path, failure)
        self._kept_packs, self._kept_loose = self._packs(), self._loose_objects()
        return True

    # ------------------------------------------------------------ internals

    def _packs(self) -> int:
        return sum(1 for _ in (self.path / "objects" / "pack").glob("*.pack"))

    def _loose_objects(self) -> int:
        """Count the objects that have a file of their own."""
        return sum(1 for _ in (self.path / "objects").glob("[0-9a-f][0-9a-f]/*"))

    def _deepen(self, by: int) -> bool:
        """Fetch older history. Return whether the remote had any."""
        before = shallow_boundary(self.git)
        self.transfer(f"--deepen={by}", refspec=f"+{self.remote.ref}:{FETCHED}")
        return shallow_boundary(self.git) != before

    def _check_integrity(self, *, all_objects: bool) -> None:
        """Raise `MirrorDamaged`, now and at every later use, if the mirror is not intact."""
        # Hash every object only if there is a reason to: for 100,000 devices this takes seconds.
        how = () if all_objects else ("--connectivity-only",)
        arguments = ("fsck", "--no-dangling", "--no-progress", *how)
        checked = self._git.step(*arguments, limit_s=self.limits.transfer_s)
        if checked.status != 0:
            self._pinned = None
            self._damage = f"the mirror is damaged; the next poll rebuilds it ({_first(checked.err)})"
            raise errors.MirrorDamaged(self._damage, retry_after_s=0.0)

    def _make(self) -> None:
        with self._writing():
            self.path.parent.mkdir(parents=True, exist_ok=True)
            # An empty template: the repository contains only files that we write.
            arguments = ("init", "--quiet", "--bare", "--template=", "--initial-branch=none", str(self.path))
            self._git.local(*arguments, limit_s=self.limits.local_s)

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
            raise failure_of_system(problem, f"cannot write {self.path}", errors.MirrorUnwritable) from problem


def _rewritten(base: Commit | None, head: Commit, where: str) -> str:
    return f"history was rewritten: the last trusted commit {_short(base)} is not an ancestor of {_short(head)} {where}"


def _short(commit: Commit | None) -> str:
    return commit[:12] if commit else "none"


def _first(text: str) -> str:
    return (text.splitlines() or ["no message"])[0][:200]
