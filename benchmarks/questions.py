"""The whole answer about objects of a real network, and what blocks those that it misses.

    python benchmarks/questions.py answers --model hf:FOLDER --data FOLDER --size 257 --rows ROWS
    python benchmarks/questions.py missed --model hf:FOLDER --data coco:FOLDER --rows ROWS
    python benchmarks/questions.py table ROWS...

`answers` asks everything (`misure.answer`) about the objects that `search.py` explains.
`missed` asks for blocking regions of annotated objects of which the network draws next to nothing:
the Dice with what it draws there is at most 0.1, and they are 1 % of the image or more. Both append
a line of JSON for each object that is not there yet. `table` prints medians and counts.
"""

import argparse
import json
from collections.abc import Iterator
from pathlib import Path
from statistics import mean, median
from typing import Any

import torch

import misure
from misure.datasets import Reading, open_dataset
from misure.explanation.answers.hide import blocking_region
from misure.explanation.answers.whole import answer
from misure.images.regions import dice
from misure.models.preprocessing import resize
from searches import add_arguments, open_model, open_objects, read_rows

_DRAWN, _SMALLEST = 0.1, 0.01
_TELLING = 0.05  # of the Dice

Row = dict[str, Any]


def answers(arguments: argparse.Namespace) -> None:
    model, known = open_model(arguments), _known(arguments.rows)
    for found in open_objects(model, arguments):
        if found.key in known:
            continue
        result = answer(model, found.image, found.target, robust=0.9, spacing_mm=found.spacing_mm)
        record = result.record() | {"explanation": result.explanation.record()}
        _add(arguments.rows, record | {"key": found.key})


def missed(arguments: argparse.Namespace) -> None:
    model, known = open_model(arguments), _known(arguments.rows)
    for number, (key, image, target) in enumerate(_missed_objects(model, arguments)):
        if number == arguments.limit:
            return
        if key not in known:
            hidden = blocking_region(model, image, target)
            _add(arguments.rows, {"key": key, "blocking": hidden.record()})


def _missed_objects(
    model: misure.SegmentationModel, arguments: argparse.Namespace
) -> Iterator[tuple[str, torch.Tensor, misure.Target]]:
    """Of each image the largest annotated object that the model does not draw."""
    size = None if arguments.size == "own" else (int(arguments.size), int(arguments.size))
    dataset = open_dataset(arguments.data, Reading.for_model(model))
    for index, name in enumerate(dataset.keys):
        sample = dataset[index]
        image = sample.image
        if size:
            image = resize(image[None], size)[0].clamp(0, 1)
        segmentation, best = misure.segment(model, image), None
        for annotated in sample.objects or []:
            mask = annotated.region
            if size:
                mask = resize(mask[None, None].float(), size)[0, 0] > 0.5
            area = float(mask.float().mean())
            drawn = segmentation.class_region(annotated.class_index)
            is_missed = area >= _SMALLEST and dice(drawn & mask, mask) <= _DRAWN
            if is_missed and (best is None or area > best[0]):
                best = area, segmentation.missed(mask, annotated.class_index)
        if best is not None:
            yield f"{name} {best[1].class_name}", image, best[1]


def _known(path: Path) -> set[str]:
    return {row["key"] for row in read_rows([path])} if path.exists() else set()


def _add(path: Path, row: Row) -> None:
    with path.open("a") as file:
        file.write(json.dumps(row) + "\n")


def table(arguments: argparse.Namespace) -> None:
    rows = read_rows(arguments.rows)
    answered = [row for row in rows if "explanation" in row]
    if answered:
        _print_answers(answered)
    blocked = [row["blocking"] for row in rows if "blocking" in row]
    if blocked:
        print(f"missed objects: {len(blocked)}")
        _print_hidden("blocking", blocked)
    if arguments.objects:
        for row in rows:
            sentences = row["summary"] if "summary" in row else [_said(row["blocking"])]
            print(f"{row['key']}: {' '.join(sentences)}")


def _said(record: Row) -> str:
    dices = record["dice_with_nothing_hidden"], record["dice"]
    return f"{record['is_found']}, area {record['area_fraction']:.4f}, Dice {dices}"


def _print_answers(rows: list[Row]) -> None:
    print(f"objects: {len(rows)}")
    for part in rows[0]["passes"]:
        print(f"- passes for {part}: {median(row['passes'][part] for row in rows):g}")
    total = sorted(sum(row["passes"].values()) for row in rows)
    print(f"- passes in all: median {median(total):g}, most {total[-1]}")
    small = [row["explanation"]["minimally_sufficient_region"] for row in rows]
    print(f"- sufficient: area {median(region['area_fraction'] for region in small):.3f}")
    for name in ("necessary", "surroundings"):
        _print_hidden(name, [row[name] for row in rows])
    robust = [row["robustness"] for row in rows if row.get("robustness")]
    if robust:
        said = [record["answer"] for record in robust]
        print(
            f"- robustness: share {median(record['share'] for record in robust):.2f}, at least "
            f"{robust[0]['at_least']}: {said.count('yes')} yes, {said.count('no')} no"
        )
    strongest = [_strongest(row) for row in rows if row.get("effects")]
    telling = [effect for effect in strongest if effect and effect["effect"] >= _TELLING]
    beyond = [mean(e["control_dices"]) - e["dice"] for e in telling if e["control_dices"]]
    print(
        f"- a part of the surroundings takes {_TELLING} or more: {len(telling)}; with a control: "
        f"{len(beyond)}; as much beyond it: {sum(value >= _TELLING for value in beyond)}"
    )
    reasons = [row["reasons"] for row in rows]
    counts = [len(record["reasons"]) for record in reasons]
    numbers = {number: counts.count(number) for number in sorted(set(counts))}
    reduced = sum(any(one["is_reduced"] for one in r["reasons"][1:]) for r in reasons)
    print(
        f"- with a second reason that was reduced: {reduced}\n"
        f"- reasons: {numbers}, Dice of the rest {median(r['dice_of_rest'] for r in reasons):.2f}"
    )


def _strongest(row: Row) -> Row | None:
    """The effect of the part of the surroundings that takes the most; not the whole background."""
    effects = (one for one in row["effects"]["effects"] if one["kind"] != "background")
    return next(effects, None)


def _print_hidden(name: str, records: list[Row]) -> None:
    found = [record for record in records if record["is_found"]]
    print(f"- {name}: found in {len(found)} of {len(records)}")
    if found:
        for value in ("area_fraction", "relative_area", "outside_target_fraction", "num_parts"):
            print(f"  - {value}: {median(record[value] for record in found):.3g}")
        print(f"  - dice when hidden: {median(record['dice'] for record in found):.2f}")
        for kind in ("dice_on_other_baseline_images", "dice_under_small_changes"):
            names = found[0][kind]
            medians = {name: median(record[kind][name] for record in found) for name in names}
            rounded = {name: round(value, 2) for name, value in medians.items()}
            print(f"  - {kind}: {rounded}")


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    commands = parser.add_subparsers(required=True)
    for name, function in (("answers", answers), ("missed", missed)):
        command = commands.add_parser(name)
        command.set_defaults(function=function)
        add_arguments(command)
    printed = commands.add_parser("table")
    printed.set_defaults(function=table)
    printed.add_argument("rows", nargs="+", type=Path)
    printed.add_argument("--objects", action="store_true", help="print each object too")
    arguments = parser.parse_args()
    arguments.function(arguments)


if __name__ == "__main__":
    main()
