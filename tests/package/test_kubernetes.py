# SPDX-License-Identifier: Apache-2.0
"""The manifests for Kubernetes: their references, their fit to the image, and what the init container does."""

from __future__ import annotations

import json
import shutil
import subprocess
import tomllib
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest
import yaml

from signing import gateway_keystore
from signing.delegation import Delegation, delegate
from signing.identifiers import vendor_id
from signing.keys import generate
from tests.package.conftest import ROOT

FOLDER = ROOT / "kubernetes"
USER = 999  # of the image: tests/package/test_image.py compares it with the Quadlet
KUBECTL = pytest.mark.skipif(shutil.which("kubectl") is None, reason="kubectl is not installed")


def manifests() -> dict[str, Any]:
    documents = yaml.safe_load_all((FOLDER / "gateway.yaml").read_text(encoding="utf-8"))
    return {document["kind"]: document for document in documents}


def pod() -> Mapping[str, Any]:
    spec: Mapping[str, Any] = manifests()["StatefulSet"]["spec"]["template"]["spec"]
    return spec


def containers() -> list[Mapping[str, Any]]:
    return [*pod()["initContainers"], *pod()["containers"]]


def test_there_is_never_more_than_one_daemon() -> None:
    spec = manifests()["StatefulSet"]["spec"]
    assert spec["replicas"] == 1
    (claim,) = spec["volumeClaimTemplates"]
    assert claim["spec"]["accessModes"] == ["ReadWriteOncePod"]


def test_selectors_and_references_lead_somewhere() -> None:
    found = manifests()
    labels = found["StatefulSet"]["spec"]["template"]["metadata"]["labels"]
    assert found["StatefulSet"]["spec"]["selector"]["matchLabels"] == labels
    assert found["Service"]["spec"]["selector"] == labels
    assert found["NetworkPolicy"]["spec"]["podSelector"]["matchLabels"] == labels
    assert found["StatefulSet"]["spec"]["serviceName"] == found["Service"]["metadata"]["name"]
    claims = found["StatefulSet"]["spec"]["volumeClaimTemplates"]
    volumes = {each["name"] for each in pod()["volumes"]} | {each["metadata"]["name"] for each in claims}
    assert {mount["name"] for each in containers() for mount in each["volumeMounts"]} == volumes
    ports = {port["name"]: port["containerPort"] for each in pod()["containers"] for port in each["ports"]}
    probes = [pod()["containers"][0][name]["httpGet"] for name in ("startupProbe", "livenessProbe", "readinessProbe")]
    named = [each["port"] for each in probes] + [each["targetPort"] for each in found["Service"]["spec"]["ports"]]
    assert set(named) == set(ports)
    listen = tomllib.loads((FOLDER / "gateway.toml").read_text(encoding="utf-8"))["http"]["listen"]
    assert listen == f"0.0.0.0:{ports['http']}"
    kustomization = yaml.safe_load((FOLDER / "kustomization.yaml").read_text(encoding="utf-8"))
    assert all((FOLDER / name).is_file() for name in kustomization["resources"])
    (config,) = kustomization["configMapGenerator"]
    assert config["name"] in {each["configMap"]["name"] for each in pod()["volumes"] if "configMap" in each}
    (image,) = kustomization["images"]
    assert {each["image"] for each in containers()} == {image["name"]}
    quadlet = (ROOT / "systemd/quadlet/tinyfleet.container").read_text(encoding="utf-8")
    assert f"Image={image['name']}:{image['newTag']}\n" in quadlet


def test_no_container_has_privileges() -> None:
    whole = pod()["securityContext"]
    assert (whole["runAsNonRoot"], whole["runAsUser"], whole["runAsGroup"], whole["fsGroup"]) == (
        True,
        USER,
        USER,
        USER,
    )
    assert whole["seccompProfile"] == {"type": "RuntimeDefault"}
    assert pod()["automountServiceAccountToken"] is False
    for each in containers():
        assert each["securityContext"] == {
            "allowPrivilegeEscalation": False,
            "readOnlyRootFilesystem": True,
            "capabilities": {"drop": ["ALL"]},
        }
    (daemon,) = pod()["containers"]
    writable = {mount["mountPath"] for mount in daemon["volumeMounts"] if not mount.get("readOnly")}
    assert writable == {"/var/lib/tinyfleet", "/tmp"}  # noqa: S108 - in the container


def mounted(folder: Path, files: Mapping[str, bytes]) -> Path:
    """Write files as kubelet mounts a Secret: links to a folder that it replaces as a whole."""
    data = folder / "..2026_01_01"
    data.mkdir(parents=True)
    (folder / "..data").symlink_to(data.name)
    for name, content in files.items():
        (data / name).write_bytes(content)
        (data / name).chmod(0o644)
        (folder / name).symlink_to(Path("..data") / name)
    return folder


def test_the_init_container_makes_keys_that_the_daemon_accepts(tmp_path: Path) -> None:
    root, made = generate(), tmp_path / "made"
    key = gateway_keystore.new_key(made, None)
    granted = delegate(root, Delegation(key.public_key, vendor_id("plant"), 1))
    gateway_keystore.install(made, granted, root.public_key, vendor_id("plant"))
    places = {
        "/config": mounted(tmp_path / "config", {"gateway.toml": b"", "allowed_signers": b""}),
        "/keys/gateway": mounted(tmp_path / "key", {each.name: each.read_bytes() for each in made.iterdir()}),
        "/keys/files": mounted(tmp_path / "files", {"deploy_key": b"-"}),
        "/etc/tinyfleet": tmp_path / "etc",
    }
    places["/etc/tinyfleet"].mkdir()
    (init,) = pod()["initContainers"]
    assert {mount["mountPath"] for mount in init["volumeMounts"]} == places.keys()
    (script,) = init["args"]
    for path, place in places.items():
        script = script.replace(path, str(place))
    subprocess.run([*init["command"], script], check=True)
    etc = places["/etc/tinyfleet"]
    assert {path.name for path in etc.iterdir()} == {"gateway.toml", "allowed_signers", "deploy_key", "gateway"}
    assert gateway_keystore.load(etc / "gateway", bytes).signer.public_key == key.public_key
    assert (etc / "deploy_key").stat().st_mode & 0o777 == 0o600
    assert not (etc / "deploy_key").is_symlink()


@KUBECTL
def test_kustomize_builds_an_overlay(tmp_path: Path) -> None:
    (tmp_path / "gateway.toml").write_text('name = "hall-north"\n', encoding="utf-8")
    shutil.copytree(FOLDER, tmp_path / "base")
    overlay = {
        "resources": ["base"],
        "images": [{"name": "localhost/tinyfleet", "newName": "registry.example.org/tinyfleet", "newTag": "1.2.3"}],
        "configMapGenerator": [{"name": "tinyfleet-config", "behavior": "merge", "files": ["gateway.toml"]}],
    }
    (tmp_path / "kustomization.yaml").write_text(json.dumps(overlay), encoding="utf-8")
    done = subprocess.run(["kubectl", "kustomize", str(tmp_path)], check=True, capture_output=True, text=True)
    built = {each["kind"]: each for each in yaml.safe_load_all(done.stdout)}
    spec = built["StatefulSet"]["spec"]["template"]["spec"]
    assert {each["image"] for each in (*spec["initContainers"], *spec["containers"])} == {
        "registry.example.org/tinyfleet:1.2.3"
    }
    assert built["ConfigMap"]["data"] == {"gateway.toml": 'name = "hall-north"\n'}
    names = {each["configMap"]["name"] for each in spec["volumes"] if "configMap" in each}
    assert names == {built["ConfigMap"]["metadata"]["name"]}
