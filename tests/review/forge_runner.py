# SPDX-License-Identifier: Apache-2.0
"""A simulated forge runner: runs the workflow files of the example unchanged, in a real clone, line by line.

The programs of a runner image (`pip`, `apt-get`, `apk`, `gh`) are replaced by small scripts that record how they were
called; `tinyfleet`, git, curl and the shell are real.
"""

from __future__ import annotations

import hashlib
import json
import os
import re
import shutil
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs
from zipfile import ZipFile

import yaml

from tests.loopback import QuietHandler, serving

_EXPRESSION = re.compile(r"\$\{\{\s*([\w.]+)\s*\}\}")
_RECORDER = '#!/bin/sh\nprintf "%s" "$(basename "$0")" >> "$CALLS"\nprintf " %s" "$@" >> "$CALLS"\necho >> "$CALLS"\n'
_GH = (
    _RECORDER
    + '[ "$2" = list ] && cat "$NUMBERS"\n'
    + 'while [ $# -gt 0 ]; do [ "$1" = --body-file ] && cp "$2" "$COMMENT"; shift; done\n'
)
_TINYFLEET = f'#!/bin/sh\nexec "{sys.executable}" -c "from reconciler.cli import main; main()" "$@"\n'


@dataclass
class Image:
    """A machine with the programs of a runner image."""

    folder: Path
    calls: Path = field(init=False)
    comment: Path = field(init=False)
    numbers: Path = field(init=False)  # of the open pull requests that `gh pr list` finds
    wheel: Path = field(init=False)  # what the variables TINYFLEET_WHEEL and TINYFLEET_SHA256 name

    def __post_init__(self) -> None:
        programs = self.folder / "bin"
        programs.mkdir(parents=True)
        texts = {"pip": _RECORDER, "apt-get": _RECORDER, "apk": _RECORDER, "gh": _GH, "tinyfleet": _TINYFLEET}
        for name, text in texts.items():
            (programs / name).write_text(text)
            (programs / name).chmod(0o755)
        self.calls, self.comment = self.folder / "calls", self.folder / "comment.md"
        self.numbers = self.folder / "numbers"
        self.numbers.touch()
        self.wheel = self.folder / "published" / "tinyfleet-0.1.0-py3-none-any.whl"
        self.wheel.parent.mkdir()
        with ZipFile(self.wheel, "w") as archive:
            archive.writestr("reconciler/constraints.txt", "PyYAML==6.0.3\n")

    @property
    def variables(self) -> dict[str, str]:
        """Return the variables of the forge that name the wheel."""
        digest = hashlib.sha256(self.wheel.read_bytes()).hexdigest()
        return {"TINYFLEET_WHEEL": self.wheel.as_uri(), "TINYFLEET_SHA256": digest}

    def environment(self, more: dict[str, str]) -> dict[str, str]:
        root = str(Path(__file__).parents[2])
        return {
            "PATH": f"{self.folder / 'bin'}:{os.environ['PATH']}",
            "HOME": str(self.folder),
            "PYTHONPATH": root,
            "CALLS": str(self.calls),
            "COMMENT": str(self.comment),
            "NUMBERS": str(self.numbers),
            "GIT_CONFIG_GLOBAL": "/dev/null",
            **more,
        }

    def shell(self, command: list[str], where: Path, env: dict[str, str]) -> str:
        done = subprocess.run(
            command, cwd=where, env=self.environment(env), capture_output=True, text=True, check=False, timeout=120
        )
        assert done.returncode == 0, f"{command[-1]}\n{done.stdout}\n{done.stderr}"
        return done.stdout


@dataclass
class GitHub:
    """Runs the jobs of a workflow, each in its own folder."""

    workflow: Path
    origin: Path
    image: Image
    github: dict[str, Any]
    variables: dict[str, str] = field(default_factory=dict)
    output: str = ""
    summary: Path = field(init=False)

    def run(self) -> list[str]:
        """Run all jobs whose condition holds; return their names."""
        jobs = yaml.safe_load(self.workflow.read_text(encoding="utf-8"))["jobs"]
        self.summary = self.image.folder / "summary.md"
        ran: list[str] = []
        for name, job in jobs.items():
            needs = job.get("needs")
            if (needs is None or needs in ran) and self._holds(job.get("if")):
                folder = self.image.folder / name
                folder.mkdir()
                for step in job["steps"]:
                    if self._holds(step.get("if")):
                        self._step(step, folder)
                ran.append(name)
        return ran

    def _step(self, step: dict[str, Any], folder: Path) -> None:
        artifacts = self.image.folder / "artifacts"
        match step.get("uses", "").partition("@")[0]:
            case "":
                env = {name: self._filled(str(value)) for name, value in step.get("env", {}).items()}
                env |= {"GITHUB_STEP_SUMMARY": str(self.summary), "GITHUB_REPOSITORY": self.github["repository"]}
                env |= {"RUNNER_TEMP": str(self.image.folder)}
                self.output += self.image.shell(["bash", "-e", "-o", "pipefail", "-c", step["run"]], folder, env)
            case "actions/checkout":
                depth = ["--depth=1"] if step["with"].get("fetch-depth") != 0 else []
                url = self.origin.as_uri()
                subprocess.run(["git", "clone", "--quiet", *depth, url, str(folder)], check=True)
                subprocess.run(["git", "checkout", "--quiet", self.github["sha"]], cwd=folder, check=True)
            case "actions/setup-python":
                pass
            case "actions/upload-artifact":
                artifacts.mkdir()
                shutil.copy(folder / step["with"]["path"], artifacts)
            case "actions/download-artifact":
                shutil.copytree(artifacts, folder, dirs_exist_ok=True)
            case other:
                raise AssertionError(f"this runner has no {other}")

    def _holds(self, condition: str | None) -> bool:
        if condition is None:
            return True
        sides = [term.split("==") for term in condition.split("&&")]
        return all(self._value(left.strip()) == self._value(right.strip()) for left, right in sides)

    def _filled(self, text: str) -> str:
        return _EXPRESSION.sub(lambda found: str(self._value(found[1])), text)

    def _value(self, term: str) -> Any:  # noqa: ANN401 - any value of an event
        if term.startswith("'"):
            return term.strip("'")
        scope, _, rest = term.partition(".")
        if scope == "vars":
            return {**self.image.variables, **self.variables}.get(rest, "")  # a variable that is not set is empty
        value: Any = {"github": self.github}
        for part in term.split("."):
            value = value[part]
        return value


def run_gitlab(pipeline: Path, job: str, image: Image, where: Path, variables: dict[str, str]) -> None:
    """Run one job's script: all its lines in one shell, as GitLab's runner does."""
    script = yaml.safe_load(pipeline.read_text(encoding="utf-8"))[job]["script"]
    assert all(isinstance(line, str) for line in script)
    image.shell(["sh", "-e", "-c", "\n".join(script)], where, {**image.variables, **variables})


@dataclass
class Notes:
    """The notes of one merge request, or the merge requests of a project, behind real HTTP."""

    token: str
    bodies: dict[int, str] = field(default_factory=dict)
    methods: list[str] = field(default_factory=list)
    forms: list[dict[str, str]] = field(default_factory=list)

    @contextmanager
    def served(self) -> Iterator[str]:
        """Serve them; yields the address of the API."""
        notes = self

        class Handler(QuietHandler):
            def _answer(self, status: int, body: bytes = b"{}") -> None:
                self.send_response(status)
                self.send_header("Content-Length", str(len(body)))
                self.end_headers()
                self.wfile.write(body)

            def _handle(self) -> None:
                notes.methods.append(self.command)
                if self.headers.get("PRIVATE-TOKEN") != notes.token:
                    return self._answer(401)
                if self.command == "GET":
                    listed = [{"id": number, "iid": number, "body": body} for number, body in notes.bodies.items()]
                    return self._answer(200, json.dumps(listed).encode())
                form = parse_qs(self.rfile.read(int(self.headers["Content-Length"])).decode())
                last = self.path.rpartition("/")[2]
                number = int(last) if self.command == "PUT" else len(notes.bodies) + 1
                notes.forms.append({name: values[0] for name, values in form.items()})
                notes.bodies[number] = form.get("body", form.get("description", [""]))[0]
                return self._answer(201)

            do_GET = do_POST = do_PUT = _handle  # noqa: N815 - the names that http.server looks for

        with serving(Handler) as url:
            yield f"{url}/api/v4"
