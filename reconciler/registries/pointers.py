# SPDX-License-Identifier: Apache-2.0
"""Small files in Git that stand for large ones elsewhere: pointers of Git LFS, and `.dvc` files of DVC."""

from __future__ import annotations

import re
from collections.abc import Mapping
from configparser import ConfigParser, Error
from dataclasses import dataclass
from typing import Final

import yaml

from reconciler.registries.addresses import STORE_SCHEMES

LFS_START: Final = b"version https://git-lfs.github.com/spec/"
LFS_MAX_BYTES: Final = 1024  # a pointer is a few lines
LFS_CONFIG: Final = ".lfsconfig"
DVC_SUFFIX: Final = ".dvc"
DVC_CONFIG: Final = ".dvc/config"

_LFS = re.compile(rb"^oid sha256:([0-9a-f]{64})\nsize (\d{1,15})$", re.MULTILINE)
_MD5 = re.compile(r"[0-9a-f]{32}")
_LOADER = getattr(yaml, "CSafeLoader", yaml.SafeLoader)


@dataclass(frozen=True, slots=True)
class LfsPointer:
    """A file in Git LFS."""

    sha256: str
    size: int


def lfs_pointer(data: bytes) -> LfsPointer | None:
    """Read a pointer of Git LFS; None: it is another file, or damaged."""
    if len(data) > LFS_MAX_BYTES or not data.startswith(LFS_START):
        return None
    found = _LFS.search(data)
    return LfsPointer(found[1].decode(), int(found[2])) if found else None


def lfs_url(config: bytes | None) -> str | None:
    """Return the server that `.lfsconfig` names, if it is reached by https."""
    url = _sections(config).get("lfs", {}).get("url", "").rstrip("/")
    return url if url.startswith(("https://", "http://127.0.0.1:", "http://localhost:")) else None


def dvc_md5(data: bytes) -> str | None:
    """Return the MD5 of the file that a `.dvc` file stands for; None: it stands for no single file."""
    try:
        document = yaml.load(data, _LOADER)  # noqa: S506 - a safe loader
    except (yaml.YAMLError, UnicodeDecodeError):
        return None
    outs = document.get("outs") if isinstance(document, dict) else None
    if not isinstance(outs, list) or len(outs) != 1 or not isinstance(outs[0], dict):
        return None
    md5 = outs[0].get("md5")
    return md5 if isinstance(md5, str) and _MD5.fullmatch(md5) else None


def dvc_url(config: bytes | None, md5: str) -> str | None:
    """Return where the default remote of `.dvc/config` has a file, if that is a kind of address that is fetched."""
    sections = _sections(config)
    remote = sections.get("core", {}).get("remote", "")
    url = sections.get(f"'remote \"{remote}\"'", {}).get("url", "").rstrip("/")
    fetched = url.partition("://")[0] in STORE_SCHEMES
    return f"{url}/files/md5/{md5[:2]}/{md5[2:]}" if fetched else None


def _sections(config: bytes | None) -> Mapping[str, Mapping[str, str]]:
    parser = ConfigParser(interpolation=None, strict=False)
    try:
        # Both programs indent their options, which the parser would take for continued lines.
        parser.read_string("\n".join(line.strip() for line in (config or b"").decode().splitlines()))
    except (Error, UnicodeDecodeError):
        return {}
    return {name: dict(parser[name]) for name in parser.sections()}
