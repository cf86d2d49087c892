"""`misure status`."""

import json
from typing import TYPE_CHECKING

import click

from misure._util.records import plain
from misure._util.words import counted
from misure.cli.commands.options import complete_path
from misure.cli.terminal import say, table
from misure.errors import without_middle

if TYPE_CHECKING:
    from misure.runs.record import RunSettings
    from misure.runs.status import RunStatus

FAILURES, RUNNING, STOPPED = 1, 3, 4
_SHOWN_FAILURES, _LONGEST_REASON = 5, 200
_SAID = ("source", "model", "method", "misure_version", "torch_version", "fingerprint")
_LEFT_OUT = {*_SAID, "class_names", "model_settings", "finds_regions"}


@click.command()
@click.argument("run", shell_complete=complete_path)
@click.option("--settings", "all_settings", is_flag=True, help="Every setting, as JSON.")
@click.pass_context
def status(ctx: click.Context, run: str, all_settings: bool) -> None:
    """Say how far a run is: done, failed, left, passes, time left, why objects failed.

    RUN is a run folder; another process may write to it meanwhile. The exit code is 0 if all is
    explained, 1 if all is finished and something failed, 3 if the run goes on, 4 if it stopped
    before its end.
    """
    from misure.runs.status import run_status

    found = run_status(run)
    if all_settings:
        say(json.dumps(plain(found.settings), indent=2, ensure_ascii=False))
    else:
        say(table(["", ""], _rows(found)))
        for line in _failures(found):
            say(line)
    if code := _code(found):
        ctx.exit(code)


def _code(found: "RunStatus") -> int:
    if found.num_running:
        return RUNNING
    if found.num_left is None or found.num_left:
        return STOPPED
    return FAILURES if found.num_failed else 0


def _rows(found: "RunStatus") -> list[list[str]]:
    all_of_them = "" if found.num_samples is None else f" of {found.num_samples:,}"
    left = "not known, as no call of this run is noted" if found.num_left is None else (
        f"{counted(found.num_left, 'sample')}"
    )  # fmt: skip
    rows = [
        ["state", _state(found)],
        ["finished", f"{found.num_finished:,}{all_of_them} samples"],
        ["left", left],
        ["explained", counted(found.num_objects, "object")],
        ["failed", counted(found.num_failed, "object")],
    ]
    if found.passes:
        least, mean, most = found.passes
        rows.append(["pass equivalents", f"{mean:,.0f} an object ({least:,} to {most:,})"])
    made = found.settings
    rows += [
        ["source", made.source],
        ["network", made.model],
        ["method", made.method],
        ["made by", f"misure {made.misure_version}, torch {made.torch_version}"],
    ]
    if other := _changed(made):
        rows.append(["other settings", other])
    return rows


def _state(found: "RunStatus") -> str:
    from misure.models.long_passes import words_of_time

    if found.num_running:
        left = found.seconds_left
        when = "time left not known yet" if left is None else f"about {words_of_time(left)} left"
        return f"running ({counted(found.num_running, 'call')}), {when}"
    if found.num_left == 0:
        return "finished"
    if found.num_unknown:
        calls = counted(found.num_unknown, "call")
        return f"unfinished; {calls} of other machines may go on, which cannot be seen from here"
    return "stopped before its end; the same command goes on" if found.num_left else "not running"


def _changed(made: "RunSettings") -> str:
    """The settings that are not those of a plain run, as `name value`."""
    from misure.runs.plan import RunPlan

    usual = plain(RunPlan())
    given = {name: value for name, value in plain(made).items() if name not in _LEFT_OUT}
    return ", ".join(
        f"{name} {json.dumps(value, ensure_ascii=False)}"
        for name, value in given.items()
        if value not in (None, {}, []) and usual.get(name) != value
    )


def _failures(found: "RunStatus") -> list[str]:
    lines = ["", "Failed, by reason:"] if found.failures else []
    for failure in found.failures[:_SHOWN_FAILURES]:
        objects = counted(failure.num_objects, "object")
        reason = without_middle(failure.reason, _LONGEST_REASON)
        lines.append(f"  {objects}, such as {failure.key}: {reason}")
    if (more := len(found.failures) - _SHOWN_FAILURES) > 0:
        lines.append(f"  and {counted(more, 'other reason')}")
    return lines
