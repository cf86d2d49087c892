"""Warnings on the command line: one line each, and only misure's own."""

import warnings

import click
from click.testing import CliRunner

from misure.cli.app import _OneSentence
from misure.errors import MisureWarning


def test_warnings_of_misure_are_one_line_and_those_of_libraries_are_silent() -> None:
    @click.command()
    def work() -> None:
        warnings.warn("expected a depth,\ngot none. Say depth=12.", MisureWarning, stacklevel=1)
        warnings.warn("of a library", RuntimeWarning, stacklevel=1)

    group = _OneSentence(commands={"work": work})
    result = CliRunner().invoke(group, ["work"])
    assert result.stderr == "misure: warning: expected a depth, got none. Say depth=12.\n"
    assert result.exit_code == 0
