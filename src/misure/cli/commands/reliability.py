"""`misure reliability fit`, `score` and `evaluate`."""

from pathlib import Path

import click

from misure.cli.commands.filled_help import FilledCommand
from misure.cli.commands.option_values import names
from misure.cli.commands.options import SEED, quiet_option
from misure.cli.terminal import progress

_runs = click.argument("runs", nargs=-1, required=True)
_annotations = click.option(
    "--annotations",
    multiple=True,
    required=True,
    metavar="WORD",
    help="Data set with annotations, e.g. coco:FOLDER; once for all runs, or for each.",
)
_cut = click.option(
    "--cut", default=0.8, show_default=True, help="Dice below which a segmentation has failed."
)
_coverage = click.option(
    "--coverage", default=0.9, show_default=True, help="Of the interval of the predicted Dice."
)
_seed = click.option("--seed", type=SEED, default=0, show_default=True)


@click.group()
def reliability() -> None:
    """Is this segmentation good? Learn it where images are annotated, say it where none is."""


@reliability.command(cls=FilledCommand)
@_runs
@_annotations
@_cut
@_coverage
@click.option(
    "--features",
    callback=names,
    default="all",
    show_default=True,
    help="Groups with commas: {feature_groups}; or single features.",
)
@click.option(
    "--learner", type=click.Choice(["linear", "boosting"]), default="linear", show_default=True
)
@_seed
@click.option(
    "--out", type=click.Path(path_type=Path), required=True, help="File, e.g. trust.json."
)
def fit(
    runs: tuple[str, ...],
    annotations: tuple[str, ...],
    cut: float,
    coverage: float,
    features: list[str],
    learner: str,
    seed: int,
    out: Path,
) -> None:
    """Learn from runs over annotated images how good each object is by its features."""
    from misure.reliability import fit_reliability, names_of, read_examples

    wanted = names_of(features)
    model = fit_reliability(
        read_examples(runs, annotations),
        wanted,
        learner=learner,
        cut=cut,
        coverage=coverage,
        seed=seed,
    )
    model.save(out)
    about = model.about
    click.echo(
        f"{about['num_objects']} objects of {about['num_images']} images, "
        f"{about['failed_share']:.1%} with a Dice below {cut:g}; {len(model.feature_names)} "
        f"features, {learner}. The interval is the predicted Dice ± {model.half_width:.3f}. "
        f"Written to {out}."
    )


@reliability.command()
@click.argument("run")
@click.option("--model", type=click.Path(path_type=Path), required=True, help="What fit wrote.")
@click.option("--out", type=click.Path(path_type=Path), default="review.csv", show_default=True)
def score(run: str, model: Path, out: Path) -> None:
    """Say of each object of a run how far it can be trusted, the worst first.

    misure report RUN --reliability MODEL shows the same list with the pictures.
    """
    from misure.reliability import ReliabilityModel, score_run
    from misure.reliability.tables import write_review

    known = ReliabilityModel.load(model)
    rows = score_run(run, known)
    write_review(rows, out)
    likely = sum(row["failure_probability"] >= 0.5 for row in rows)
    click.echo(
        f"{len(rows)} objects, {likely} of them more likely than not below a Dice of "
        f"{known.cut:g}. Written to {out}, the worst first:"
    )
    for row in rows[:5]:
        key = row["key"].encode(errors="backslashreplace").decode()
        because = ", ".join(name for name, _ in row["reasons"]) or "nothing in particular"
        click.echo(
            f"  {key} ({row['class_name']}): Dice {row['predicted_dice']:.2f} "
            f"[{row['low']:.2f}, {row['high']:.2f}], failure {row['failure_probability']:.0%}: "
            f"{because}"
        )


@reliability.command()
@_runs
@_annotations
@click.option("--test", "tests", multiple=True, metavar="RUN", help="Test on these runs instead.")
@click.option("--test-annotations", multiple=True, metavar="WORD", help="Of those.")
@_cut
@_coverage
@click.option(
    "--resamples", type=click.IntRange(1), default=500, show_default=True, help="Of the bootstrap."
)
@_seed
@click.option("--out", type=click.Path(path_type=Path), default="reliability", show_default=True)
@quiet_option
def evaluate(
    runs: tuple[str, ...],
    annotations: tuple[str, ...],
    tests: tuple[str, ...],
    test_annotations: tuple[str, ...],
    cut: float,
    coverage: float,
    resamples: int,
    seed: int,
    out: Path,
    quiet: bool,
) -> None:
    """Measure how well it can be said, and what the explanation adds to plain confidence.

    Cross-validated by image; with --test fitted on RUNS and tested on others.
    """
    from misure._util.files import write_text
    from misure.reliability import evaluate_reliability, read_examples
    from misure.reliability.tables import evaluation_markdown, write_evaluation
    from misure.reports.reliability_curves import save_curves

    if test_annotations and not tests:
        raise click.UsageError("--test-annotations needs --test: name the runs that they are of.")
    examples = read_examples(runs, annotations)
    test = read_examples(tests, test_annotations or annotations) if tests else None
    with progress(quiet) as on_step:
        found = evaluate_reliability(
            examples,
            test,
            cut=cut,
            coverage=coverage,
            num_resamples=resamples,
            seed=seed,
            on_step=on_step,
        )
    out.mkdir(parents=True, exist_ok=True)
    text = evaluation_markdown(found)
    write_text(out / "evaluation.md", text)
    write_evaluation(found, out / "evaluation.csv")
    save_curves(found, out / "curves.png")
    if not quiet:
        click.echo(text)
