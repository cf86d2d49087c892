"""`misure report`."""

from pathlib import Path

import click

from misure.cli.commands.options import out_option
from misure.cli.terminal import say


@click.command()
@click.argument("runs", nargs=-1, required=True)
@click.option(
    "--reliability",
    "model",
    type=click.Path(path_type=Path),
    help="What misure reliability fit wrote: also list what to review, the worst first.",
)
@out_option("The page to write.", "report.html")
def report(runs: tuple[str, ...], model: Path | None, out: Path) -> None:
    """Write one run, or several side by side, as a page to look at; it needs no network."""
    from misure.reliability import ReliabilityModel
    from misure.reports.page import write_report

    reliability = ReliabilityModel.load(model) if model else None
    pages = write_report(runs, out, reliability=reliability)
    say("\n".join(f"{page}: {page.stat().st_size / 1e6:.1f} MB" for page in pages))
