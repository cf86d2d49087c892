"""Prompts: what they mean, and masks equal to those of transformers itself."""

import json

import numpy as np
import pytest
import torch
import torch.nn.functional as F

import misure
import prompt_folders as folders
import prompt_toys
from misure.errors import InputError, MisureWarning
from misure.methods import METHODS
from misure.models.augmentation import augmented_dices
from misure.models.inputs import as_image
from misure.models.prompted import Masks, PromptableNetwork, prompt_arguments
from misure.models.prompts import Prompt, as_prompts, parse_prompt

transformers = pytest.importorskip("transformers", minversion="5.0")  # as misure asks

pytestmark = pytest.mark.filterwarnings("ignore:.*(own point|is empty).*may be another object")
"""Networks with random weights draw beside their points."""

PROMPTS = ("point:10,20", "point:5,6;-20,30", "box:3,4,20,30", "box:3,4,20,30;not:10,11")
"""Of an image (37, 53)."""

OF_LIBRARY = (
    {"input_points": [[[20, 10]]]},
    {"input_points": [[[6, 5], [30, 20]]], "input_labels": [[1, 0]]},
    {"input_boxes": [[[4, 3, 30, 20]]]},
    {"input_points": [[[11, 10]]], "input_labels": [[0]], "input_boxes": [[[4, 3, 30, 20]]]},
)
"""The same prompts as the processors of SAM and SAM-HQ take them: (x, y), boxes (x0, y0, x1, y1)."""


@pytest.fixture(scope="module")
def saved(tmp_path_factory):
    """Saves each folder once: name -> (folder, network, processor)."""
    known = {}

    def get(name):
        if name not in known:
            folder = tmp_path_factory.mktemp(name)
            known[name] = (folder, *getattr(folders, name)(folder))
        return known[name]

    return get


def load(folder, prompts=None, **options):
    return misure.load_model(f"hf:{folder}", device="cpu", prompts=prompts, **options)


@pytest.fixture(scope="module")
def opened(saved):
    """A model of each folder, opened once and without prompts: name -> the model."""
    known = {}

    def get(name):
        if name not in known:
            known[name] = load(saved(name)[0])
        return known[name]

    return get


def test_a_prompt_means_points_boxes_and_texts():
    prompt = parse_prompt("point:1,2;3,4;-5,6;not:0,0;-0,7")
    assert prompt == Prompt(points=((1, 2), (3, 4)), outside=((5, 6), (0, 0), (0, 7)))
    assert str(prompt) == "points 1,2 and 3,4 not 5,6 and 0,0 and 0,7"
    assert parse_prompt(prompt.spec) == prompt
    box = parse_prompt("box:1,2,30,40;point:5,6;-7,8")
    assert box == Prompt(box=(1, 2, 30, 40), points=((5, 6),), outside=((7, 8),))
    assert str(box) == "box 1,2,30,40 point 5,6 not 7,8"
    assert parse_prompt(box.spec) == box
    assert parse_prompt('text:"a horse; brown"') == Prompt(text="a horse; brown")
    assert parse_prompt("text: horse ") == Prompt(text="horse")


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("120,88", "expected a prompt as point:R,C"),
        ("point:1", "expected a prompt as"),
        ("point:a,2", "expected a prompt as"),
        ("point:nan,2", "expected a prompt as"),
        ("box:1,2,3", "expected a prompt as"),
        ("box:9,2,3,8", "ends are larger"),
        ("text:", "expected a prompt by places or by a text"),
        ("point:-4,5", "expected a point or a box of the object"),
    ],
)
def test_a_text_that_is_no_prompt_is_refused(text, says):
    with pytest.raises(InputError, match=says):
        parse_prompt(text)


@pytest.mark.parametrize(
    ("prompts", "says"),
    [
        (["point:25,20"], "the prompt 'point:25,20' is empty: it may be"),
        (["point:0,40", "point:10,10"], "the prompt 'point:0,40' does not hold its own point"),
    ],
)
@pytest.mark.filterwarnings("error")
def test_a_mask_without_its_own_point_is_told(prompts, says):
    model, image = prompt_toys.nearby(), prompt_toys.two_squares()
    with pytest.warns(MisureWarning, match=says) as told:
        misure.segment(model.with_prompts(prompts), image)
    assert len(told) == 1
    misure.segment(model.with_prompts(["point:10,10", "point:12,34;-0,0", "box:0,0,3,3"]), image)


def test_layers_of_a_prompted_network_are_refused_for_what_they_are():
    model, image = prompt_toys.nearby().with_prompts("point:10,10"), prompt_toys.two_squares()
    target = misure.predicted_target(model, image, 0)
    with pytest.raises(InputError, match="draws what a prompt names.*no layer"):
        METHODS["seg_grad_cam"](model, image, target)


def test_prompts_given_twice_are_refused():
    with pytest.raises(InputError, match="'point 1,2' twice"):
        as_prompts(["point:1,2", "point: 1,2"])


def reference(name, net, processor, image):
    """Logits (P, M, H, W) at the image's pixels and scores (P, M), by the library's own ways."""
    logits, scores = [], []
    for prompt in OF_LIBRARY:
        inputs = processor(images=image, return_tensors="pt", **prompt)
        with torch.no_grad():
            output = net(**inputs)
        masks = processor.post_process_masks(
            output.pred_masks,
            inputs["original_sizes"],
            inputs["reshaped_input_sizes"],
            binarize=False,
        )
        logits.append(masks[0][0])
        scores.append(output.iou_scores[0, 0])
    return torch.stack(logits), torch.stack(scores)


@pytest.mark.parametrize(
    ("name", "size"),
    [
        ("sam", (37, 53)),
        pytest.param("sam", (101, 64), marks=pytest.mark.slow),
        pytest.param("sam_hq", (37, 53), marks=pytest.mark.slow),
        pytest.param("sam_hq", (101, 64), marks=pytest.mark.slow),
    ],
)
def test_masks_are_those_of_the_processor_and_the_network(saved, opened, name, size):
    _, net, processor = saved(name)
    image = folders.picture(*size)
    logits, scores = reference(name, net, processor, image)
    model = opened(name).with_prompts(PROMPTS)
    segmentation = misure.segment(model, image)
    bound = segmentation.model
    ours = bound(as_image(image, model)[None])[0].detach()
    best = scores.argmax(-1)
    expected = torch.stack([masks[place] for masks, place in zip(logits, best, strict=True)])
    assert ours.shape == (4, *size)
    spread = float(expected.std())
    # Pillow's rounding to whole grey levels leaves up to one level of difference in the input
    assert float((ours - expected).abs().mean()) < 0.002 * spread
    for k in range(4):
        region = segmentation.class_region(k)
        assert misure_dice(region, expected[k] > 0) > 0.995
        assert 0.02 < float(region.float().mean()) < 0.98
    settings = bound.settings()
    if name == "sam":  # SAM-HQ sorts its masks by their scores, which misure undoes
        assert settings["mask_places"] == best.tolist()
    assert settings["mask_scores"] == pytest.approx(scores.amax(-1).tolist(), rel=1e-2)


def misure_dice(a, b):
    return 2 * float((a & b).sum()) / float(a.sum() + b.sum())


def squeezed(net, image, mean, std):
    """Inputs as the processors of SAM 2 and SAM 3 make them, by Pillow."""
    pixels = np.asarray(image.resize((folders.SIDE, folders.SIDE), 2), dtype=np.float32) / 255
    normal = (pixels - np.float32(mean)) / np.float32(std)
    return torch.from_numpy(normal).permute(2, 0, 1)[None].float()


@pytest.mark.slow
@pytest.mark.parametrize("name", ["sam2", "sam3_tracker"])
def test_squeezed_networks_draw_as_the_library_does(saved, opened, name):
    _, net, keys = saved(name)
    image = folders.picture()
    inputs = squeezed(net, image, keys["image_mean"], keys["image_std"])
    scale = torch.tensor([64 / 53, 64 / 37])
    expected, places = [], []
    for prompt in OF_LIBRARY:
        given = {}
        if "input_points" in prompt:
            given["input_points"] = torch.tensor(prompt["input_points"])[None].float() * scale
            given["input_labels"] = torch.tensor(
                prompt.get("input_labels", [[1] * given["input_points"].shape[2]])
            )[None]
        if "input_boxes" in prompt:
            given["input_boxes"] = torch.tensor(prompt["input_boxes"]).float() * scale.repeat(2)
        with torch.no_grad():
            output = net(pixel_values=inputs, **given)
        place = int(output.iou_scores[0, 0].argmax())
        masks = F.interpolate(output.pred_masks[0], (37, 53), mode="bilinear", align_corners=False)
        expected.append(masks[0, place])
        places.append(place)
    bound = misure.segment(opened(name).with_prompts(PROMPTS), image).model
    ours = bound(as_image(image, bound)[None])[0].detach()
    expected = torch.stack(expected)
    assert bound.settings()["mask_places"] == places
    assert float((ours - expected).abs().max()) < 1e-3 * float(expected.abs().max())
    assert all(
        misure_dice(ours[k] > 0, expected[k] > 0) > 0.999 or not (expected[k] > 0).any()
        for k in range(4)
    )


@pytest.mark.slow
def test_a_folder_of_the_video_model_is_opened_for_images(saved, tmp_path):
    folder, video, _ = saved("sam2_video")
    image = folders.picture()
    bound = misure.segment(load(folder, "point:10,20"), image).model
    assert type(bound.modules[0].net).__name__ == "Sam2Model"
    inputs = squeezed(video, image, (0.485, 0.456, 0.406), (0.229, 0.224, 0.225))
    net = transformers.Sam2Model.from_pretrained(folder).eval()
    with torch.no_grad():
        output = net(
            pixel_values=inputs, input_points=torch.tensor([[[[20 * 64 / 53, 10 * 64 / 37]]]])
        )
    place = bound.settings()["mask_places"][0]
    masks = F.interpolate(output.pred_masks[0], (37, 53), mode="bilinear", align_corners=False)
    ours = bound(as_image(image, bound)[None])[0, 0].detach()
    assert float((ours - masks[0, place]).abs().max()) < 1e-3 * float(masks.abs().max())
    shared = dict(video.named_parameters())["mask_decoder.iou_token.weight"]
    assert torch.equal(net.mask_decoder.iou_token.weight, shared)


def test_texts_are_drawn_as_by_clipseg(saved):
    folder, net, processor = saved("clipseg")
    image, texts = folders.picture(), ["a horse", "sea", "the sky at night"]
    inputs = processor(text=texts, images=[image] * 3, padding=True, return_tensors="pt")
    with torch.no_grad():
        logits = net(**inputs).logits
    expected = F.interpolate(logits[:, None], (37, 53), mode="bilinear", align_corners=False)[:, 0]
    segmentation = misure.segment(load(folder, [f"text:{text}" for text in texts]), image)
    assert segmentation.model.class_names == ("a horse", "sea", "the sky at night")
    ours = segmentation.model(as_image(image, segmentation.model)[None])[0].detach()
    assert float((ours - expected).abs().max()) < 0.02 * float(expected.std())
    assert not torch.allclose(expected[0], expected[1])


@pytest.mark.slow
def test_texts_are_drawn_as_by_sam_3(saved):
    folder, net, _ = saved("sam3")
    tokenizer = transformers.AutoTokenizer.from_pretrained(folder)
    image, texts = folders.picture(), ["a horse", "sea"]
    inputs = squeezed(net, image, [0.5] * 3, [0.5] * 3)
    tokens = tokenizer(texts, padding=True, return_tensors="pt")
    expected = []
    for number in range(2):
        with torch.no_grad():
            output = net(
                pixel_values=inputs,
                input_ids=tokens["input_ids"][number : number + 1],
                attention_mask=tokens["attention_mask"][number : number + 1],
            )
        shares = output.semantic_seg.sigmoid()  # of post_process_semantic_segmentation
        expected.append(F.interpolate(shares, (37, 53), mode="bilinear", align_corners=False)[0, 0])
    bound = misure.segment(load(folder, [f"text:{text}" for text in texts]), image).model
    ours = bound(as_image(image, bound)[None])[0].detach()
    assert float((ours.sigmoid() - torch.stack(expected)).abs().max()) < 1e-3


def encoder_passes(model):
    """Images that go through the image encoder from now on, in a list."""
    net, seen = model.modules[0].net, []
    encoder = getattr(net, "vision_encoder", None) or net.clip.vision_model
    encoder.register_forward_pre_hook(
        lambda _module, args, kwargs: seen.append(len((args or [*kwargs.values()])[0])),
        with_kwargs=True,
    )
    return seen


@pytest.mark.parametrize(
    ("name", "prompts"),
    [
        ("sam", PROMPTS),
        ("clipseg", ("text:a", "text:b")),
        pytest.param("sam_hq", PROMPTS, marks=pytest.mark.slow),
        pytest.param("sam2", PROMPTS, marks=pytest.mark.slow),
        pytest.param("sam3_tracker", PROMPTS, marks=pytest.mark.slow),
        pytest.param("sam3", ("text:a", "text:b"), marks=pytest.mark.slow),
    ],
)
def test_prompts_share_one_pass_of_the_image_encoder_with_gradients(opened, name, prompts):
    model = opened(name).with_prompts(prompts)
    image = as_image(folders.picture(), model)
    bound = model.for_image(image)
    bound.examine(image[None])
    seen = encoder_passes(bound)
    images = torch.stack([image, image.flip(-1)]).requires_grad_()
    with bound.counting() as cost:
        logits = bound(images)
    assert (sum(seen), cost.forward_passes) == (2, 2)
    assert bound.differentiable
    (gradient,) = torch.autograd.grad(logits[1].sum(), images)
    assert not gradient[0].any()
    assert gradient[1].abs().sum() > 0
    alone = model.with_prompts(prompts[1])
    ours = alone.for_image(image)(images.detach())
    assert torch.allclose(
        ours[:, 0], logits[:, 1].detach(), atol=1e-4 * float(logits.detach().abs().max())
    )


@pytest.mark.slow
def test_the_mask_chosen_on_the_whole_image_is_read_wherever_parts_are_hidden(opened):
    model = opened("sam_hq").with_prompts(PROMPTS)
    image = folders.picture()
    bound = misure.segment(model, image).model
    places = bound.settings()["mask_places"]
    for other in (folders.picture(seed=1), folders.picture(seed=2)):
        shown = bound(as_image(other, bound)[None])[0].detach()
        for place in set(places):
            fixed = opened("sam_hq").with_prompts(PROMPTS, place)
            same = misure.segment(fixed, other).model(as_image(other, bound)[None])[0].detach()
            for k in range(4):
                if places[k] == place:
                    assert torch.allclose(shown[k], same[k], atol=1e-5)


@pytest.mark.slow
def test_the_single_mask_is_that_of_the_library(saved, opened):
    _, net, processor = saved("sam")
    image = folders.picture()
    inputs = processor(images=image, return_tensors="pt", input_points=[[[20, 10]]])
    with torch.no_grad():
        output = net(**inputs, multimask_output=False)
    sizes = inputs["original_sizes"], inputs["reshaped_input_sizes"]
    expected = processor.post_process_masks(output.pred_masks, *sizes, binarize=False)[0][0, 0]
    bound = misure.segment(opened("sam").with_prompts("point:10,20", "single"), image).model
    ours = bound(as_image(image, bound)[None])[0, 0].detach()
    assert float((ours - expected).abs().mean()) < 0.002 * float(expected.std())


@pytest.mark.parametrize(
    ("name", "prompts", "options", "says"),
    [
        ("sam", "text:horse", {}, "got a text.*name the object by a point or a box"),
        ("clipseg", "point:1,2", {}, "got a point.*Say text:WORDS"),
        ("sam3", "box:1,2,5,6", {}, "got a box.*its tracker is taken"),
        ("sam", [], {}, "expected prompts, each as"),
        ("sam", "point:1,2", {"mask": 3}, "expected mask as best, single or a number below 3"),
        ("sam", None, {"mask": 0}, "expected prompts beside mask"),
        ("sam2", "point:1,2", {"processor": {"do_pad": True}}, "do_pad as False"),
    ],
)
def test_what_a_network_does_not_take_is_refused_when_it_is_opened(
    saved, name, prompts, options, says
):
    with pytest.raises(InputError, match=says):
        load(saved(name)[0], prompts, **options)


def test_prompts_outside_of_the_image_are_refused(opened):
    image = folders.picture()
    for prompt in ("point:37,5", "point:5,53", "box:0,0,38,20", "point:1,1;-40,1"):
        with pytest.raises(InputError, match="inside the image of 37 rows and 53 columns"):
            misure.segment(opened("sam").with_prompts(prompt), image)
    misure.segment(opened("sam").with_prompts("box:0,0,37,53"), image)
    with pytest.raises(InputError, match="Take a slice"):
        misure.segment(opened("sam").with_prompts("point:1,1"), torch.rand(3, 4, 37, 53))


def test_a_network_without_its_prompt_says_how_to_give_one(opened):
    model = opened("sam")
    with pytest.raises(InputError, match="expected a prompt.*with_prompts.*--prompt"):
        misure.segment(model, folders.picture())
    drawn = misure.segment(model.with_prompts("point:10,20"), folders.picture())
    assert drawn.num_classes == 1


def test_a_network_that_takes_no_prompts_refuses_them(model):
    with pytest.raises(InputError, match="takes images alone"):
        model.with_prompts("point:1,2")


def test_a_target_keeps_its_prompt(opened):
    model = opened("sam").with_prompts(PROMPTS)
    image = as_image(folders.picture(), model)
    target = misure.predicted_target(model, image, class_name="box 3,4,20,30")
    again = target.bound(model)
    assert target.dice_of_logits(again(image[None]).detach()) == [1.0]
    assert again.settings()["prompts"][2] == "box:3,4,20,30"


@pytest.mark.slow
def test_the_defaults_of_sam_2_are_told(saved, tmp_path):
    folder = saved("sam2")[0]
    for name in ("config.json", "model.safetensors"):
        (tmp_path / name).write_bytes((folder / name).read_bytes())
    with pytest.warns(misure.errors.MisureWarning, match="no preprocessor_config.json"):
        model = load(tmp_path, "point:1,2")
    assert model.preprocessing.input_size == (1024, 1024)
    keys = folders.squeezing_keys("Sam2ImageProcessor", do_center_crop=True)
    (tmp_path / "preprocessor_config.json").write_text(json.dumps(keys))
    with pytest.raises(InputError, match="do_center_crop as False"):
        load(tmp_path, "point:1,2")


class Near(PromptableNetwork):
    """Draws what is bright within six pixels of a point."""

    kinds = ("point",)

    def encode(self, prompts, spatial, placement):
        return torch.tensor([prompt.points[0] for prompt in prompts])

    def embed(self, inputs):
        return inputs

    def decode(self, embedded, encoded, *, single=False):
        rows, columns = (torch.arange(side) for side in embedded.shape[2:])
        far = (rows[:, None] - encoded[:, 0, None, None]) ** 2
        far = far + (columns - encoded[:, 1, None, None]) ** 2
        return Masks(torch.where(far <= 36, 8 * embedded - 4, -9.0)[:, :, None], None)


def test_in_the_mirrored_image_prompts_lie_in_the_mirrored_place():
    prompt = parse_prompt("box:1,2,30,40;point:5,6;-7,8").mirrored(53)
    assert prompt.spec == "box:1,13,30,51;point:5,46;not:7,44"
    image = torch.zeros(1, 24, 40)
    image[:, 4:12, 3:11] = image[:, 8:18, 24:32] = 1
    asked = prompt_arguments(Near(), "near", ["point:8,7"])
    model = misure.SegmentationModel(Near(), **asked)
    target = misure.predicted_target(model, image, 0)
    (dices,) = augmented_dices(target.bound(model), image, [target])
    assert dices["mirrored"] == 1.0
