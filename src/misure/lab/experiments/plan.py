"""What an experiment is: parts (a network on a data set), methods and metrics.

    title = "Triangle"
    question = "..."                     # what it is to show
    methods = ["misure", "rise"]
    metrics = ["localisation"]           # names or groups
    headline = ["iou"]                   # metrics of the short table and the figure
    instances = true                     # see `misure run`
    num_samples = 50
    [method_options.rise]
    num_masks = 1000
    [[parts]]
    name = "cnn"
    dataset = "triangle"                 # spec of a data set; {data} is the folder of --data
    model = "triangle"                   # spec of a network; {model} is the one of --model
    [[parts]]
    name = "transformer"
    dataset = "triangle"
    train = { dataset = "triangle", network = "unetr", num_steps = 2000 }   # instead of model
    [quick]                              # what --quick changes
    num_samples = 3

`phantom = true`: without --data, phantoms of abdomens are explained, named as such.
`scatter = ["relevance_distance_px", "growth_px"]`: the figure plots one metric against another.
"""

import re
import tomllib
from pathlib import Path
from typing import Annotated, Any, Self

from msgspec import Meta, field, structs

from misure._util.records import Record, convert, unusable
from misure._util.suggestions import did_you_mean
from misure.errors import InputError, entrance
from misure.methods import METHODS
from misure.metrics import GROUPS, METRICS

_FOLDER = Path(__file__).parent
_PART_NAME = re.compile(r"\w[\w .+-]*")
_RESERVED = ("runs", "networks")

Count = Annotated[int, Meta(ge=1)]
Fraction = Annotated[float, Meta(ge=0, le=1)]


class TrainChanges(Record, frozen=True, kw_only=True):
    """Arguments of `misure.lab.training.train`; None: its own default.

    Attributes:
        network: name in `NETWORKS`.
        num_steps: at most this many steps.
        batch_size: samples per step.
        learning_rate: the highest.
        validate_every: steps between two validations.
        patience: validations without an improvement before training stops.
        seed: of weights, order and augmentation.
    """

    network: str | None = None
    num_steps: Annotated[int, Meta(ge=2)] | None = None
    batch_size: Count | None = None
    learning_rate: Annotated[float, Meta(gt=0)] | None = None
    validate_every: Count | None = None
    patience: Count | None = None
    seed: Annotated[int, Meta(ge=0)] | None = None


class PartTraining(TrainChanges, frozen=True, kw_only=True):
    """How the network of a part is trained.

    Attributes:
        dataset: spec of the data set to train on.
    """

    dataset: str

    def options(self) -> dict[str, Any]:
        """The arguments of `train` that are given, except the data set."""
        return {name: value for name, value in given(self).items() if name != "dataset"}


class Part(Record, frozen=True, kw_only=True):
    """A network on a data set.

    Attributes:
        name: of the part and of its folders.
        dataset: spec of the data set to explain.
        model: spec of the network; empty if one is trained.
        train: how it is trained; None if `model` names a network.
    """

    name: str
    dataset: str
    model: str = ""
    train: PartTraining | None = None

    def __post_init__(self) -> None:
        if not _PART_NAME.fullmatch(self.name) or self.name in _RESERVED:
            raise ValueError(
                f"{self.name!r} cannot name a part, whose folders bear its name (letters, digits, "
                f"spaces and .+-_; not {' or '.join(_RESERVED)})"
            )
        if bool(self.model) == (self.train is not None):
            raise ValueError(f"part {self.name} needs either model or train")


class QuickChanges(Record, frozen=True, kw_only=True):
    """What --quick changes in a plan; None: nothing.

    Attributes:
        parts: names of the parts that stay.
        train: arguments of training, for all parts that train.
        num_samples, num_phantoms, methods, metrics, headline, min_area, method_options: see
            `PlanFile`.
    """

    parts: list[str] | None = None
    train: TrainChanges | None = None
    num_samples: Count | None = None
    num_phantoms: Count | None = None
    methods: list[str] | None = None
    metrics: list[str] | None = None
    headline: list[str] | None = None
    min_area: Fraction | None = None
    method_options: dict[str, dict[str, Any]] | None = None


class PlanFile(Record, frozen=True, kw_only=True):
    """What a `.toml` file of an experiment holds; see the top of this file.

    Attributes:
        title: of tables and figures.
        question: what the experiment is to show.
        methods: names in `METHODS`; the first is compared with the others.
        metrics: names of metrics or of groups of them.
        headline: metrics of the short table and the figure.
        parts: at least one, with different names.
        num_samples: explained in each part.
        spread: explain samples from all over the data set instead of the first ones, since
            neighbouring slices are alike and belong to one patient.
        instances: explain each connected object instead of each class as a whole.
        classes: names or numbers of the classes to explain; empty: all but the background.
        min_area: smallest object that is explained, as a fraction of the image.
        method_options: method -> its options.
        model_options: arguments of `load_model`; `trust` is refused (see `run_experiment`).
        scatter: two metrics, plotted against each other; empty: no such figure.
        phantom: without data of the user, explain phantoms.
        num_phantoms: how many phantoms.
        note: printed below the question.
        quick: what --quick changes.
    """

    title: str
    question: str
    methods: list[str]
    metrics: list[str]
    headline: list[str]
    parts: list[Part]
    num_samples: Count
    spread: bool = False
    instances: bool = True
    classes: list[str] = field(default_factory=list)
    min_area: Fraction = 0.001
    method_options: dict[str, dict[str, Any]] = field(default_factory=dict)
    model_options: dict[str, Any] = field(default_factory=dict)
    scatter: list[str] = field(default_factory=list)
    phantom: bool = False
    num_phantoms: Count = 20
    note: str = ""
    quick: QuickChanges = QuickChanges()

    def __post_init__(self) -> None:
        if len(self.scatter) not in (0, 2):
            raise ValueError(f"scatter needs two metrics, got {len(self.scatter)}")
        for method in [*self.methods, *self.method_options]:
            if method not in METHODS:
                raise ValueError(
                    f"there is no method {method!r}; the methods are {', '.join(METHODS)}"
                )
        for name in self.metrics:
            if name not in {*METRICS, *GROUPS, "all"}:
                raise ValueError(
                    f"there is no metric {name!r}; the metrics are {', '.join(METRICS)}, the "
                    f"groups {', '.join(GROUPS)}, all"
                )
        known = {*self.metrics}
        for name in [*self.headline, *self.scatter]:
            if name not in METRICS or not known & {"all", name, METRICS[name].group}:
                raise ValueError(f"{name} is not among its metrics")
        names = [part.name for part in self.parts]
        if not names or len(set(names)) < len(names):
            raise ValueError("its parts need different names, and there must be at least one")


class ExperimentPlan(PlanFile, frozen=True, kw_only=True):
    """An experiment, as it was read from a file.

    Attributes:
        name: of the experiment: the file name without `.toml`.
        text: the file as it stands.
    """

    name: str
    text: str

    def quickly(self) -> Self:
        """A copy that takes about two minutes on two cores.

        Raises:
            ValueError: the changes of `quick` do not fit the plan.
        """
        changes = given(self.quick)
        training = given(changes.pop("train", TrainChanges()))
        names = changes.pop("parts", [part.name for part in self.parts])
        parts = [
            structs.replace(part, train=structs.replace(part.train, **training))
            if part.train
            else part
            for part in self.parts
            if part.name in names
        ]
        return structs.replace(self, text=f"# --quick\n{self.text}", parts=parts, **changes)


def given(record: Record) -> dict[str, Any]:
    """The fields of a record that are not None."""
    return {name: value for name, value in structs.asdict(record).items() if value is not None}


@entrance("list_experiments")
def list_experiments() -> list[str]:
    """The names of the experiments that come with misure."""
    return sorted(path.stem for path in _FOLDER.glob("*.toml"))


@entrance("read_plan")
def read_plan(name: str) -> ExperimentPlan:
    """The plan of an experiment.

    Args:
        name: of an experiment that comes with misure, or path of a `.toml` file.

    Raises:
        InputError: no such experiment, or a file that is no plan.
    """
    path = Path(name) if name.endswith(".toml") else _FOLDER / f"{name}.toml"
    if not path.is_file():
        raise InputError(
            f"expected one of {', '.join(list_experiments())}, or a .toml file, got {name!r}."
            f"{did_you_mean(name, list_experiments())}"
        )
    what = f"a plan of an experiment in {path}"
    try:
        text = path.read_text(encoding="utf-8")
        content = tomllib.loads(text)
    except (OSError, ValueError) as error:
        raise unusable(what, error) from error
    fields = structs.asdict(convert(content, PlanFile, what))
    plan = ExperimentPlan(name=path.stem, text=text, **fields)
    try:
        plan.quickly()
    except ValueError as error:
        raise unusable(f"{what}, with the changes of [quick]", error) from error
    return plan
