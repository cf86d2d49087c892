"""How close the network's input is to the one that transformers makes, on photographs.

    python benchmarks/processors.py --images FOLDER [--model FOLDER] [--number 12]

For every image processor of the segmentation networks that transformers lists: the difference
between misure's tensor and the processor's own, in grey levels of 255. With --model, a folder with
a network for `hf:`, also how far its segmentations agree with those of the library alone.
"""

import argparse
import warnings
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import torch
import transformers
from PIL import Image
from transformers.models.auto import modeling_auto
from transformers.models.auto.image_processing_auto import IMAGE_PROCESSOR_MAPPING_NAMES

import misure
from misure.models.loaders.hf_layout import follow
from misure.models.loaders.hf_shown import as_images
from misure.models.preprocessing import Preprocessing

KINDS = ("SEMANTIC", "UNIVERSAL", "INSTANCE", "IMAGE")
SPECIAL: tuple[tuple[str, dict[str, Any]], ...] = (
    ("SegformerImageProcessor", {"resample": 3}),
    ("SegformerImageProcessor", {"resample": 0}),
    ("SegformerImageProcessor", {"resample": 1}),
    ("MaskFormerImageProcessor", {"size": 512, "max_size": 700}),
    ("Mask2FormerImageProcessor", {"pad_size": {"height": 1344, "width": 1344}}),
    ("DPTImageProcessor", {"keep_aspect_ratio": True, "ensure_multiple_of": 32}),
    ("DPTImageProcessor", {"do_pad": True, "size_divisor": 14}),
    ("EomtImageProcessor", {"do_pad": True}),
    (
        "EomtImageProcessor",
        {"size": {"shortest_edge": 512, "longest_edge": None}, "do_split_image": True},
    ),
)


def networks_of_processors() -> dict[str, list[str]]:
    """Image processor -> types of the segmentation networks that use it."""
    found: dict[str, list[str]] = {}
    for kind in KINDS:
        for model_type in getattr(modeling_auto, f"MODEL_FOR_{kind}_SEGMENTATION_MAPPING_NAMES"):
            entry = IMAGE_PROCESSOR_MAPPING_NAMES.get(model_type) or {}
            names = entry.values() if isinstance(entry, dict) else entry
            for name in {name.removesuffix("Pil").removesuffix("Fast") for name in names if name}:
                types = found.setdefault(name, [])
                types += [] if model_type in types else [model_type]
    return found


def class_of(name: str) -> Any:
    return getattr(transformers, f"{name}Pil", None) or getattr(transformers, name)


def is_missing(kind: Any) -> bool:
    """Whether a library that the class needs is missing."""
    return bool(getattr(kind, "is_dummy", False))


def processors() -> Iterator[tuple[str, str, dict[str, Any]]]:
    """Name, network types, and keys."""
    networks = networks_of_processors()
    for name in sorted(networks):
        kind = class_of(name)
        crop = not is_missing(kind) and getattr(kind, "do_center_crop", False)
        yield name, ", ".join(networks[name]), {"do_center_crop": False} if crop else {}
    for name, keys in SPECIAL:
        yield name, ", ".join(networks[name]), keys


def differences(processor: Any, used: Preprocessing, photographs: list[Any]) -> tuple[float, float]:
    """The largest and the mean difference over photographs, in grey levels."""
    largest, means = 0.0, []
    std = torch.tensor(used.std or (1.0,)).expand(3)
    std = std[list(used.channels)] if used.channels else std
    for pixels in photographs:
        theirs = processor(images=[Image.fromarray(pixels)], return_tensors="pt")["pixel_values"]
        levels = (used.to_input(as_images(pixels)) - theirs).abs() * std[:, None, None] * 255
        largest = max(largest, float(levels.max()))
        means.append(float(levels.mean()))
    return largest, float(np.mean(means))


def row(name: str, types: str, keys: dict[str, Any], photographs: list[Any]) -> str:
    kind = class_of(name)
    written = ", ".join(f"`{key}: {value}`" for key, value in keys.items()) or "defaults"
    start = f"| `{name}` | {types} | {written} |"
    if is_missing(kind):
        return f"{start} needs torchvision | | |"
    try:
        processor = kind(**keys)
        used = follow(processor, num_channels=3)
    except (misure.InputError, ValueError) as error:
        return f"{start} refused: {error} | | |"
    largest, mean = differences(processor, used, photographs)
    place = used.placement(photographs[0].shape[:2])
    number = f"{len(place.corners)} x " if len(place.corners) > 1 else ""
    size = f"{number}{place.input_shape[0]} x {place.input_shape[1]}"
    return f"{start} {size}, {used.interpolation} | {largest:.0f} | {mean:.4f} |"


def agreement(folder: Path, paths: list[Path]) -> str:
    """How far segmentations of a network agree with the library's, over foreground pixels."""
    model = misure.load_model(f"hf:{folder}", device="cpu")
    processor = transformers.AutoImageProcessor.from_pretrained(folder)
    same = pixels = 0
    for path in paths:
        photograph = Image.open(path).convert("RGB")
        with torch.no_grad():
            output = model.net(processor(images=[photograph], return_tensors="pt")["pixel_values"])
            ours = model(misure.read_image(path, num_channels=3)[None])[0].argmax(0)
        (theirs,) = processor.post_process_semantic_segmentation(
            output, target_sizes=[photograph.size[::-1]]
        )
        foreground = (theirs > 0) | (ours > 0)
        same += int((theirs == ours)[foreground].sum())
        pixels += int(foreground.sum())
    return f"{folder.name}: {same / pixels:.4f} of {pixels:,} foreground pixels have the same class"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--images", type=Path, required=True)
    parser.add_argument("--model", type=Path)
    parser.add_argument("--number", type=int, default=12)
    options = parser.parse_args()
    transformers.utils.logging.set_verbosity_error()
    warnings.simplefilter("ignore")
    paths = sorted(options.images.glob("*.jpg"))[: options.number]
    photographs = [np.asarray(Image.open(path).convert("RGB")) for path in paths]
    height, width = photographs[0].shape[:2]
    print(f"transformers {transformers.__version__}, {len(paths)} photographs\n")
    print(f"| processor | networks | keys | input of {height} x {width} | largest | mean |")
    print("|---|---|---|---|---|---|")
    for name, types, keys in processors():
        print(row(name, types, keys, photographs), flush=True)
    if options.model:
        print(f"\n{agreement(options.model, paths)}")


if __name__ == "__main__":
    main()
