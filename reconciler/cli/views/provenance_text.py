# SPDX-License-Identifier: Apache-2.0
"""A chain as text: one line for each link, and where it breaks."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator

from reconciler.provenance.chain import Chain, ChainLinkState

NAME_WIDTH = len("representative")
STATE_WIDTH = max(len(state) for state in ChainLinkState)


def chains_text(chains: Iterable[Chain]) -> Iterator[str]:
    """Describe chains, with an empty line between them."""
    for number, chain in enumerate(chains):
        if number:
            yield ""
        yield from _chain(chain)


def _chain(chain: Chain) -> Iterator[str]:
    yield chain.subject
    for link in chain.links:
        yield f"  {link.state:<{STATE_WIDTH}}  {link.name:<{NAME_WIDTH}}  {link.text}"
        if link.remedy:
            yield f"  {'':<{STATE_WIDTH}}  {'':<{NAME_WIDTH}}  what to do: {link.remedy}"
    statement = chain.statement
    for gate in statement.gates if statement is not None else ():
        yield f"  {gate.metric} {gate.value:g} ({gate.limit})"
    counts = Counter(link.state for link in chain.links)
    parts = [f"{counts[state]} {state}" for state in ChainLinkState if counts[state]]
    broken = chain.broken
    ending = f"the chain breaks at: {', '.join(link.name for link in broken)}" if broken else "the chain holds"
    yield f"{ending} ({', '.join(parts)})"
