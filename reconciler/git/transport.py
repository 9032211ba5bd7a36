# SPDX-License-Identifier: Apache-2.0
"""The git configuration for contacting one remote."""

from __future__ import annotations

import shlex

from reconciler.git.confined_git import FRUGAL
from reconciler.git.remote_settings import GitLimits, Remote

# A remote on this machine is served by a child process that reads the remote's own configuration. These
# settings override it: no hook of the remote runs as us, and a push never writes to a work tree.
_SERVER_CONFIG = (
    "core.hooksPath=/dev/null",
    "core.fsmonitor=false",
    "core.alternateRefsCommand=true",
    "receive.denyCurrentBranch=refuse",
    "receive.autogc=false",
    "gc.auto=0",
    *(f"{name}={value}" for name, value in FRUGAL),
    "protocol.allow=never",  # a partial clone would run a command from its configuration to fetch missing objects
)


def transport_config(remote: Remote, limits: GitLimits) -> list[tuple[str, str]]:
    """Return the configuration that allows only the protocol of this remote."""
    config = [
        (f"protocol.{remote.protocol}.allow", "always"),
        # A connection slower than this for a minute counts as dead, before the limit of the whole step.
        ("http.lowSpeedLimit", "10"),
        ("http.lowSpeedTime", str(max(1, min(60, int(limits.ask_s))))),
    ]
    if remote.protocol == "https":
        config.append(("http.sslVerify", "true"))
    if remote.ca_file is not None:
        config.append(("http.sslCAInfo", str(remote.ca_file)))
    if remote.credential_helper is not None:
        config.append(("credential.helper", remote.credential_helper))
    return config


def server_program(remote: Remote, service: str) -> tuple[str, ...]:
    """Return the option that serves a remote on this machine with our own configuration."""
    if remote.local_path is None:
        return ()
    # Git reads another user's repository only with this setting. The overrides above make it safe.
    trusted = (f"safe.directory={remote.local_path}",) if remote.owner_trusted else ()
    settings = [word for setting in (*_SERVER_CONFIG, *trusted) for word in ("-c", setting)]
    return (f"--{service}={shlex.join(['git', *settings, service])}",)
