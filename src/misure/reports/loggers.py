"""Explanations in TensorBoard, MLflow and Weights & Biases: the picture and the figures.

Which of them a logger belongs to is told by what it can do, so none of the libraries is needed.
"""

from collections.abc import Callable
from importlib import import_module
from io import BytesIO
from typing import Any

from PIL import Image

from misure.errors import InputError, entrance
from misure.explanation.explanation import Explanation
from misure.models.inputs import AnyImage
from misure.reports.explanation_picture import plot_explanation
from misure.reports.figures import figures_of_explanation

_LOGGERS = (
    "a SummaryWriter of torch or tensorboardX, mlflow or one of its runs, wandb or one of its "
    "runs, or a function"
)

Write = Callable[[Any, str, dict[str, float], Any, str, int | None], None]


@entrance("log_explanation")
def log_explanation(
    logger: Any,
    explanation: Explanation,
    *,
    step: int | None = None,
    name: str = "explanation",
    image: AnyImage | None = None,
) -> None:
    """Logs the picture of an explanation, and its figures as numbers.

    Figures are named `NAME/dice`, `NAME/relative_area` and so on: those of the report (see
    docs/reference/formats.md), as far as the explanation has them.

    Args:
        logger: `torch.utils.tensorboard.SummaryWriter`, or one like it; `mlflow`, which logs to its
            active run, or a run (`mlflow.start_run()`); `wandb`, or a run (`wandb.init()`). Or a
            function, called as `logger(values, step)` with a dictionary: the figures, and under
            `NAME` the picture, a matplotlib Figure.
        explanation: to log.
        step: of the training or the series; None: none.
        name: under which it is logged; one for each image and object.
        image: that was explained, or what stands for it; None: the one in memory, or else the file
            that `explanation.values.image` names.

    Raises:
        InputError: another logger, or no image to draw on; nothing is logged then.
    """
    write = _writer_for(logger)
    figures = {
        f"{name}/{label}": value for label, value in figures_of_explanation(explanation).items()
    }
    picture = plot_explanation(explanation, image=image)
    write(logger, name, figures, picture, explanation.summary(), step)


def _writer_for(logger: Any) -> Write:
    """How to write to a logger.

    Raises:
        InputError: nobody knows.
    """
    package = _package_of(logger)
    if hasattr(logger, "add_scalar") and hasattr(logger, "add_figure"):
        return _to_tensorboard
    if package == "mlflow" and hasattr(logger, "log_figure") and hasattr(logger, "log_metrics"):
        return _to_mlflow
    if package == "mlflow" and hasattr(logger, "info"):
        return _to_mlflow_run
    if package == "wandb" and hasattr(logger, "log"):
        return _to_wandb
    if callable(logger):
        return _to_function
    raise InputError(f"expected {_LOGGERS}, got {type(logger).__name__}.")


def _package_of(logger: Any) -> str:
    """The library that a logger is, or is from."""
    module = getattr(logger, "__name__", None) if hasattr(logger, "__path__") else None
    return (module or type(logger).__module__).partition(".")[0]


def _to_tensorboard(
    logger: Any, name: str, figures: dict[str, float], picture: Any, said: str, step: int | None
) -> None:
    for label, value in figures.items():
        logger.add_scalar(label, value, step)
    logger.add_figure(name, picture, step)
    if hasattr(logger, "add_text"):
        logger.add_text(name, said, step)


def _to_mlflow(
    logger: Any, name: str, figures: dict[str, float], picture: Any, _said: str, step: int | None
) -> None:
    logger.log_metrics(figures, step=step)
    logger.log_figure(picture, _file_name(name, step))


def _to_mlflow_run(
    run: Any, name: str, figures: dict[str, float], picture: Any, _said: str, step: int | None
) -> None:
    client = import_module("mlflow").MlflowClient()  # there is a run, so there is mlflow
    for label, value in figures.items():
        client.log_metric(run.info.run_id, label, value, step=step)
    client.log_figure(run.info.run_id, picture, _file_name(name, step))


def _to_wandb(
    logger: Any, name: str, figures: dict[str, float], picture: Any, said: str, step: int | None
) -> None:
    buffer = BytesIO()
    picture.savefig(buffer, format="png")  # a figure of another class is unknown to wandb
    image = import_module("wandb").Image(Image.open(buffer), caption=said)
    logger.log({**figures, name: image}, step=step)


def _to_function(
    logger: Any, name: str, figures: dict[str, float], picture: Any, _said: str, step: int | None
) -> None:
    logger({**figures, name: picture}, step)


def _file_name(name: str, step: int | None) -> str:
    """Of a picture among the files of a run: another one for each step."""
    return f"{name}.png" if step is None else f"{name}/{step:06d}.png"
