# SPDX-License-Identifier: Apache-2.0
"""A shallow mirror gives the same answers as the complete history."""

from __future__ import annotations

import subprocess
from functools import partial
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from reconciler.git.errors import HistoryRewritten, HistoryTooLong, MirrorDamaged
from reconciler.git.mirror import Mirror
from reconciler.git.new_commits import MoreHistoryNeeded, NotDescended, new_commits, shallow_boundary
from reconciler.git.remote_settings import GitLimits, Remote
from reconciler.model import Commit
from tests.git.forge import Forge, make_forge

Parents = tuple[int, ...]


@st.composite
def histories(draw: st.DrawFn) -> list[Parents]:
    """Commit 0 is a root; each later one has one or two earlier parents. Several roots happen, too."""
    count = draw(st.integers(2, 24))
    history: list[Parents] = [()]
    for number in range(1, count):
        most = draw(st.sampled_from([1, 1, 1, 2]))
        # Mostly recent parents, occasionally an old one: a branch that was open for a long time.
        parents = draw(st.lists(st.integers(0, number - 1), min_size=1, max_size=most, unique=True))
        if draw(st.booleans()):
            parents[0] = number - 1
        history.append(tuple(dict.fromkeys(parents)))
    if draw(st.booleans()):
        history[draw(st.integers(1, count - 1))] = ()
    return history


def write(forge: Forge, history: list[Parents]) -> list[Commit]:
    """Make these commits in the bare repository, with one command."""
    lines = []
    for number, parents in enumerate(history):
        lines += [f"commit refs/heads/made/{number}", f"mark :{number + 1}"]
        lines += [f"committer A <a@example.org> {1_790_000_000 + number} +0000", "data 1", f"{number % 10}"]
        # fast-import continues from the branch's old tip by default, so each commit has its own branch.
        lines += [f"{'from' if not place else 'merge'} :{parent + 1}" for place, parent in enumerate(parents)]
        lines += [f"M 644 inline f{number}", "data 1", f"{number % 10}", ""]
    marks = forge.bare / "marks"
    forge.git("fast-import", "--quiet", f"--export-marks={marks}", cwd=forge.bare, data="\n".join(lines).encode())
    named = dict(line.split() for line in marks.read_text().splitlines())
    return [Commit(named[f":{number + 1}"]) for number in range(len(history))]


def true_range(forge: Forge, base: Commit, head: Commit) -> set[str] | None:
    ancestor = ["git", "merge-base", "--is-ancestor", base, head]
    if subprocess.run(ancestor, cwd=forge.bare, check=False).returncode != 0:
        return None
    return set(forge.git("rev-list", head, f"^{base}", cwd=forge.bare).split())


def test_one_look_at_a_shallow_mirror(forge: Forge, mirror: Mirror) -> None:
    """What is known is answered without another fetch, and what is not known is never guessed."""
    commits = [forge.commit() for _ in range(12)]
    head = mirror.fetch()
    look = partial(new_commits, mirror.git, limit_s=10, limit=100)
    assert look(None, head) == (head,)
    assert look(commits[-3], head) == tuple(commits[-2:])
    with pytest.raises(MoreHistoryNeeded):
        look(commits[0], head)


def test_the_end_of_another_history_does_not_matter(forge: Forge, mirror: Mirror) -> None:
    for _ in range(12):
        forge.commit()
    unknown = forge.commit()
    (root,) = write(forge, [()])
    forge.git("update-ref", "refs/heads/main", f"{unknown}~1", cwd=forge.bare)
    mirror.fetch()
    mirror.transfer("--depth=4", refspec="+refs/heads/made/0:refs/tinyfleet/other")
    assert shallow_boundary(mirror.git)
    with pytest.raises(NotDescended):
        new_commits(mirror.git, unknown, root, limit_s=10, limit=100)


def test_a_history_that_cannot_be_read_is_damage_and_no_rewritten_history(forge: Forge, tmp_path: Path) -> None:
    base = forge.commit()
    with Mirror(tmp_path / "m", Remote(str(forge.bare)), GitLimits(depth=100)) as mirror:
        mirror.fetch()
        with pytest.raises(MirrorDamaged):
            new_commits(mirror.git, base, Commit("0" * 39 + "1"), limit_s=10, limit=100)


@settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(data=st.data())
def test_a_shallow_mirror_finds_exactly_the_new_commits(
    data: st.DataObject, tmp_path_factory: pytest.TempPathFactory
) -> None:
    folder = tmp_path_factory.mktemp("dag")
    forge = make_forge(folder)
    commits = write(forge, data.draw(histories()))
    base = data.draw(st.sampled_from(commits[:-1]))
    head = commits[-1]
    depth = data.draw(st.integers(1, 4))
    remote = Remote(str(forge.bare))
    with Mirror(folder / "mirror", remote, GitLimits(depth=depth)) as mirror:
        forge.git("update-ref", "refs/heads/main", base, cwd=forge.bare)
        mirror.fetch()
        forge.git("update-ref", "refs/heads/main", head, cwd=forge.bare)
        assert mirror.fetch() == head
        expected = true_range(forge, base, head)
        if expected is None:
            with pytest.raises(HistoryRewritten):
                mirror.new_commits(base, head)
        else:
            found = mirror.new_commits(base, head)
            assert set(found) == expected
            assert len(found) == len(expected)
            assert not found or found[-1] == head


@pytest.mark.parametrize("depth", [1, 2, 3, 4, 5, 8])
def test_a_branch_that_forked_long_ago_adds_only_its_own_commits(depth: int, forge: Forge, tmp_path: Path) -> None:
    """In a shallow history, the fork point looks like a new commit, but it is old and may be unsigned."""
    trunk: list[Parents] = [(), *((number,) for number in range(9))]
    commits = write(forge, [*trunk, (3,), (9, 10)])
    forge.git("update-ref", "refs/heads/main", commits[-1], cwd=forge.bare)
    with Mirror(tmp_path / "m", Remote(str(forge.bare)), GitLimits(depth=depth)) as mirror:
        assert set(mirror.new_commits(commits[9], mirror.fetch())) == {commits[10], commits[11]}


def test_history_is_not_deepened_without_need(forge: Forge, mirror: Mirror) -> None:
    for _ in range(12):
        forge.commit()
    mirror.fetch()
    assert int(mirror.git.local("rev-list", "--count", "refs/tinyfleet/fetched", limit_s=10)) == 4
    assert shallow_boundary(mirror.git)


def test_a_gateway_that_was_offline_fetches_back_to_its_base(forge: Forge, mirror: Mirror) -> None:
    base = forge.commit()
    mirror.fetch()
    new = [forge.commit() for _ in range(30)]
    assert mirror.new_commits(base, mirror.fetch()) == tuple(new)


def test_the_end_of_a_shallow_remote_is_a_rewritten_history(forge: Forge, tmp_path: Path) -> None:
    """Such a remote never returns more, however often it is asked."""
    base = forge.commit()
    for _ in range(10):
        forge.commit()
    forge.git("clone", "--quiet", "--bare", "--depth=6", f"file://{forge.bare}", str(tmp_path / "shallow.git"))
    with Mirror(tmp_path / "m", Remote(str(tmp_path / "shallow.git")), GitLimits(depth=2)) as mirror:
        head = mirror.fetch()
        with pytest.raises(HistoryRewritten):
            mirror.new_commits(base, head)


def test_more_new_commits_than_the_limit_are_refused(forge: Forge, tmp_path: Path, remote: Remote) -> None:
    base = forge.commit()
    with Mirror(tmp_path / "m", remote, GitLimits(depth=2, commits=5)) as mirror:
        mirror.fetch()
        for _ in range(5):
            forge.commit()
        assert len(mirror.new_commits(base, mirror.fetch())) == 5
        forge.commit()
        with pytest.raises(HistoryTooLong):
            mirror.new_commits(base, mirror.fetch())
