"""`misure export`."""

from pathlib import Path

import click

from misure._util.words import counted
from misure.cli.commands.options import complete_path, force_option
from misure.cli.terminal import say
from misure.errors import InputError


@click.command()
@click.argument("run", shell_complete=complete_path)
@click.option("--csv", "csv_file", type=click.Path(path_type=Path), help="Write this CSV file.")
@click.option("--parquet", type=click.Path(path_type=Path), help="Write this Parquet file.")
@click.option(
    "--nifti", type=click.Path(path_type=Path), help="Write regions and maps of volumes into it."
)
@click.option(
    "--fiftyone",
    type=click.Path(path_type=Path),
    help="Write a data set of FiftyOne into it, one sample an object.",
)
@force_option
def export(
    run: str,
    csv_file: Path | None,
    parquet: Path | None,
    nifti: Path | None,
    fiftyone: Path | None,
    force: bool,
) -> None:
    """Write the values of a run as a table, one row an object, one column a value.

    For NIfTI volumes it also writes the regions and maps, to lay over the volumes, with label maps
    and their colour tables for 3D Slicer and ITK-SNAP; and for FiftyOne a data set that it imports.
    """
    from misure._util.folders import refuse_foreign_file, writing_folder
    from misure.reports.fiftyone_export import write_fiftyone
    from misure.reports.run_volumes import write_run_volumes
    from misure.runs.table import RunTable

    if csv_file is None and parquet is None and nifti is None and fiftyone is None:
        raise InputError(
            "expected --csv FILE, --parquet FILE, --nifti DIR or --fiftyone DIR, got none."
        )
    for path, mark in ((csv_file, b"status,key,sample"), (parquet, b"PAR1")):
        if path:
            refuse_foreign_file(path, mark, force=force)
    if csv_file or parquet:
        with RunTable.open(run) as table:
            if csv_file:
                table.write_csv(csv_file)
            if parquet:
                table.write_parquet(parquet)
            written = " and ".join(str(path) for path in (csv_file, parquet) if path)
            say(f"{written}: {counted(table.num_rows, 'object')}")
    if nifti:
        made_with = {"run": run}
        with writing_folder(nifti, command="export", settings=made_with, force=force) as folder:
            num_written = write_run_volumes(run, folder)
        say(f"{nifti}: {counted(num_written, 'object')}")
    if fiftyone:
        made_with = {"run": run}
        writing = writing_folder(fiftyone, command="export", settings=made_with, force=force)
        with writing as folder:
            written_samples = write_fiftyone(run, folder)
        small = written_samples.num_thumbnails
        note = f"; the images of {small} are thumbnails, as their source is gone" if small else ""
        say(f"{fiftyone}: {counted(written_samples.num_objects, 'object')}{note}")
