"""Makes the photographs of the guide: of reading an explanation, questions and the gallery.

    python benchmarks/guide_pictures.py --model hf:FOLDER --coco FOLDER --work FOLDER

Asks `misure explain` about each photograph, unless the answer is already in --work, and puts what
it drew into docs/images, without its margins. --coco is a folder with `val2017` and `annotations`.
"""

import argparse
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from PIL import Image, ImageChops

import misure
from misure.cli.app import main as misure_command
from misure.datasets import Reading, open_dataset

_MARGIN, _QUALITY = 6, 85  # px, of 100
_ALL = ("--instance", "0", "--question", "all")
_ONE_FILL = ("--option", "num_draws=0")


@dataclass(frozen=True)
class Case:
    """A picture of the page.

    Attributes:
        photograph: of COCO val2017.
        class_name: of the object.
        drawn: the picture that is taken of what was asked.
        options: of `misure explain`.
        is_missed: whether the largest annotated object of the class is what is asked about.
        file_name: of the picture, without its ending; by default class and what is drawn.
    """

    photograph: str
    class_name: str
    drawn: str
    options: tuple[str, ...] = _ALL
    is_missed: bool = False
    file_name: str = ""

    @property
    def name(self) -> str:
        """What its files are called."""
        return self.file_name or f"{self.class_name}-{self.drawn}"


CASES = (
    Case("000000208901", "aeroplane", "surroundings"),
    Case(
        "000000404484",
        "dog",
        "surroundings",
        ("--instance", "0", "--question", "surroundings", *_ONE_FILL, "--max-passes", "60"),
    ),
    Case("000000261888", "bicycle", "necessary"),
    Case("000000166918", "diningtable", "minimally_sufficient_region"),
    Case("000000555009", "tvmonitor", "surroundings"),
    Case(
        "000000030213",
        "diningtable",
        "blocking",
        ("--model-option", "input_size=257,257", "--question", "blocking", *_ONE_FILL),
        is_missed=True,
    ),
)
"""The sections of the page on reading an explanation, in their order."""

OF_QUESTIONS = Case(
    "000000261888",
    "bicycle",
    "necessary",
    ("--instance", "0", "--question", "necessary"),
    file_name="necessary",
)
"""The picture of the page on questions."""

OF_GALLERY = (
    Case("000000166918", "diningtable", "overview", (), file_name="photograph"),
    Case(
        "000000166918",
        "diningtable",
        "overview",
        ("--preset", "smallest", "--panels", "minimally_sufficient_region,overlay"),
        file_name="photograph-dust",
    ),
)
"""The photographs of the gallery."""


def trimmed(picture: Image.Image) -> Image.Image:
    """A picture without its white margins but for a few pixels."""
    colours = picture.convert("RGB")
    box = ImageChops.difference(colours, Image.new("RGB", colours.size, "white")).getbbox()
    if box is None:
        return colours
    left, top, right, bottom = box
    return colours.crop(
        (
            max(left - _MARGIN, 0),
            max(top - _MARGIN, 0),
            min(right + _MARGIN, colours.width),
            min(bottom + _MARGIN, colours.height),
        )
    )


def _save_annotation(case: Case, arguments: argparse.Namespace, path: Path) -> None:
    model = misure.load_model(arguments.model, device="cpu")
    dataset = open_dataset(f"coco:{arguments.coco}", Reading.for_model(model))
    sample = dataset[list(dataset.keys).index(f"{case.photograph}.jpg")]
    regions = [
        annotated.region
        for annotated in sample.objects or []
        if model.class_name(annotated.class_index) == case.class_name
    ]
    largest = max(regions, key=lambda region: int(region.sum()))
    Image.fromarray((255 * largest.numpy()).astype(np.uint8)).save(path)


def _ask(case: Case, arguments: argparse.Namespace, folder: Path) -> None:
    options = [*case.options]
    if case.is_missed:
        annotation = arguments.work / f"{case.name}.png"
        _save_annotation(case, arguments, annotation)
        options += ["--missed", str(annotation)]
    image = arguments.coco / "val2017" / f"{case.photograph}.jpg"
    command = ["explain", str(image), "--model", arguments.model, "--class", case.class_name]
    misure_command([*command, "--out", str(folder), *options], standalone_mode=False)


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--model", required=True)
    parser.add_argument("--coco", required=True, type=Path)
    parser.add_argument("--work", required=True, type=Path, help="where answers are kept")
    parser.add_argument("--out", type=Path, default=Path(__file__).parents[1] / "docs" / "images")
    arguments = parser.parse_args()
    arguments.work.mkdir(parents=True, exist_ok=True)
    for case in (*CASES, OF_QUESTIONS, *OF_GALLERY):
        drawn = arguments.work / case.name / f"{case.drawn}.png"
        if not drawn.exists():
            _ask(case, arguments, drawn.parent)
        with Image.open(drawn) as picture:
            trimmed(picture).save(
                arguments.out / f"{case.name}.jpg", quality=_QUALITY, subsampling=0, optimize=True
            )


if __name__ == "__main__":
    main()
