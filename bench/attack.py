# SPDX-License-Identifier: Apache-2.0
"""What attackers can cost a gateway and a device: the parts are attacked as they run.

Forged results come from a man in the middle of a line, erases from an attacker on the link of one device, connections
from a client of the HTTP port, and the memory of git from hostile servers. A part that this checkout lacks is named.
"""

from __future__ import annotations

import socket
import sys
import tempfile
import urllib.request
from collections.abc import Callable
from importlib import import_module
from importlib.util import find_spec
from pathlib import Path

from demo.site import SerialLine, Site
from demo.world import World
from tests.daemon.flood import flooding
from tests.firmware.host import HostLibrary
from tests.git.hostile_server import cost_of, endless_matching_refs, endless_refs, endless_sideband

HOST_LIBRARY = Path(__file__).parents[1] / "firmware" / "build" / "host" / "libtinyfleet-host.so"
CONNECTIONS = 10_000
WITHIN_S = 120.0
ANSWER_S = 60.0


def forged_results_obeyed() -> object:
    """Count the forged results that a gateway obeys."""
    return _of("bench.attack_results", "forged_results_obeyed", lambda measure: measure())


def erases_per_envelope_max() -> object:
    """Count the most erase units that one accepted envelope erases."""
    return _of("firmware.attack.wear", "erases_per_envelope_max", lambda measure: measure(_host_library()))


def http_connections() -> str:
    """Open thousands of connections to a real daemon; return whether it lives, answers and still follows Git."""
    with tempfile.TemporaryDirectory(prefix="attack-") as folder, World(Path(folder)) as world:
        site = Site(world, ("mill-1",), SerialLine(115_200))
        site.set_up()
        port = _free_port()
        configuration = world.folder / "gateway.toml"
        configuration.write_text(configuration.read_text().replace('listen = ""', f'listen = "127.0.0.1:{port}"'))
        world.commit("Begin", site.first_files())
        gateway = site.start_gateway()
        address = f"http://127.0.0.1:{port}/healthz"
        world.wait_for("the first answer", lambda: _healthy(address), within_s=WITHIN_S)
        with flooding("127.0.0.1", port, CONNECTIONS) as accepted:
            answered = _healthy(address)
            wanted = world.commit("During the attack", {"note.txt": b"anything\n"})
            world.wait_for("the commit to be enforced", lambda: world.enforced() == wanted, within_s=WITHIN_S)
        lives = accepted == CONNECTIONS and answered and not gateway.ended_by_itself and _healthy(address)
        gateway.stop()
        return "alive" if lives else "dead"


def git_memory_mib_max() -> str:
    """Return the most memory that a process of git, or the gateway, took to refuse a hostile server."""
    servers = [
        (endless_refs, False),
        (endless_matching_refs, True),
        (endless_sideband(b"x"), False),
        (endless_sideband(b"all is well\n"), False),
    ]
    most_mib = 0.0
    for serve, peers in servers:
        with tempfile.TemporaryDirectory(prefix="attack-") as folder:
            cost = cost_of(serve, Path(folder), peers=peers)
        most_mib = max(most_mib, cost.git_mib, cost.gateway_mib)
    return f"{most_mib:.0f}"


def _of(module: str, name: str, measured: Callable[[Callable[..., object]], object]) -> object:
    """Measure with a function of another part."""
    folder = Path(__file__).parents[1] / module.partition(".")[0]
    if not (folder / f"{module.partition('.')[2].replace('.', '/')}.py").is_file() or find_spec(module) is None:
        return f"not-measured({module} is not part of this checkout)"
    return measured(getattr(import_module(module), name))


def _host_library() -> HostLibrary:
    return HostLibrary(HOST_LIBRARY)


def _healthy(address: str) -> bool:
    try:
        with urllib.request.urlopen(address, timeout=ANSWER_S) as answer:  # noqa: S310 - http
            return bool(answer.status == 200)  # noqa: PLR2004 - OK
    except OSError:
        return False


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def main() -> None:
    """Print each figure as soon as it is measured."""
    figures: dict[str, Callable[[], object]] = {
        "forged_results_obeyed": forged_results_obeyed,
        "erases_per_envelope_max": erases_per_envelope_max,
        "http_10000_connections": http_connections,
        "git_memory_mib_max": git_memory_mib_max,
    }
    for name in sys.argv[1:] or figures:
        sys.stdout.write(f"{name}={figures[name]()}\n")
        sys.stdout.flush()


if __name__ == "__main__":
    main()
