# SPDX-License-Identifier: Apache-2.0
"""All commands share one grammar: the same options for the same things, and the same answer to a wrong name."""

from __future__ import annotations

import json
import logging
from collections.abc import Iterator
from pathlib import Path

import click
import pytest
from click.shell_completion import ShellComplete
from click.testing import CliRunner, Result

from reconciler.cli import cli, main
from reconciler.cli.inputs.known_names import UnknownName
from reconciler.cli.inputs.options import CONFIG_VARIABLE
from tools.manual import contexts

EXAMPLE = Path(__file__).parents[2] / "fleet-repo-example"
EVERY = {" ".join(words): context for words, context in contexts(cli)}
GROUPS = [words for words, context in EVERY.items() if isinstance(context.command, click.Group)]
LEAVES = {words: context for words, context in EVERY.items() if words not in GROUPS}
# These show nothing: they do something, and confirm it in a line.
ONLY_ACT = {
    *("tinyfleet init", "tinyfleet install-service", "tinyfleet uninstall-service"),
    *("tinyfleet pki crl", "tinyfleet pki broker-config"),
}
IS_JSON = {"tinyfleet schema"}


def run(*arguments: str | Path) -> Result:
    return CliRunner().invoke(cli, [str(argument) for argument in arguments])


def options(context: click.Context) -> Iterator[click.Option]:
    for each in context.command.get_params(context):
        if isinstance(each, click.Option):
            yield each


def named(context: click.Context, name: str) -> click.Option | None:
    return next((each for each in options(context) if name in each.opts), None)


# ---------------------------------------------------------------- options


@pytest.mark.parametrize("words", LEAVES)
def test_every_command_can_be_quiet_and_verbose(words: str) -> None:
    for names in (["-q", "--quiet"], ["-v", "--verbose"]):
        option = named(LEAVES[words], names[1])
        assert option is not None
        assert option.opts == names
        assert option.is_flag


@pytest.mark.parametrize("words", LEAVES)
def test_output_is_a_format(words: str) -> None:
    output = named(LEAVES[words], "--output")
    if words in ONLY_ACT | IS_JSON:
        assert output is None
        return
    assert output is not None, "take output_option, or say in ONLY_ACT that the command shows nothing"
    assert isinstance(output.type, click.Choice)
    assert list(output.type.choices)[:2] == ["text", "json"]
    assert (output.opts, output.default) == (["--output"], "text")


@pytest.mark.parametrize("words", LEAVES)
def test_formats_and_files_have_no_other_name(words: str) -> None:
    for option in options(LEAVES[words]):
        formats = isinstance(option.type, click.Choice) and {"text", "json", "markdown"} & set(option.type.choices)
        if formats or any("format" in name or "json" in name for name in option.opts):
            assert option.opts in (["--output"], ["--pack-format"])
        path = isinstance(option.type, click.Path) and not option.type.exists
        if path and "write" in str(option.help).lower():
            assert option.opts == ["-o", "--out"]


def test_the_configuration_is_one_option_with_one_variable() -> None:
    found = {words: option for words, context in LEAVES.items() if (option := named(context, "--config"))}
    assert {"tinyfleet run", "tinyfleet status", "tinyfleet explain", "tinyfleet rollout list"} <= found.keys()
    assert {option.envvar for option in found.values()} == {CONFIG_VARIABLE}


def test_nothing_is_required_that_has_only_one_value() -> None:
    def is_senseless(option: click.Option) -> bool:
        return option.required and option.is_flag and not option.secondary_opts  # `--a/--b` asks for a decision

    assert [words for words, context in LEAVES.items() if any(map(is_senseless, options(context)))] == []


def test_the_variable_names_the_configuration(tmp_path: Path) -> None:
    toml = tmp_path / "gateway.toml"
    toml.write_text(f'name = "hall"\n[repository]\nurl = "{tmp_path}"\n[keys]\ngateway = "."\n')
    shown = CliRunner().invoke(cli, ["config", "show", "--output", "json"], env={CONFIG_VARIABLE: str(toml)})
    assert json.loads(shown.output)["name"] == "hall"
    checked = run("config", "check", "--config", toml, "--output", "json")
    assert json.loads(checked.output) == {"valid": True, "gateway": "hall", "repository": str(tmp_path)}


def test_quiet_leaves_only_the_result() -> None:
    loud, quiet = run("validate", EXAMPLE), run("validate", EXAMPLE, "-q")
    assert "valid: " in loud.stderr
    assert (quiet.stderr, quiet.stdout) == ("", loud.stdout)
    assert "exclude each other" in run("validate", EXAMPLE, "-q", "-v").output


def test_verbose_shows_where_a_failure_arose(caplog: pytest.LogCaptureFixture) -> None:
    logger = logging.getLogger()
    before = (logger.level, list(logger.handlers))
    try:
        result = run("plan", EXAMPLE, "--gateway", "nowhere", "--verbose")
    finally:
        logger.setLevel(before[0])
        logger.handlers[:] = before[1]
    assert result.exit_code == 1
    assert "in require_known" in result.stderr + caplog.text
    assert "Traceback" not in run("plan", EXAMPLE, "--gateway", "nowhere").output


# ---------------------------------------------------------------- names


@pytest.mark.parametrize(
    ("line", "expected"),
    [
        ("plam", "no command of `tinyfleet` named plam; did you mean `plan`?"),
        ("keys rot init", "no command of `tinyfleet keys` named rot; did you mean `root`?"),
        ("keys gateway instal", "did you mean `install`?"),
        ("rollout lst", "did you mean `list`?"),
        ("schema Devise", "no kind named Devise; did you mean `Device`?"),
        ("build line-curent {fleet} --dry-run", "no model named line-curent; did you mean `line-current`?"),
        ("build line-current@1.0.2 {fleet} --dry-run", "did you mean `line-current@1."),
        ("build {fleet} --for curent-serial --dry-run", "no device type named curent-serial; did you mean"),
        ("plan {fleet} --gateway hall-nort", "no gateway named hall-nort; did you mean `hall-north`?"),
        ("provision pump-north-11 {fleet} --dry-run", "no device named pump-north-11; did you mean `pump-north-1`?"),
        ("provision zzz {fleet} --dry-run", "no device named zzz; known devices: `"),
    ],
)
def test_a_wrong_name_ends_with_1_and_a_suggestion(line: str, expected: str) -> None:
    result = run(*line.format(fleet=EXAMPLE).split())
    assert result.exit_code == 1
    assert isinstance(result.exception, UnknownName)
    assert expected in str(result.exception)


@pytest.mark.parametrize("words", GROUPS)
def test_every_group_suggests_a_command(words: str) -> None:
    group = EVERY[words].command
    assert isinstance(group, click.Group)
    first = group.list_commands(EVERY[words])[0]
    result = run(*words.split()[1:], f"{first}x")
    assert result.exit_code == 1
    assert f"did you mean `{first}`?" in str(result.exception)


def test_a_wrong_option_is_a_wrong_command_line() -> None:
    result = run("plan", "--gatewy", "x")
    assert result.exit_code == 2
    assert "--gateway" in result.output


# ---------------------------------------------------------------- a full device


@pytest.mark.parametrize("words", EVERY)
def test_a_full_output_device_is_one_line(
    words: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    assert printed_to_a_full_device([*words.split()[1:], "--help"], monkeypatch, capsys) == [
        "tinyfleet: cannot write the output: No space left on device"
    ]


@pytest.mark.parametrize("line", ["plan", "plan --output json", "validate --output json", "build --dry-run"])
def test_a_full_output_device_is_one_line_for_results(
    line: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    command, *more = line.split()
    assert printed_to_a_full_device([command, str(EXAMPLE), "-q", *more], monkeypatch, capsys) == [
        "tinyfleet: cannot write the output: No space left on device"
    ]


def printed_to_a_full_device(
    words: list[str], monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> list[str]:
    with Path("/dev/full").open("w", encoding="utf-8") as full:
        monkeypatch.setattr("sys.argv", ["tinyfleet", *words])
        monkeypatch.setattr("sys.stdout", full)
        with pytest.raises(SystemExit) as ended:
            main()
    assert ended.value.code == 1
    return capsys.readouterr().err.splitlines()


def test_a_full_file_is_named(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    source = EXAMPLE / "models" / "pump-vibration" / "autoencoder-1.1.0.tflite"
    kind = EXAMPLE / "device-types" / "vibration-wifi.yaml"
    monkeypatch.setattr(
        "sys.argv", ["tinyfleet", "pack", "make", str(source), "--for", str(kind), "-o", "/dev/full", "-q"]
    )
    with pytest.raises(SystemExit):
        main()
    assert capsys.readouterr().err == "tinyfleet: /dev/full: No space left on device\n"


# ---------------------------------------------------------------- completion


def completed(words: str, start: str) -> list[str]:
    complete = ShellComplete(cli, {}, "tinyfleet", "_TINYFLEET_COMPLETE")
    return [item.value for item in complete.get_completions(words.split(), start)]


@pytest.mark.parametrize(
    ("words", "start", "expected"),
    [
        ("explain", "pump-north-1", "pump-north-1"),
        ("provision", "pump-s", "pump-south-1"),
        ("status", "pump-n", "pump-north-1"),
        ("rollout show", "pump", "pump-vibration"),
        ("build", "line-current@1.0", "line-current@1.0.0"),
        ("build --for", "current", "current-serial"),
        ("plan --gateway", "hall-s", "hall-south"),
        ("schema", "dev", "Device"),
        ("keys", "gate", "gateway"),
    ],
)
def test_names_are_completed(words: str, start: str, expected: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(EXAMPLE)
    monkeypatch.setenv(CONFIG_VARIABLE, "/nonexistent/gateway.toml")
    assert expected in completed(words, start)
