"""Saving what a person left visible: the region, and a script that checks it again."""

from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image
from torch import Tensor

from misure._util.folders import folder_name, writing_folder
from misure.images.nifti_write import write_regions
from misure.images.orientation import in_volume
from misure.images.volumes import files_of_image
from misure.viewer.opened import Opened
from misure.viewer.session import Network
from misure.viewer.what_if import OF_IMAGE, WhatIf

NAME = "painted_region"

_SCRIPT = """\
\"\"\"Measures again what the network draws from the painted region alone: python check.py\"\"\"

import os
from pathlib import Path

import numpy as np

import misure
from misure.datasets.image_files import ImageFiles
from misure.datasets.sample import Reading
from misure.images.spacing import known_spacing

here = Path(__file__).resolve().parent
os.chdir({started!r})  # the viewer was started there, and the network may be named from there
model = misure.load_model({spec!r}, **{model_options!r})
reading = Reading.for_model(model, {slice_index!r}, {image_options!r})
image = ImageFiles([{path!r}], reading=reading)[0]
target = misure.predicted_target(
    model, image.image, {class_index}, instance={instance}, affine=image.affine
)
{baseline}
checked = misure.check_region(
    model,
    image.image,
    target,
    np.load(here / "{name}.npy"),
    dice_threshold={dice_threshold!r},
    preset={preset!r},
    spacing_mm=known_spacing(image.spacing_mm),
    baseline_image=baseline_image,
    edge_px={edge_px},
)
print(checked.summary())
"""

_OTHER_IMAGE = """\
from misure.explanation.content_controls import fitted_to

other = ImageFiles([{path!r}], reading=reading)[0]
baseline_image = fitted_to(other.image, image.image)\
"""


def save_painted(
    made: WhatIf,
    opened: Opened,
    network: Network,
    folder: Path,
    *,
    preset: str,
    dice_threshold: float,
    other: Path | None,
) -> None:
    """Writes what was visible in a what-if.

    `painted_region.npy` (*spatial) bool is the region as `misure.check_region` takes it, in the
    order in which the image is stored; `check.py` calls that. To look at, there is also
    `painted_region.png` (white is visible), or `painted_region.nii.gz` of a volume.

    Args:
        made: the what-if.
        opened: the image.
        network: that was asked.
        folder: a new one.
        preset, dice_threshold: as of `check_region`.
        other: the image whose pixels stood elsewhere; None: a baseline image that has a name.
    """
    chosen = opened.object(made.object)
    paths = [str(path.resolve()) for path in files_of_image(opened.path)] if _has(opened) else []
    settings: dict[str, Any] = {
        "image": ",".join(paths), "model": network.spec, "model_options": network.model_options,
        "image_options": network.image_options, "slice": network.slice_index,
        "class_index": chosen.class_index, "instance": chosen.instance, "preset": preset,
        "dice_threshold": dice_threshold, "edge_px": made.edge_px,
        "baseline_image": made.baseline if other is None else str(other.resolve()),
    }  # fmt: skip
    names = [f"{NAME}.{ending}" for ending in ("npy", "png", "nii.gz")]
    writing = writing_folder(folder, command="view", settings=settings, names=[*names, "check.py"])
    with writing as unfinished:
        np.save(unfinished / f"{NAME}.npy", made.region.numpy())
        _save_to_look_at(made.region, opened, network.slice_index, unfinished)
        if paths:
            script = _script(settings, network.device, made, other)
            (unfinished / "check.py").write_text(script, encoding="utf-8")


def name_of_painted(opened: Opened, made: WhatIf, case: str, slice_index: int | None) -> str:
    """How the folder is called."""
    chosen = opened.object(made.object)
    name = opened.drawn.model.class_name(chosen.class_index)
    part = [] if slice_index is None else [f"slice{slice_index}"]
    return folder_name(["misure-painted", case, *part, name, str(chosen.instance)])


def _has(opened: Opened) -> bool:
    """Whether the image is of a file that is known."""
    return bool(opened.path.name)


def _save_to_look_at(region: Tensor, opened: Opened, slice_index: int | None, folder: Path) -> None:
    volume = opened.volume
    if volume is not None:
        if slice_index is not None:
            region = in_volume(region, slice_index, volume.shape[:3], volume.order)
        write_regions({NAME: region}, volume.affine, folder, "misure: painted")
    elif region.ndim == 2:
        pixels = region.numpy().astype(np.uint8) * 255
        Image.fromarray(pixels).save(folder / f"{NAME}.png")


def _script(settings: dict[str, Any], device: str, made: WhatIf, other: Path | None) -> str:
    baseline = (
        f"baseline_image = {made.baseline!r}"
        if other is None
        else _OTHER_IMAGE.format(path=settings["baseline_image"])
    )
    return _SCRIPT.format(
        name=NAME,
        started=str(Path.cwd()),
        spec=settings["model"],
        model_options={"device": device} | settings["model_options"],
        slice_index=settings["slice"],
        image_options=settings["image_options"],
        path=settings["image"],
        class_index=settings["class_index"],
        instance=settings["instance"],
        baseline=baseline,
        dice_threshold=settings["dice_threshold"],
        preset=settings["preset"],
        edge_px=made.edge_px,
    )


def other_image(made: WhatIf) -> int | None:
    """Number of the image whose pixels stood where others were hidden; None: it was none."""
    is_other = made.baseline.startswith(OF_IMAGE)
    return int(made.baseline.removeprefix(OF_IMAGE)) if is_other else None
