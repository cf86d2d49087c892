"""On which share of baseline images the regions of the searches suffice, by kind.

    python benchmarks/robustness.py --model hf:FOLDER --data FOLDER --size 257 --limit 12 \\
        --rows ROWS.jsonl --found FOUND.jsonl --searches readable smallest paper

For each object, the minimal region of each search, and the sufficient region of the first, is shown
on 59 baseline images, drawn from the mixture of `misure.robustness`; the other images are those of
the data set. Then the draws are made again with `at_least=0.9`, which end early. What is missing in
ROWS (of `search.py`) and FOUND is computed and added; the same command again prints the tables
alone. `--single` leaves the second draws out.

With `--keep KEPT.jsonl` nothing of that is done: each search is asked for regions that hold on 0.9
of all baseline images (`robust=0.9`), and their areas are printed, with how many are known to
hold. `--stability STABLE.jsonl` explains each
object again after small changes instead (see `misure.stability_of`).
"""

import argparse
import json
from collections.abc import Callable, Iterable, Iterator, Sequence
from functools import partial
from pathlib import Path
from statistics import median
from typing import Any, overload

from torch import Tensor

import misure
from misure._util.records import plain
from misure.datasets import Reading, open_dataset
from misure.datasets.sample import Dataset
from misure.explanation.robust.draws import MIXTURE
from objects import FoundObject
from searches import NamedSearch, Rows, make_parser, open_model, open_objects, read_rows, unpacked

KEPT = 0.9
AT_LEAST = (None, KEPT)


class Images(Sequence[Tensor]):
    """The images of a data set but one, read when they are asked for."""

    def __init__(self, dataset: Dataset, but: str) -> None:
        names = {name: Path(name).stem for name in dataset.keys}
        self._dataset = dataset
        self._indices = [i for i, name in enumerate(dataset.keys) if but not in (name, names[name])]

    def __len__(self) -> int:
        return len(self._indices)

    @overload
    def __getitem__(self, number: int) -> Tensor: ...
    @overload
    def __getitem__(self, number: slice) -> Sequence[Tensor]: ...
    def __getitem__(self, number: int | slice) -> Tensor | Sequence[Tensor]:
        if isinstance(number, slice):
            return [self[i] for i in range(*number.indices(len(self)))]
        return self._dataset[self._indices[number]].image


def measured(
    model: misure.SegmentationModel,
    found: FoundObject,
    dataset: Dataset,
    region: Tensor,
    at_least: float | None,
) -> dict[str, Any]:
    """The record of the robustness of a region."""
    own = found.key.rpartition(" ")[0]
    found_share = misure.robustness(
        model,
        found.image,
        found.target,
        region,
        at_least=at_least,
        other_images=Images(dataset, own),
        spacing_mm=found.spacing_mm,
    )
    record: dict[str, Any] = plain(found_share)
    return record | {"note": found_share.note}


def regions_of(
    model: misure.SegmentationModel,
    found: FoundObject,
    searches: Sequence[NamedSearch],
    rows: Rows,
) -> Iterator[tuple[str, Tensor]]:
    """(name, region) of each search, and of the sufficient region of the first."""
    for i, search in enumerate(searches):
        row = rows.find(model, found, search, with_regions=True)
        if i == 0:
            yield "sufficient region", unpacked(row, "sufficient")
        yield search.name, unpacked(row)


def kept(
    model: misure.SegmentationModel,
    found: FoundObject,
    dataset: Dataset,
    search: NamedSearch,
) -> dict[str, Any]:
    """What the search finds if its regions have to hold on a share of all baseline images."""
    options = {"preset": search.preset, "spacing_mm": found.spacing_mm, **search.options}
    images = Images(dataset, found.key.rpartition(" ")[0])
    explanation = misure.explain(
        model, found.image, found.target, robust=KEPT, other_images=images, **options
    )
    values = explanation.values
    return {
        "robustness": plain(values.robustness),
        "area": values.minimally_sufficient_region.area_fraction,
        "sufficient": values.sufficient_region.area_fraction,
        "passes": values.cost.pass_equivalents,
    }


def _table_of_kept(records: list[dict[str, Any]]) -> None:
    print("| search | objects | yes | unclear | no | share | area | sufficient | whole | passes |")
    print("|" + "---|" * 10)
    for name in dict.fromkeys(record["search"] for record in records):
        own = [record for record in records if record["search"] == name]
        robust = [record["robustness"] for record in own]
        answers = [
            sum(one["answer"] == each for one in robust) for each in ("yes", "unclear", "no")
        ]
        share = f"{median(one['share'] for one in robust):.2f}"
        areas = [f"{median(one[key] for one in own):.3f}" for key in ("area", "sufficient")]
        whole = sum(record["area"] == 1 for record in own)
        passes = f"{median(one['passes'] for one in own):g}"
        cells = [name, len(own), *answers, share, *areas, whole, passes]
        print("| " + " | ".join(map(str, cells)) + " |")


def _table_of_stability(records: list[dict[str, Any]]) -> None:
    print("| search | change | objects | IoU, median | by chance | Dice of the first | passes |")
    print("|" + "---|" * 7)
    pairs = [(one["search"], change) for one in records for change in one["by_change"]]
    for name, change in dict.fromkeys(pairs):
        own = [one for one in records if one["search"] == name and change in one["by_change"]]
        each = [one["by_change"][change] for one in own]
        numbers = [
            f"{median(one[key] for one in each):.2f}"
            for key in ("iou", "by_chance", "dice_of_first")
        ]
        passes = f"{median(one['passes'] for one in own):g}"
        print("| " + " | ".join([name, change, str(len(own)), *numbers, passes]) + " |")


def _table(records: list[dict[str, Any]]) -> None:
    single = [record for record in records if record["at_least"] is None]
    early = [record for record in records if record["at_least"] is not None]
    columns = "| region | objects | share, median | lower bound, median | all hold | passes |"
    print(columns + "".join(f" {kind} |" for kind in MIXTURE))
    print("|" + "---|" * (6 + len(MIXTURE)))
    for name in dict.fromkeys(record["region"] for record in single):
        own = [record for record in single if record["region"] == name]
        cells = [
            name,
            len(own),
            f"{median(one['share'] for one in own):.2f}",
            f"{median(one['lower_bound'] for one in own):.2f}",
            sum(one["held"] == one["drawn"] for one in own),
            f"{median(one['passes'] for one in own):g}",
            *(_of_kind(own, kind) for kind in MIXTURE),
        ]
        print("| " + " | ".join(map(str, cells)) + " |")
    if not early:
        return
    print("\n| region | yes | no | unclear | drawn, median | passes, median | at most |")
    print("|" + "---|" * 7)
    for name in dict.fromkeys(record["region"] for record in early):
        own = [record for record in early if record["region"] == name]
        answers = [sum(one["answer"] == each for one in own) for each in ("yes", "no", "unclear")]
        drawn, passes = ([one[key] for one in own] for key in ("drawn", "passes"))
        cells = [name, *answers, f"{median(drawn):g}", f"{median(passes):g}", max(passes)]
        print("| " + " | ".join(map(str, cells)) + " |")


def _of_kind(records: list[dict[str, Any]], kind: str) -> str:
    """The share of all draws of a kind on which the regions hold."""
    counts = [one["by_kind"][kind] for one in records if kind in one["by_kind"]]
    drawn = sum(count["drawn"] for count in counts)
    return f"{sum(count['held'] for count in counts) / drawn:.2f}" if drawn else "not drawn"


def _known(path: Path) -> list[dict[str, Any]]:
    return read_rows([path] if path.exists() else [])


def _once(
    path: Path, made: Iterable[tuple[str, str, Callable[[], dict[str, Any]]]]
) -> list[dict[str, Any]]:
    """A record for each object and search; those that a file lacks are made and added to it."""
    known = {(one["key"], one["search"]): one for one in _known(path)}
    records = []
    for key, search, make in made:
        if (key, search) not in known:
            known[key, search] = make() | {"key": key, "search": search}
            with path.open("a") as file:
                file.write(json.dumps(known[key, search]) + "\n")
        records.append(known[key, search])
    return records


def main() -> None:
    parser = make_parser(__doc__)
    parser.add_argument("--found", type=Path, help="where results are kept")
    parser.add_argument("--single", action="store_true", help="no draws that end early")
    parser.add_argument("--keep", type=Path, help="where regions that keep a share are kept")
    parser.add_argument("--stability", type=Path, help="where explanations again are kept")
    arguments = parser.parse_args()
    model, rows = open_model(arguments), Rows(arguments.rows)
    dataset = open_dataset(arguments.data, Reading.for_model(model))
    pairs = (
        (found, search) for found in open_objects(model, arguments) for search in arguments.searches
    )
    if arguments.keep:
        made = (
            (
                found.key,
                search.name,
                partial(kept, model, found, dataset, search),
            )
            for found, search in pairs
        )
        _table_of_kept(_once(arguments.keep, made))
    elif arguments.stability:
        made = (
            (found.key, search.name, partial(_again, model, found, search))
            for found, search in pairs
        )
        _table_of_stability(_once(arguments.stability, made))
    else:
        _table(_shares(model, dataset, rows, arguments))


def _again(
    model: misure.SegmentationModel, found: FoundObject, search: NamedSearch
) -> dict[str, Any]:
    options = {"preset": search.preset, "spacing_mm": found.spacing_mm, **search.options}
    record: dict[str, Any] = plain(misure.stability_of(model, found.image, found.target, **options))
    return record


def _shares(
    model: misure.SegmentationModel, dataset: Dataset, rows: Rows, arguments: argparse.Namespace
) -> list[dict[str, Any]]:
    known = {(one["key"], one["region"], one["at_least"]): one for one in _known(arguments.found)}
    records: list[dict[str, Any]] = []
    for found in open_objects(model, arguments):
        for name, region in regions_of(model, found, arguments.searches, rows):
            for at_least in AT_LEAST[: 1 if arguments.single else 2]:
                asked = found.key, name, at_least
                if asked not in known:
                    record = measured(model, found, dataset, region, at_least)
                    known[asked] = record | {"key": found.key, "region": name}
                    with arguments.found.open("a") as file:
                        file.write(json.dumps(known[asked]) + "\n")
                records.append(known[asked])
    return records


if __name__ == "__main__":
    main()
