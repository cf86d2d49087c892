"""SegmentationModel: any network as a function from images to logits, both in the user's pixels.

    images (N, C, *spatial) -> Preprocessing -> network -> OutputForm -> resized back
    -> logits (N, K, *spatial)

The network is borrowed: one thread at a time uses it, and after use it is exactly as it was. At the
first pass it is looked at (see `first_look`). Its passes are counted, and a batch that does not fit
into memory is halved and tried again.
"""

import copy
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, contextmanager, nullcontext
from dataclasses import replace
from functools import partial
from math import prod
from operator import le
from threading import get_ident
from typing import Any, TypeVar

import torch
from torch import Tensor

from misure._util.freed_memory import freed_memory_kept, release_if_large
from misure._util.short_repr import one_line, short_repr
from misure.errors import InputError, entrance
from misure.models.arguments import (
    check_images,
    check_network,
    check_numbers,
    read_label_regions,
)
from misure.models.as_module import SegmentationModule
from misure.models.batches import batch_size_for, in_batches
from misure.models.binding import Binder, Binding, Form, FoundObject, PixelForm
from misure.models.borrowed import borrowed, fixed_random_numbers, lock_of, modules_within
from misure.models.cost import Cost, Counters
from misure.models.device import autocast_type, device_and_dtype
from misure.models.first_look import FirstLook, look
from misure.models.kept_windows import KeptWindows
from misure.models.logits import class_probability, class_region
from misure.models.long_passes import Timed, warn_of_long_passes
from misure.models.memory_format import by_pixel, is_faster_by_pixel
from misure.models.names import find_class, number_of_channels, read_names
from misure.models.preprocessing import Preprocessing, make_preprocessing
from misure.models.reading import OutputForm
from misure.models.rivals import MOST_NUMBERS, enlarged, enlarged_region, place_of
from misure.models.running import run_network
from misure.models.sides import mirrored
from misure.models.sliding import (
    Sliding,
    deciding_read,
    is_by_class,
    read_stitched,
    scores_of_window,
)
from misure.models.unscaled import warn_of_unscaled
from misure.models.volumes.words import Words
from misure.models.windows import NO_WINDOWS, Windows, make_windows

T = TypeVar("T")
Shape = Sequence[int]

_LARGE = 2**23  # pixels
_COARSE = 8  # pixels of an image for one of the logits, from which only what decides is enlarged


class SegmentationModel:
    """Any segmentation network, ready to be explained.

    Args:
        net: a torch module, or any function of an image batch (N, C, *spatial). Modules that a
            function uses are found in its closure, the globals it names, its object and its
            partial arguments, and are used in evaluation mode, too.
        call: how `net` is called, (net, images) -> output; for networks with a second input, other
            axes or a sliding window. None: `net(images)`.
        mean, std: a number for each channel, or one for all, in the units of the images; images
            are normalised with them. None: the network takes images as they are.
        input_size: exact size (*spatial) of the network's input, or the length of its short side.
        size_divisor: every side of the input is padded to a multiple of it.
        border_px: images are mirrored beyond their edges by as many pixels of the network's input
            on each side; for networks whose output is smaller by twice that (valid convolutions).
        preprocessing: what holds where mean, std, input_size and size_divisor are not given.
        output: key or index of the logits within the network's output (see `find_tensor`).
        multilabel: whether each class has a sigmoid of its own; else classes exclude each other.
        probabilities: True: the network returns probabilities; False: it returns logits; None:
            logits, with an error if the first output looks like probabilities.
        class_names: K names, or one text with commas between them; may be empty. The first pass
            checks their number.
        num_classes: K, to be checked at the first pass; None: the number of class names, if there
            are any. It is needed where the network returns class numbers.
        channels_last: whether the network's output is (N, *spatial, K); None: its sides tell.
        stretch_output: whether the output covers the whole input though no stride explains its
            sides; else such an output is refused.
        queries: `softmax` or `sigmoid`: how `pred_logits` beside `pred_masks` name classes.
        window: the sides of the windows that the network sees, or one number for all; or `Windows`.
            None: it sees the whole image.
        overlap: the share of a window that it has in common with the next, in [0, 1); None: 0.5.
        window_weights: `constant` or `gaussian`: how much the pixels of a window count; None:
            `constant`.
        window_rule: `monai` or `nnunet`: which library's inferer says where windows lie and what
            gaussian weights are (see `misure.models.windows`); None: `monai`.
        window_padding: what stands beside an image smaller than a window: `constant` (zeros in the
            network's input), `reflect`, `replicate` or `circular`; None: `constant`.
        max_side: an image with a longer side is shown smaller; logits come back at its own pixels.
        num_channels: C; None: the length of `mean`, if it has more than one number, or the number
            of channel names.
        channel_names: C names, or one text with commas between them, such as `t1,t2,flair`; may be
            empty.
        intensity: the rule that scales the numbers of volumes, such as `window:LOW:HIGH` or
            `zscore` (see `misure.images.intensity`), or one for each channel. A volume is scaled
            by the model, by its own numbers. A slice of a file is scaled when it is read, by those
            of its volume; planes that are passed in are not scaled.
        spacing: sides of voxels in mm that the network wants along each axis, after `orientation`;
            None: as they are. Volumes are resampled, and logits brought back.
        orientation: of the axes that the network wants, such as `RAS`; empty: as stored.
        label_offset: what to add to the numbers of annotations made for this network to get class
            indices; -1 where its annotations begin at 1 and 0 is "other" (`do_reduce_labels`).
        label_regions: with multilabel, the numbers that each class has in annotations made for this
            network, such as `WT=1+2+4,TC=1+4,ET=4` (see `misure.images.label_regions`).
        device: where a function computes; a module computes where its parameters are.
        autocast: `bfloat16` or `float16`: torch may compute in this type.
        batch_size: images at a time; None: at most 16, and 4 million pixels, or on a CPU 300,000:
            what fits there into the memory that a pass before it gave back.
        differentiable: whether gradients flow through `net`; the first pass checks it.
        form: reads logits from the network's output, in place of the arguments that say what the
            output is; None: they do.
        binder: what the network needs to know of each image (see `misure.models.binding`); None:
            nothing.
        name: of the network in results; None: the name of its type.

    Raises:
        InputError: arguments that contradict each other.
    """

    @entrance("SegmentationModel")
    def __init__(
        self,
        net: Callable[..., Any],
        *,
        call: Callable[[Any, Tensor], Any] | None = None,
        mean: float | Sequence[float] | None = None,
        std: float | Sequence[float] | None = None,
        input_size: int | Sequence[int] | None = None,
        size_divisor: int = 1,
        border_px: int = 0,
        preprocessing: Preprocessing | None = None,
        output: str | int | None = None,
        multilabel: bool = False,
        probabilities: bool | None = None,
        class_names: str | Sequence[str] = (),
        num_classes: int | None = None,
        channels_last: bool | None = None,
        stretch_output: bool = False,
        queries: str | None = None,
        window: Windows | int | Sequence[int] | None = None,
        overlap: float | Sequence[float] | None = None,
        window_weights: str | None = None,
        window_rule: str | None = None,
        window_padding: str | None = None,
        max_side: int | None = None,
        num_channels: int | None = None,
        channel_names: str | Sequence[str] = (),
        intensity: str | Sequence[str] = "",
        spacing: str | Sequence[float] | None = None,
        orientation: str = "",
        label_offset: int = 0,
        label_regions: str | Mapping[str, int | Sequence[int]] | None = None,
        device: str | torch.device | None = None,
        autocast: torch.dtype | str | None = None,
        batch_size: int | None = None,
        differentiable: bool = True,
        form: Form | None = None,
        binder: Binder | None = None,
        name: str | None = None,
    ) -> None:
        check_network(net, call)
        check_numbers(batch_size, border_px)
        self.net, self.call = net, call
        self.preprocessing = make_preprocessing(
            mean, std, input_size, size_divisor, known=preprocessing, max_side=max_side
        )
        self.windows = make_windows(window, overlap, window_weights, window_rule, window_padding)
        if self.windows is not None and border_px:
            raise InputError(
                f"expected border_px or window, got border_px={border_px} and {self.windows}. Let "
                "the network pad its windows itself."
            )
        self._kept = KeptWindows(self.windows.kept_mb if self.windows else 0)
        self.border_px = border_px
        self.name = name or type(net).__name__
        self.class_names = read_names(class_names)
        self._form: Form = form or OutputForm(
            name=self.name,
            output=output,
            multilabel=multilabel,
            probabilities=probabilities,
            class_names=self.class_names,
            num_classes=num_classes,
            channels_last=channels_last,
            stretch_output=stretch_output,
            queries=queries,
        )
        self.channel_names = read_names(channel_names, "channel_names")
        self.num_channels = number_of_channels(
            num_channels, len(self.preprocessing.mean or ()), self.channel_names
        )
        self._words = Words.of(orientation, spacing, intensity)
        self.intensity = self._words.intensity
        self.label_offset = label_offset
        self.label_regions = read_label_regions(
            label_regions, self.class_names, multilabel=self.multilabel
        )
        self._modules = modules_within([net, call])
        self.device, self.dtype = device_and_dtype(net, self._modules, device)
        self.autocast, self.batch_size = autocast_type(autocast), batch_size
        self.differentiable, self.no_gradients_because = differentiable, ""
        self._counters = Counters()
        self._fitting: dict[tuple[int, ...], int] = {}
        self._is_borrowed = self._is_looked_at = False
        self.seconds_of_window: float | None = None  # known after the first look
        self._fixes_random = self._is_shown_one_by_one = self._is_shown_by_pixel = False
        if self._words.text:
            self.preprocessing, binder = self._words.used_with(self.preprocessing, binder)
        self.binder = binder
        self.binding: Binding | None = None
        self._unbound: SegmentationModel | None = None

    def __repr__(self) -> str:
        num = len(self.class_names)
        names = ", ".join(self.class_names[:3]) + (", …" if num > 3 else "")
        return short_repr(
            self,
            one_line(self.name, 60),
            f"{num} classes: {one_line(names, 60)}" if num else "classes without names",
            f"{self.num_channels} channels" if self.num_channels else "",
            f"device={self.device}",
        )

    @property
    def modules(self) -> list[torch.nn.Module]:
        """The outermost torch modules that the network uses, as far as they can be found."""
        return list(self._modules)

    @property
    def is_looked_at(self) -> bool:
        """Whether the first look has been taken (see `examine`)."""
        return self._is_looked_at

    @property
    def multilabel(self) -> bool:
        """Whether each class has a sigmoid of its own."""
        return self._form.multilabel

    @property
    def probabilities(self) -> bool | None:
        """Whether the network returns probabilities; None before the first pass has shown it."""
        return self._form.probabilities

    @entrance("SegmentationModel")
    def __call__(self, images: Tensor) -> Tensor:
        """Logits (N, K, *spatial) float32, at the images' own pixels, on the model's device.

        Gradients flow to the images where torch records them. One channel becomes two classes.

        Args:
            images: (N, C, *spatial) float, in the user's units.

        Raises:
            InputError: not such images, or a network without gradients that is asked for them.
            ModelError: the network raised, or gave no finite logits.
        """
        with self._ready(images):
            each = [self._counted(self._logits(part, *self._how)) for part in self._parts(images)]
        self._counters.add(get_ident(), forward=len(images))
        return each[0] if len(each) == 1 else torch.cat(each)

    @entrance("SegmentationModel.deciding_logits")
    def deciding_logits(
        self, images: Tensor, class_indices: Sequence[int], judged: Tensor | None = None
    ) -> list[tuple[Tensor, int]]:
        """For each image, logits that decide about one class, and the place of the class there.

        `class_region` and `class_margin` give the same for them as for all K. Of large images, and
        of images that a network sees window by window, they are at most three: that of the class
        and those of its best rivals (see `misure.models.rivals`). Passes count as usual.

        Args:
            images: (N, C, *spatial) float, in the user's units.
            class_indices: N classes, 0 to K - 1.
            judged: (N, *spatial) bool, pixels whose logits matter; windows without any may be left
                out. None: all.

        Returns:
            N pairs: logits (1, k, *spatial) float32, and the place of the class among the k.

        Raises:
            InputError, ModelError: as when the model is called.
        """
        with self._ready(images):
            pairs: list[tuple[Tensor, int]] = []
            for part in self._parts(images):
                these = slice(len(pairs), len(pairs) + len(part))
                asked = None if judged is None else judged[these]
                pairs += self._deciding(part, class_indices[these], asked)
        self._counters.add(get_ident(), forward=len(images))
        return [(self._counted(logits), place) for logits, place in pairs]

    def predicted_regions(
        self, images: Tensor, class_indices: Sequence[int], judged: Tensor | None = None
    ) -> list[Tensor]:
        """For each image, the pixels (*spatial) bool that the network gives to one class.

        They are those of `deciding_logits`, which documents the arguments, without gradients. Where
        a network sees window by window no logits are kept at full size.
        """
        regions: list[Tensor] = []
        with self._ready(images), torch.no_grad():
            for part in self._parts(images):
                these = slice(len(regions), len(regions) + len(part))
                asked = None if judged is None else judged[these]
                regions += self._regions(part, class_indices[these], asked)
        self._counters.add(get_ident(), forward=len(images))
        return regions

    def _regions(
        self, images: Tensor, class_indices: Sequence[int], judged: Tensor | None
    ) -> list[Tensor]:
        form, used, spatial = self._form, self.preprocessing, images.shape[2:]
        is_slid = self.windows is not None and used.keeps_pixels(spatial) and is_by_class(form)
        if isinstance(form, PixelForm) or not (is_slid or used.only_enlarges(spatial)):
            pairs = self._deciding(images, class_indices, judged)
            return [class_region(logits, k, self.multilabel)[0] for logits, k in pairs]
        inputs = used.to_input(images.to(self.device, torch.float32))
        if is_slid and is_by_class(form):
            sliding, regions = self._sliding(*self._how), []
            for i, k in enumerate(class_indices):
                asked = None if judged is None else judged[i]
                regions.append(sliding.region(inputs[i : i + 1], k, form, asked))
            return regions
        logits, multilabel = self._of_inputs(inputs, *self._how), self.multilabel
        is_large = len(images) * logits.shape[1] * prod(spatial) >= MOST_NUMBERS
        is_coarse = prod(logits.shape[2:]) * _COARSE <= prod(spatial)
        if not (is_large and is_coarse and all(map(le, logits.shape[2:], inputs.shape[2:]))):
            pairs = self._decided(logits, class_indices, spatial)
            return [class_region(decided, k, multilabel)[0] for decided, k in pairs]
        enlarge = partial(used.to_image, spatial=spatial)
        return [
            enlarged_region(logits[i : i + 1], enlarge, k, multilabel)[0]
            for i, k in enumerate(class_indices)
        ]

    @contextmanager
    def _ready(self, images: Tensor) -> Iterator[None]:
        """A context in which the network is borrowed, examined, and may be shown these images."""
        check_images(images, self.num_channels)
        with self._borrowed():
            if self.device.type == "cpu":
                release_if_large(prod(images.shape[2:]))
            self.examine(images[:1])
            if images.requires_grad and torch.is_grad_enabled():
                self.check_gradients()
            yield

    @property
    def _how(self) -> tuple[bool, bool]:
        return self._fixes_random, self._is_shown_by_pixel

    def _parts(self, images: Tensor) -> Sequence[Tensor]:
        return torch.split(images, 1 if self._is_shown_one_by_one else len(images))

    def _counted(self, logits: Tensor) -> Tensor:
        """Logits (N, ...) whose N backward passes are counted for this thread."""
        if logits.requires_grad:
            hook = partial(self._count_backward, get_ident())
            logits.register_hook(hook)  # type: ignore[no-untyped-call]
        return logits

    def examine(self, images: Tensor) -> None:
        """Looks at the network once, before its first pass; warns of what may make results wrong.

        The image is shown a few times (see `misure.models.first_look`). These passes belong to no
        explanation: they are not counted. Later calls do nothing.

        Args:
            images: (N, C, *spatial) float; the first is shown.

        Raises:
            InputError, ModelError: as when the model is called.
        """
        with self._borrowed():
            if self._is_looked_at:
                return
            show, seen, batches = self._shown_at_first(images[:1].to(self.device, torch.float32))
            timed = Timed(show)
            found = look(
                timed,
                seen,
                name=self.name,
                wants_gradients=self.differentiable,
                batches=batches,
                is_half=self.autocast is not None or self.dtype.itemsize < 4,
                by_pixel=seen.ndim == 4 and is_faster_by_pixel(self._modules, self.device),
            )
            for model in (self, *([self._unbound] if self._unbound else [])):
                model._take(found)
                model.seconds_of_window = None if self.windows is None else timed.seconds
            warn_of_unscaled(self, images[0])
            warn_of_long_passes(self, timed, images.shape[2:])

    def _take(self, found: FirstLook) -> None:
        self._is_looked_at, self._fixes_random = True, found.fixes_random
        self._is_shown_by_pixel = found.by_pixel
        if found.one_by_one:
            self.batch_size, self._is_shown_one_by_one = 1, True
        if found.no_gradients:
            self.differentiable, self.no_gradients_because = False, found.no_gradients

    def _shown_at_first(self, image: Tensor) -> tuple[Callable[..., Tensor], Tensor, bool]:
        """How to show what at the first look, and whether a batch may be shown.

        It is an image (1, C, *spatial) as it is; of an image in windows one of them, and of a large
        one the network's input.
        """
        size = self._size_of_batches(image.shape[2:])
        with torch.no_grad():
            if self.windows is not None:
                window = self.windows.busiest(self.preprocessing.to_input(image)[:1])
                return self._of_window, window, False
            if prod(image.shape[2:]) >= _LARGE and self.preprocessing.is_by_class:
                inputs = self.preprocessing.to_input(image)
                return self._of_inputs, inputs[:1], size > 1
        return self._logits, image, size > 1

    def check_gradients(
        self, cure: str = "Use a preset that needs none (readable, quick, sufficient_region)."
    ) -> None:
        """Raises an InputError if the network gives no gradients.

        Args:
            cure: the end of the message.
        """
        if self.differentiable:
            return
        why = f": {self.no_gradients_because}" if self.no_gradients_because else ""
        raise InputError(f"expected a network with gradients, {self.name} gives none{why}. {cure}")

    def _logits(self, images: Tensor, fixes_random: bool, is_by_pixel: bool) -> Tensor:
        """Logits at the images' own pixels; nothing is counted."""
        inputs = self.preprocessing.to_input(images.to(self.device, torch.float32))
        if isinstance(self._form, PixelForm):
            return self._at_pixels(self._form, inputs, images.shape[2:], fixes_random, is_by_pixel)
        logits = self._of_inputs(inputs, fixes_random, is_by_pixel)
        return self.preprocessing.to_image(logits, images.shape[2:])

    def _at_pixels(
        self, form: PixelForm, inputs: Tensor, spatial: Shape, fixes_random: bool, is_by_pixel: bool
    ) -> Tensor:
        if self.windows is not None:
            raise InputError(
                f"expected no window with {self.name}, which reports objects on whole images, got "
                "one. Leave window out."
            )
        bordered = mirrored(inputs, self.border_px) if self.border_px else inputs
        output = self._output(bordered, fixes_random, is_by_pixel)
        return form.read_pixels(output, inputs, self.preprocessing, spatial)

    def _of_inputs(self, inputs: Tensor, fixes_random: bool, is_by_pixel: bool) -> Tensor:
        """Logits (N, K, *any) of the network's inputs (N, C, *spatial)."""
        if self.windows is not None:
            scores = self._sliding(fixes_random, is_by_pixel)(inputs)
            logits, self._form = read_stitched(self._form, scores, inputs)
            return logits
        bordered = mirrored(inputs, self.border_px) if self.border_px else inputs
        output = self._output(bordered, fixes_random, is_by_pixel)
        logits, self._form = self._form.read(output, inputs)
        return logits

    def _output(self, inputs: Tensor, fixes_random: bool, is_by_pixel: bool) -> Any:
        given = inputs.to(self.dtype)
        with self._random_numbers(fixes_random):
            return self._run(by_pixel(given) if is_by_pixel else given)

    def _sliding(self, fixes_random: bool, is_by_pixel: bool) -> Sliding:
        def scores(window: Tensor) -> Tensor:
            with nullcontext() if self._is_borrowed else self._borrowed():  # a backward pass later
                output = self._output(window, fixes_random, is_by_pixel)
            return scores_of_window(output, window, self._form)

        if self.windows is None:
            raise InputError("expected a network that sees windows, got one that sees all at once.")
        return Sliding(self.windows, scores, self._kept)

    def _of_window(self, window: Tensor, fixes_random: bool, is_by_pixel: bool) -> Tensor:
        """Logits (N, K, *window) of windows (N, C, *window) of the network's input."""
        sliding = self._sliding(fixes_random, is_by_pixel)
        scores = torch.cat([sliding.output(window[i : i + 1]) for i in range(len(window))])
        logits, self._form = read_stitched(self._form, scores, window)
        return logits

    def _deciding(
        self, images: Tensor, class_indices: Sequence[int], judged: Tensor | None
    ) -> list[tuple[Tensor, int]]:
        images, spatial = images.to(self.device, torch.float32), images.shape[2:]
        if isinstance(self._form, PixelForm):
            whole = self._logits(images, *self._how)
            return [(whole[i : i + 1], k) for i, k in enumerate(class_indices)]
        used, multilabel = self.preprocessing, self.multilabel
        inputs = used.to_input(images)
        form = self._form
        if self.windows is not None and used.keeps_pixels(spatial) and is_by_class(form):
            sliding, pairs = self._sliding(*self._how), []
            for i, k in enumerate(class_indices):
                asked = None if judged is None else judged[i : i + 1]
                scores = sliding(inputs[i : i + 1], (k, multilabel), asked)
                pairs.append(deciding_read(scores, form, k))
            return pairs
        return self._decided(self._of_inputs(inputs, *self._how), class_indices, spatial)

    def _decided(
        self, logits: Tensor, class_indices: Sequence[int], spatial: Shape
    ) -> list[tuple[Tensor, int]]:
        """What `deciding_logits` returns, of logits (N * windows, K, *any) of the inputs."""
        used, multilabel, pairs = self.preprocessing, self.multilabel, list[tuple[Tensor, int]]()
        num_images = len(class_indices)
        num_numbers = num_images * logits.shape[1] * prod(spatial)
        at_pixels = used.keeps_pixels(spatial) and logits.shape[2:] == spatial
        if num_numbers < MOST_NUMBERS or not used.is_by_class or at_pixels:
            whole = used.to_image(logits, spatial)
            return [(whole[i : i + 1], k) for i, k in enumerate(class_indices)]
        num_each = len(logits) // num_images
        for i, k in enumerate(class_indices):
            own = logits[i * num_each : (i + 1) * num_each]
            enlarge = partial(used.to_image, spatial=spatial)
            pairs.append((enlarged(own, enlarge, k, multilabel), place_of(k, multilabel)))
        return pairs

    def _random_numbers(self, fixed: bool) -> AbstractContextManager[Any]:
        return fixed_random_numbers(self.device) if fixed else nullcontext()

    def with_network(self, net: Callable[[Tensor], Any]) -> "SegmentationModel":
        """A model that uses another network in the same way; both count their passes together."""
        other = copy.copy(self)
        other.net, other._fitting = net, dict(self._fitting)
        other._modules = modules_within([net, self.call])
        if self._unbound is not None:
            other._unbound = self._unbound.with_network(net)
        if self.binding is not None:
            other.binding = replace(self.binding, network=None)
        other._is_borrowed = False
        other._kept = KeptWindows(self.windows.kept_mb if self.windows else 0)
        return other

    def as_module(self, **options: Any) -> SegmentationModule:
        """A torch module, images to logits in the user's pixels (see `SegmentationModule`)."""
        return SegmentationModule(self, **options)

    @entrance("SegmentationModel.for_image")
    def for_image(self, image: Tensor, affine: Tensor | None = None) -> "SegmentationModel":
        """The model bound to an image; the model itself if it needs to know nothing of images.

        A model that is bound already stays bound to its image: another image is then prepared as
        that one was, as the parts of an image are that are shown.

        Args:
            image: (C, *spatial) float, in the user's units.
            affine: (4, 4) float from voxel indices to millimetres (RAS+); None: not known.

        Raises:
            InputError: the model needs an affine and got none, or cannot take such an image.
            ModelError: the network fails.
        """
        if self.binder is None or self.binding is not None:
            return self if self._unbound is None else self._unbound._bound(self.binding)
        return self._bound(self.binder(self, image, affine))

    @property
    def unbound(self) -> "SegmentationModel":
        """The model before it was bound to an image; itself if it is not bound."""
        return self._unbound or self

    @property
    def reported_objects(self) -> tuple[FoundObject, ...]:
        """The objects that the network reports on the image that the model is bound to."""
        return () if self.binding is None else self.binding.objects

    def for_object(self, binding: Binding | None, *, reads_objects: bool) -> "SegmentationModel":
        """The model bound as it was when a target was taken.

        Args:
            binding: of the target; None: the model needs none.
            reads_objects: whether its logits stand for the objects of the binding, instead of for
                classes.

        Raises:
            InputError: the binding is that of a model of another kind.
        """
        if binding is None:
            return self
        if self.binder is None:
            raise InputError(
                f"expected a target of {self.name}, got one of a network that is bound to its "
                "image. Take it from this model's prediction."
            )
        bound = (self._unbound or self)._bound(binding)
        if reads_objects:
            if binding.objects_form is None:
                raise InputError("expected a binding with objects, got one without.")
            bound._form = binding.objects_form
        return bound

    def _bound(self, binding: Binding | None) -> "SegmentationModel":
        bound = copy.copy(self)
        bound._fitting, bound._is_borrowed = dict(self._fitting), False
        bound.binding, bound._unbound = binding, self
        if binding is not None and binding.preprocessing is not None:
            bound.preprocessing = binding.preprocessing
        if binding is not None and binding.network is not None:
            bound.net = binding.network
        if binding is not None and binding.form is not None:
            bound._form = binding.form
        return bound

    @entrance("SegmentationModel.with_prompts")
    def with_prompts(self, prompts: Any, mask: str | int | None = None) -> "SegmentationModel":
        """A copy that draws what prompts name, one class for each; both count passes together.

        Args:
            prompts: one or several: texts (`point:R,C`, `box:R0,C0,R1,C1`, `text:WORDS`) or
                Prompts; see `misure.models.prompts`. `annotations:box` or `annotations:point`: a
                prompt for each annotated object of an image of a data set (run, compare, missed);
                classes are then those of the data set.
            mask: which of several masks of a prompt is read: `best`, `single` or its place; None:
                as before, at first the best on the whole image.

        Raises:
            InputError: the network takes no prompts, or none of this kind.
        """
        from misure.models.prompted_objects import prompted

        return prompted(self, prompts, mask)

    def with_form(
        self,
        net: Callable[[Tensor], Any],
        *,
        form: Form,
        binder: Binder | None,
        class_names: Sequence[str],
    ) -> "SegmentationModel":
        """A model whose output is read in another way; both count their passes together."""
        other = copy.copy(self)
        other.net, other._form, other.binder = net, form, binder
        other.class_names, other._fitting = tuple(class_names), {}
        other.binding, other._unbound = None, None
        other._is_borrowed = other._is_looked_at = False
        return other

    def raw_output(self, images: Tensor) -> Any:
        """What the network itself returns for images, without gradients; the passes are counted.

        Args:
            images: (N, C, *spatial) float, in the user's units.

        Raises:
            ModelError: the network raised.
        """
        with self._borrowed(), torch.no_grad():
            inputs = self.preprocessing.to_input(images.to(self.device, torch.float32))
            bordered = mirrored(inputs, self.border_px) if self.border_px else inputs
            output = self._output(bordered, self._fixes_random, False)
        self._counters.add(get_ident(), forward=len(images))
        return output

    def settings(self) -> dict[str, Any]:
        """How the network is used, as plain values: enough to use it in the same way again."""
        used, size = self.preprocessing, self.preprocessing.input_size
        return {
            "mean": list(used.mean) if used.mean else None,
            "std": list(used.std) if used.std else None,
            "input_size": list(size) if isinstance(size, tuple) else size,
            "size_divisor": used.size_divisor,
            "max_side": used.max_side,
            **(self.windows.settings() if self.windows else NO_WINDOWS),
            "border_px": self.border_px,
            "interpolation": used.interpolation,
            "channels": list(used.channels) if used.channels else None,
            "processor": dict(used.processor) if used.processor else None,
            **self._form.settings(),
            "call": None if self.call is None else getattr(self.call, "__qualname__", "call"),
            **self._words.settings(),
            "label_offset": self.label_offset,
            **_listed("label_regions", self.label_regions),
            **({"channel_names": list(self.channel_names)} if self.channel_names else {}),
            "autocast": str(self.autocast).removeprefix("torch.") if self.autocast else None,
            "device": str(self.device),
        }

    def class_region(self, logits: Tensor, class_index: int) -> Tensor:
        """Pixels (N, *spatial) bool that logits (N, K, *spatial) give to a class."""
        return class_region(logits, class_index, self.multilabel)

    def class_probability(self, logits: Tensor, class_index: int) -> Tensor:
        """Probability (N, *spatial) in [0, 1] of a class by logits (N, K, *spatial)."""
        return class_probability(logits, class_index, self.multilabel)

    def is_background(self, class_index: int) -> bool:
        """Whether a class is class 0 of exclusive classes, which is usually the background."""
        return class_index == 0 and not self.multilabel

    def class_name(self, class_index: int) -> str:
        """The name of a class; its number as text if it has no name."""
        has_name = class_index < len(self.class_names)
        return self.class_names[class_index] if has_name else str(class_index)

    def channel_name(self, number: int) -> str:
        """The name of a channel, from 0 on; `channel 0` and so on if it has no name."""
        return self.channel_names[number] if self.channel_names else f"channel {number}"

    @entrance("SegmentationModel.find_class")
    def find_class(self, name_or_index: str | int) -> int:
        """The class_index of a class name, or of a number, which may be text.

        Raises:
            InputError: no class has this name; the message holds the names.
        """
        return find_class(name_or_index, self.class_names, self.name)

    def counting(self) -> AbstractContextManager[Cost]:
        """A context that counts the passes that this thread makes, and the seconds, inside it."""
        return self._counters.counting()

    @contextmanager
    def borrowed(self) -> Iterator[None]:
        """A context in which the network stays borrowed, instead of for each pass on its own.

        Another thread that wants the network waits until it is given back. On a CPU, memory that
        one pass frees is kept for the next (see `freed_memory_kept`), but for large images.
        """
        on_a_cpu = self.device.type == "cpu"
        with self._borrowed(), freed_memory_kept() if on_a_cpu else nullcontext():
            yield

    @contextmanager
    def _borrowed(self) -> Iterator[None]:
        with lock_of(self.net, self._modules):
            if self._is_borrowed:  # by this thread
                yield
                return
            with borrowed(self._modules, self.device):
                self._is_borrowed = True
                try:
                    yield
                finally:
                    self._is_borrowed = False
                    self._kept.forget()

    @entrance("SegmentationModel.in_batches")
    def in_batches(self, work: Callable[[slice], T], num_images: int, spatial: Shape) -> list[T]:
        """The results of `work` for slices that cover range(num_images), as large as memory allows.

        Args:
            work: called with a slice, shows these images to the model; it must change nothing
                before it succeeds, since it is called again if memory runs out.
            num_images: number of images to show.
            spatial: (*spatial) of one image.

        Raises:
            ModelError: memory runs out for a single image.
        """
        size = self._size_of_batches(spatial)
        size = min(size, self._fitting.get(tuple(spatial), size))
        results, size_left = in_batches(work, num_images, size)
        if size_left < size:  # do not run out of memory again on the next images of this shape
            self._fitting[tuple(spatial)] = size_left
        return results

    def _size_of_batches(self, spatial: Shape) -> int:
        num_pixels = max(prod(spatial), self.preprocessing.placement(spatial).num_pixels)
        return self.batch_size or batch_size_for(num_pixels, self.device)

    def _run(self, inputs: Tensor) -> Any:
        return run_network(self.net, self.call, inputs, autocast=self.autocast, name=self.name)

    def _count_backward(self, thread: int, gradient: Tensor) -> None:
        self._counters.add(thread, backward=len(gradient))


def _listed(
    name: str, regions: Mapping[str, Sequence[int]] | None
) -> dict[str, dict[str, list[int]]]:
    return {name: {one: [*numbers] for one, numbers in regions.items()}} if regions else {}
