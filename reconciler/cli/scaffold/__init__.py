# SPDX-License-Identifier: Apache-2.0
"""The initial files of a new fleet repository."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass
from importlib.resources import files
from importlib.resources.abc import Traversable
from pathlib import Path
from string import Template

from reconciler.load.schemas import KINDS, schema_text

TO_GATEWAY = "to-gateway"
MODEL = "models/line-current"
DATA = {f"{MODEL}/rule.json": "rule.json"}
TEMPLATES = {
    "fleet.yaml": "fleet.yaml",
    "device-types/virtual.yaml": "device-type.yaml",
    "devices/virtual.yaml": "devices.yaml",
    f"{MODEL}/model.yaml": "model.yaml",
    "rollouts/line-current.yaml": "rollout.yaml",
    "README.md": "README.md",
    ".gitignore": "gitignore",
    ".gitattributes": "gitattributes",
    f"{TO_GATEWAY}/gateway.toml": "gateway.toml",
}
WORKFLOWS = (".github/workflows/validate.yml", ".github/workflows/propose.yml", ".gitlab-ci.yml")


@dataclass(frozen=True, slots=True)
class AllowedSigner:
    """A person who may sign commits."""

    name: str
    public_key: str  # type and key, as OpenSSH writes them, without a comment

    def line(self) -> str:
        """Return the line of an allowed signers file; the key is valid only for commits."""
        return f'{self.name} namespaces="git" {self.public_key}\n'


def repository(fleet: str, gateway: str, signers: tuple[AllowedSigner, ...]) -> Mapping[str, bytes]:
    """Return all files of a new fleet repository by path."""
    data = {path: _template(name).read_bytes() for path, name in DATA.items()}
    values = {
        "fleet": fleet,
        "gateway": gateway,
        **{Path(name).stem: hashlib.sha256(data[path]).hexdigest() for path, name in DATA.items()},
    }
    sources = {**TEMPLATES, f"gateways/{gateway}.yaml": "gateway.yaml"}
    made = {path: _filled(name, values).encode() for path, name in sources.items()}
    schemas = {f".schemas/{name}.json": schema_text(kind).encode() for kind, name in KINDS.items()}
    workflows = {path: _workflow(path).read_bytes() for path in WORKFLOWS}
    trust = {f"{TO_GATEWAY}/allowed_signers": "".join(signer.line() for signer in signers).encode()}
    return {**made, **data, **schemas, **workflows, **(trust if signers else {})}


def _filled(name: str, values: Mapping[str, str]) -> str:
    return Template(_template(name).read_text(encoding="utf-8")).substitute(values)


def _template(name: str) -> Traversable:
    return files("reconciler.cli.scaffold") / "template" / name


def _workflow(path: str) -> Traversable:
    """Find a file of the example repository, in the wheel or the source tree."""
    packaged = files("reconciler") / "fleet-repo-example" / path
    source = Path(__file__).parents[3] / "fleet-repo-example" / path
    return packaged if packaged.is_file() else source
