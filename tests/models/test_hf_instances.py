"""`hf:` networks of queries: instances and panoptic segments are those that the library lists."""

from importlib.util import find_spec
from inspect import signature

import numpy as np
import pytest
import torch
import transformers
from PIL import Image
from transformers.utils import ModelOutput

import hf_queries
import misure
from misure.errors import MissingDependencyError
from misure.models.instances.detections import Pixels
from misure.models.loaders.hf_instances import QueryReader, default_score
from misure.models.preprocessing import Preprocessing

pytest.importorskip("transformers", minversion="5.0")  # as misure asks for objects

KINDS = [kind for kind in hf_queries.MAKERS if kind != "oneformer"]  # which needs torchvision
MODES = ("instance", "panoptic")
FUSED = {"label_ids_to_fuse", "stuff_classes"}


def library_segments(processor, output, mode, sizes, stuff=(), **options):
    """(class, score, region) of each segment that a processor of transformers lists."""
    post_process = getattr(processor, f"post_process_{mode}_segmentation")
    known = signature(post_process).parameters
    options |= {"return_binary_maps": True} if "return_binary_maps" in known else {}
    options |= {name: set(stuff) for name in FUSED if name in known}
    (listed,) = post_process(output, target_sizes=sizes, **options)
    segments = []
    for number, entry in enumerate(listed["segments_info"]):
        maps = torch.as_tensor(listed["segmentation"])
        region = maps[number] > 0 if maps.ndim == 3 else maps == entry["id"]
        segments.append((entry["label_id"], entry["score"], region.bool()))
    return [segment for segment in segments if segment[2].any()]


def processor_of(kind, **keys):
    _, name, options = hf_queries.MAKERS[kind]()
    return getattr(transformers, f"{name}Pil", None)(**options | keys)


def random_output(kind, seed, num_queries=12):
    """What a network may return: clear classes, some of them "none", and masks that are blobs."""
    generator = torch.Generator().manual_seed(seed)
    classes = 4 * torch.randn(1, num_queries, 5, generator=generator)
    rows, columns = torch.rand(2, num_queries, 1, 1, generator=generator)
    down, right = torch.arange(16)[:, None] / 16 - rows, torch.arange(24)[None] / 24 - columns
    masks = (8 - 100 * (down**2 + right**2).sqrt() ** 1.5)[None].clamp(min=-20)
    keys = ("logits", "pred_masks") if kind.endswith("detr") else hf_queries.QUERIES
    return ModelOutput(dict(zip(keys, (classes, masks), strict=True)))


@pytest.mark.parametrize("mode", MODES)
@pytest.mark.parametrize("kind", KINDS)
def test_the_library_lists_the_same_of_the_same_output(kind, mode):
    size = {"shortest_edge": 64, "longest_edge": 96}
    processor = processor_of(kind, **({"size": size} if kind == "eomt" else {}))
    num_listed = 0
    for seed in range(4):
        for stuff in ((), (0, 2)) if mode == "panoptic" else ((),):
            output, sizes = random_output(kind, seed), [(64, 96)]
            expected = _sorted(library_segments(processor, output, mode, sizes, stuff))
            reader = QueryReader(processor, mode, 4, default_score(processor, mode), stuff=stuff)
            (found,) = reader.detections(output, torch.zeros(1, 3, 64, 96))
            ours = reader.reported(found, Pixels(Preprocessing(), (64, 96)))
            ours.sort(key=lambda one: -float(one.score))
            assert [one.class_index for one in ours] == [entry[0] for entry in expected]
            for one, (index, score, region) in zip(ours, expected, strict=True):
                assert float(one.score) == pytest.approx(score, abs=1e-6)
                assert torch.equal(one.region, region)
                assert torch.equal(one.logits(reader.min_score) > 0, region)
                weights = found.scores[:, index]
                assert (weights - score).abs().min() < (0.05 if reader._weighs_masks else 1e-5)
            num_listed += len(ours)
    assert num_listed >= 4


@pytest.mark.slow
@pytest.mark.parametrize("kind", KINDS)
def test_a_network_reports_what_the_library_lists(kind, tmp_path):
    net = hf_queries.make(kind, tmp_path)
    side = (64, 64) if kind == "eomt" else (64, 96)
    pixels = np.random.default_rng(0).integers(0, 255, (*side, 3), np.uint8)
    image = torch.from_numpy(pixels).movedim(-1, 0).float() / 255
    processor = processor_of(kind)
    inputs = processor(images=[Image.fromarray(pixels)], return_tensors="pt")
    with torch.no_grad():
        output = net(inputs["pixel_values"])
    least = {"eomt": 0.5}.get(kind)
    for mode in MODES:
        options = {} if least is None else {"min_score": least}
        model = misure.load_model(f"hf:{tmp_path}", device="cpu", objects=mode, **options)
        found = misure.segment(model, image)
        given = {} if least is None else {"threshold": least}
        expected = _sorted(library_segments(processor, output, mode, [side], **given))
        assert [one.class_index for one in found.objects] == [one[0] for one in expected]
        for one, (_, score, region) in zip(found.objects, expected, strict=True):
            assert one.score == pytest.approx(score, abs=2e-3)
            assert torch.equal(one.region, region) or _dice(one.region, region) > 0.99
        if found.objects:
            best = found.objects[0]
            target = found.target(best.class_index, point=_point(best.region))
            again = target.bound(model)(image[None])
            assert target.dice_of_logits(again) == [1.0]
            assert bool(found.class_region(best.class_index)[best.region].all())


def _sorted(segments):
    return sorted(segments, key=lambda one: -one[1])


def _dice(a, b):
    return 2 * int((a & b).sum()) / int(a.sum() + b.sum())


def _point(region):
    return tuple(region.nonzero()[0].tolist())


@pytest.mark.skipif(find_spec("torchvision") is not None, reason="torchvision is here")
def test_objects_of_oneformer_ask_for_torchvision(tmp_path):
    hf_queries.make("oneformer", tmp_path)
    with pytest.raises(MissingDependencyError, match="torchvision is needed to list the objects"):
        misure.load_model(f"hf:{tmp_path}", device="cpu", objects="instance")
    assert misure.load_model(f"hf:{tmp_path}", device="cpu").class_names
