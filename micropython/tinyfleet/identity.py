# SPDX-License-Identifier: Apache-2.0
"""What provisioning wrote: who the device is, whom it trusts, and what it was made with."""

import json
from binascii import unhexlify

from tinyfleet import errors
from tinyfleet.errors import Refused

_HEX = ("vendor", "class", "id", "root", "public", "seed")


def read_identity(root: str) -> dict:
    """Read what provisioning wrote (docs/specs/package.md section 7)."""
    try:
        with open(root + "/device.json") as file:
            identity = json.load(file)
        for name in _HEX:
            identity[name] = unhexlify(identity[name])
        for entry in identity["prebaked"]:
            entry["digest"] = unhexlify(entry["digest"])
    except (OSError, ValueError, KeyError, TypeError):
        raise Refused(errors.PROVISIONED) from None
    return identity
