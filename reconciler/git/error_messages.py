# SPDX-License-Identifier: Apache-2.0
"""What git's words after a failed network step mean for us."""

from __future__ import annotations

import signal

from reconciler.errors import FleetError
from reconciler.git import errors
from reconciler.git.confined_git import GitResult, last_line

# First match wins: from the specific to the general.
_MEANINGS: tuple[tuple[tuple[str, ...], type[FleetError]], ...] = (
    (("No space left on device",), errors.DiskFull),
    (("Read-only file system", "unable to create temporary file"), errors.MirrorUnwritable),
    (("File too large", "signal 25"), errors.TransferTooLarge),
    (("couldn't find remote ref", "Could not find remote branch"), errors.RefMissing),
    (("dubious ownership", "unsafe repository"), errors.DubiousOwnership),
    (
        ("SSL certificate problem", "server certificate verification failed", "certificate subject name"),
        errors.CertificateRefused,
    ),
    (("Host key verification failed", "host key is known"), errors.HostKeyUnknown),
    (
        (
            "Permission denied (",
            "Authentication failed",
            "could not read Username",
            "could not read Password",
            "terminal prompts disabled",
            "returned error: 403",
            "returned error: 401",
        ),
        errors.AuthenticationFailed,
    ),
    (("not allowed", "remote helper", "disabled in libcurl", "Unsupported URL scheme"), errors.ProtocolRefused),
    (("fsck error", "in packed", "has invalid", "bad tree", "Not all child objects"), errors.ObjectsRefused),
)


def meaning(result: GitResult, doing: str, *, limit_s: float) -> FleetError:
    """Return the failure that a network step's end stands for."""
    if result.timed_out:
        return errors.RemoteUnavailable(f"{doing}: no end within {limit_s:g} s")
    said = f"{doing}: {last_line(result.err)}"
    if result.status == -signal.SIGXFSZ:
        return errors.TransferTooLarge(f"{doing}: more than the limit allows")
    for needles, failure in _MEANINGS:
        if any(needle in result.err for needle in needles):
            return failure(said)
    return errors.RemoteUnavailable(said)
