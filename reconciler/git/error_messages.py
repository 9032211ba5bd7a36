# SPDX-License-Identifier: Apache-2.0
"""Maps the error messages of git's network commands to failures."""

from __future__ import annotations

import signal

from reconciler.errors import FleetError
from reconciler.git import errors
from reconciler.git.confined_git import OUT_OF_MEMORY, GitResult, last_line

# The first match wins, so specific messages come before general ones.
_MEANINGS: tuple[tuple[tuple[str, ...], type[FleetError]], ...] = (
    (("No space left on device",), errors.DiskFull),
    (("Read-only file system", "unable to create temporary file"), errors.MirrorUnwritable),
    (("File too large", "signal 25", OUT_OF_MEMORY), errors.TransferTooLarge),
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


def failure_of(result: GitResult, doing: str, *, limit_s: float) -> FleetError:
    """Return the failure that the result of a network command stands for."""
    if result.too_large:
        return errors.TransferTooLarge(f"{doing}: the remote's answer exceeds the size limit")
    if result.timed_out:
        return errors.RemoteUnavailable(f"{doing}: timed out after {limit_s:g} s")
    message = f"{doing}: {last_line(result.err)}"
    if result.status == -signal.SIGXFSZ:
        return errors.TransferTooLarge(f"{doing}: the transfer exceeds the size limit")
    for needles, failure in _MEANINGS:
        if any(needle in result.err for needle in needles):
            return failure(message)
    return errors.RemoteUnavailable(message)
