"""`misure report`."""

from pathlib import Path

import click


@click.command()
@click.argument("runs", nargs=-1, required=True)
@click.option("--out", type=click.Path(path_type=Path), default="report.html", show_default=True)
def report(runs: tuple[str, ...], out: Path) -> None:
    """Write one run, or several side by side, as a page to look at; it needs no network."""
    from misure.report import write_report

    pages = write_report(runs, out)
    click.echo("\n".join(f"{page}: {page.stat().st_size / 1e6:.1f} MB" for page in pages))
