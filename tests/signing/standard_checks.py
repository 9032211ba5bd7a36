# SPDX-License-Identifier: Apache-2.0
"""What independent implementations say about the vectors: python-cwt about signatures, zcbor about the CDDL.

A program of its own, because both need an older cbor2 (requirements/standards.txt). It prints one JSON object.
"""

from __future__ import annotations

import hashlib
import json
import re
import sys
from collections.abc import Iterable, Mapping
from contextlib import redirect_stdout, suppress
from pathlib import Path
from typing import Any

import cbor2
import cwt  # type: ignore[import-not-found]  # in a folder that only this process sees
import zcbor  # type: ignore[import-not-found]

TREE = Path(__file__).parents[2]
SPECIFICATIONS = TREE / "docs" / "specs"
VECTORS = TREE / "tests" / "vectors"
OKP, ED25519, EDDSA_ED25519, VERIFY = 1, 6, -19, 2
KEY_BYTES = 32
MOST = 4096  # of what a rule with `*` may repeat


def key_of(public: bytes) -> Any:  # noqa: ANN401 - untyped
    """Return an Ed25519 key with our key id."""
    kid = hashlib.sha256(public).digest()[:8]
    return cwt.COSEKey.new({1: OKP, 2: kid, 3: EDDSA_ED25519, 4: [VERIFY], -1: ED25519, -2: public})


def verifies(cose: bytes, public: bytes, detached: bytes | None = None) -> bool:
    """Return whether python-cwt verifies a COSE_Sign1."""
    with suppress(cwt.CWTError, ValueError):
        cwt.COSE.new().decode(cose, key_of(public), detached_payload=detached)
        return True
    return False


def accepts_delegation(token: bytes, root: bytes) -> bool:
    """Return whether a recipient that knows CWTs and nothing about tinyfleet accepts a delegation."""
    with suppress(cwt.CWTError, ValueError):
        cwt.decode(token, key_of(root))
        return True
    return False


def signatures(vector: Mapping[str, Any], state: Mapping[str, Any]) -> dict[str, bool]:
    """Verify the delegation and the signature of one envelope, as far as it has them."""
    found: dict[str, bool] = {}
    with suppress(
        cbor2.CBORDecodeError, AttributeError, KeyError, IndexError, TypeError, ValueError
    ):  # a damaged frame
        envelope = cbor2.loads(bytes.fromhex(vector["envelope"])).value
        gateway = bytes.fromhex(state["held"]["key"]) if state["held"] else b""
        if 1 in envelope:
            token, root = cbor2.loads(envelope[1])[0][0], bytes.fromhex(state["root"])
            found = {"delegation": verifies(token, root), "generic": accepts_delegation(token, root)}
            gateway = cbor2.loads(cbor2.loads(token).value[2])[8][1][-2]
        digest, signature = cbor2.loads(envelope[2])
        found["envelope"] = len(gateway) == KEY_BYTES and verifies(signature, gateway, digest)
    return found


def specification(page: str) -> str:
    """Read a page, or from its section after the `#` on."""
    name, _, section = page.partition("#")
    text = (SPECIFICATIONS / name).read_text(encoding="utf-8")
    return text[text.index(f"\n## {section}. ") :] if section else text


def rules(*pages: str) -> Mapping[str, Any]:
    """Compile the CDDL of some pages. zcbor knows no literal byte strings: only their length is compared."""
    text = "\n".join(
        block for page in pages for block in re.findall(r"```cddl\n(.*?)```", specification(page), re.DOTALL)
    )
    text = re.sub(r";.*", "", text)
    text = re.sub(r"([\w-]+):(?=\s)", r"\1-label:", text)  # zcbor takes a label for a key if a rule has its name
    text = re.sub(r"h'([0-9a-f]*)'", lambda found: f"bstr .size {len(found[1]) // 2}", text)
    text = re.sub(r"'([^']*)'", lambda found: f"bstr .size {len(found[1])}", text)
    compiled: Mapping[str, Any] = zcbor.DataTranslator.from_cddl(cddl_string=text, default_max_qty=MOST).my_types
    return compiled


def matching(rule: Any, vectors: Iterable[Mapping[str, Any]], field: str) -> list[str]:  # noqa: ANN401 - untyped
    """Return the names of the vectors that match a rule."""
    found = []
    for vector in vectors:
        with suppress(zcbor.CddlValidationError, cbor2.CBORDecodeError):
            rule.validate_str(bytes.fromhex(vector[field]))
            found.append(vector["name"])
    return found


def main() -> None:
    """Check everything, and print what was found."""
    envelopes = json.loads((VECTORS / "envelope.json").read_text(encoding="utf-8"))
    protocol = json.loads((VECTORS / "protocol.json").read_text(encoding="utf-8"))
    with redirect_stdout(sys.stderr):  # zcbor prints why something does not match
        messages = rules("protocol.md", "samples.md", "stages.md", "operations.md#7", "rotation.md")
        found = {
            "signatures": {
                vector["name"]: signatures(vector, envelopes["states"][vector["state"]])
                for vector in envelopes["vectors"]
            },
            "envelopes": matching(rules("envelope.md")["envelope"], envelopes["vectors"], "envelope"),
            "messages": matching(messages["message"], protocol["messages"] + protocol["malformed"], "bytes"),
            "bodies": matching(messages["body"], protocol["bodies"], "bytes"),
            "reports": sorted(rules("report.md")),
        }
    sys.stdout.write(json.dumps(found))


if __name__ == "__main__":
    main()
