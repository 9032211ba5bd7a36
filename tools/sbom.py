# SPDX-License-Identifier: Apache-2.0
"""Writes the software bill of materials of a gateway, in CycloneDX 1.6.

    pip install --report report.json …; python tools/sbom.py SITE-PACKAGES report.json > tinyfleet.cdx.json

It lists the packages of an environment: each with its version, its licence, the digest of the archive that pip took it
from, and what it depends on. The same environment and report give the same bytes.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Iterable, Iterator, Mapping
from importlib.metadata import Distribution, distributions
from pathlib import Path
from typing import Any
from uuid import UUID, uuid5

from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

SCHEMA = "http://cyclonedx.org/schema/bom-1.6.schema.json"  # an identifier
NAMESPACE = UUID("6f0a1b8c-5d0c-5f4f-9a37-0a6f5c1f2d11")
ROOT = "tinyfleet"
LICENCE_CLASSIFIER = "License :: "

Fields = dict[str, Any]


class Environment:
    """The packages of an environment, and what pip reported when it installed them."""

    def __init__(self, folder: Path, reports: Iterable[Path]) -> None:
        read = [json.loads(path.read_text(encoding="utf-8")) for path in reports]
        self.platform: Mapping[str, str] = read[0]["environment"]
        found = {canonicalize_name(each.name): each for each in distributions(path=[str(folder)])}
        self.packages: Mapping[str, Distribution] = {name: found[name] for name in sorted(found)}
        self._archives = {
            canonicalize_name(item["metadata"]["name"]): item["download_info"]["archive_info"]["hashes"]["sha256"]
            for report in read
            for item in report["install"]
        }

    def sha256(self, name: str) -> str:
        """Return the digest of the archive that a package came from."""
        return self._archives[name]

    def requirements(self, name: str) -> list[Requirement]:
        """Return what a package states that it requires."""
        return [Requirement(text) for text in self.packages[name].requires or ()]

    def extras(self, name: str) -> set[str]:
        """Return the extras with which other packages require this one."""
        every = (each for other in self.packages for each in self.requirements(other))
        return {extra for each in every if canonicalize_name(each.name) == name for extra in each.extras}

    def depends_on(self, name: str) -> Iterator[str]:
        """Return the packages that a package requires on this platform."""
        extras = ("", *self.extras(name))
        for each in self.requirements(name):
            applies = each.marker is None or any(
                each.marker.evaluate({**self.platform, "extra": extra}) for extra in extras
            )
            if applies and canonicalize_name(each.name) in self.packages:
                yield canonicalize_name(each.name)


def bill_of_materials(environment: Environment) -> Fields:
    """Describe an environment."""
    components = {name: component(environment, name) for name in environment.packages}
    root = {**components.pop(ROOT), "type": "application"}
    requires = [
        {
            "ref": reference(environment, name),
            "dependsOn": sorted({reference(environment, other) for other in environment.depends_on(name)}),
        }
        for name in environment.packages
    ]
    content = [root, *components.values(), *requires]
    return {
        "$schema": SCHEMA,
        "bomFormat": "CycloneDX",
        "specVersion": "1.6",
        "serialNumber": f"urn:uuid:{uuid5(NAMESPACE, json.dumps(content, sort_keys=True))}",
        "version": 1,
        "metadata": {"component": root},
        "components": [*components.values()],
        "dependencies": requires,
    }


def component(environment: Environment, name: str) -> Fields:
    """Describe one package."""
    package = environment.packages[name]
    made: Fields = {
        "type": "library",
        "bom-ref": reference(environment, name),
        "name": name,
        "version": package.version,
        "hashes": [{"alg": "SHA-256", "content": environment.sha256(name)}],
        "purl": reference(environment, name),
    }
    licences = [*licences_of(package)]
    return {**made, "licenses": licences} if licences else made


def reference(environment: Environment, name: str) -> str:
    """Return the package URL."""
    return f"pkg:pypi/{name}@{environment.packages[name].version}"


def licences_of(package: Distribution) -> Iterator[Fields]:
    """Return the licence as the package states it: an SPDX expression, or names."""
    stated = package.metadata.get_all("License-Expression")
    if stated:
        yield {"expression": stated[0]}
        return
    classifiers = package.metadata.get_all("Classifier") or []
    named = [each.rpartition(" :: ")[2] for each in classifiers if each.startswith(LICENCE_CLASSIFIER)]
    texts = [each.split("\n")[0] for each in package.metadata.get_all("License") or [] if each.strip()]
    yield from ({"license": {"name": name}} for name in named or texts)


def main() -> None:
    """Print the bill."""
    folder, *reports = map(Path, sys.argv[1:])
    bill = bill_of_materials(Environment(folder, reports))
    sys.stdout.write(json.dumps(bill, indent=2, sort_keys=True, ensure_ascii=False) + "\n")


if __name__ == "__main__":
    main()
