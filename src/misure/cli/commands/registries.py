"""`misure methods`, `misure metrics` and `misure presets`: what can be chosen by name."""

import textwrap
from collections.abc import Iterable
from typing import TYPE_CHECKING

import click

from misure.cli.terminal import say, table

if TYPE_CHECKING:
    from misure._util.docstrings import Option
    from misure.methods import Method
    from misure.metrics import Metric

_WIDTH = 96
_SYMBOLS = """\
In the formulas M is the map, R the region, T the target, K the pixels that are known to matter, N
the number of pixels, and |.| counts pixels. Dice(X) is what the network reaches if it sees X.
"""

verbose_option = click.option(
    "-v",
    "--verbose",
    is_flag=True,
    help="Also every option, with its default and meaning.",
)


@click.command()
@verbose_option
def methods(verbose: bool) -> None:
    """List the methods that explain, one a line: name, kind, what it does."""
    from misure.methods import METHODS

    if not verbose:
        rows = [[entry.name, entry.kind, entry.summary] for entry in METHODS.values()]
        say(table(["method", "kind", ""], rows))
        return
    for entry in METHODS.values():
        _echo_entry(entry.name, _about_method(entry), entry.describe_options())


@click.command()
@click.option("-v", "--verbose", is_flag=True, help="Also range, formula and source.")
def metrics(verbose: bool) -> None:
    """List the metrics of maps, one a line: name, better direction, group, unit, what it says."""
    from misure._util.tables import arrow
    from misure.metrics import METRICS

    entries = [(f"{each.name}{arrow(each.higher_is_better)}", each) for each in METRICS.values()]
    if not verbose:
        rows = [[name, entry.group, entry.unit, entry.summary] for name, entry in entries]
        say(table(["metric", "group", "unit", ""], rows))
        return
    say(_SYMBOLS)
    for name, entry in entries:
        _echo_entry(name, _about_metric(entry), [])


@click.command()
@verbose_option
def presets(verbose: bool) -> None:
    """List the presets of explain, one a line: name, usual cost in passes, what it does."""
    from misure.explanation.presets import PRESETS, describe_preset

    if not verbose:
        rows = [[entry.name, entry.usual_passes, entry.summary] for entry in PRESETS.values()]
        say(table(["preset", "pass equivalents", ""], rows))
        return
    for entry in PRESETS.values():
        about = [entry.summary, f"Pass equivalents: {entry.usual_passes or 'unknown'}."]
        _echo_entry(entry.name, about, describe_preset(entry))


def _about_method(method: "Method") -> list[str]:
    needs = ["gradients"] * method.needs_gradients + [method.library] * bool(method.library)
    source = method.source or "misure"
    about = f"Kind: {method.kind}. Needs: {', '.join(needs) or 'nothing'}. Source: {source}."
    return [method.summary, about]


def _about_metric(metric: "Metric") -> list[str]:
    about = f"Range: {metric.smallest:g} to {metric.largest:g}, unit: {metric.unit}."
    if metric.when_empty is not None:
        about += f" For an empty map or region: {metric.when_empty:g}."
    formula = f"Formula: {metric.formula or 'see the function'}."
    return [metric.summary, about, formula, f"Source: {metric.source or 'misure'}."]


def _echo_entry(name: str, about: Iterable[str], options: "Iterable[Option]") -> None:
    """Prints a name, and below it, indented, what it is and its options."""
    say(name)
    for line in about:
        say(_indented(line, "  "))
    for option in options:
        say(f"    {option.name} = {option.default!r}")
        if option.meaning:
            say(_indented(option.meaning, "        "))
    say()


def _indented(text: str, indent: str) -> str:
    return textwrap.fill(
        text,
        _WIDTH,
        initial_indent=indent,
        subsequent_indent=indent,
        break_on_hyphens=False,
        break_long_words=False,
    )
