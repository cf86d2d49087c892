"""The object that `misure explain` is asked about."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, fields, replace
from functools import wraps
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from misure.cli.commands.option_values import numbers
from misure.errors import InputError

if TYPE_CHECKING:
    from misure.datasets.sample import Reading, Sample
    from misure.models.segmentation import Segmentation
    from misure.models.target import Target

Numbers = tuple[int, ...] | None

_NO_CLASS = "expected --class, the class that the missed object should have, got none."


@dataclass(frozen=True, kw_only=True)
class ChosenObject:
    """What the flags say about which object is meant.

    Attributes:
        class_: name or number of its class.
        point, box, instance: as of `Segmentation.target`.
        polygon: rows and columns of the corners, in turn.
        missed: the annotation of an object that was not drawn.
        slice_index: the axial slice that is taken of a volume.
    """

    class_: str | None
    point: Numbers
    box: Numbers
    polygon: Numbers
    instance: int | None
    missed: Path | None
    slice_index: int | None

    @property
    def usual_drawn_dice(self) -> float:
        """Dice from which a missed object counts as drawn, unless it is said."""
        from misure.models.missed import DRAWN_DICE, DRAWN_DICE_OF_BOX

        return DRAWN_DICE if self.box is None else DRAWN_DICE_OF_BOX

    def of_prompts(self, prompts: Sequence[str]) -> "ChosenObject":
        """The same object; that of the one prompt, if nothing else says which."""
        is_said = self.class_ is not None or self.point is not None
        return self if is_said or len(prompts) != 1 else replace(self, class_="0")

    def check(self, question: str) -> None:
        """Raises an InputError for flags that do not fit a question, or each other."""
        if question == "blocking":
            self._check_missed()
        elif self.missed is not None:
            raise InputError(
                "expected --missed with --question blocking, and with no other question; got "
                f"--question {question} with --missed."
            )
        elif self.class_ is None and self.point is None:
            raise InputError(
                "expected --class or --point, got neither. `misure classes` lists what the network "
                "finds."
            )
        if self.polygon is not None and (len(self.polygon) < 6 or len(self.polygon) % 2):
            raise InputError(
                "expected a --polygon of three corners or more, a row and a column of each, got "
                f"{len(self.polygon)} numbers."
            )

    def _check_missed(self) -> None:
        marks = {"--box": self.box, "--polygon": self.polygon, "--point": self.point}
        given = [flag for flag, value in marks.items() if value is not None]
        if self.missed is None and len(given) != 1:
            raise InputError(
                "expected --question blocking with what the network missed, by one of --missed, "
                f"--box, --polygon and --point; got {' and '.join(given) or 'none'}."
            )
        if self.instance is not None or (self.missed and given not in ([], ["--point"])):
            raise InputError(
                "expected at most --point of the options that choose an object with --missed, "
                "which says itself where it is; and no --instance with --question blocking."
            )
        if self.class_ is None and (self.missed is None or not self._is_coco()):
            raise InputError(_NO_CLASS)

    def _is_coco(self) -> bool:
        from misure.cli.commands.missed import is_coco

        return self.missed is not None and is_coco(self.missed)

    def target(
        self,
        segmentation: "Segmentation",
        question: str,
        *,
        image: Path,
        sample: "Sample",
        reading: "Reading",
    ) -> "Target":
        """The object, drawn or missed.

        Args:
            segmentation: of the image.
            question: only that for what blocks an object is about a missed one.
            image: path of the image.
            sample: the image as it was read.
            reading: how.

        Raises:
            EmptyTargetError, InputError: there is no such object.
        """
        class_index = None if self.class_ is None else segmentation.model.find_class(self.class_)
        if question != "blocking":
            return segmentation.target(
                class_index,
                point=self.point,
                box=self.box,
                polygon=self._corners(),
                instance=self.instance,
            )
        if self.missed is None:
            return self._marked(segmentation, class_index, sample)
        return self._annotated(segmentation, class_index, image, sample, reading)

    def _annotated(
        self,
        segmentation: "Segmentation",
        class_index: int | None,
        image: Path,
        sample: "Sample",
        reading: "Reading",
    ) -> "Target":
        """What should have been drawn, by an annotation."""
        from misure.cli.commands.missed import missed_in_coco, missed_in_file

        if self.missed is None or (class_index is None and not self._is_coco()):
            raise InputError(_NO_CLASS)
        if class_index is not None and not self._is_coco():
            return missed_in_file(
                segmentation,
                self.missed,
                class_index,
                self.point,
                slice_index=self.slice_index,
                numbering=reading.numbering,
            )
        return missed_in_coco(
            segmentation,
            self.missed,
            class_index,
            self.point,
            image=image,
            pixels=sample.image,
            reading=reading,
        )

    def _marked(
        self, segmentation: "Segmentation", class_index: int | None, sample: "Sample"
    ) -> "Target":
        """What should have been drawn, by a box, a polygon or a point."""
        from misure.images.spacing import known_spacing
        from misure.models.missed import mark

        if class_index is None:
            raise InputError(_NO_CLASS)
        marked = mark(
            segmentation.spatial,
            box=self.box,
            polygon=self._corners(),
            point=self.point,
            spacing_mm=known_spacing(sample.spacing_mm),
        )
        return segmentation.missed(
            marked.mask, class_index, made_from=marked.made_from, alone=marked.alone
        )

    def settings(self) -> dict[str, Any]:
        """What an explanation was made with, as plain values."""
        return {
            "slice": self.slice_index,
            "instance": self.instance,
            "point": self.point,
            "box": self.box,
            "polygon": self.polygon,
            "missed": None if self.missed is None else str(self.missed.resolve()),
        }

    def folder(self, image: Path, target: "Target") -> Path:
        """`misure-IMAGE-CLASS`, and what else was chosen, so that no two objects share a folder."""
        from misure._util.folders import folder_name
        from misure.datasets.coco_choice import split_id
        from misure.images.channel_names import case_of_files
        from misure.images.volumes import files_of_image

        parts = ["misure", case_of_files(files_of_image(image)) or "image"]
        if self.slice_index is not None:
            parts.append(f"slice{self.slice_index}")
        parts.append(target.class_name or str(target.class_index))
        if self.instance is not None:
            parts.append(str(self.instance))
        number = None if self.missed is None else split_id(self.missed)[1]
        if number is not None:
            parts.append(f"annotation-{number}")
        bounds = self.polygon and (
            *(min(self.polygon[i::2]) for i in (0, 1)),
            *(max(self.polygon[i::2]) for i in (0, 1)),
        )
        for word, where in (("at", self.point), ("in", self.box), ("in-polygon", bounds)):
            if where is not None:
                parts.append("-".join([word, *map(str, where)]))
        return Path(folder_name(parts))

    def _corners(self) -> list[tuple[float, float]] | None:
        if self.polygon is None:
            return None
        return list(zip(self.polygon[::2], self.polygon[1::2], strict=True))


_OPTIONS = [
    click.option(
        "--class",
        "class_",
        metavar="NAME|INDEX",
        help="Class to explain; needed unless --point names an object, or there is one --prompt.",
    ),
    click.option(
        "--point", metavar="R,C", callback=numbers("R,C"), help="Only the object at this pixel."
    ),
    click.option(
        "--box",
        metavar="R0,C0,R1,C1",
        callback=numbers("R0,C0,R1,C1"),
        help="Only what lies inside.",
    ),
    click.option(
        "--polygon",
        metavar="R,C,R,C,R,C...",
        callback=numbers("R,C,R,C,R,C..."),
        help="Only what lies inside these corners, 2D only.",
    ),
    click.option("--instance", type=int, help="Only one connected object; 0 is the largest."),
    click.option(
        "--missed",
        type=click.Path(path_type=Path),
        metavar="ANNOTATION",
        help="The object that the network missed, for --question blocking: a picture of class "
        "numbers or a mask, NIfTI labels, or COCO annotations that list the image, FILE.json#ID or "
        "FILE.json. Without it, what --box, --polygon or --point marks.",
    ),
]


def with_object(command: Callable[..., None]) -> Callable[..., None]:
    """Adds the flags that say which object is meant; the command gets them as `chosen`."""

    @wraps(command)
    def gathered(*args: Any, **values: Any) -> None:
        names = [field.name for field in fields(ChosenObject) if field.name != "slice_index"]
        flags = {name: values.pop(name) for name in names}
        chosen = ChosenObject(slice_index=values["slice_index"], **flags)
        command(*args, chosen=chosen, **values)

    for option in reversed(_OPTIONS):
        gathered = option(gathered)
    return gathered
