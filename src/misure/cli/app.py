"""The command line: the group of all commands.

Bad input gives one sentence and exit code 2; an interrupt (Ctrl-C) gives 130, SIGTERM 143.
"""

import signal
import sys
import threading
from pathlib import Path
from typing import Any

import click

from misure._util.freed_memory import keep_freed_memory
from misure._util.suggestions import did_you_mean
from misure._util.warning_lines import warnings_as_lines
from misure._version import __version__
from misure.cli.commands.classes import classes
from misure.cli.commands.compare import compare
from misure.cli.commands.demo import demo
from misure.cli.commands.effects import effects
from misure.cli.commands.experiment import experiment
from misure.cli.commands.explain import explain
from misure.cli.commands.export import export
from misure.cli.commands.merge import merge
from misure.cli.commands.missed_objects import missed
from misure.cli.commands.prepare import prepare
from misure.cli.commands.registries import methods, metrics, presets
from misure.cli.commands.reliability import reliability
from misure.cli.commands.report import report
from misure.cli.commands.run import run
from misure.cli.commands.status import status
from misure.cli.commands.train import train
from misure.cli.commands.view import view
from misure.cli.terminal import say
from misure.errors import MisureError, entrance, for_terminal

_INTERRUPTED, _TERMINATED = 130, 143
_LONGEST_HELP = 200  # characters of a first sentence, which is then continued below
_CONTINUED = ("run", "train", "prepare", "experiment")
"""Commands that go on where they stopped, if they are given once more."""


SECTIONS: dict[str, tuple[click.Command, ...]] = {
    "One image": (classes, explain, view, demo),
    "Whole data sets": (run, status, report, export, merge, missed, effects),
    "Comparison of methods": (compare, methods, metrics, presets),
    "How far to trust a segmentation": (reliability,),
    "Networks, data, experiments": (train, prepare, experiment),
}
"""Heading in `misure --help` -> its commands, the first to try first."""


_NEXT = {
    "classes": "Give a picture or volume and its network: misure classes IMAGE --model SPEC, where "
    "SPEC is, for example, hf:FOLDER, onnx:FILE or triangle.",
    "explain": "First see what the network finds: misure classes IMAGE --model SPEC, where SPEC "
    "is, for example, hf:FOLDER, onnx:FILE or triangle; it ends with the command to explain it.",
    "run": "A run takes a folder, a network, and a folder to write to: misure run FOLDER --model "
    "SPEC --out RUN. With --dry-run it says first how long that takes.",
    "view": "Name a picture, a volume, a folder or a run, and its network: misure view IMAGE "
    "--model SPEC.",
    "report": "Name the folder that misure run wrote: misure report RUN.",
    "status": "Name the folder that misure run writes: misure status RUN.",
}
"""Command -> what to type, if something is missing."""


class _BadInput(click.ClickException):
    exit_code = 2


class _OneSentence(click.Group):
    """A group whose commands answer an expected error with one sentence and exit code 2.

    The sentence begins with the command that was given. Whatever it quotes is cut, and shown so
    that the terminal does not obey it.
    """

    def add_command(self, cmd: click.Command, name: str | None = None) -> None:
        super().add_command(cmd, name)
        _name_messages(cmd, name or cmd.name or "")

    def format_commands(self, _ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """Writes the commands by what they are for."""
        hidden = [command for command in self.commands.values() if command.hidden]
        listed = {command.name for commands in SECTIONS.values() for command in commands}
        others = tuple(
            command
            for command in self.commands.values()
            if command.name not in listed and command not in hidden
        )
        longest = max(len(name) for name in self.commands)
        for heading, commands in {**SECTIONS, "Others": others}.items():
            rows = [
                (f"{each.name:<{longest}}", each.get_short_help_str(_LONGEST_HELP))
                for each in commands
            ]
            if rows:
                with formatter.section(heading):
                    formatter.write_dl(rows)

    def resolve_command(
        self, ctx: click.Context, args: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        """The command that is meant; of a name that is none, what was likely meant."""
        if args and not args[0].startswith("-") and args[0] not in self.commands:
            a_file = Path(args[0]).exists()
            cure = (
                f" To see what a network finds in it: misure classes {args[0]} --model SPEC."
                if a_file
                else ""
            )
            ctx.fail(f"No such command {args[0]!r}.{did_you_mean(args[0], self.commands)}{cure}")
        return super().resolve_command(ctx, args)

    def invoke(self, ctx: click.Context) -> Any:
        try:
            with warnings_as_lines():
                return super().invoke(ctx)
        except BrokenPipeError:  # the reader, such as `head`, has seen enough: click ends quietly
            raise
        except (MisureError, OSError) as error:
            raise _BadInput(for_terminal(" ".join(_sentence(error).split()))) from error
        except click.MissingParameter as error:
            hint = _NEXT.get(ctx.invoked_subcommand or "", "")
            message = f"{error.format_message()} {hint}".strip()
            raise click.UsageError(for_terminal(message), ctx=error.ctx) from error
        except click.ClickException as error:
            vars(error)["message"] = "\n".join(map(for_terminal, error.message.split("\n")))
            raise
        except KeyboardInterrupt:
            _say_ended("interrupted", ctx.invoked_subcommand)
            _forget_interrupt()
            raise click.exceptions.Exit(_INTERRUPTED) from None
        except SystemExit as error:
            if error.code == _TERMINATED:
                _say_ended("ended by SIGTERM", ctx.invoked_subcommand)
            raise


def _say_ended(how: str, command: str | None) -> None:
    goes_on = " The same command goes on where it stopped." if command in _CONTINUED else ""
    say(f"misure: {how}.{goes_on}", err=True)


def _forget_interrupt() -> None:
    """Lets Python end with the exit code that is asked for.

    An interrupt that comes out of `exec`, as dataclasses use it while modules are imported, is
    noted by Python, and `python -m` then ends by that signal, though it was handled. Any further
    text that is executed clears the note.
    """
    exec("")  # noqa: S102


def _name_messages(command: click.Command, name: str) -> None:
    if isinstance(command, click.Group):
        for part, subcommand in command.commands.items():
            _name_messages(subcommand, f"{name} {part}")
    elif command.callback:
        command.callback = entrance(name)(command.callback)


def _sentence(error: MisureError | OSError) -> str:
    if not isinstance(error, OSError) or not error.strerror:
        return str(error)
    place = "" if error.filename is None else f"{error.filename}: "
    return (
        f"expected to read or write where the command says, but the system answers: {place}"
        f"{error.strerror}. Check the path, the rights and the space there."
    )


@click.group(
    cls=_OneSentence,
    context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 160},
)
@click.version_option(__version__, prog_name="misure")
def main() -> None:
    """Explain image segmentation: which part of an image is needed, and nothing more.

    Begin with `misure classes IMAGE --model SPEC`, which says what to type next, or with `misure
    demo`, which needs neither image nor network.
    """
    keep_freed_memory()
    if threading.current_thread() is threading.main_thread():
        signal.signal(signal.SIGTERM, lambda *_: sys.exit(_TERMINATED))  # clean up first


for section_commands in SECTIONS.values():
    for section_command in section_commands:
        main.add_command(section_command)
