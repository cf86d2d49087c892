"""A method: anything that makes a saliency map for a target, misure included, under one signature.

Most methods are a function that makes a map (`MapMethod`, registered by `method`). Misure's own
find regions (`RegionMethod` in `methods/misure.py`).
"""

import inspect
from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, TypeVar

import torch
from torch import Tensor, nn

from misure._util.docstrings import Option, first_sentence, options_of_function
from misure._util.memory import PeakMemory
from misure._util.optional import require
from misure._util.registry import Registry
from misure._util.seeds import seed_device
from misure._util.short_repr import ShortRepr
from misure._util.suggestions import did_you_mean
from misure.errors import InputError, ModelError, entrance
from misure.explanation.explanation import Explanation
from misure.explanation.presets import fits
from misure.images.maps import has_numbers
from misure.methods.result import MethodResult, RawMap
from misure.models.cost import Cost
from misure.models.device import to_device
from misure.models.given_target import AnyTarget, as_asked
from misure.models.inputs import AnyImage
from misure.models.logits import all_finite
from misure.models.model import SegmentationModel
from misure.models.target import Target

KINDS = ("regions", "feature_map", "gradients", "perturbation", "control")
"""What a method works with. A `control` knows nothing of the network but its prediction."""


@dataclass(frozen=True, kw_only=True, repr=False)
class Method(ShortRepr, ABC):
    """One way to make saliency maps.

    Attributes:
        name: the registry key.
        kind: one of `KINDS`.
        summary: what it does, in one sentence.
        source: the publication it is from; empty: misure's own.
        needs_gradients: whether it can only explain networks with gradients.
        library: the optional library it needs, which is also the extra of misure that brings it.
    """

    name: str
    kind: str
    summary: str = ""
    source: str = ""
    needs_gradients: bool = False
    library: str = ""

    @property
    @abstractmethod
    def options(self) -> dict[str, Any]:
        """Option -> default; a comparison records them."""

    @abstractmethod
    def describe_options(self) -> list[Option]:
        """Every option with its default and meaning."""

    @abstractmethod
    def check_options(self, model: SegmentationModel, options: Mapping[str, Any]) -> None:
        """Raises an InputError if the method knows no such option, or none of this type."""

    @abstractmethod
    def make_map(
        self,
        model: SegmentationModel,
        image: Tensor,
        target: Target,
        seed: int,
        options: Mapping[str, Any],
    ) -> RawMap:
        """The map of one target; image and target are on the model's device."""

    @property
    def finds_regions(self) -> bool:
        """Whether its result is an `Explanation`, with regions that suffice."""
        return False

    def check(self, model: SegmentationModel, options: Mapping[str, Any]) -> None:
        """Raises an InputError if the method cannot explain this model with these options."""
        self.check_options(model, options)
        if self.needs_gradients:
            model.check_gradients("Use a method that needs none (rise, occlusion, misure).")

    def options_among(self, shared: Mapping[str, Any]) -> dict[str, Any]:
        """Those of some shared options that this method has, such as `baseline_image`."""
        return {name: value for name, value in shared.items() if name in self.options}

    def explain_many(
        self,
        model: SegmentationModel,
        image: Tensor,
        targets: Sequence[Target],
        *,
        seed: int = 0,
        **options: Any,
    ) -> Sequence[MethodResult | Explanation]:
        """The result for each of several targets of one image.

        Args:
            model: the model to explain.
            image: (C, *spatial) float.
            targets: what to explain.
            seed: of all random numbers.
            options: see `describe_options`.

        Raises:
            InputError, ModelError: as when the method is called for each of them.
        """
        return [self(model, image, target, seed=seed, **options) for target in targets]

    def __call__(
        self,
        model: SegmentationModel | nn.Module,
        image: AnyImage,
        target: AnyTarget,
        *,
        seed: int = 0,
        class_names: str | Sequence[str] = (),
        **options: Any,
    ) -> MethodResult:
        """The saliency map of one target. The same seed gives the same map on a CPU.

        Args:
            model: the model to explain, or a torch module that takes images as they are; it comes
                back as it was.
            image: (C, *spatial) float, or what stands for it (see `as_image`).
            target: what to explain, taken from this image; or what stands for it (see
                `as_target`).
            seed: of all random numbers.
            class_names: of a torch module (see `explain`).
            options: see `describe_options`.

        Raises:
            InputError: bad arguments, an unknown option, a network without gradients.
            ModelError: the network fails, or the map is not finite.
        """
        with entrance(self.name):
            model, image, target = as_asked(model, image, target, class_names=class_names)
            _check_target(model, image, target)
            self.check(model, options)
            if self.library:  # importing it is not part of the cost
                require(self.library, extra=self.library, purpose=f"run {self.name}")
            raw, cost, peak_memory_mb = self._run(model, image, target, seed, options)
            return MethodResult(
                method=self.name,
                target=target.to("cpu"),
                saliency_map=_checked(raw, target),
                cost=cost,
                options=options,
                seed=seed,
                layer=raw.layer,
                explanation=raw.explanation,
                peak_memory_mb=peak_memory_mb,
            )

    def _run(
        self,
        model: SegmentationModel,
        image: Tensor,
        target: Target,
        seed: int,
        options: Mapping[str, Any],
    ) -> tuple[RawMap, Cost, float | None]:
        """The map on the CPU, its cost, and the peak of memory while it was made."""
        image = to_device(image, model.device)
        with (
            torch.inference_mode(False),
            model.borrowed(),
            PeakMemory(model.device) as memory,
            model.counting() as cost,
        ):
            seed_device(model.device, seed)  # undone by `borrowed`
            raw = self.make_map(model, image, target.to(model.device), seed, options)
            on_cpu = raw.saliency_map.detach().to("cpu", torch.float32)
        return RawMap(on_cpu, raw.layer, raw.explanation), cost, memory.mb


def _check_target(model: SegmentationModel, image: Tensor, target: Target) -> None:
    if image.shape[1:] != target.region.shape:
        raise InputError(
            f"expected a target of the image's shape {tuple(image.shape[1:])}, got "
            f"{tuple(target.region.shape)}. Take it from this image."
        )
    if model.class_names and not 0 <= target.class_index < len(model.class_names):
        raise InputError(
            f"expected a target of one of {len(model.class_names)} classes, got class "
            f"{target.class_index}. Take it from this model's prediction."
        )


def _checked(raw: RawMap, target: Target) -> Tensor:
    """The map, if it has the target's shape and is finite; that of an explanation may hold NaN."""
    saliency_map = raw.saliency_map
    wanted, got = tuple(target.region.shape), tuple(saliency_map.shape)
    if got != wanted:
        raise ModelError(f"expected a map of shape {wanted}, got {got}.")
    is_valid = has_numbers if raw.explanation else all_finite
    if not is_valid(saliency_map):
        raise ModelError(f"expected a finite map of shape {wanted}, got NaN or infinity in it.")
    return saliency_map


@dataclass(frozen=True, kw_only=True, repr=False)
class MapMethod(Method):
    """A method that is a function from a target to its map.

    Attributes:
        function: (model, image, target, **options) -> map (*spatial) or `RawMap`; its keyword-only
            arguments are the options of the method, `seed` excepted.
    """

    function: Callable[..., Tensor | RawMap]

    @property
    def options(self) -> dict[str, Any]:
        """Option -> default."""
        return {option.name: option.default for option in self.describe_options()}

    def describe_options(self) -> list[Option]:
        """Every option with its default and meaning."""
        options = options_of_function(self.function)
        return [option for option in options if option.name != "seed"]

    def check_options(self, _model: SegmentationModel, options: Mapping[str, Any]) -> None:
        """Raises an InputError if the method knows no such option, or none of this type."""
        defaults = self.options
        unknown = set(options) - set(defaults)
        if unknown:
            raise InputError(
                f"expected options of {self.name} among {', '.join(defaults) or 'none'}, got "
                f"{', '.join(sorted(unknown))}.{did_you_mean(min(unknown), defaults)}"
            )
        for name, value in options.items():
            check_value(name, value, defaults[name])

    def make_map(
        self,
        model: SegmentationModel,
        image: Tensor,
        target: Target,
        seed: int,
        options: Mapping[str, Any],
    ) -> RawMap:
        """The map that the function returns."""
        takes_seed = "seed" in inspect.signature(self.function).parameters
        seeded = {"seed": seed} if takes_seed else {}
        result = self.function(model, image, target, **seeded, **options)
        return RawMap(result) if isinstance(result, Tensor) else result


def check_value(name: str, value: Any, default: Any) -> None:
    """Raises an InputError if an option's value is of another type than its default."""
    if not fits(name, value, default):
        advice = f" Write {name}='\"{value}\"'." if default == "" else ""
        raise InputError(f"expected option {name} to be like {default!r}, got {value!r}.{advice}")


METHODS: Registry[Method] = Registry("method", "misure.methods")
"""Name -> method, in the order of tables."""

Function = TypeVar("Function", bound=Callable[..., Tensor | RawMap])


def method(
    *, kind: str, source: str = "", needs_gradients: bool = False, library: str = ""
) -> Callable[[Function], Function]:
    """A decorator that registers a function as a method under its own name.

    The function stays as it is: (model, image, target, *, seed=0, **options) -> map (*spatial) or
    `RawMap`. Its keyword-only arguments are the options; the docstring says what they mean.

    Args:
        kind: one of `KINDS`.
        source: the publication it is from; empty: misure's own.
        needs_gradients: whether it can only explain networks with gradients.
        library: the optional library it needs.

    Raises:
        InputError: an unknown kind, or a name that is taken.
    """
    if kind not in KINDS:
        raise InputError(f"expected a kind among {', '.join(KINDS)}, got {kind!r}.")

    def register(function: Function) -> Function:
        entry = MapMethod(
            name=function.__name__,
            kind=kind,
            summary=first_sentence(function.__doc__),
            source=source,
            needs_gradients=needs_gradients,
            library=library,
            function=function,
        )
        METHODS.register(entry.name, entry, function.__module__)
        return function

    return register
