# SPDX-License-Identifier: Apache-2.0
"""Files made to exhaust time, or to fill a disk with problems: each is refused in bounded time and space."""

from __future__ import annotations

import time
from collections.abc import Callable

import pytest

from reconciler.load.strict_yaml import MAX_FILE_BYTES
from reconciler.validation.problems import Rule
from tests.load.repo import Repo

SLOWEST_S = 60.0  # on a busy machine; on an idle one each takes less than ten
LARGE = MAX_FILE_BYTES - 2000


def many(word: str) -> str:
    return ", ".join([word] * (LARGE // (len(word) + 2)))


HOSTILE: dict[str, tuple[Callable[[Repo], str], Rule]] = {
    "a list of wrong words": (lambda r: r.rollout("x", selector=f"{{types: [{many('1')}]}}"), Rule.TOO_MANY_PROBLEMS),
    "a list of mixed types": (
        lambda r: r.rollout("x", selector=f"{{types: [a, 1, {many('{}')}]}}"),
        Rule.TOO_MANY_PROBLEMS,
    ),
    "a list of names that nothing has": (
        lambda r: r.rollout("x", selector=f"{{devices: [{', '.join(f'pump-{n:x}x' for n in range(60_000))}]}}"),
        Rule.UNRESOLVED_REFERENCE,
    ),
    "small wrong documents": (lambda _: "--- 1\n" * (LARGE // 6), Rule.TOO_MANY_PROBLEMS),
    "nothing but nothing": (lambda r: "---\n" * (LARGE // 4) + r.device("x", kind="none"), Rule.UNRESOLVED_REFERENCE),
    "keys": (lambda _: "{" + ", ".join(f"k{n:x}: 1" for n in range(70_000)) + "}", Rule.MISSING_FIELD),
    "one long name": (lambda r: r.device("x" * LARGE), Rule.WRONG_VALUE),
    "one long name that is nearly right": (lambda r: r.device(f"{'x' * LARGE}_"), Rule.WRONG_VALUE),
    "one long kind": (
        lambda _: f"apiVersion: tinyfleet/v1alpha1\nkind: {'Device' * (LARGE // 6)}\n",
        Rule.UNKNOWN_KIND,
    ),
    "one long key": (lambda _: f"? {'k' * LARGE}\n: 1\n", Rule.TOO_LARGE),
    "one long number": (lambda _: f"a: {'1' * LARGE}\n", Rule.AMBIGUOUS_SCALAR),
    "nearly a long number": (lambda _: f"a: {'1_' * (LARGE // 2)}x\n", Rule.MISSING_FIELD),
    "nearly base 60": (lambda _: f"a: 1{':1' * (LARGE // 2)}x\n", Rule.MISSING_FIELD),
    "an open bracket": (lambda _: "[" * LARGE, Rule.TOO_DEEP),
    "rings": (
        lambda r: "---\n".join(
            r.rollout(f"r{n}", f"  dependsOn: [r{n}]\n", selector="{types: [t]}") for n in range(3000)
        ),
        Rule.DEPENDENCY_CYCLE,
    ),
}


@pytest.mark.parametrize("name", HOSTILE)
def test_a_hostile_file_takes_bounded_time_and_space(name: str, repo: Repo) -> None:
    make, rule = HOSTILE[name]
    repo.write("hostile.yaml", make(repo))
    start = time.process_time()
    problems = repo.problems()
    assert time.process_time() - start < SLOWEST_S
    assert rule in {problem.rule for problem in problems}
    assert len(problems) < 1000
    assert max(len(str(problem)) for problem in problems) < 2000
