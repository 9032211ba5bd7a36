# SPDX-License-Identifier: Apache-2.0
"""`tinyfleet run`: the gateway daemon."""

from __future__ import annotations

import asyncio
import time
from contextlib import ExitStack
from pathlib import Path

import click

from reconciler import config
from reconciler.cli.inputs.options import config_option, output_formats
from reconciler.cli.leaf_command import LeafCommand
from reconciler.cli.verbosity import verbosity
from reconciler.daemon import http_server
from reconciler.daemon.assembly import assembled
from reconciler.daemon.commit_status_sender import sending_commit_status
from reconciler.daemon.fleet_page import FleetPage
from reconciler.daemon.instance_lock import held
from reconciler.daemon.liveness import Liveness
from reconciler.daemon.logging_setup import set_up
from reconciler.daemon.metrics import Metrics
from reconciler.daemon.service import Service
from reconciler.daemon.trace_sender import sending_traces
from reconciler.daemon.webhook_sender import sending_events
from reconciler.git.poll_interval import PollInterval
from reconciler.git.remote_settings import Remote


@click.command(cls=LeafCommand)
@config_option
@output_formats("text", "json", note="json writes one object for each line of the log")
def command(config_path: Path, output: str) -> None:
    """Run the gateway daemon until SIGTERM or Ctrl-C.

    The daemon polls the fleet repository and keeps the devices of this gateway in their desired state. Updates that
    are in progress when it stops resume when it starts again.
    """
    set_up(output, verbosity())
    asyncio.run(_serve(config.read(config_path)))


async def _serve(settings: config.GatewayConfig) -> None:
    health = Liveness()
    cadence = PollInterval(interval_s=settings.repository.interval_s)
    watched = Remote(settings.repository.url).local_path
    with ExitStack() as stack:
        stack.enter_context(held(settings.state_dir))
        assembly = stack.enter_context(assembled(settings))
        engine = assembly.engine
        metrics = Metrics(assembly, time.monotonic)
        pages = {
            "/metrics": http_server.metrics(metrics.exposition),
            "/healthz": lambda: http_server.plain(health.stuck()),
            "/readyz": lambda: http_server.plain(health.not_ready(engine.enforced, engine.artifacts.failures.values())),
        }
        site = FleetPage(assembly, metrics)
        serving = http_server.serving(settings.http.listen, pages, site, settings.http.server_name)
        events, statuses = sending_events(settings, engine), sending_commit_status(settings, engine)
        async with serving, events, statuses, sending_traces(settings, engine):
            await Service(assembly, cadence, watched, health).run()
