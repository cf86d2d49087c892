"""Promptable networks of transformers: SAM, SAM-HQ, SAM 2, SAM 3, EdgeTAM and CLIPSeg.

The image encoder runs once for each image, and its output is decoded for all prompts. Folders of
the video models (`sam2_video`, `sam3_video`, `edgetam_video`) hold the image models, too: they are
opened as these, since misure explains images.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from misure._util.quiet import quiet
from misure.errors import InputError
from misure.models.loaders.file import reading
from misure.models.loaders.hf_processor import preprocessing_settings, read_keys
from misure.models.loaders.hf_squeezed import SQUEEZING, squeezed_settings
from misure.models.preprocessing import Placement, Preprocessing
from misure.models.prompted import (
    BEST,
    Masks,
    PromptableNetwork,
    as_prompt_preprocessing,
    prompt_arguments,
)
from misure.models.prompted_objects import annotation_arguments, way_of
from misure.models.prompts import BOX, POINT, TEXT, Prompt, as_prompts

_DECODED_AT_ONCE = 16  # prompts


@dataclass(frozen=True)
class _Group:
    """Prompts with equally many points, as the decoder takes them.

    Attributes:
        numbers: which of the prompts.
        arguments: `input_points` (1, G, n, 2), `input_labels` (1, G, n), `input_boxes` (1, G, 4).
    """

    numbers: tuple[int, ...]
    arguments: dict[str, Tensor]


class SegmentAnything(PromptableNetwork):
    """SAM, SAM 2, the tracker of SAM 3 and EdgeTAM: points and boxes.

    Args:
        net: the network of transformers.
    """

    kinds = (POINT, BOX)
    refusal = "Texts are for SAM 3 and CLIPSeg; name the object by a point or a box."

    def __init__(self, net: nn.Module) -> None:
        super().__init__()
        self.net = net
        decoder: Any = net.mask_decoder
        self.num_masks = int(decoder.num_multimask_outputs)

    def encode(
        self, prompts: Sequence[Prompt], spatial: Sequence[int], placement: Placement
    ) -> tuple[_Group, ...]:
        """Groups of prompts, in the pixels of the network's input; see `PromptableNetwork`."""
        scale = [new / old for new, old in zip(placement.resized, spatial, strict=True)]
        like: dict[tuple[int, bool], list[int]] = {}
        for number, prompt in enumerate(prompts):
            num_points = len(prompt.points) + len(prompt.outside)
            like.setdefault((num_points, prompt.box is not None), []).append(number)
        groups = []
        for (num_points, has_box), numbers in like.items():
            for start in range(0, len(numbers), _DECODED_AT_ONCE):
                part = tuple(numbers[start : start + _DECODED_AT_ONCE])
                each = [prompts[number] for number in part]
                groups.append(_Group(part, self._arguments(each, num_points, has_box, scale)))
        return tuple(groups)

    def _arguments(
        self, prompts: Sequence[Prompt], num_points: int, has_box: bool, scale: Sequence[float]
    ) -> dict[str, Tensor]:
        device = next(self.net.parameters()).device
        arguments = {}
        if num_points:
            arguments["input_points"] = torch.tensor(
                [[_xy(point, scale) for point in (*one.points, *one.outside)] for one in prompts],
                dtype=torch.float32,
                device=device,
            )[None]
            arguments["input_labels"] = torch.tensor(
                [[1] * len(one.points) + [0] * len(one.outside) for one in prompts], device=device
            )[None]
        if has_box:
            boxes = [one.box or (0, 0, 0, 0) for one in prompts]
            arguments["input_boxes"] = torch.tensor(
                [[*_xy(box[:2], scale), *_xy(box[2:], scale)] for box in boxes],
                dtype=torch.float32,
                device=device,
            )[None]
        return arguments

    def embed(self, inputs: Tensor) -> tuple[int, dict[str, Any]]:
        """The number of images, and what the encoder makes of them, as arguments of the network."""
        embeddings = _with_gradients(self.net, "get_image_embeddings")(inputs)
        return len(inputs), {"image_embeddings": embeddings}

    def decode(self, embedded: Any, encoded: Any, *, single: bool = False) -> Masks:
        """The masks of all prompts; see `PromptableNetwork`."""
        num_images, images = embedded
        num_prompts = sum(len(group.numbers) for group in encoded)
        logits: list[Any] = [None] * num_prompts
        scores: list[Any] = [None] * num_prompts
        for group in encoded:
            prompts = {
                name: value.expand(num_images, *value.shape[1:])
                for name, value in group.arguments.items()
            }
            found, scored = self.decode_group(images, prompts, single=single)
            each = zip(group.numbers, found.unbind(1), scored.unbind(1), strict=True)
            for number, mask, score in each:
                logits[number], scores[number] = mask, score
        return Masks(torch.stack(logits, dim=1), torch.stack(scores, dim=1))

    def decode_group(
        self, images: dict[str, Any], prompts: dict[str, Tensor], *, single: bool
    ) -> tuple[Tensor, Tensor]:
        """The masks (N, G, M, h, w) of G prompts alike, and their scores (N, G, M)."""
        output = self.net(**images, **prompts, multimask_output=not single)
        return output.pred_masks, output.iou_scores


class SegmentAnythingHQ(SegmentAnything):
    """SAM-HQ: points and boxes.

    Its decoder hands out its three masks in the order of their scores. Here they stay in the order
    of the decoder, so that one of them can be followed.
    """

    def __init__(self, net: nn.Module) -> None:
        super().__init__(net)
        decoder: Any = net.mask_decoder
        self.num_masks = int(decoder.num_mask_tokens) - 2  # without the single and the HQ mask

    def embed(self, inputs: Tensor) -> tuple[int, dict[str, Any]]:
        """The number of images, and what the encoder makes of them, as arguments of the network."""
        embeddings, within = _with_gradients(self.net, "get_image_embeddings")(inputs)
        images = {"image_embeddings": embeddings, "intermediate_embeddings": within}
        return len(inputs), images

    def decode_group(
        self, images: dict[str, Any], prompts: dict[str, Tensor], *, single: bool
    ) -> tuple[Tensor, Tensor]:
        """The masks (N, G, M, h, w) of G prompts alike, and their scores (N, G, M)."""
        if single:
            return super().decode_group(images, prompts, single=True)
        decoder: Any = self.net.mask_decoder
        heads: list[Tensor] = []
        hook = decoder.iou_prediction_head.register_forward_hook(
            lambda _module, _inputs, output: heads.append(output.detach())
        )
        try:
            masks, scores = super().decode_group(images, prompts, single=False)
        finally:
            hook.remove()
        unsorted = heads[-1][:, :, 1 : 1 + self.num_masks]
        order = torch.sort(unsorted, dim=2, descending=True).indices.argsort(dim=2)
        wide = order[..., None, None].expand(*order.shape, *masks.shape[3:])
        return masks.gather(2, wide), scores.gather(2, order)


class TextPromptable(PromptableNetwork):
    """A network that takes texts.

    Args:
        net: the network of transformers.
        tokenise: from texts to the arguments `input_ids` and `attention_mask` (P, length).
    """

    kinds = (TEXT,)

    def __init__(self, net: nn.Module, tokenise: Callable[[list[str]], dict[str, Tensor]]) -> None:
        super().__init__()
        self.net, self._tokenise = net, tokenise

    def tokens(self, prompts: Sequence[Prompt]) -> dict[str, Tensor]:
        """The tokens (P, length) of prompts, and which of them count."""
        device = next(self.net.parameters()).device
        tokens = self._tokenise([prompt.text for prompt in prompts])
        return {name: tokens[name].to(device) for name in ("input_ids", "attention_mask")}


class ClipSeg(TextPromptable):
    """CLIPSeg: texts. The library's own pass records no gradients; its parts do."""

    refusal = (
        "Say text:WORDS; points and boxes are for SAM. An example picture in place of a text "
        "is not supported."
    )

    def encode(
        self, prompts: Sequence[Prompt], _spatial: Sequence[int], _placement: Placement
    ) -> Tensor:
        """The embeddings (P, D) of texts; see `PromptableNetwork`."""
        net: Any = self.net
        embeddings: Tensor = net.get_conditional_embeddings(
            batch_size=len(prompts), **self.tokens(prompts)
        )
        return embeddings

    def embed(self, inputs: Tensor) -> list[Tensor]:
        """The activations (N, tokens, D) of the layers that the decoder reads."""
        net: Any = self.net
        seen = net.clip.get_image_features(
            pixel_values=inputs, interpolate_pos_encoding=True, output_hidden_states=True
        )
        return [seen.hidden_states[layer + 1] for layer in net.extract_layers]

    def decode(self, embedded: Any, encoded: Any, *, single: bool = False) -> Masks:  # noqa: ARG002
        """The mask for each text; see `PromptableNetwork`."""
        net: Any = self.net
        num_images, num_prompts = len(embedded[0]), len(encoded)
        activations = [one.repeat_interleave(num_prompts, 0) for one in embedded]
        logits = net.decoder(activations, encoded.repeat(num_images, 1)).logits
        return Masks(logits.reshape(num_images, num_prompts, 1, *logits.shape[-2:]), None)


class Sam3Concepts(TextPromptable):
    """SAM 3 by text: all that a text names, by its semantic output."""

    refusal = (
        "Say text:WORDS; for points and boxes open the folder with them, load_model(..., "
        "prompts=...), and its tracker is taken."
    )

    def encode(
        self, prompts: Sequence[Prompt], _spatial: Sequence[int], _placement: Placement
    ) -> list[tuple[Tensor, Tensor]]:
        """The embedding (1, length, D) and attention mask of each text."""
        net: Any = self.net
        tokens = self.tokens(prompts)
        features = net.get_text_features(**tokens, return_dict=True).pooler_output
        each = zip(features, tokens["attention_mask"], strict=True)
        return [(feature[None], mask[None]) for feature, mask in each]

    def embed(self, inputs: Tensor) -> Any:
        """What the image encoder makes of inputs (N, C, H, W)."""
        net: Any = self.net
        return net.get_vision_features(pixel_values=inputs)

    def decode(self, embedded: Any, encoded: Any, *, single: bool = False) -> Masks:  # noqa: ARG002
        """The mask for each text, decoded one after the other; see `PromptableNetwork`."""
        net: Any = self.net
        num_images, logits = len(embedded.fpn_hidden_states[0]), []
        for features, attended in encoded:
            output = net(
                vision_embeds=embedded,
                text_embeds=_Pooled(features.expand(num_images, -1, -1)),
                attention_mask=attended.expand(num_images, -1),
            )
            logits.append(output.semantic_seg)
        return Masks(torch.stack(logits, dim=1), None)


@dataclass(frozen=True)
class _Pooled:
    """Embeddings of texts, in the form that SAM 3 takes them."""

    pooler_output: Tensor


def _xy(point: Sequence[float], scale: Sequence[float]) -> tuple[float, float]:
    """(x, y) in the network's input of a pixel (row, column) of the image."""
    return point[1] * scale[1], point[0] * scale[0]


def _with_gradients(net: Any, method: str) -> Callable[[Tensor], Any]:
    """A method that transformers wraps in `no_grad`, without that."""
    wrapped = getattr(type(net), method)
    function = getattr(wrapped, "__wrapped__", wrapped)

    def call(inputs: Tensor) -> Any:
        return function(net, inputs)

    return call


@dataclass(frozen=True)
class _Family:
    """How the networks of one kind are opened.

    Attributes:
        architecture: name of the class in transformers.
        network: its wrapper here.
    """

    architecture: str
    network: type[PromptableNetwork]

    @property
    def takes_text(self) -> bool:
        """Whether its prompts are texts."""
        return TEXT in self.network.kinds


_TRACKER = _Family("Sam3TrackerModel", SegmentAnything)
_CONCEPTS = _Family("Sam3Model", Sam3Concepts)
_FAMILIES = {
    "sam": _Family("SamModel", SegmentAnything),
    "sam_hq": _Family("SamHQModel", SegmentAnythingHQ),
    "sam2": _Family("Sam2Model", SegmentAnything),
    "sam2_video": _Family("Sam2Model", SegmentAnything),
    "edgetam": _Family("EdgeTamModel", SegmentAnything),
    "edgetam_video": _Family("EdgeTamModel", SegmentAnything),
    "sam3": _CONCEPTS,
    "sam3_video": _CONCEPTS,
    "sam3_tracker": _TRACKER,
    "sam3_tracker_video": _TRACKER,
    "clipseg": _Family("CLIPSegForImageSegmentation", ClipSeg),
}
PROMPTABLE = tuple(_FAMILIES)
"""Types of models, as in config.json, that draw what prompts name."""


def load_promptable(
    argument: str,
    kind: str,
    files: Mapping[str, Path | None],
    transformers: Any,
    *,
    check_weights: Callable[[str, dict[str, Any]], None],
    prompts: Any = None,
    mask: Any = None,
    processor: Any = None,
    given: Sequence[str] = (),
) -> tuple[nn.Module, dict[str, Any]]:
    """A promptable network of a folder, and the arguments of SegmentationModel.

    Args:
        argument: the folder, or a name whose files are in the cache.
        kind: of the network, one of `PROMPTABLE`.
        files: name of a processor's file -> its path, or None.
        transformers: the library.
        check_weights: raises an InputError if weights are missing.
        prompts: one or several; `annotations:box` or `annotations:point`; None: they are given
            later, by `with_prompts`.
        mask: which of several masks is read; None: the best.
        processor, given: as of `preprocessing_settings`.

    Raises:
        InputError: a folder that cannot be opened, or prompts that the network does not take.
    """
    way = way_of(prompts)
    listed = None if prompts is None or way else as_prompts(prompts)
    family = _FAMILIES[kind]
    if family is _CONCEPTS and kind == "sam3_video" and not _any_text(listed):
        family = _TRACKER
    with reading(f"a transformers folder with a promptable network ({kind}) in {argument}"):
        net, info = getattr(transformers, family.architecture).from_pretrained(
            argument,
            trust_remote_code=False,
            local_files_only=True,
            weights_only=True,
            output_loading_info=True,
        )
    check_weights(argument, info)
    settings = _processed(argument, net, files, transformers, processor, given)
    blends = "probabilities" if family is _CONCEPTS else "logits"
    known = settings.get("preprocessing") or Preprocessing()
    settings |= {"preprocessing": as_prompt_preprocessing(known, blends), "num_channels": 3}
    network = (
        family.network(net, _tokeniser(argument, transformers))
        if family.takes_text
        else family.network(net)
    )
    asked = BEST if mask is None else mask
    if way is not None:
        settings |= annotation_arguments(network, f"hf:{argument}", way, asked)
    elif listed is not None:
        settings |= prompt_arguments(network, f"hf:{argument}", listed, asked)
    elif mask is not None:
        raise InputError("expected prompts beside mask=..., got none. Give prompts, too.")
    return network, settings


def _any_text(prompts: Sequence[Prompt] | None) -> bool:
    return any(prompt.text for prompt in prompts or ())


def _processed(
    argument: str,
    net: Any,
    files: Mapping[str, Path | None],
    transformers: Any,
    processor: Any,
    given: Sequence[str],
) -> dict[str, Any]:
    """Arguments of SegmentationModel that do what the folder's image processor does."""
    if type(net).__name__ in SQUEEZING:
        return squeezed_settings(argument, read_keys(files), type(net).__name__, processor, given)
    return preprocessing_settings(
        argument, files, net.config, transformers, processor=processor, given=given
    )


def _tokeniser(argument: str, transformers: Any) -> Callable[[list[str]], dict[str, Tensor]]:
    """From texts to tokens, by the folder's own tokeniser; nothing is downloaded."""
    with (
        reading(f"the tokenizer of {argument} (tokenizer.json, or vocab.json and merges.txt)"),
        quiet(),
    ):
        tokenizer = transformers.AutoTokenizer.from_pretrained(
            argument, trust_remote_code=False, local_files_only=True
        )

    def tokenise(texts: list[str]) -> dict[str, Tensor]:
        tokens = tokenizer(texts, padding=True, truncation=True, return_tensors="pt")
        return dict(tokens)

    return tokenise
