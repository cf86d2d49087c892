#!/usr/bin/env python3
"""Writes docs/reference/command-line.md from the commands themselves; --check compares only."""

import sys
from collections.abc import Iterator
from pathlib import Path

import click

from misure.cli import main

PAGE = Path(__file__).parents[1] / "docs" / "reference" / "command-line.md"
HEAD = r"""# Command line

`misure COMMAND --help` prints the same. [Exit codes](exit-codes.md) are listed apart.

Tables are as wide as the terminal, or as `COLUMNS` says; in a pipe or a file nothing is wrapped.

## Completion in the shell

Commands, options, their fixed values and paths are completed with the Tab key after one line in the
shell's start file:

| shell | file | line |
|---|---|---|
| bash 4.4 or later | `~/.bashrc` | `eval "$(_MISURE_COMPLETE=bash_source misure)"` |
| zsh | `~/.zshrc` | `eval "$(_MISURE_COMPLETE=zsh_source misure)"` |
| fish | `~/.config/fish/config.fish` | `_MISURE_COMPLETE=fish_source misure \| source` |

<!-- made by scripts/command_line.py -->
"""
WIDTH = 96


def page() -> str:
    """The whole page: a section for each command, in the order of `misure --help`."""
    context = click.Context(main, info_name="misure", **main.context_settings)
    return "\n".join([HEAD, *(section(*each) for each in commands(main, context))])


def commands(
    group: click.Group, context: click.Context
) -> Iterator[tuple[click.Command, click.Context]]:
    """Each command that does something, with its context; groups are opened."""
    for name in group.list_commands(context):
        command = group.get_command(context, name)
        inner = click.Context(command, info_name=name, parent=context, max_content_width=WIDTH)
        inner.terminal_width = WIDTH
        if isinstance(command, click.Group):
            yield from commands(command, inner)
        else:
            yield command, inner


def section(command: click.Command, context: click.Context) -> str:
    """A heading and the help text."""
    return f"## {context.command_path}\n\n```text\n{command.get_help(context)}\n```\n"


if __name__ == "__main__":
    text = page()
    if "--check" in sys.argv:
        if not PAGE.exists() or PAGE.read_text(encoding="utf-8") != text:
            sys.exit(f"expected {PAGE.name} to be up to date. Run scripts/command_line.py.")
    else:
        PAGE.write_text(text, encoding="utf-8")
