"""Doing an experiment: networks, runs, figures, tables. What is done already is not done again."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from misure._util.files import durable_file, write_text
from misure.datasets import Reading, open_dataset
from misure.datasets.synapse.phantom_files import write_phantoms
from misure.datasets.synapse.prepare import prepare_synapse
from misure.datasets.synapse.raw import is_phantom
from misure.errors import InputError
from misure.explanation.probe import OnStep
from misure.lab.experiments.plan import ExperimentPlan, Part
from misure.lab.experiments.plots import save_figures
from misure.lab.experiments.table import as_short_csv, as_short_markdown
from misure.metrics.comparison.compare_runs import compare_runs
from misure.metrics.comparison.comparison import Comparison
from misure.metrics.comparison.tables import as_csv, as_markdown
from misure.models.loaders import load_model
from misure.models.networks.trained_network import trained_on
from misure.reports.comparison_picture import save_comparison_picture
from misure.reports.page import write_report
from misure.runs.execution import Execution
from misure.runs.plan import RunPlan
from misure.runs.run import run

Say = Callable[[str], None]


@dataclass(frozen=True)
class Placeholders:
    """What the placeholders of a plan stand for.

    Attributes:
        out: the folder of the experiment.
        data: a folder of the user, `{data}`; empty where none was given.
        model: a network of the user, `{model}`.
    """

    out: Path
    data: str = ""
    model: str = ""

    def fill(self, word: str) -> str:
        """The word, its placeholders filled in.

        Raises:
            InputError: nothing was given for one.
        """
        for name in ("data", "model"):
            given = getattr(self, name)
            if f"{{{name}}}" in word and not given:
                raise InputError(
                    f"experiment: expected --{name}, since it needs {word}. "
                    "docs/experiments.md says what to give and where to get it."
                )
            word = word.replace(f"{{{name}}}", given)
        if "{out}" in word and "," in str(self.out):
            raise InputError(
                f"experiment: expected a folder without a comma for {word}, got {self.out}. Name "
                "another with --out."
            )
        return word.replace("{out}", str(self.out))


def run_experiment(
    plan: ExperimentPlan,
    out: str | Path,
    *,
    data: str = "",
    model: str = "",
    num_workers: int = 1,
    device: str = "auto",
    say: Say = lambda _: None,
    on_step: OnStep | None = None,
) -> dict[str, Comparison]:
    """Does an experiment, or goes on with it.

    Writes into `out`: `experiment.toml`, `networks/`, `runs/PART/METHOD/`, for each part
    `PART/comparison.md`, `.csv`, `.png` and `report.html`; of all parts `table.md`, `table.csv`,
    `figure.png` and `figure.svg`.

    Args:
        plan: what to do.
        out: the folder.
        data, model: what stands for `{data}` and `{model}` in the plan.
        num_workers: processes that explain.
        device: see `load_model`.
        say: told in words what is done, the passes to expect among it.
        on_step: told of training and measuring.

    Returns:
        Name of the part -> its comparison.

    Raises:
        InputError: something is missing, or the folder holds another experiment.
        MisureError: as `train`, `run` and `compare_runs`.
    """
    places = Placeholders(Path(out).absolute(), data, model)
    places = _begin(plan, places, say)
    if plan.phantom and is_phantom(Path(places.data)):
        plan = replace(plan, title=f"{plan.title} (PHANTOM)")
    words = {part.name: _network(part, places, device, say, on_step) for part in plan.parts}
    explain = _Explaining(plan, places, words, device, num_workers, on_step)
    firsts = {part.name: explain.part(part, 1) for part in plan.parts}
    num_passes = sum(map(_passes_of_first, firsts.values())) * plan.num_samples
    say(
        f"about {num_passes:,} pass equivalents in all, reckoned from the first sample of each "
        f"part (of {plan.num_samples} each)"
        if num_passes
        else "no estimate of passes: there is nothing to explain in the first samples"
    )
    found = {}
    for part in plan.parts:
        say(f"{part.name}: {plan.num_samples} samples, {len(plan.methods)} methods")
        made = explain.part(part, plan.num_samples)
        if not any(row.cost for row in made.rows):
            say(f"{part.name}: left out, there is no map: the network draws nothing, or all failed")
            continue
        found[part.name] = made
        _write_part(found[part.name], places.out / part.name)
        runs = [explain.folder(part, method) for method in plan.methods]
        write_report(runs, places.out / part.name / "report.html")
    if not found:
        raise InputError(
            f"experiment: expected at least one map, got none in {', '.join(words)}. Train longer, "
            "or look into the runs for what failed."
        )
    write_text(places.out / "table.md", as_short_markdown(plan, found, _told(plan, places, words)))
    write_text(places.out / "table.csv", as_short_csv(plan, found))
    save_figures(plan, found, places.out)
    return found


def _begin(plan: ExperimentPlan, places: Placeholders, say: Say) -> Placeholders:
    """The folder with the plan in it; phantoms where no data were given and they may stand in."""
    file = places.out / "experiment.toml"
    is_begun = any((places.out / name).exists() for name in ("networks", "runs"))
    if is_begun and file.exists() and file.read_text(encoding="utf-8") != plan.text:
        raise InputError(
            f"experiment: expected a folder of {plan.name}, {places.out} holds another experiment "
            "(or this one quickly, or as it was before). Name another folder."
        )
    places.out.mkdir(parents=True, exist_ok=True)
    write_text(file, plan.text)
    if plan.phantom and not places.data:
        folder = places.out / "phantom"
        say(f"no --data was given: PHANTOMS stand in, in {folder}")
        write_phantoms(folder / "raw", plan.num_phantoms)
        prepare_synapse(folder / "raw", folder)
        return Placeholders(places.out, str(folder), places.model)
    return places


def _network(
    part: Part, places: Placeholders, device: str, say: Say, on_step: OnStep | None
) -> str:
    """The word of a part's network, which is trained where it has to be."""
    if not part.train:
        return places.fill(part.model)
    from misure.lab.training import train

    options: Mapping[str, Any] = dict(part.train)
    folder = places.out / "networks" / part.name
    dataset, there = places.fill(options["dataset"]), trained_on(folder)
    if there not in (None, dataset):
        raise InputError(
            f"experiment: expected the data that {folder} was trained on, {there}, got "
            f"{dataset}. Name another folder with --out."
        )
    if there is None:
        steps = f", at most {options['num_steps']:,} steps" if "num_steps" in options else ""
        say(f"{part.name}: training {options.get('network', 'unet')} on {dataset}{steps}")
        others = {key: value for key, value in options.items() if key != "dataset"}
        made = train(dataset, out=folder, device=device, on_step=on_step, **others)
        say(f"{part.name}: Dice {made.about.values['mean_test_dice']:.3f} on the test part")
    return f"trained:{folder}"


@dataclass(frozen=True)
class _Explaining:
    """Runs and measures the methods of a part."""

    plan: ExperimentPlan
    places: Placeholders
    words: Mapping[str, str]
    device: str
    num_workers: int
    on_step: OnStep | None

    def folder(self, part: Part, method: str) -> Path:
        return self.places.out / "runs" / part.name / method

    def part(self, part: Part, num_samples: int) -> Comparison:
        """The comparison over the first so many samples."""
        plan, source = self.plan, self.places.fill(part.dataset)
        model = load_model(self.words[part.name], **({"device": self.device} | plan.model_options))
        dataset = open_dataset(source, Reading.for_model(model))
        every = max(1, len(dataset.keys) // plan.num_samples) if plan.spread else 1
        for method in plan.methods:
            run(
                source,
                self.words[part.name],
                self.folder(part, method),
                RunPlan(
                    classes=tuple(plan.classes),
                    instances=plan.instances,
                    min_area=plan.min_area,
                    method=method,
                    method_options=dict(plan.method_options.get(method, {})),
                ),
                model_options=plan.model_options,
                device=self.device,
                execution=Execution(
                    num_workers=self.num_workers, limit=num_samples * every, shard=(0, every)
                ),
            )
        return compare_runs(
            model,
            dataset,
            [self.folder(part, method) for method in plan.methods],
            metrics=plan.metrics,
            on_step=self.on_step,
        )


def _told(
    plan: ExperimentPlan, places: Placeholders, words: Mapping[str, str]
) -> dict[str, tuple[str, str]]:
    """Part -> the words of its data set and of its network."""
    return {part.name: (places.fill(part.dataset), words[part.name]) for part in plan.parts}


def _passes_of_first(comparison: Comparison) -> int:
    """Spent on the first sample (on a folder that is gone on with there are more)."""
    first = next((row.image.rpartition("#")[0] for row in comparison.rows), "")
    return sum(
        row.metric_passes + (row.cost.pass_equivalents if row.cost else 0)
        for row in comparison.rows
        if row.image.rpartition("#")[0] == first
    )


def _write_part(comparison: Comparison, folder: Path) -> None:
    folder.mkdir(exist_ok=True)
    write_text(folder / "comparison.md", as_markdown(comparison))
    write_text(folder / "comparison.csv", as_csv(comparison))
    with durable_file(folder / "comparison.png") as unfinished:
        save_comparison_picture(comparison, unfinished)
