# SPDX-License-Identifier: Apache-2.0
"""`tinyfleet storage`: what is in the local storage of a gateway."""

from __future__ import annotations

from contextlib import AbstractContextManager
from datetime import UTC, datetime
from pathlib import Path
from typing import ClassVar

import click

from reconciler import config
from reconciler.bus.local_storage import STORAGE_FILE, ItemReader, read_storage
from reconciler.cli.inputs.known_names import require_known
from reconciler.cli.inputs.options import config_option, out_option, output_option
from reconciler.cli.ordered_group import OrderedGroup
from reconciler.cli.result import print_result
from reconciler.cli.tables_or_json import show_result
from reconciler.cli.views.storage_text import listed_buckets, listed_items
from reconciler.daemon.instance_lock import holder
from reconciler.errors import Unusable


class ItemUnknown(Unusable):
    """The bucket has no item with the number."""

    reason: ClassVar[str] = "ItemUnknown"


@click.group("storage", cls=OrderedGroup)
def command() -> None:
    """Show and copy the items that this gateway stores for operations.

    All commands work whether the daemon runs or not, and change nothing. Programs use the operations `data.*`.
    """


@command.command("list", short_help="List the buckets, or the items of one")
@click.argument("bucket", required=False)
@click.option("--after", type=click.IntRange(0), default=0, metavar="NUMBER", help="List the items after this one.")
@config_option
@output_option
def list_(bucket: str | None, after: int, config_path: Path, output: str) -> None:
    """List the buckets that have items, or the first 1,000 items of BUCKET, the oldest first."""
    with _storage(config_path) as storage:
        buckets = storage.buckets()
        if bucket is None:
            fields: list[dict[str, object]] = [
                {"bucket": name, "items": each.items, "bytes": each.bytes, "oldest": each.oldest, "newest": each.newest}
                for name, each in sorted(buckets.items())
            ]
            show_result(output, fields, [listed_buckets(fields)])
            return
        require_known("bucket", bucket, buckets)
        fields = [
            {
                "number": each.number,
                "at": datetime.fromtimestamp(each.at, UTC).isoformat(timespec="milliseconds"),
                "bytes": each.size,
            }
            for each in storage.items(bucket, after)
        ]
    show_result(output, fields, [listed_items(fields)])


@command.command("get", short_help="Copy one item to a file")
@click.argument("bucket")
@click.argument("number", type=click.IntRange(1))
@out_option("The file for the item.", required=True)
@config_option
@output_option
def get(bucket: str, number: int, out: Path, config_path: Path, output: str) -> None:
    """Copy the item NUMBER of BUCKET to a file."""
    with _storage(config_path) as storage:
        require_known("bucket", bucket, storage.buckets())
        data = storage.get(bucket, number)
    if data is None:
        raise ItemUnknown(f"the bucket {bucket} has no item {number}; `tinyfleet storage list {bucket}` shows them")
    out.write_bytes(data)
    fields = {"bucket": bucket, "number": number, "bytes": len(data), "file": str(out)}
    print_result(output, fields, f"wrote {len(data):,} bytes to {out}")


def _storage(config_path: Path) -> AbstractContextManager[ItemReader]:
    state_dir = config.read(config_path).state_dir
    return read_storage(state_dir / STORAGE_FILE, daemon_runs=holder(state_dir) is not None)
