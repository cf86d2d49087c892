"""What an experiment is: parts (a network on a data set), methods, metrics.

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
    dataset = "triangle"                 # a word of a data set, {data} is the folder of --data
    model = "triangle"                   # a word of a network, {model} is the one of --model
    [[parts]]
    name = "transformer"
    dataset = "triangle"
    train = { dataset = "triangle", network = "unetr", num_steps = 2000 }   # in place of model
    [quick]                              # what --quick changes
    num_samples = 3

`phantom = true`: where no --data is given, phantoms of abdomens stand in, named as such.
`scatter = ["relevance_distance_px", "growth_px"]`: draw one metric over another.
"""

import re
import tomllib
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, Self

from misure.errors import InputError
from misure.methods import METHODS
from misure.metrics.measure import metrics_of

_FOLDER = Path(__file__).parent
_PLAIN = re.compile(r"\w[\w .+-]*")
_KINDS: dict[str, tuple[type, ...]] = {
    **dict.fromkeys(("title", "question", "note"), (str,)),
    **dict.fromkeys(("methods", "metrics", "headline", "classes", "scatter"), (list,)),
    **dict.fromkeys(("num_samples", "num_phantoms"), (int,)),
    **dict.fromkeys(("spread", "instances", "phantom"), (bool,)),
    **dict.fromkeys(("method_options", "model_options", "quick"), (dict,)),
    "min_area": (float, int),
}
_TRAIN_KINDS: dict[str, tuple[type, ...]] = {
    **dict.fromkeys(("dataset", "network"), (str,)),
    **dict.fromkeys(("num_steps", "batch_size", "validate_every", "patience", "seed"), (int,)),
    "learning_rate": (float, int),
}


@dataclass(frozen=True)
class Part:
    """A network on a data set.

    Attributes:
        name: of the part, also of its folders.
        dataset: word of a data set.
        model: word of a network; empty where one is trained.
        train: arguments of `misure.lab.training.train` where one is.
    """

    name: str
    dataset: str
    model: str = ""
    train: dict[str, Any] = field(default_factory=dict)


@dataclass(frozen=True)
class ExperimentPlan:
    """See the top of this file.

    Attributes:
        name: of the experiment.
        text: the file as it stands.
        spread: explain samples from all over the data set instead of the first ones, as slices
            beside each other are alike and of one patient.
    """

    name: str
    text: str
    title: str
    question: str
    methods: list[str]
    metrics: list[str]
    headline: list[str]
    parts: list[Part]
    num_samples: int
    spread: bool = False
    instances: bool = True
    classes: list[str] = field(default_factory=list)
    min_area: float = 0.001
    method_options: dict[str, dict[str, Any]] = field(default_factory=dict)
    model_options: dict[str, Any] = field(default_factory=dict)
    scatter: list[str] = field(default_factory=list)
    phantom: bool = False
    num_phantoms: int = 20
    note: str = ""
    quick: dict[str, Any] = field(default_factory=dict)

    def quickly(self) -> Self:
        """The same, small enough for two minutes on two cores."""
        changes = dict(self.quick)
        training = changes.pop("train", {})
        kept = changes.pop("parts", None)
        parts = [one for one in self.parts if kept is None or one.name in kept]
        parts = [replace(one, train=one.train | training if one.train else {}) for one in parts]
        return replace(self, text=f"# --quick\n{self.text}", parts=parts, **changes)


def list_experiments() -> list[str]:
    """The names of the experiments that misure brings along."""
    return sorted(path.stem for path in _FOLDER.glob("*.toml"))


def read_plan(name: str) -> ExperimentPlan:
    """The plan of a name, or of a `.toml` file.

    Raises:
        InputError: no such experiment, or a file that makes no sense.
    """
    path = Path(name) if name.endswith(".toml") else _FOLDER / f"{name}.toml"
    if not path.is_file():
        raise InputError(
            f"experiment: expected one of {', '.join(list_experiments())}, or a .toml file, got "
            f"{name!r}."
        )
    try:
        text = path.read_text(encoding="utf-8")
        content = tomllib.loads(text)
        parts = [Part(**one) for one in content.pop("parts")]
        plan = ExperimentPlan(path.stem, text, parts=parts, **content)
        _check(plan)
        _check(plan.quickly())
    except (OSError, ValueError, TypeError, KeyError) as error:
        reason = f"no {error}" if isinstance(error, KeyError) else error
        raise InputError(
            f"experiment: expected a plan of an experiment in {path}, but it cannot be used: "
            f"{reason}"
        ) from error
    return plan


def _check(plan: ExperimentPlan) -> None:
    for name, kind in _KINDS.items():
        if type(getattr(plan, name)) not in kind:
            raise TypeError(f"{name} is no {kind[0].__name__}")
    if len(plan.scatter) not in (0, 2):
        raise ValueError("scatter needs two metrics")
    for method in [*plan.methods, *plan.method_options]:
        if method not in METHODS:
            raise ValueError(f"there is no method {method!r}")
        if not isinstance(plan.method_options.get(method, {}), dict):
            raise TypeError(f"method_options.{method} is no table")
    measured = {metric.name for metric in metrics_of(plan.metrics)}
    for name in [*plan.headline, *plan.scatter]:
        if name not in measured:
            raise ValueError(f"{name} is not among its metrics")
    names = [part.name for part in plan.parts]
    if not names or len(set(names)) < len(names):
        raise ValueError("its parts need different names")
    for part in plan.parts:
        _check_part(part)


def _check_part(part: Part) -> None:
    if not _PLAIN.fullmatch(part.name) or part.name in ("runs", "networks"):
        raise ValueError(f"{part.name!r} is no name for a part, of which folders are called")
    if bool(part.model) == bool(part.train):
        raise ValueError(f"part {part.name} needs either model or train")
    if part.train and "dataset" not in part.train:
        raise ValueError(f"train of part {part.name} needs a dataset")
    for key, value in part.train.items():
        if key not in _TRAIN_KINDS:
            raise ValueError(f"train of part {part.name} knows no {key}")
        if type(value) not in _TRAIN_KINDS[key]:
            raise TypeError(f"{key} of part {part.name} is no {_TRAIN_KINDS[key][0].__name__}")
