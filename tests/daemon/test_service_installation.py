# SPDX-License-Identifier: Apache-2.0
"""The files of the service: sandboxing, installation and removal."""

from __future__ import annotations

import re
import shutil
import stat
import subprocess
import sys
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from reconciler import config
from reconciler.cli import cli
from reconciler.cli.commands.install_service import own_command
from reconciler.daemon.liveness import MAX_JOB_S
from reconciler.daemon.service_installation import HIDDEN_HOMES, CannotInstall, must_be_visible, parts

UNIT = Path(__file__).parents[2] / "systemd" / "tinyfleet.service"
MOST_EXPOSED = 2.0
COMMAND = Path("/opt/tinyfleet/bin/tinyfleet")
needs_systemd = pytest.mark.skipif(shutil.which("systemd-analyze") is None, reason="systemd is not installed")


def run(*words: str) -> Result:
    return CliRunner().invoke(cli, words)


def install(root: Path, *words: str) -> Result:
    """Install for a command that the service can see: this checkout may be in a home directory."""
    return run("install-service", "--root", str(root), "--command", str(COMMAND), *words)


def below(root: Path) -> dict[str, str]:
    return {str(path.relative_to(root)): path.read_text() for path in sorted(root.rglob("*")) if path.is_file()}


@needs_systemd
@pytest.mark.parametrize("name", ["tinyfleet.service", "tinyfleet-pki.service"])
def test_the_services_are_sandboxed(name: str) -> None:
    result = subprocess.run(
        ["systemd-analyze", "security", "--offline=true", "--no-pager", str(UNIT.with_name(name))],
        check=False,
        capture_output=True,
        text=True,
    )
    found = re.search(rf"Overall exposure level for {name}: ([0-9.]+)", result.stdout)
    assert found is not None, result
    assert float(found[1]) <= MOST_EXPOSED


@needs_systemd
@pytest.mark.parametrize("name", ["tinyfleet.service", "tinyfleet-pki.service", "tinyfleet-pki.timer"])
def test_every_setting_of_the_units_is_one_that_systemd_knows(tmp_path: Path, name: str) -> None:
    for unit in UNIT.parent.glob("tinyfleet*.*"):
        (tmp_path / unit.name).write_text(unit.read_text().replace("/usr/bin/tinyfleet", "/bin/true"))
    line = ["systemd-analyze", "verify", str(tmp_path / name)]
    result = subprocess.run(line, check=False, capture_output=True, text=True)
    assert f"{name}:" not in result.stderr.replace("tinyfleet.service: Command", ""), result.stderr


def test_the_watchdog_is_slower_than_an_idle_daemon_and_quicker_than_a_stuck_job() -> None:
    minutes = re.search(r"WatchdogSec=(\d+)min", UNIT.read_text())
    assert minutes is not None
    assert MAX_JOB_S["pass"] < int(minutes[1]) * 60 < min(MAX_JOB_S["git"], MAX_JOB_S["status"])


def test_it_is_installed_once_kept_up_to_date_and_taken_away(tmp_path: Path) -> None:
    first = install(tmp_path)
    assert first.exit_code == 0, first.output
    installed = below(tmp_path)
    assert set(installed) == {str(part.path) for part in parts(COMMAND)}
    assert f"ExecStart={COMMAND} run" in installed["etc/systemd/system/tinyfleet.service"]
    again = install(tmp_path)
    assert "write" not in again.output
    unit = tmp_path / "etc/systemd/system/tinyfleet.service"
    unit.write_text("an older release\n")
    mine = tmp_path / "etc/tinyfleet/gateway.toml"
    mine.write_text("# mine\n")
    assert install(tmp_path).output.count("write ") == 1
    assert unit.read_text() == installed["etc/systemd/system/tinyfleet.service"]
    assert run("uninstall-service", "--root", str(tmp_path)).exit_code == 0
    assert below(tmp_path) == {"etc/tinyfleet/gateway.toml": "# mine\n"}
    assert "absent" in run("uninstall-service", "--root", str(tmp_path)).output


def test_a_dry_run_writes_and_removes_nothing(tmp_path: Path) -> None:
    assert install(tmp_path, "--dry-run").exit_code == 0
    assert below(tmp_path) == {}
    install(tmp_path)
    before = below(tmp_path)
    assert "remove " in run("uninstall-service", "--root", str(tmp_path), "--dry-run").output
    assert below(tmp_path) == before


def test_the_sample_configuration_is_valid_and_private(tmp_path: Path) -> None:
    install(tmp_path)
    path = tmp_path / "etc/tinyfleet/gateway.toml"
    assert config.read(path).name == "my-gateway"
    assert stat.S_IMODE(path.stat().st_mode) == 0o640


@pytest.mark.parametrize("home", HIDDEN_HOMES)
def test_a_command_hidden_from_the_service_is_rejected(home: str) -> None:
    with pytest.raises(CannotInstall, match="home directory"):
        must_be_visible(Path(home) / "ada" / "bin" / "tinyfleet")


def test_nothing_is_installed_for_a_command_in_a_home_directory(tmp_path: Path) -> None:
    refused = run("install-service", "--root", str(tmp_path), "--command", f"{HIDDEN_HOMES[0]}/ada/bin/tinyfleet")
    assert isinstance(refused.exception, CannotInstall)
    assert below(tmp_path) == {}


def test_the_service_starts_the_command_that_installs_it() -> None:
    assert own_command() == Path(sys.executable).with_name("tinyfleet")


def test_an_unwritable_file_is_reported(tmp_path: Path) -> None:
    (tmp_path / "etc").write_text("a file where a folder should be")
    result = install(tmp_path)
    assert "can't write" in str(result.exception)
