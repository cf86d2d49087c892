"""Options that commands have in common, and the model and image that they name."""

from collections.abc import Callable
from functools import wraps
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click
from click.shell_completion import CompletionItem

from misure.cli.commands.option_values import settings

if TYPE_CHECKING:
    from misure.datasets.sample import Reading
    from misure.models.model import SegmentationModel

Command = Callable[..., None]


def out_option(meaning: str, default: str | None = None) -> Callable[[Command], Command]:
    """The flag --out, a path to write to; without a default the help must name it."""
    return click.option(
        "--out",
        type=click.Path(path_type=Path),
        default=default,
        show_default=default is not None,
        help=meaning,
    )


def complete_path(_ctx: Any, _param: Any, incomplete: str) -> list[CompletionItem]:
    """What the shell offers for a text that may be a path: files and folders."""
    return [CompletionItem(incomplete, type="file")]


SEED = click.IntRange(0, 2**32 - 1)
seed_option = click.option(
    "--seed", type=SEED, default=0, show_default=True, help="Seed of everything random."
)
force_option = click.option(
    "--force",
    is_flag=True,
    help="Write even if other results, or files of others, are there. In a folder only misure's "
    "own files are replaced.",
)
dice_threshold_option = click.option(
    "--dice-threshold",
    type=float,
    default=0.9,
    show_default=True,
    help="Dice from which a target counts as preserved.",
)
quiet_option = click.option("--quiet", is_flag=True, help="Print nothing but errors.")
image_argument = click.argument("image", type=click.Path(path_type=Path))

_prompt_option = click.option(
    "--prompt",
    "prompts",
    multiple=True,
    metavar="PROMPT",
    help="What a promptable network (SAM, CLIPSeg) shall draw: point:R,C, with more points after "
    "semicolons (-R,C is none of the object), box:R0,C0,R1,C1, or text:WORDS. Each one is a class. "
    "annotations:box or annotations:point: each annotated object of a data set, by its box or its "
    "innermost pixel (for run, compare and missed); classes are then those of the data set.",
)
_model_options = [
    click.option(
        "--model-option",
        "model_options",
        multiple=True,
        callback=settings,
        metavar="KEY=VALUE",
        help="How the network is used, e.g. mean=0.5,0.5,0.5 (arguments of SegmentationModel).",
    ),
    click.option(
        "--device",
        default="auto",
        show_default=True,
        help="Where it runs: auto, cpu, cuda, cuda:1 ...",
    ),
    click.option(
        "--slice",
        "slice_index",
        type=int,
        help="Axial slice of a volume, counted from the feet.",
    ),
    click.option(
        "--image-option",
        "image_options",
        multiple=True,
        callback=settings,
        metavar="KEY=VALUE",
        help="How images are read: frame=N, frame=channels or frame=slices of pictures with "
        "several, depth=BITS of those darker than their type, series=UID of a folder with several "
        "DICOM series, channels=NAME,NAME for the order of files named by channels.",
    ),
]


_search_options = [
    click.option(
        "--baseline-image",
        metavar="NAME",
        help="What stands where pixels are removed: {baseline_images}. Several with commas: a "
        "region must suffice with each.  [default: mean; filled for regions that are hidden]",
    ),
    click.option(
        "--preset",
        metavar="NAME",
        help="How regions are searched for: {presets}.  [default: readable]",
    ),
    click.option(
        "--max-passes",
        type=int,
        help="Most pass equivalents (forward passes + 2 × backward passes) for one object. All "
        "that is done for it counts: both searches, the evidence, the nested regions, minimality, "
        "--one-minimal and --compare-presentations; segmenting the image once does not.  [default: "
        "what the preset usually takes]",
    ),
    click.option(
        "--grain-px",
        type=int,
        help="Side of the smallest piece of a region, in pixels (smallest sides of a voxel).",
    ),
    click.option("--edge-px", type=int, help="Width of the soft edge of a region, in pixels."),
    click.option(
        "--one-minimal",
        is_flag=True,
        help="Remove blocks until no block can be removed by itself.",
    ),
    click.option(
        "--compare-presentations",
        is_flag=True,
        help="Also grow the object with other baseline images and edges.",
    ),
    click.option(
        "--channels",
        type=click.Choice(["together", "apart"]),
        help="apart: also search for regions that hold other places in each channel of the image; "
        "takes up to 400 more passes.  [default: together]",
    ),
]
_SEARCH = (
    *("baseline_image", "preset", "max_passes", "grain_px", "edge_px"),
    *("one_minimal", "compare_presentations", "channels"),
)


def with_search(command: Command) -> Command:
    """Adds the flags that change how regions are searched for.

    The command gets those that were given as one dictionary, `search`: option of the preset ->
    value, as `explain` takes them.
    """

    @wraps(command)
    def gathered(*args: Any, **values: Any) -> None:
        given = {name: values.pop(name) for name in _SEARCH}
        # 0 is a value, though it equals False
        search = {
            name: value for name, value in given.items() if value is not None and value is not False
        }
        command(*args, search=search, **values)

    for option in reversed(_search_options):
        gathered = option(gathered)
    return gathered


def _with_prompts(command: Command) -> Command:
    """Hands the values of --prompt to a command as the model option `prompts`."""

    @wraps(command)
    def gathered(*args: Any, prompts: tuple[str, ...], **values: Any) -> None:
        if prompts:
            values["model_options"] = values["model_options"] | {"prompts": list(prompts)}
        command(*args, **values)

    return gathered


picture_kind_option = click.option(
    "--format",
    "kind",
    type=click.Choice(["png", "svg", "pdf"]),
    default="png",
    show_default=True,
    help="Of the pictures.",
)

dpi_option = click.option(
    "--dpi", type=float, default=110, show_default=True, help="Dots per inch of the pictures."
)


def with_model(*, required: bool = True) -> Callable[[Command], Command]:
    """Adds the options that say which network, and how it and an image are to be read."""
    which = click.option(
        "--model",
        "spec",
        required=required,
        metavar="SPEC",
        help="The network: {loaders}. python:, function:, torchscript: and export: run code of the "
        "file that they name; monai:, nnunet: and bioimageio: do with --model-option trust=true.",
    )

    def add(command: Command) -> Command:
        command = _with_prompts(command)
        for option in reversed([which, _prompt_option, *_model_options]):
            command = option(command)
        return command

    return add


def load_model_and_reading(
    spec: str,
    options: dict[str, Any],
    device: str,
    slice_index: int | None,
    image_options: dict[str, Any],
) -> tuple["SegmentationModel", "Reading"]:
    """The model, and how its images are read."""
    from misure.datasets.sample import Reading
    from misure.models.loaders import load_model

    is_quiet = click.get_current_context().params.get("quiet", False)
    progress = False if is_quiet else None
    model = load_model(spec, progress=progress, **({"device": device} | options))
    return model, Reading.for_model(model, slice_index, image_options)
