"""The options of a command as the user typed them, to say what can be typed next."""

import shlex
from collections.abc import Iterable

import click

from misure.cli.commands.filled_help import FilledCommand

_TYPED = "misure.cli.typed"


class RememberingCommand(FilledCommand):
    """A command that knows what was typed after its name."""

    def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
        """Reads the arguments."""
        ctx.meta[_TYPED] = list(args)
        return super().parse_args(ctx, args)


def same_with(
    ctx: click.Context, command: str, image: str, *, without: Iterable[str], added: Iterable[str]
) -> str:
    """Another command with the options that were typed, quoted for a shell.

    Args:
        ctx: of a `RememberingCommand` with one argument.
        command: name of the other one, which takes the same options.
        image: its argument.
        without: names of parameters whose options are left out.
        added: the options that only it takes.
    """
    left_out = set(without)
    values, _, order = ctx.command.make_parser(ctx).parse_args(args=list(ctx.meta[_TYPED]))
    words = ["misure", command, image if not image.startswith("-") else f"./{image}", *added]
    for parameter in dict.fromkeys(order):
        if not isinstance(parameter, click.Option) or parameter.name in left_out:
            continue
        flag, value = max(parameter.opts, key=len), values[parameter.name]
        for each in value if parameter.multiple else [value]:
            words += [flag] if parameter.is_flag else [flag, str(each)]
    return shlex.join(words)
