"""A method: anything that makes a saliency map for a target, ours included, under one signature."""

import inspect
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, BinaryIO

import torch
from torch import Tensor

from misure._util.arrays import write_arrays
from misure._util.memory import PeakMemory
from misure._util.optional import require
from misure._util.seeds import seed_device
from misure.errors import InputError, ModelError
from misure.explanation.explanation import Explanation
from misure.explanation.presets import fits
from misure.images.read import check_image
from misure.models.cost import Cost
from misure.models.device import to_device
from misure.models.logits import all_finite
from misure.models.model import SegmentationModel
from misure.models.target import Target


@dataclass(frozen=True)
class RawMap:
    """What the function of a method returns where it has more to say than the map.

    Attributes:
        saliency_map: (*spatial) float.
        layer: dotted name of the layer whose feature map was used.
        explanation: where the method finds regions.
    """

    saliency_map: Tensor
    layer: str = ""
    explanation: Explanation | None = None


@dataclass(frozen=True, eq=False)
class MethodResult:
    """A saliency map and what it cost.

    Attributes:
        method: its name.
        target: what is explained.
        saliency_map: (*spatial) float32 on the CPU, larger matters more; only its order means
            something across methods.
        cost: forward and backward passes, one for each image shown, and seconds.
        options: the options given.
        seed: of whatever is random.
        layer: the layer used, where a method uses one.
        explanation: regions and evidence, where a method finds them.
        peak_memory_mb: the most memory in use while the map was made (see `PeakMemory`).
    """

    method: str
    target: Target
    saliency_map: Tensor
    cost: Cost
    options: dict[str, Any] = field(default_factory=dict)
    seed: int = 0
    layer: str = ""
    explanation: Explanation | None = None
    peak_memory_mb: float | None = None

    def record(self) -> dict[str, Any]:
        """The figures as plain values, named as in `explanation.json`."""
        return {
            "target": self.target.record(),
            "layer": self.layer,
            "settings": self.options,
            "seed": self.seed,
            "cost": self.cost.record(),
        }

    def save(self, file: str | Path | BinaryIO) -> None:
        """Writes `target`, `ignored` (bool) and `saliency_map` (float32) as one `.npz`."""
        tensors = {
            "target": self.target.region,
            "ignored": self.target.ignored,
            "saliency_map": self.saliency_map,
        }
        write_arrays(file, {name: tensor.numpy() for name, tensor in tensors.items()})


@dataclass(frozen=True)
class Method:
    """One way to make saliency maps.

    Attributes:
        name: the registry key.
        function: (model, image, target, **options) -> map or `RawMap`; its keyword arguments are
            the options of the method.
        source: where it is from.
        needs_gradients: whether it can only explain networks with gradients.
        library: the optional library it needs, which is also the extra of misure that brings it.
    """

    name: str
    function: Callable[..., Tensor | RawMap]
    source: str
    needs_gradients: bool = False
    library: str = ""

    @property
    def options(self) -> dict[str, Any]:
        """The options with their defaults; those of presets are not among them."""
        return {
            key: parameter.default
            for key, parameter in inspect.signature(self.function).parameters.items()
            if parameter.kind is inspect.Parameter.KEYWORD_ONLY and key != "seed"
        }

    def check_options(self, options: Mapping[str, Any]) -> None:
        """Raises an InputError where an option has a name or a kind that the method has not."""
        parameters = inspect.signature(self.function).parameters.values()
        takes_any = any(one.kind is inspect.Parameter.VAR_KEYWORD for one in parameters)
        unknown = set(options) - set(self.options)
        if unknown and not takes_any:
            raise InputError(
                f"{self.name}: expected options among {', '.join(self.options) or 'none'}, got "
                f"{', '.join(sorted(unknown))}."
            )
        for key, value in options.items():
            if key in self.options and not fits(key, value, self.options[key]):
                advice = f" Write {key}='\"{value}\"'." if self.options[key] == "" else ""
                raise InputError(
                    f"{self.name}: expected option {key} to be like {self.options[key]!r}, got "
                    f"{value!r}.{advice}"
                )

    def __call__(
        self,
        model: SegmentationModel,
        image: Tensor,
        target: Target,
        *,
        seed: int = 0,
        **options: Any,
    ) -> MethodResult:
        """The saliency map of one target. The same seed gives the same map on a CPU.

        Args:
            model: the model to explain; it comes back as it was.
            image: (C, *spatial) float.
            target: what to explain, taken from this image.
            seed: of whatever is random.
            options: see `options`.

        Raises:
            InputError: bad arguments, an unknown option, a network without gradients.
            ModelError: the network fails, or the map is not finite.
        """
        check_image(image)
        if image.shape[1:] != target.region.shape:
            raise InputError(
                f"{self.name}: expected a target of the image's shape {tuple(image.shape[1:])}, "
                f"got {tuple(target.region.shape)}. Take it from this image."
            )
        if model.class_names and not 0 <= target.class_index < len(model.class_names):
            raise InputError(
                f"{self.name}: expected a target of one of {len(model.class_names)} classes, got "
                f"class {target.class_index}. Take it from this model's prediction."
            )
        self.check_options(options)
        if self.needs_gradients and not model.differentiable:
            raise InputError(
                f"{self.name}: expected a network with gradients, {model.name} gives none. Use a "
                "method that needs none (rise, occlusion, misure)."
            )
        if self.library:  # importing it is not part of the cost
            require(self.library, extra=self.library, purpose=f"run {self.name}")
        own = to_device(image, model.device)
        with (
            torch.inference_mode(False),
            model.borrowed(),
            PeakMemory(model.device) as memory,
            model.counting() as cost,
        ):
            seed_device(model.device, seed)  # undone by `borrowed`
            takes_seed = "seed" in inspect.signature(self.function).parameters
            seeded = {"seed": seed} if takes_seed else {}
            found = self.function(model, own, target.to(model.device), **seeded, **options)
            made = RawMap(found) if isinstance(found, Tensor) else found
            saliency_map = made.saliency_map.detach().to("cpu", torch.float32)
        if saliency_map.shape != target.region.shape or not all_finite(saliency_map):
            got = tuple(saliency_map.shape)
            raise ModelError(
                f"{self.name}: expected a finite map of shape {tuple(target.region.shape)}, got "
                f"{got if got != target.region.shape else 'NaN or infinity in it'}."
            )
        return MethodResult(
            self.name,
            target.to("cpu"),
            saliency_map,
            cost,
            options,
            seed,
            made.layer,
            made.explanation,
            memory.mb,
        )
