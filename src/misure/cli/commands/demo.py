"""`misure demo`."""

from pathlib import Path

import click

from misure.cli.commands.options import force_option, out_option, quiet_option
from misure.cli.terminal import progress, say, table


@click.command()
@out_option("Folder to write to.", "demo")
@force_option
@quiet_option
def demo(out: Path, force: bool, quiet: bool) -> None:
    """Explain three held-out triangles with the network that comes with misure, and report."""
    from misure._util.folders import writing_folder
    from misure.cli.demo_run import run_demo

    writing = writing_folder(out, command="demo", settings={}, force=force, names=["report.html"])
    with writing as folder, progress(quiet) as on_step:
        rows = run_demo(folder, on_step)
    if not quiet:
        cells = [
            [str(row["sample"]), f"{row['growth_px']:.1f}"]
            + [f"{value:.3f}" for value in list(row.values())[2:-1]]
            + [str(row["pass_equivalents"])]
            for row in rows
        ]
        say(table(list(rows[0]), cells))
        say(
            f"\nPictures of one corner of each sample: {out}/*/overview.png; a report of all nine "
            f"corners: {out}/report.html"
        )
