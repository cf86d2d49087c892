"""Running an experiment: networks, runs, plots, tables. What is finished is not done again."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from pathlib import Path

from msgspec import structs

from misure._util.files import durable_file, write_text
from misure._util.progress import OnStep
from misure._util.words import counted
from misure.datasets import Reading, open_dataset
from misure.datasets.synapse.phantom_files import write_phantoms
from misure.datasets.synapse.prepare import prepare_synapse
from misure.datasets.synapse.raw import is_phantom
from misure.errors import InputError, entrance
from misure.lab.experiments.plan import ExperimentPlan, Part
from misure.lab.experiments.plots import save_plots
from misure.lab.experiments.table import as_short_csv, as_short_markdown
from misure.metrics.comparison.compare_runs import compare_runs
from misure.metrics.comparison.comparison import Comparison
from misure.metrics.comparison.tables import as_csv, as_markdown
from misure.models.loaders import load_model, runs_code
from misure.models.networks.trained_network import trained_on
from misure.reports.comparison_picture import save_comparison_picture
from misure.reports.page import write_report
from misure.runs.execution import Execution
from misure.runs.plan import RunPlan
from misure.runs.run import run

Say = Callable[[str], None]


_NEEDED = {"data": "a data set of yours", "model": "a network of yours"}


@dataclass(frozen=True)
class Placeholders:
    """What the placeholders of a plan stand for.

    Attributes:
        out: the folder of the experiment, `{out}`.
        data: a folder of the user, `{data}`; empty if none was given.
        model: spec of a network of the user, `{model}`; empty if none was given.
    """

    out: Path
    data: str = ""
    model: str = ""

    def fill(self, spec: str) -> str:
        """A spec of a plan with its placeholders filled in.

        Raises:
            InputError: nothing was given for one of them.
        """
        filled = spec
        for name in ("data", "model"):
            value = getattr(self, name)
            if f"{{{name}}}" in filled and not value:
                raise InputError(
                    f"expected --{name}, since the experiment needs {_NEEDED[name]}. "
                    "docs/results/experiments.md lists what each experiment needs and where to "
                    "get it."
                )
            filled = filled.replace(f"{{{name}}}", value)
        if "{out}" in filled and "," in str(self.out):
            raise InputError(
                f"expected a folder without a comma for {spec}, got {self.out}. Name another with "
                "--out."
            )
        return filled.replace("{out}", str(self.out))


@entrance("run_experiment")
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
    """Runs an experiment, or continues it.

    Writes into `out`: `experiment.toml`, `networks/`, `runs/PART/METHOD/`; for each part
    `PART/comparison.md`, `.csv`, `.png` and `report.html`; for the whole experiment `table.md`,
    `table.csv`, `figure.png` and `figure.svg`.

    Args:
        plan: of the experiment.
        out: the folder.
        data, model: what `{data}` and `{model}` in the plan stand for.
        num_workers: processes that explain.
        device: `auto`, `cpu`, `cuda`, `cuda:1` ...
        say: called with a sentence on each stage; one of them estimates the passes needed.
        on_step: called at each step of training and measuring.

    Returns:
        Name of the part -> its comparison; parts without any map are left out.

    Raises:
        InputError: something is missing, or the folder holds another experiment.
        MisureError: as `train`, `run` and `compare_runs`.
    """
    placeholders = _begin(plan, Placeholders(Path(out).absolute(), data, model), say)
    if plan.phantom and is_phantom(Path(placeholders.data)):
        plan = structs.replace(plan, title=f"{plan.title} (PHANTOM)")
    _check_code(plan, placeholders)
    networks = {
        part.name: _network(part, placeholders, device, say, on_step) for part in plan.parts
    }
    explaining = _Explaining(
        plan=plan,
        placeholders=placeholders,
        networks=networks,
        device=device,
        num_workers=num_workers,
        on_step=on_step,
    )
    _estimate(explaining, say)
    comparisons = _compare_parts(explaining, say)
    if not comparisons:
        raise InputError(
            f"expected at least one map, got none with {', '.join(networks.values())}. Train "
            "longer, or see the records in runs/ for what failed."
        )
    _write_tables(explaining, comparisons)
    return comparisons


def _begin(plan: ExperimentPlan, placeholders: Placeholders, say: Say) -> Placeholders:
    """Writes the plan into the folder, and phantoms if the plan allows them and data are missing.

    Returns:
        The placeholders, the folder of the phantoms among them.
    """
    out = placeholders.out
    file = out / "experiment.toml"
    is_begun = any((out / name).exists() for name in ("networks", "runs"))
    if is_begun and file.exists() and file.read_text(encoding="utf-8") != plan.text:
        raise InputError(
            f"expected a folder of {plan.name}, {out} holds another experiment (or this one with "
            "other settings or --quick). Name another folder."
        )
    out.mkdir(parents=True, exist_ok=True)
    write_text(file, plan.text)
    if plan.phantom and not placeholders.data:
        folder = out / "phantom"
        say(f"no --data was given: PHANTOMS are explained instead, in {folder}")
        write_phantoms(folder / "raw", plan.num_phantoms)
        prepare_synapse(folder / "raw", folder)
        return replace(placeholders, data=str(folder))
    return placeholders


def _check_code(plan: ExperimentPlan, placeholders: Placeholders) -> None:
    """Raises an InputError if a network of a plan runs code and the user did not name it.

    Others may have written the plan, so it cannot say `trust` for the user either.
    """
    for part in plan.parts:
        spec = "" if part.train else placeholders.fill(part.model)
        is_of_user = spec == placeholders.model
        if not runs_code(spec, plan.model_options) or (runs_code(spec) and is_of_user):
            continue
        says, named = ("", spec) if runs_code(spec) else (" with trust", "python:FILE.py:FUNCTION")
        raise InputError(
            f"expected a network that is data alone in a plan, part {part.name} names "
            f"{spec or 'one to train'}{says}, which runs code. If you trust it, say so"
            f"{', in a function of yours' if says else ''}: --model {named}."
        )


def _network(
    part: Part,
    placeholders: Placeholders,
    device: str,
    say: Say,
    on_step: OnStep | None,
) -> str:
    """The spec of a part's network, trained first if the plan says so."""
    if part.train is None:
        return placeholders.fill(part.model)
    from misure.lab.training import train

    folder = placeholders.out / "networks" / part.name
    dataset, dataset_before = placeholders.fill(part.train.dataset), trained_on(folder)
    if dataset_before not in (None, dataset):
        raise InputError(
            f"expected the data that {folder} was trained on, {dataset_before}, got {dataset}. "
            "Name another folder with --out."
        )
    if dataset_before is None:
        options = part.train.options()
        steps = f", at most {options['num_steps']:,} steps" if "num_steps" in options else ""
        say(f"{part.name}: training {options.get('network', 'unet')} on {dataset}{steps}")
        trained = train(dataset, out=folder, device=device, on_step=on_step, **options)
        say(f"{part.name}: Dice {trained.card.mean_test_dice:.3f} on the test part")
    return f"trained:{folder}"


@dataclass(frozen=True, kw_only=True)
class _Explaining:
    """Runs and measures the methods of a part.

    Attributes:
        plan, placeholders, device, num_workers, on_step: see `run_experiment`.
        networks: part -> spec of its network.
    """

    plan: ExperimentPlan
    placeholders: Placeholders
    networks: Mapping[str, str]
    device: str
    num_workers: int
    on_step: OnStep | None

    def folder(self, part: Part, method: str) -> Path:
        return self.placeholders.out / "runs" / part.name / method

    def part(self, part: Part, num_samples: int) -> Comparison:
        """The comparison over the first `num_samples` samples of a part."""
        plan, network = self.plan, self.networks[part.name]
        spec = self.placeholders.fill(part.dataset)
        model = load_model(network, **({"device": self.device} | plan.model_options))
        dataset = open_dataset(spec, Reading.for_model(model))
        every = max(1, len(dataset.keys) // plan.num_samples) if plan.spread else 1
        for method in plan.methods:
            run(
                spec,
                network,
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


def _estimate(explaining: _Explaining, say: Say) -> None:
    """Says how many passes to expect, from the first sample of each part."""
    plan = explaining.plan
    firsts = [explaining.part(part, 1) for part in plan.parts]
    num_passes = sum(map(_passes_of_first, firsts)) * plan.num_samples
    say(
        f"about {num_passes:,} pass equivalents in all, estimated from the first sample of each "
        f"part ({counted(plan.num_samples, 'sample')} each)"
        if num_passes
        else "no estimate of passes: there is nothing to explain in the first samples"
    )


def _passes_of_first(comparison: Comparison) -> int:
    """Pass equivalents spent on the first sample; a continued folder holds more samples."""
    first = next((row.image.rpartition("#")[0] for row in comparison.rows), "")
    return sum(
        row.metric_passes + (row.cost.pass_equivalents if row.cost else 0)
        for row in comparison.rows
        if row.image.rpartition("#")[0] == first
    )


def _compare_parts(explaining: _Explaining, say: Say) -> dict[str, Comparison]:
    """Part -> its comparison, written into its folder; parts without any map are left out."""
    plan, out = explaining.plan, explaining.placeholders.out
    comparisons = {}
    for part in plan.parts:
        say(
            f"{part.name}: {counted(plan.num_samples, 'sample')}, "
            f"{counted(len(plan.methods), 'method')}"
        )
        comparison = explaining.part(part, plan.num_samples)
        if not any(row.cost for row in comparison.rows):
            say(
                f"{part.name}: left out, there is no map: the network segments nothing, or every "
                "method failed"
            )
            continue
        comparisons[part.name] = comparison
        _write_part(comparison, out / part.name)
        runs = [explaining.folder(part, method) for method in plan.methods]
        write_report(runs, out / part.name / "report.html")
    return comparisons


def _write_part(comparison: Comparison, folder: Path) -> None:
    folder.mkdir(exist_ok=True)
    write_text(folder / "comparison.md", as_markdown(comparison))
    write_text(folder / "comparison.csv", as_csv(comparison))
    with durable_file(folder / "comparison.png") as unfinished:
        save_comparison_picture(comparison, unfinished)


def _write_tables(explaining: _Explaining, comparisons: Mapping[str, Comparison]) -> None:
    """Writes the tables and the figure of all parts."""
    plan, placeholders = explaining.plan, explaining.placeholders
    specs = {
        part.name: (placeholders.fill(part.dataset), explaining.networks[part.name])
        for part in plan.parts
    }
    write_text(placeholders.out / "table.md", as_short_markdown(plan, comparisons, specs))
    write_text(placeholders.out / "table.csv", as_short_csv(plan, comparisons))
    save_plots(plan, comparisons, placeholders.out)
