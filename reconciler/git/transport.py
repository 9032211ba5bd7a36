# SPDX-License-Identifier: Apache-2.0
"""What git is told before it speaks with one remote."""

from __future__ import annotations

import shlex

from reconciler.git.remote import GitLimits, Remote

# A remote on this machine is served by a process of ours that reads the remote's own configuration. These
# outrank it: no hook of the remote runs as us, and a push never writes into somebody's work tree.
_SERVER_CONFIG = (
    "core.hooksPath=/dev/null",
    "core.fsmonitor=false",
    "core.alternateRefsCommand=true",
    "receive.denyCurrentBranch=refuse",
    "receive.autogc=false",
    "gc.auto=0",
    "protocol.allow=never",  # a partial clone would fetch what it lacks, by a command that its configuration names
)


def transport_config(remote: Remote, limits: GitLimits) -> list[tuple[str, str]]:
    """Return the configuration that allows this remote's protocol and no other."""
    config = [
        (f"protocol.{remote.protocol}.allow", "always"),
        # A line that gives less than this in a minute is taken for dead before the whole step's limit.
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
    """Return the option that has a remote on this machine served under our own configuration."""
    if remote.local_path is None:
        return ()
    # Git reads a repository of another user only if it is told to. What its configuration could run is off anyway.
    trusted = (f"safe.directory={remote.local_path}",) if remote.owner_trusted else ()
    settings = [word for setting in (*_SERVER_CONFIG, *trusted) for word in ("-c", setting)]
    return (f"--{service}={shlex.join(['git', *settings, service])}",)
