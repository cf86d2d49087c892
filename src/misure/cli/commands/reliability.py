"""`misure reliability fit`, `score` and `evaluate`."""

import warnings
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from misure._util.words import counted, share
from misure.cli.commands.filled_help import FilledCommand
from misure.cli.commands.numbering import with_numbering
from misure.cli.commands.option_values import names
from misure.cli.commands.options import (
    complete_path,
    force_option,
    out_option,
    quiet_option,
    seed_option,
)
from misure.cli.terminal import progress, say, table
from misure.errors import InputError, MisureWarning

if TYPE_CHECKING:
    from misure.reliability import Examples
    from misure.reliability.quality import Estimate

_runs = click.argument("runs", nargs=-1, required=True, shell_complete=complete_path)
_annotations = click.option(
    "--annotations",
    multiple=True,
    required=True,
    metavar="SPEC",
    help="Data set with annotations, e.g. coco:FOLDER, or a folder of them; one for all runs, or "
    "one for each.",
)
_cut = click.option(
    "--cut",
    default=0.8,
    show_default=True,
    help="Dice below which a segmentation counts as failed.",
)
_coverage = click.option(
    "--coverage",
    default=0.9,
    show_default=True,
    help="Fraction of the Dices that their intervals are meant to hold.",
)


@click.group()
def reliability() -> None:
    """Predict how far segmentations can be trusted, learning from annotated images."""


@reliability.command(cls=FilledCommand)
@_runs
@_annotations
@with_numbering
@_cut
@_coverage
@click.option(
    "--features",
    callback=names,
    default="all",
    show_default=True,
    help="Groups of features with commas: {feature_groups}; or single features.",
)
@click.option("--learner", default="linear", show_default=True, help="How to learn: {learners}.")
@seed_option
@click.option(
    "--out",
    type=click.Path(path_type=Path),
    required=True,
    help="File of the model, e.g. trust.json.",
)
@force_option
def fit(
    runs: tuple[str, ...],
    annotations: tuple[str, ...],
    numbering: dict[str, Any],
    cut: float,
    coverage: float,
    features: list[str],
    learner: str,
    seed: int,
    out: Path,
    force: bool,
) -> None:
    """Fit a model that predicts the Dice of an object from its features.

    RUNS are run folders over annotated images. It prints how good the model is on images left out
    of the fit, beside plain confidence, and warns where it is worth nothing.
    """
    from misure._util.folders import refuse_foreign_file
    from misure.reliability import fit_reliability, names_of, read_examples

    refuse_foreign_file(out, b'"misure_version"', force=force)
    wanted = names_of(features)
    options: dict[str, Any] = {"learner": learner, "cut": cut, "coverage": coverage, "seed": seed}
    examples = read_examples(runs, annotations, **numbering)
    model = fit_reliability(examples, wanted, **options)
    model.save(out)
    about = model.about
    say(
        f"{counted(about.num_objects, 'object')} of {counted(about.num_images, 'image')}, "
        f"{share(about.failed_share)} with a Dice below {cut:g}; "
        f"{counted(len(model.feature_names), 'feature')}, {learner}. The interval is the predicted "
        f"Dice ± {model.half_width:.3f}. Written to {out}."
    )
    _say_quality(examples, wanted, options)


def _say_quality(examples: "Examples", wanted: list[str], options: dict[str, Any]) -> None:
    """Prints how good the model is beside plain confidence, and warns where it is worth nothing."""
    from misure.reliability import measure_quality

    try:
        quality = measure_quality(examples, wanted, **options)
    except InputError as error:
        say(f"\nHow good it is cannot be measured: {error}")
        return
    rows = [["this model", *_cells(quality.model)]]
    if quality.confidence:
        rows.append(["plain confidence", *_cells(quality.confidence)])
        rows.append(["difference", *_cells(quality.gain, "+")])
    say(
        f"\nOn images left out of the fit (cross-validated by image, AUROC within folds; "
        f"{quality.num_failed:,} of "
        f"{counted(quality.num_objects, 'object')} failed; 95 % bootstrap intervals over images):"
    )
    say(table(["", "AUROC of failures ↑", "mean error of the Dice ↓"], rows))
    if quality.confidence:
        say("plain confidence: max_probability alone, fitted in the same way.")
    if doubts := quality.doubts():
        warnings.warn(f"Before you rely on this model: {'; '.join(doubts)}.", MisureWarning, 2)


def _cells(estimates: "Mapping[str, Estimate]", sign: str = "") -> list[str]:
    cells = []
    for estimate in estimates.values():
        if estimate.interval is None:
            cells.append(f"{estimate.value:{sign}.3f}")
        else:
            low, high = estimate.interval
            cells.append(f"{estimate.value:{sign}.3f} [{low:{sign}.3f}, {high:{sign}.3f}]")
    return cells


@reliability.command()
@click.argument("run", shell_complete=complete_path)
@click.option(
    "--model", type=click.Path(path_type=Path), required=True, help="File that fit wrote."
)
@out_option("CSV file of the list.", "review.csv")
@force_option
def score(run: str, model: Path, out: Path, force: bool) -> None:
    """List the objects of a run, the likeliest to have failed first.

    Each has its predicted Dice, an interval, the probability of failure and the main reasons.
    misure report RUN --reliability MODEL shows the same list with pictures.
    """
    from misure._util.folders import refuse_foreign_file
    from misure.reliability import ReliabilityModel, score_run
    from misure.reliability.tables import write_review

    refuse_foreign_file(out, b"rank,key", force=force)
    fitted = ReliabilityModel.load(model)
    rows = score_run(run, fitted)
    write_review(rows, out)
    likely = sum(row["failure_probability"] >= 0.5 for row in rows)
    say(
        f"{counted(len(rows), 'object')}, {likely:,} of them more likely than not below a Dice of "
        f"{fitted.cut:g}. Written to {out}, the worst first:"
    )
    for row in rows[:5]:
        key = row["key"].encode(errors="backslashreplace").decode()
        reasons = ", ".join(name for name, _ in row["reasons"]) or "none"
        say(
            f"  {key} ({row['class_name']}): Dice {row['predicted_dice']:.2f} "
            f"[{row['low']:.2f}, {row['high']:.2f}], "
            f"failure {100 * row['failure_probability']:.0f} %; "
            f"main reasons: {reasons}"
        )


@reliability.command()
@_runs
@_annotations
@with_numbering
@click.option(
    "--test",
    "tests",
    multiple=True,
    metavar="RUN",
    help="Run folder to test on; may be repeated.  [default: cross-validation]",
)
@click.option(
    "--test-annotations",
    multiple=True,
    metavar="SPEC",
    help="Annotations of the runs of --test.  [default: those of --annotations]",
)
@_cut
@_coverage
@click.option(
    "--resamples",
    type=click.IntRange(1),
    default=500,
    show_default=True,
    help="Resamples of the bootstrap.",
)
@seed_option
@out_option("Folder for tables and curves.", "reliability")
@force_option
@quiet_option
def evaluate(
    runs: tuple[str, ...],
    annotations: tuple[str, ...],
    numbering: dict[str, Any],
    tests: tuple[str, ...],
    test_annotations: tuple[str, ...],
    cut: float,
    coverage: float,
    resamples: int,
    seed: int,
    out: Path,
    force: bool,
    quiet: bool,
) -> None:
    """Measure how well reliability is predicted, and what the explanation adds to confidence.

    Cross-validated by image; with --test, fitted on RUNS and tested on other runs.
    """
    from misure._util.files import write_text
    from misure._util.folders import writing_folder
    from misure.reliability import evaluate_reliability, read_examples
    from misure.reliability.tables import evaluation_markdown, write_evaluation
    from misure.reports.reliability_curves import save_curves

    if test_annotations and not tests:
        raise click.UsageError("--test-annotations needs --test: name the runs that they annotate.")
    made_with = {
        "runs": runs, "annotations": annotations, "tests": tests, "cut": cut,
        "test_annotations": test_annotations, "coverage": coverage, "resamples": resamples,
        "seed": seed, "numbering": numbering,
    }  # fmt: skip
    writing = writing_folder(
        out,
        command="reliability evaluate",
        settings=made_with,
        force=force,
        names=("evaluation.md", "evaluation.csv", "curves.png"),
    )
    with writing as folder, progress(quiet) as on_step:
        examples = read_examples(runs, annotations, **numbering)
        test = read_examples(tests, test_annotations or annotations, **numbering) if tests else None
        evaluation = evaluate_reliability(
            examples,
            test,
            cut=cut,
            coverage=coverage,
            num_resamples=resamples,
            seed=seed,
            on_step=on_step,
        )
        text = evaluation_markdown(evaluation)
        write_text(folder / "evaluation.md", text)
        write_evaluation(evaluation, folder / "evaluation.csv")
        save_curves(evaluation, folder / "curves.png")
    if not quiet:
        say(text)
