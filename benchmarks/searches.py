"""Searches by name, and rows of what they found: a JSON line for each object, search and change.

A search is written `PRESET`, `PRESET@PASSES` or `[NAME=]PRESET[@PASSES],OPTION=VALUE,...`, as in
`readable`, `smallest@320` and `filled=readable@320,baseline_image=filled`. PASSES are pass
equivalents without the tests of minimality, as the tables count them; the option `max_passes`
counts these too.
"""

import argparse
import base64
import json
import re
import runpy
import time
import zlib
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
import torch
from torch import Tensor

import misure
from misure._util.progress import OnStep
from misure.errors import InputError
from misure.explanation.baselines import make_baseline_image
from misure.explanation.growth import SufficientRegion
from misure.explanation.presets import PRESETS, Preset, make_preset
from misure.explanation.probe import Account, Probe
from misure.explanation.reduction import MinimallySufficientRegion, top_region
from misure.explanation.run_searches import run_searches
from objects import FoundObject, objects_of

SHOWN_ON = ("mean", "blurred", "noise")
"""Baseline images on which every region that was found is shown again."""

_SEARCH = re.compile(r"(?:([^=,]+)=)?(?:preset:)?(\w+)(?:@(\d+))?((?:,[^,=]+=.*)?)")
_PEAK_RESET, _STATUS = Path("/proc/self/clear_refs"), Path("/proc/self/status")


@dataclass(frozen=True)
class NamedSearch:
    """A preset with some of its options changed, and its name in tables."""

    name: str
    preset: str
    options: dict[str, Any]


def parse_search(text: str) -> NamedSearch:
    """The search that a text such as `readable@320,edge_px=4` names."""
    parsed = _SEARCH.fullmatch(text)
    if not parsed:
        raise SystemExit(f"expected [NAME=]PRESET[@PASSES][,OPTION=VALUE...], got {text!r}")
    name, preset, passes, rest = parsed.groups()
    options: dict[str, Any] = {}
    for part in rest.split(",")[1:]:
        option, is_new, value = part.rpartition("=")
        if is_new:
            options[option] = value
        else:  # a comma within the last value
            options[[*options][-1]] += f",{value}"
    options = {option: _value(value) for option, value in options.items()}
    try:
        chosen = make_preset(preset, options)
        if passes:
            tests = 0 if chosen.one_minimal else chosen.passes_of_minimality
            options["max_passes"] = int(passes) + tests
            make_preset(preset, options)
    except InputError as error:
        raise SystemExit(str(error)) from error
    return NamedSearch(name or text, preset, options)


def _value(text: str) -> Any:
    try:
        return json.loads(text)
    except ValueError:
        return text


def search_passes(row: dict[str, Any]) -> int:
    """Pass equivalents without those that only test the minimality of what was found."""
    passes: int = row["cost"]["pass_equivalents"]
    is_tested = row["minimality"] and not row["settings"]["one_minimal"]
    return passes - (row["minimality"]["passes"] if is_tested else 0)


def make_parser(description: str | None) -> argparse.ArgumentParser:
    """A parser with the arguments of every benchmark of searches."""
    parser = argparse.ArgumentParser(
        description=description, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    add_arguments(parser)
    return parser


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """The arguments of every benchmark of searches."""
    parser.add_argument("--model", required=True)
    parser.add_argument(
        "--data", "--photographs", required=True, help="folder of photographs, or a data set"
    )
    parser.add_argument("--rows", required=True, type=Path)
    parser.add_argument("--size", default="own", help="side in px of square images; own: as read")
    parser.add_argument("--limit", type=int, default=44, help="objects")
    parser.add_argument("--shard", default="0/1", metavar="I/N", help="every N-th object")
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--searches", nargs="+", type=parse_search, default=[])


def open_model(arguments: argparse.Namespace) -> misure.SegmentationModel:
    torch.set_num_threads(arguments.threads)
    return load_network(arguments.model, arguments)


def load_network(spec: str, arguments: argparse.Namespace) -> misure.SegmentationModel:
    size = _size(arguments)
    options: dict[str, Any] = {"input_size": size} if size else {}
    return misure.load_model(spec, device="cpu", **options)


def open_objects(
    model: misure.SegmentationModel, arguments: argparse.Namespace
) -> Iterator[FoundObject]:
    """The objects of this process, which are every N-th."""
    index, num_shards = map(int, arguments.shard.split("/"))
    objects = objects_of(model, arguments.data, arguments.limit, _size(arguments))
    return (found for i, found in enumerate(objects) if i % num_shards == index)


def _size(arguments: argparse.Namespace) -> tuple[int, int] | None:
    return None if arguments.size == "own" else (int(arguments.size), int(arguments.size))


def read_rows(paths: Sequence[Path]) -> list[dict[str, Any]]:
    return [json.loads(line) for path in paths for line in path.read_text().splitlines()]


@dataclass
class Rows:
    """What was found: read from a file, and added to it.

    A row is the explanation's record and: `key` of the object, name of the `search`, `change` of
    the image (empty: none), both regions (see `unpacked`), `again`: the Dice when the minimal
    region is shown once more on the mean colour, `dice_on`: the same on other baseline images,
    `peak_bytes`: peak memory of the process, where Linux says it.
    """

    path: Path
    rows: dict[tuple[str, str, str], dict[str, Any]] = field(default_factory=dict)

    def __post_init__(self) -> None:
        for row in read_rows([self.path] if self.path.exists() else []):
            self.rows[row["key"], row["search"], row.get("change", "")] = row

    def find(
        self,
        model: misure.SegmentationModel,
        found: FoundObject,
        search: NamedSearch,
        change: str = "",
        *,
        with_regions: bool = False,
    ) -> dict[str, Any]:
        """The row of an object and search; made if there is none, or none with its regions."""
        at = found.key, search.name, change
        if at not in self.rows or (with_regions and "region" not in self.rows[at]):
            row = _explained(model, found, search) | {
                "key": found.key,
                "search": search.name,
                "change": change,
            }
            with self.path.open("a") as file:
                file.write(json.dumps(row) + "\n")
            self.rows[at] = row
        return self.rows[at]


def _explained(
    model: misure.SegmentationModel, found: FoundObject, search: NamedSearch
) -> dict[str, Any]:
    other: dict[str, Any] = {}
    if found.other_image:
        other = dict(zip(("other_image", "other_image_name"), found.other_image, strict=True))
    if _PEAK_RESET.exists():
        _PEAK_RESET.write_text("5")
    start = time.perf_counter()
    explanation = misure.explain(
        model,
        found.image,
        found.target,
        preset=search.preset,
        spacing_mm=found.spacing_mm,
        **other,
        **search.options,
    )
    seconds = time.perf_counter() - start
    region = explanation.minimally_sufficient_region
    row = explanation.record() | {
        "peak_bytes": _peak_bytes() if _STATUS.exists() else 0,
        "region": packed(region),
        "sufficient": packed(explanation.sufficient_region),
    }
    row["cost"]["seconds"] = seconds
    shown = {kind: shown_again(model, found.image, found.target, region, kind) for kind in SHOWN_ON}
    return row | {"again": shown.pop("mean"), "dice_on": shown}


def _peak_bytes() -> int:
    """The largest memory of this process since the last reset (Linux)."""
    (line,) = [one for one in _STATUS.read_text().splitlines() if one.startswith("VmHWM")]
    return 1024 * int(line.split()[1])


def shown_again(
    model: misure.SegmentationModel,
    image: Tensor,
    target: misure.Target,
    region: Tensor,
    kind: str = "mean",
) -> float:
    """The Dice of a region shown once more, hard, and not by misure's own presentation code."""
    baseline_image = make_baseline_image(kind, image, mean=model.preprocessing.mean)
    shown = torch.where(region, image, baseline_image)
    with torch.no_grad():
        (dice,) = target.dice_of_logits(model(shown[None]))
    return float(dice)


def packed(region: Tensor) -> str:
    """A region (*spatial) bool as text."""
    return base64.b64encode(zlib.compress(np.packbits(region.numpy()).tobytes(), 9)).decode()


def unpacked(row: dict[str, Any], name: str = "region") -> Tensor:
    """A region (*spatial) bool of a row: the minimal `region`, or the `sufficient` one."""
    shape = row["shape"]
    bits = np.frombuffer(zlib.decompress(base64.b64decode(row[name])), np.uint8)
    flat = np.unpackbits(bits, count=int(np.prod(shape)))
    return torch.from_numpy(flat.reshape(shape)).bool()


@dataclass(frozen=True)
class ForeignReduction:
    """Stage 2 by another program, which gets no sufficient region and is not charged for one."""

    source: str
    needs_gradients: ClassVar[bool] = False
    least_shown: ClassVar[int] = 1

    def __call__(
        self,
        model: misure.SegmentationModel,
        probes: Sequence[Probe],
        sufficient: Sequence[SufficientRegion],
        accounts: Sequence[Account],
        on_step: OnStep | None = None,
    ) -> list[MinimallySufficientRegion]:
        file, name = self.source.rsplit(":", 1)
        function: Callable[..., Tensor] = runpy.run_path(file)[name]
        searches = []
        for probe, large, account in zip(probes, sufficient, accounts, strict=True):
            whole = replace(large, region=torch.ones_like(large.region), dice=1.0)
            image, target = probe.presentations[0].image, probe.target
            with model.counting() as cost:
                saliency_map = function(model, image, target.region, target.class_index)
            account.cost.forward_passes = cost.forward_passes
            account.cost.backward_passes = cost.backward_passes
            searches.append(top_region(probe, saliency_map.detach().float().clamp(min=0), whole))
        return run_searches(
            model, probes, searches, doing="cutting", accounts=accounts, on_step=on_step
        )


def implementation(source: str) -> NamedSearch:
    """The search by a function of another program, `FILE.py:FUNCTION`."""
    PRESETS["implementation"] = Preset(
        name="implementation", growth="bracket", reduction=ForeignReduction(source)
    )
    return NamedSearch("implementation", "implementation", {})
