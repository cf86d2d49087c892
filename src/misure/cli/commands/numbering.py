"""The flags that say what the numbers in annotations mean."""

from functools import wraps
from typing import Any

import click

from misure.cli.commands.option_values import number_map, numbers_or_none
from misure.cli.commands.options import Command

_numbering = [
    click.option(
        "--ignore",
        metavar="NUMBERS",
        callback=numbers_or_none,
        help="Numbers in annotations that mean not judged, with commas, or none.  [default: 255 "
        "in pictures that hold other classes]",
    ),
    click.option(
        "--label-offset",
        type=int,
        metavar="N",
        help="Added to the numbers in annotations, e.g. -1 if they begin at 1.  [default: as the "
        "network says]",
    ),
    click.option(
        "--label-map",
        metavar="NUMBER=CLASS",
        callback=number_map,
        help="Class index of each number in annotations, with commas, e.g. 255=1; or the numbers "
        "of each class where classes overlap, e.g. WT=1+2+4,TC=1+4,ET=4.",
    ),
]


def with_numbering(command: Command) -> Command:
    """Adds the flags that say what the numbers in annotations mean, as one dictionary."""

    @wraps(command)
    def gathered(*args: Any, **values: Any) -> None:
        names = ("ignore", "label_offset", "label_map")
        command(*args, numbering={name: values.pop(name) for name in names}, **values)

    for option in reversed(_numbering):
        gathered = option(gathered)
    return gathered
