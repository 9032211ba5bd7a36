# SPDX-License-Identifier: Apache-2.0
"""Setting a value changes nothing else in the file."""

from __future__ import annotations

import pytest
import yaml

from reconciler.load.scalar_edit import FieldPath, NotEditable, Scalar, defines, with_scalars

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
        f"spec:\n  publicKey: '{KEY}'  # of last year\n  type: t\n  link: {{mqtt: {{}}}}\n",
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


def with_public_key(data: bytes, device: str, key: str) -> bytes:
    return with_scalars(data, "Device", device, {("spec", "publicKey"): key})


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
        assert with_public_key(other, "pump-1", KEY) == (HEAD + after).encode()


def test_the_key_of_one_among_many_devices_is_set() -> None:
    text = "---\n".join(HEAD.replace("pump-1", f"pump-{n}") + CASES["block"][0] for n in range(9))
    edited = with_public_key(text.encode(), "pump-7", KEY)
    found = {each["metadata"]["name"]: each["spec"].get("publicKey") for each in yaml.safe_load_all(edited)}
    assert found == {f"pump-{n}": KEY if n == 7 else None for n in range(9)}
    assert len(edited.splitlines()) == len(text.splitlines()) + 1


@pytest.mark.parametrize("text", ["", "kind: Device\n", "[]\n", HEAD.replace("Device", "Gateway") + "spec: {a: b}\n"])
def test_a_file_without_the_device_is_refused(text: str) -> None:
    for data, name in ((text.encode(), "pump-1"), ((HEAD + CASES["block"][0]).encode(), "pump-2")):
        assert not defines(data, "Device", name)
        with pytest.raises(NotEditable, match=f"has no Device {name}"):
            with_public_key(data, name, KEY)
    assert defines((HEAD + CASES["block"][0]).encode(), "Device", "pump-1")


@pytest.mark.parametrize(
    "spec", ["spec:\n  type: |\n    t\nother: 1\n", "spec:\n  type: |\n    t\nother:\n  more: 1\n", "spec: {}\n"]
)
def test_a_document_that_cannot_be_edited_safely_is_refused(spec: str) -> None:
    with pytest.raises(NotEditable):
        with_public_key((HEAD + spec).encode(), "pump-1", KEY)


VERSION, THRESHOLD = ("spec", "model", "version"), ("spec", "parameters", "threshold")
ROLLOUT = "# why\nkind: Rollout\nmetadata: {name: pump}\n"
SETTINGS: dict[str, tuple[dict[FieldPath, Scalar | None], str, str]] = {
    "flow": (
        {VERSION: "1.2.0"},
        'spec:\n  model: {name: pump, version: "1.1.0"}  # the best\n',
        'spec:\n  model: {name: pump, version: "1.2.0"}  # the best\n',
    ),
    "block and single quotes": (
        {VERSION: "1.2.0"},
        "spec:\n  model:\n    version: '1.1.0'  # the best\n    name: pump\n",
        "spec:\n  model:\n    version: '1.2.0'  # the best\n    name: pump\n",
    ),
    "plain text gets quotes": (
        {VERSION: "1.2"},
        "spec: {model: {version: 1.1.0}}\n",
        'spec: {model: {version: "1.2"}}\n',
    ),
    "both at once": (
        {VERSION: "1.2.0", THRESHOLD: 0.65},
        'spec:\r\n  model: {version: "1.1.0"}\r\n  parameters: {threshold: 0.60, limit: 2}  # tuned\r\n',
        'spec:\r\n  model: {version: "1.2.0"}\r\n  parameters: {threshold: 0.65, limit: 2}  # tuned\r\n',
    ),
    "a value that the mapping lacks": (
        {THRESHOLD: 0.65},
        "spec:\n  parameters:\n    limit: 2\n  model: {version: a}\n",
        "spec:\n  parameters:\n    limit: 2\n    threshold: 0.65\n  model: {version: a}\n",
    ),
    "a mapping that the document lacks": (
        {THRESHOLD: 0.65},
        "spec:\n  model: {version: a}\n  selector: {}\n",
        "spec:\n  model: {version: a}\n  selector: {}\n  parameters: {threshold: 0.65}\n",
    ),
    "the same number written otherwise": (
        {THRESHOLD: 1.0},
        "spec: {parameters: {threshold: 1}}\n",
        "spec: {parameters: {threshold: 1.0}}\n",
    ),
    "an equal value stays as it is": ({THRESHOLD: 0.6}, "spec: {parameters: {threshold: 0.60}}\n", ""),
    "removed from a flow mapping": (
        {THRESHOLD: None},
        "spec:\n  parameters: {limit: 2, threshold: 0.6}  # tuned\n",
        "spec:\n  parameters: {limit: 2}  # tuned\n",
    ),
    "removed as the first of a flow mapping": (
        {THRESHOLD: None},
        "spec:\n  parameters: {threshold: 0.6, limit: 2}  # tuned\n",
        "spec:\n  parameters: {limit: 2}  # tuned\n",
    ),
    "removed from a block mapping": (
        {THRESHOLD: None},
        "spec:\n  parameters:\n    threshold: 0.6  # tuned\n    limit: 2\n  model: {version: a}\n",
        "spec:\n  parameters:\n    limit: 2\n  model: {version: a}\n",
    ),
    "removed with its mapping": (
        {THRESHOLD: None},
        "spec:\n  model: {version: a}\n  parameters: {threshold: 0.6}\n  priority: 2\n",
        "spec:\n  model: {version: a}\n  priority: 2\n",
    ),
    "nothing to remove": ({THRESHOLD: None}, "spec:\n  model: {version: a}\n", ""),
}


@pytest.mark.parametrize("case", SETTINGS)
def test_values_are_set_added_and_removed(case: str) -> None:
    values, before, after = SETTINGS[case]
    for more in ("", "---\nkind: Rollout\nmetadata: {name: other}\nspec: {model: {version: a}}\n"):
        edited = with_scalars((ROLLOUT + before + more).encode(), "Rollout", "pump", values)
        assert edited.decode() == ROLLOUT + (after or before) + more
        assert with_scalars(edited, "Rollout", "pump", values) == edited


@pytest.mark.parametrize(
    ("spec", "values"),
    [
        ("spec: {model: &best {version: a}, other: *best}\n", {VERSION: "b"}),
        ("spec: {model: {version: [a]}}\n", {VERSION: "b"}),
        ("spec: {model: {}, selector: {}}\n", {VERSION: "b"}),
        ("spec: {model: pump}\n", {VERSION: "b"}),
    ],
)
def test_a_value_that_cannot_be_set_alone_is_refused(spec: str, values: dict[FieldPath, Scalar | None]) -> None:
    with pytest.raises(NotEditable):
        with_scalars((ROLLOUT + spec).encode(), "Rollout", "pump", values)
