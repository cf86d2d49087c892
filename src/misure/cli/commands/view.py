"""`misure view`."""

import os
import sys
import tempfile
import webbrowser
from collections.abc import Iterator
from contextlib import contextmanager, nullcontext
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from misure.cli.commands.filled_help import FilledCommand
from misure.cli.commands.inputs import check_inputs
from misure.cli.commands.options import load_model_and_reading, out_option, with_model
from misure.cli.terminal import say
from misure.errors import InputError, MisureError

if TYPE_CHECKING:
    from misure.datasets.sample import Dataset, Reading
    from misure.viewer.session import Network, Session

_INTERRUPTED, _TERMINATED = 130, 143


@click.command(cls=FilledCommand)
@click.argument("source", metavar="IMAGE|FOLDER|RUN", type=click.Path(path_type=Path))
@with_model(required=False)
@click.option(
    "--port",
    type=click.IntRange(1, 65535),
    help="Where the page is served on this machine.  [default: any that is free]",
)
@click.option("--no-browser", is_flag=True, help="Print the address alone, and open no browser.")
@out_option("Folder below which results are saved, each in a folder of its own.", ".")
def view(
    source: Path,
    spec: str | None,
    model_options: dict[str, Any],
    device: str,
    slice_index: int | None,
    image_options: dict[str, Any],
    port: int | None,
    no_browser: bool,
    out: Path,
) -> None:
    """Look at images in the browser: click an object to explain it, paint to ask what if.

    IMAGE may be several files with commas between them, the channels of one image. A RUN is what
    `misure run` wrote: its report, and with --model its images. The page is served on this machine
    alone, under a secret address, until Ctrl-C.
    """
    from misure._util.optional import require

    for library in ("starlette", "uvicorn"):
        require(library, extra="view", purpose="serve the viewer")
    from misure.viewer.redirect import redirect_file
    from misure.viewer.serve import Serving, leave_at_once

    if out.exists() and not out.is_dir():
        raise InputError(f"expected a folder with --out, got {out}.")
    if not (source / "run.json").is_file():
        if spec is None:
            raise InputError("expected --model with an image or a folder of images, got none.")
        check_inputs(source, spec, takes_folder=True)
    network: Network | None = None
    if spec is not None:
        model_and_reading = load_model_and_reading(
            spec, model_options, device, slice_index, image_options
        )
        network = _network(
            spec, model_options, device, slice_index, image_options, model_and_reading
        )
    try:
        with _session(source, network, out) as session:
            try:
                serving = Serving(session, port or 0)
            except OSError as error:
                session.end()
                raise InputError(
                    f"expected a port that is free with --port, got {port}: {error.strerror}."
                ) from error
            say(f"{serving.address}\nThis address is secret: it opens your images. Ctrl-C ends it.")
            sys.stdout.flush()
            opens = not no_browser and _has_browser()
            with redirect_file(serving.address) if opens else nullcontext() as redirect:
                serving.run(partial(_open, redirect) if redirect else None)
    except KeyboardInterrupt:  # all is put away; a pass may go on for long on another thread
        say("misure: interrupted.", err=True)
        leave_at_once(_INTERRUPTED)
    except SystemExit:
        say("misure: ended by SIGTERM.", err=True)
        leave_at_once(_TERMINATED)


def _open(redirect: Path) -> None:
    webbrowser.open(redirect.as_uri())


def _has_browser() -> bool:
    """Whether there is a screen for one; a browser within the terminal would get in the way."""
    has_screen = any(os.environ.get(name) for name in ("DISPLAY", "WAYLAND_DISPLAY", "BROWSER"))
    return sys.platform in ("darwin", "win32") or has_screen


def _network(
    spec: str,
    model_options: dict[str, Any],
    device: str,
    slice_index: int | None,
    image_options: dict[str, Any],
    loaded: "tuple[Any, Reading]",
) -> "Network":
    from misure.viewer.session import Network

    return Network(
        spec=spec,
        model_options=model_options,
        device=device,
        slice_index=slice_index,
        image_options=image_options,
        model=loaded[0],
        reading=loaded[1],
    )


@contextmanager
def _session(source: Path, network: "Network | None", out: Path) -> "Iterator[Session]":
    """A session of an image, a folder or a run; what it needs on disk goes with it."""
    from misure.datasets.image_files import ImageFiles, open_images
    from misure.images.volumes import files_of_image
    from misure.viewer.session import Session

    if (source / "run.json").is_file():
        with tempfile.TemporaryDirectory(prefix="misure-view-") as folder:
            yield session_of_run(source, network, out, Path(folder))
        return
    assert network is not None  # noqa: S101  # as checked
    images = (
        open_images(source, network.reading)
        if source.is_dir()
        else ImageFiles([source], folder=files_of_image(source)[0].parent, reading=network.reading)
    )
    yield Session(images, network, out)


def session_of_run(source: Path, network: "Network | None", out: Path, folder: Path) -> "Session":
    """A session of a run: its report, and the images where its source opens.

    Args:
        source: the run folder.
        network: to look at the images with; None: there is none.
        out: where results are saved.
        folder: where the report is written, as `index.html`.
    """
    from misure.reports.page import write_served_report
    from misure.runs.folder import RunFolder
    from misure.viewer.session import Session

    settings = RunFolder(source).settings()
    images, said = _images_of_run(settings, network)
    viewed = None if images is None else {key: i for i, key in enumerate(images.keys)}
    full_size = write_served_report(source, folder / "index.html", viewed)
    return Session(
        images,
        network,
        out,
        run={"folder": str(source), "source": settings.source, "images_missing": said},
        report=folder,
        full_size=full_size,
    )


def _images_of_run(settings: Any, network: "Network | None") -> "tuple[Dataset | None, str]":
    """The data set of a run; or None, and why it cannot be opened."""
    from misure.datasets import open_dataset
    from misure.datasets.sample import Reading, checked_image_options

    reading = (
        network.reading
        if network
        else Reading(
            slice_index=settings.slice_index, **checked_image_options(settings.image_options)
        )
    )
    try:
        return open_dataset(settings.source, reading), ""
    except (MisureError, OSError) as error:
        say(f"The images of the run cannot be opened: {error}", err=True)
        return None, str(error)
