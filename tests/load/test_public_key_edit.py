# SPDX-License-Identifier: Apache-2.0
"""Setting a public key changes nothing else in the file."""

from __future__ import annotations

import pytest
import yaml

from reconciler.load.public_key_edit import NotEditable, defines_device, with_public_key

KEY = "12345678901234567890123456789012345678901234567890123456789012e4"  # a number, to some readers
HEAD = "apiVersion: tinyfleet/v1alpha1\nkind: Device\nmetadata: {name: pump-1}\n"
LINE = f'publicKey: "{KEY}"'

CASES = {
    "block": (
        "spec:\n  type: t  # a pump\n  link:\n    mqtt: {} # by the broker\n\n# the end\n",
        f"spec:\n  type: t  # a pump\n  link:\n    mqtt: {{}} # by the broker\n  {LINE}\n\n# the end\n",
    ),
    "scalar last": (
        "spec:\n    link: {mqtt: {}}\n    type: t\n",
        f"spec:\n    link: {{mqtt: {{}}}}\n    type: t\n    {LINE}\n",
    ),
    "no last line end": ("spec:\n  link: {mqtt: {}}\n  type: t", f"spec:\n  link: {{mqtt: {{}}}}\n  type: t\n  {LINE}"),
    "windows": (
        "spec:\r\n  type: t\r\n  link: {mqtt: {}}\r\n...\r\n",
        f"spec:\r\n  type: t\r\n  link: {{mqtt: {{}}}}\r\n  {LINE}\r\n...\r\n",
    ),
    "flow": ("spec: {type: t, link: {mqtt: {}}}  # all\n", f"spec: {{type: t, link: {{mqtt: {{}}}}, {LINE}}}  # all\n"),
    "flow over lines": (
        "spec: {\n  type: t,\n  link: {mqtt: {}},  # so\n}\n",
        f"spec: {{\n  type: t,\n  link: {{mqtt: {{}}}}, {LINE},  # so\n}}\n",
    ),
    "replaced": (
        "spec:\n  publicKey: 'ab'  # of last year\n  type: t\n  link: {mqtt: {}}\n",
        f'spec:\n  publicKey: "{KEY}"  # of last year\n  type: t\n  link: {{mqtt: {{}}}}\n',
    ),
    "before another document": (
        "spec:\n  type: t\n  link:\n    serial: {port: x, baud: 2400, address: 7}\n---\nkind: Device\n",
        f"spec:\n  type: t\n  link:\n    serial: {{port: x, baud: 2400, address: 7}}\n  {LINE}\n---\nkind: Device\n",
    ),
    "letters beyond ASCII": (
        "spec:\n  type: t # Pumpe für Öl \U0001f6e2\n  link: {mqtt: {}}\n",
        f"spec:\n  type: t # Pumpe für Öl \U0001f6e2\n  link: {{mqtt: {{}}}}\n  {LINE}\n",
    ),
}


@pytest.mark.parametrize("case", CASES)
def test_nothing_but_the_key_changes(case: str) -> None:
    before, after = CASES[case]
    before_documents = "# \U0001f40d a file\nkind: Gateway\nmetadata: {name: pump-1}\n---\n"
    for head in (HEAD, before_documents + HEAD, "\ufeff" + HEAD):
        edited = with_public_key((head + before).encode(), "pump-1", KEY)
        assert edited.decode() == head + after


def test_setting_the_key_is_idempotent() -> None:
    for before, after in CASES.values():
        assert with_public_key((HEAD + after).encode(), "pump-1", KEY) == (HEAD + after).encode()
        other = with_public_key((HEAD + before).encode(), "pump-1", "00" * 32)
        assert with_public_key(other, "pump-1", KEY) == (HEAD + after.replace("'ab'", f'"{KEY}"')).encode()


def test_the_key_of_one_among_many_devices_is_set() -> None:
    text = "---\n".join(HEAD.replace("pump-1", f"pump-{n}") + CASES["block"][0] for n in range(9))
    edited = with_public_key(text.encode(), "pump-7", KEY)
    found = {each["metadata"]["name"]: each["spec"].get("publicKey") for each in yaml.safe_load_all(edited)}
    assert found == {f"pump-{n}": KEY if n == 7 else None for n in range(9)}
    assert len(edited.splitlines()) == len(text.splitlines()) + 1


@pytest.mark.parametrize("text", ["", "kind: Device\n", "[]\n", HEAD.replace("Device", "Gateway") + "spec: {a: b}\n"])
def test_a_file_without_the_device_is_refused(text: str) -> None:
    for data, name in ((text.encode(), "pump-1"), ((HEAD + CASES["block"][0]).encode(), "pump-2")):
        assert not defines_device(data, name)
        with pytest.raises(NotEditable, match=f"has no device {name}"):
            with_public_key(data, name, KEY)
    assert defines_device((HEAD + CASES["block"][0]).encode(), "pump-1")


@pytest.mark.parametrize(
    "spec", ["spec:\n  type: |\n    t\nother: 1\n", "spec:\n  type: |\n    t\nother:\n  more: 1\n", "spec: {}\n"]
)
def test_a_document_that_cannot_be_edited_safely_is_refused(spec: str) -> None:
    with pytest.raises(NotEditable):
        with_public_key((HEAD + spec).encode(), "pump-1", KEY)
