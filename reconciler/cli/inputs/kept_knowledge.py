# SPDX-License-Identifier: Apache-2.0
"""The knowledge base of a gateway, for commands."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from reconciler.config import GatewayConfig
from reconciler.daemon.instance_lock import holder
from reconciler.knowledge.reader import KnowledgeReader, NoKnowledge, read_knowledge
from reconciler.knowledge.schema import KNOWLEDGE_FILE
from reconciler.knowledge.writer import KnowledgeWriter


@contextmanager
def open_knowledge(settings: GatewayConfig) -> Iterator[KnowledgeReader]:
    """Open the knowledge base of a gateway for reading, whether its daemon runs or not."""
    with read_knowledge(_file(settings), daemon_runs=holder(settings.state_dir) is not None) as reader:
        yield reader


@contextmanager
def change_knowledge(settings: GatewayConfig) -> Iterator[KnowledgeWriter]:
    """Open the knowledge base of a gateway for changes. A running daemon notices them at its next pass."""
    path = _file(settings)
    if not path.exists():
        raise NoKnowledge(f"{path} does not exist: this gateway has collected no samples yet")
    writer = KnowledgeWriter(path)
    try:
        yield writer
    finally:
        writer.close()


def _file(settings: GatewayConfig) -> Path:
    return settings.state_dir / KNOWLEDGE_FILE
