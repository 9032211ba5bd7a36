# SPDX-License-Identifier: Apache-2.0
"""Writes an OCI image with one layer from a root file system, without a registry or a container engine.

    python tools/oci_layout.py ROOT OUTPUT.tar NAME:TAG

The output is an OCI image layout in a tar archive, which podman, skopeo and docker load. The same root file system
gives the same bytes: names are sorted, and every time is SOURCE_DATE_EPOCH.
"""

from __future__ import annotations

import gzip
import hashlib
import io
import json
import os
import sys
import tarfile
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

CONFIG: dict[str, Any] = {
    "User": "tinyfleet",
    "Env": ["PATH=/usr/local/bin:/usr/bin:/bin", "LANG=C.UTF-8", "HOME=/var/lib/tinyfleet"],
    "Entrypoint": ["/usr/bin/tinyfleet"],
    "Cmd": ["run", "--config", "/etc/tinyfleet/gateway.toml"],
    "WorkingDir": "/var/lib/tinyfleet",
    "Volumes": {"/etc/tinyfleet": {}, "/var/lib/tinyfleet": {}},
    "StopSignal": "SIGTERM",
}
ARCHITECTURES = {"x86_64": "amd64", "aarch64": "arm64"}


class Layout:
    """The files of an image layout."""

    def __init__(self) -> None:
        self.files: dict[str, bytes] = {"oci-layout": b'{"imageLayoutVersion":"1.0.0"}'}

    def add(self, content: bytes, media_type: str) -> dict[str, Any]:
        """Add a blob; return its descriptor."""
        digest = hashlib.sha256(content).hexdigest()
        self.files[f"blobs/sha256/{digest}"] = content
        return {"mediaType": media_type, "digest": f"sha256:{digest}", "size": len(content)}

    def add_json(self, content: dict[str, Any], media_type: str) -> dict[str, Any]:
        """Add a JSON document; return its descriptor."""
        return self.add(json.dumps(content, sort_keys=True).encode(), media_type)

    def write(self, output: Path, epoch: int) -> None:
        """Write the layout as a tar archive."""
        with tarfile.open(output, "w", format=tarfile.PAX_FORMAT) as archive:
            for name, content in sorted(self.files.items()):
                entry = tarfile.TarInfo(name)
                entry.size, entry.mtime, entry.mode = len(content), epoch, 0o644
                archive.addfile(entry, io.BytesIO(content))


def layer(root: Path, epoch: int) -> bytes:
    """Return a root file system as an uncompressed tar archive."""
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w", format=tarfile.PAX_FORMAT) as archive:
        for path in sorted(root.rglob("*")):
            entry = archive.gettarinfo(path, path.relative_to(root).as_posix())
            if entry is None:
                continue  # a socket
            entry.uname = entry.gname = ""
            entry.mtime = epoch
            if entry.isreg():
                with path.open("rb") as content:
                    archive.addfile(entry, content)
            else:
                archive.addfile(entry)
    return buffer.getvalue()


def image(root: Path, name: str, epoch: int) -> Layout:
    """Return the layout of an image."""
    layout = Layout()
    plain = layer(root, epoch)
    packed = gzip.compress(plain, compresslevel=9, mtime=epoch)
    described = layout.add(packed, "application/vnd.oci.image.layer.v1.tar+gzip")
    created = datetime.fromtimestamp(epoch, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
    config = {
        "architecture": ARCHITECTURES[os.uname().machine],
        "os": "linux",
        "created": created,
        "config": CONFIG,
        "rootfs": {"type": "layers", "diff_ids": [f"sha256:{hashlib.sha256(plain).hexdigest()}"]},
        "history": [{"created": created, "created_by": "tools/image.sh"}],
    }
    manifest = {
        "schemaVersion": 2,
        "mediaType": "application/vnd.oci.image.manifest.v1+json",
        "config": layout.add_json(config, "application/vnd.oci.image.config.v1+json"),
        "layers": [described],
    }
    named = layout.add_json(manifest, manifest["mediaType"])
    named["annotations"] = {"org.opencontainers.image.ref.name": name}
    index = {"schemaVersion": 2, "mediaType": "application/vnd.oci.image.index.v1+json", "manifests": [named]}
    layout.files["index.json"] = json.dumps(index, sort_keys=True).encode()
    return layout


def main() -> None:
    """Write the image, and print its size."""
    root, output, name = Path(sys.argv[1]), Path(sys.argv[2]), sys.argv[3]
    epoch = int(os.environ.get("SOURCE_DATE_EPOCH", "0"))
    made = image(root, name, epoch)
    made.write(output, epoch)
    sys.stdout.write(f"image_mb={sum(map(len, made.files.values())) / 1e6:.0f}\n")


if __name__ == "__main__":
    main()
