# SPDX-License-Identifier: Apache-2.0
"""YAML documents that gateways write into Git."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import yaml


def quoted_yaml(document: Mapping[str, Any]) -> bytes:
    """Render a document, with its fields in their order."""
    text: bytes = yaml.dump(document, Dumper=_Quoting, sort_keys=False, width=120, encoding="utf-8", allow_unicode=True)
    return text


class _Quoting(yaml.SafeDumper):
    """Quotes every text, so that a version such as 20261129-0123e456 is never read as a number."""


def _quoted(dumper: yaml.SafeDumper, text: str) -> yaml.ScalarNode:
    plain = text.replace("-", "").replace("_", "").isalpha()
    return dumper.represent_scalar("tag:yaml.org,2002:str", text, style=None if plain else '"')


_Quoting.add_representer(str, _quoted)
