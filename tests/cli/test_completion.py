"""Shell completion: what the shell is offered for what is typed so far."""

import os
import shutil
import subprocess
import sys

import pytest
from click.shell_completion import BashComplete

from misure.cli.app import SECTIONS, main


def offered(monkeypatch, *words):
    monkeypatch.setenv("COMP_WORDS", " ".join(["misure", *words]))
    monkeypatch.setenv("COMP_CWORD", str(len(words)))
    return BashComplete(main, {}, "misure", "_MISURE_COMPLETE").complete().splitlines()


@pytest.mark.parametrize(
    ("words", "answers"),
    [
        (["cla"], ["plain,classes"]),
        (["reliability", "f"], ["plain,fit"]),
        (["explain", "pictures/a"], ["file,pictures/a"]),
        (["explain", "a.png", "--question", "surr"], ["plain,surroundings"]),
        (["run", "pict"], ["file,pict"]),
        (["run", "pictures", "--out", "r"], ["file,r"]),
        (["status", "r"], ["file,r"]),
        (["report", "a", "r"], ["file,r"]),
        (["run", "--dry"], ["plain,--dry-run"]),
    ],
)
def test_commands_options_and_files_are_offered(monkeypatch, words, answers):
    assert offered(monkeypatch, *words) == answers


@pytest.mark.slow
@pytest.mark.skipif(shutil.which("bash") is None, reason="needs bash")
def test_the_documented_line_works_in_bash(tmp_path):
    command = tmp_path / "misure"
    code = "from misure.cli import main; main(prog_name='misure')"
    command.write_text(f'#!/bin/sh\nexec {sys.executable} -c "{code}" "$@"\n')
    command.chmod(0o755)
    script = (
        'eval "$(_MISURE_COMPLETE=bash_source misure)"; COMP_WORDS=(misure sta); COMP_CWORD=1; '
        '_misure_completion misure; echo "${COMPREPLY[@]}"; complete -p misure'
    )
    places = f"{tmp_path}{os.pathsep}{os.environ['PATH']}"
    done = subprocess.run(
        ["bash", "-c", script],
        env={**os.environ, "PATH": places},
        capture_output=True,
        text=True,
        check=True,
    )
    first, second = done.stdout.splitlines()
    assert first == "status"
    assert second.endswith("-F _misure_completion misure")


def test_every_command_has_a_place_in_the_help():
    listed = [command.name for commands in SECTIONS.values() for command in commands]
    assert sorted(listed) == sorted(main.commands)
