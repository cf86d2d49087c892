"""Training: what a step sees, that it goes on where it was killed, what is measured and told."""

import json

import nibabel
import numpy as np
import pytest
import torch
from click.testing import CliRunner
from msgspec import structs
from torch import nn

import misure
from misure.cli.app import main
from misure.datasets import Sample, SampleList, TriangleDataset
from misure.lab.training import train
from misure.lab.training.augment import Augmentation
from misure.lab.training.card import as_markdown
from misure.lab.training.fit import FitSettings, fit
from misure.lab.training.minibatches import Batches, cut_or_pad
from misure.lab.training.recipes import split_by_case
from misure.lab.training.score import class_dices, disc_dices, distractor_fraction, mean_dice
from misure.models.networks.registry import NETWORKS, build_network
from misure.models.networks.trained_network import TrainedNetwork, load_trained, save_trained

pytest.importorskip("monai")
CPU = torch.device("cpu")


class _Threshold(nn.Module):
    """Foreground is what is brighter than a grey level."""

    def __init__(self, grey):
        super().__init__()
        self.grey = grey

    def forward(self, images):
        return torch.cat([self.grey - images, images - self.grey], 1)


def _model(grey):
    names = ("background", "triangle")
    return misure.SegmentationModel(_Threshold(grey), probabilities=False, class_names=names)


def test_what_is_measured_on_triangle():
    dataset = TriangleDataset(20)
    assert class_dices(_model(2.0), dataset) == {"triangle": 0.0}
    assert distractor_fraction(_model(2.0), dataset) == 0
    assert distractor_fraction(_model(0.3), dataset) == 1
    assert 0.4 < mean_dice(_model(0.3), dataset) < 0.7
    assert mean_dice(_model(2.0), TriangleDataset(3, empty_fraction=1.0)) == 0


def test_slices_of_a_case_are_measured_together_and_unjudged_pixels_left_out():
    image = torch.zeros(1, 2, 4)
    image[..., :2] = 1
    annotation = torch.tensor([[1, 1, 1, 1], [0, 0, 0, 0]])
    unjudged = torch.tensor([[1, 1, 0, -1], [-1, -1, 0, 0]])
    dataset = SampleList(
        [
            Sample("a/slice000", image, annotation),
            Sample("a/slice001", image, torch.zeros(2, 4, dtype=torch.int64)),
            Sample("b", image, unjudged),
        ]
    )
    assert class_dices(_model(0.5), dataset) == {
        "triangle": pytest.approx((2 * 2 / (8 + 4) + 1) / 2)
    }


def test_a_step_sees_the_same_whoever_asks_and_an_epoch_sees_every_sample():
    samples = SampleList(
        [
            Sample(str(i), torch.full((1, 5, 9), float(i)), torch.zeros(5, 9, dtype=torch.int64))
            for i in range(6)
        ]
    )
    batches, again = (Batches(samples, 2, (8, 8), seed=3) for _ in range(2))
    seen = [batches(step)[0] for step in range(6)]
    assert all(torch.equal(again(step)[0], seen[step]) for step in (4, 1))
    assert seen[0].shape == (2, 1, 8, 8)
    for epoch in (seen[:3], seen[3:]):
        assert sorted(float(one) for batch in epoch for one in batch.amax((1, 2, 3))) == [*range(6)]
    assert not torch.equal(torch.stack(seen[:3]), torch.stack(seen[3:]))


def test_parts_are_cut_alike_and_padded_at_the_end():
    annotation = torch.zeros(20, 4, dtype=torch.int64)
    annotation[15, 2] = 3
    image = annotation[None].float()
    hits = 0
    for seed in range(40):
        rng = np.random.default_rng(seed)
        part, labels = cut_or_pad(image, annotation, (6, 8), rng)
        assert part.shape == (1, 6, 8)
        assert torch.equal(part[0].long(), labels)
        assert not labels[:, 4:].any()
        grey, _ = cut_or_pad(image + 0.5, annotation, (6, 8), rng, (0.25,))
        assert (grey[0, :, 4:] == 0.25).all()
        assert (grey[0, :, :4] >= 0.5).all()
        hits += bool(labels.any())
    assert hits > 20


def test_augmentation_changes_image_and_annotation_alike_and_only_by_its_seed():
    annotation = torch.zeros(1, 40, 40, dtype=torch.int64)
    annotation[0, 10:30, 5:15] = 1
    image = annotation.float()
    augment = Augmentation(2)
    made = [augment(image, annotation[0], seed) for seed in (1, 2, 3, 4, 1)]
    assert torch.equal(made[0][0], made[4][0])
    assert any(not torch.equal(one[1], annotation[0]) for one in made)
    for changed, labels in made:
        grey = changed[0] - changed[0].min()
        assert ((grey > grey.max() / 2) == (labels == 1)).float().mean() > 0.97


def test_cases_are_kept_together_in_one_part():
    keys = [f"case{case}/slice{number:03d}" for case in range(10) for number in range(3)]
    nothing = torch.zeros(1, 2, 2)
    parts = split_by_case(SampleList([Sample(key, nothing) for key in keys]), [0.6, 0.2], 0)
    assert [len(part) for part in parts] == [18, 6, 6]
    assert sorted(key for part in parts for key in part.keys) == keys
    cases = [{key[:5] for key in part.keys} for part in parts]
    assert not (cases[0] & cases[1] | cases[0] & cases[2] | cases[1] & cases[2])
    with pytest.raises(misure.InputError, match="at least 3 cases"):
        split_by_case(SampleList([Sample("a", nothing), Sample("b", nothing)]), [0.6, 0.2], 0)


def test_correctly_drawn_items_of_other_triangles_are_no_mistakes():
    dataset = TriangleDataset(4, num_triangles=2, size_px=128, side_px=32, glyph_px=12)

    class Right(nn.Module):
        def forward(self, images):
            (drawn,) = [
                s.annotation
                for s in map(dataset.__getitem__, range(4))
                if torch.equal(s.image, images[0])
            ]
            return torch.stack([1 - drawn, drawn])[None].float() * 9

    model = misure.SegmentationModel(
        Right(), probabilities=False, class_names=("a", "b"), differentiable=False
    )
    assert mean_dice(model, dataset) == 1
    assert distractor_fraction(model, dataset) == 0


def test_whether_a_network_needs_the_disc_is_measured():
    class Item(nn.Module):
        """Draws what is bright, and with `needs_disc` only where much of the canvas is grey."""

        def __init__(self, needs_disc):
            super().__init__()
            self.needs_disc = needs_disc

        def forward(self, images):
            is_disc = (images - 0.5).abs() < 1e-6
            seen = is_disc.flatten(1).sum(1).view(-1, 1, 1, 1) > 20
            drawn = (images > 0.3) & ~is_disc & (seen | (not self.needs_disc))
            return torch.cat([~drawn, drawn], 1).float() * 9

    dataset = TriangleDataset(30, disc=True, num_distractors=0, num_decoy_pairs=0)
    for needs_disc in (True, False):
        net = Item(needs_disc)
        model = misure.SegmentationModel(
            net, probabilities=False, class_names=("a", "b"), differentiable=False
        )
        dices = disc_dices(model, dataset)
        assert dices["dice_with_disc"] > 0.9
        assert (dices["dice_without_disc"] > 0.9) is not needs_disc
    nothing = TriangleDataset(3, disc=True, empty_fraction=1.0)
    assert disc_dices(model, nothing) == {"dice_with_disc": 0, "dice_without_disc": 0}


@pytest.mark.slow
@pytest.mark.usefixtures("few_canvases")
def test_a_card_says_of_the_disc_only_what_was_seen():
    made = train("triangle-disc", network="small_unet", num_steps=2)
    for with_disc, without_disc, words in (
        (0.9, 0.1, "The network needs the disc"),
        (0.9, 0.8, "ignores the disc"),
        (0.0, 0.0, "segments too little to tell"),
    ):
        dices = {"dice_with_disc": with_disc, "dice_without_disc": without_disc}
        assert words in as_markdown(made.about, structs.replace(made.card, **dices))


class _KilledError(Exception):
    pass


def _killed(*_):
    raise _KilledError


def test_training_that_is_killed_goes_on_to_the_same_weights(tmp_path):
    state = torch.get_rng_state()
    batches = Batches(TriangleDataset(64, split="train"), 2, (96, 96))
    settings = FitSettings(num_steps=6, learning_rate=1e-2, validate_every=2, seed=1)

    def run(checkpoint=None, kill_at=None):
        net = misure.load_model("triangle").net
        figures = iter([0.1, 0.3, 0.2] if kill_at != 5 else [0.1, 0.3])

        def on_step(_doing, step, _total):
            if step == kill_at:
                raise _KilledError

        history = fit(
            net, batches, lambda _: next(figures), settings, device=CPU, checkpoint=checkpoint,
            on_step=on_step,
        )  # fmt: skip
        return net.state_dict(), history

    whole, history = run()
    assert history.steps == [2, 4, 6]
    checkpoint = tmp_path / "checkpoint.pt"
    with pytest.raises(_KilledError):
        run(checkpoint, kill_at=5)
    net = misure.load_model("triangle").net
    gone_on = fit(net, batches, lambda _: 0.2, settings, device=CPU, checkpoint=checkpoint)
    assert gone_on == history
    assert all(torch.equal(a, net.state_dict()[name]) for name, a in whole.items())
    assert torch.equal(torch.get_rng_state(), state)
    with pytest.raises(misure.InputError, match="seed: 1 there, 2 now"):
        fit(
            net, batches, lambda _: 0, structs.replace(settings, seed=2), device=CPU,
            checkpoint=checkpoint,
        )  # fmt: skip
    _of_misure_0_1_0(checkpoint)
    with pytest.raises(misure.InputError, match=r"which was written by misure 0\.1\.0"):
        fit(net, batches, lambda _: 0, settings, device=CPU, checkpoint=checkpoint)
    checkpoint.write_bytes(checkpoint.read_bytes()[:999])
    with pytest.raises(misure.InputError, match="expected a checkpoint of misure"):
        fit(net, batches, lambda _: 0, settings, device=CPU, checkpoint=checkpoint)


def _of_misure_0_1_0(checkpoint):
    """Writes the settings of a checkpoint as misure 0.1.0 did."""
    content = torch.load(checkpoint, weights_only=True)
    del content["checkpoint"]
    torch.save(content | {"identity": {"num_steps": 6}, "step": 4}, checkpoint)


def test_training_stops_when_nothing_gets_better_and_keeps_the_best():
    batches = Batches(TriangleDataset(64, split="train"), 2, (96, 96))
    net, kept = misure.load_model("triangle").net, []
    figures = iter([0.5, 0.4, 0.3, 0.2])

    def validate(trained):
        kept.append({name: one.clone() for name, one in trained.state_dict().items()})
        return next(figures)

    settings = FitSettings(num_steps=50, learning_rate=1e-2, validate_every=1, patience=2)
    history = fit(net, batches, validate, settings, device=CPU)
    assert (history.stopped_by, history.steps) == ("patience", [1, 2, 3])
    assert all(torch.equal(one, kept[0][name]) for name, one in net.state_dict().items())


@pytest.mark.parametrize(
    ("name", "dims"),
    [
        pytest.param(name, dims, marks=[pytest.mark.slow] * (name == "swinunetr" and dims == 3))
        for name in NETWORKS
        for dims in (2, 3)
    ],
)
def test_every_network_can_be_built_saved_and_explained(name, dims, tmp_path):
    if NETWORKS[name].source == "misure" and dims == 3:
        with pytest.raises(misure.InputError, match="Use unet"):
            build_network(name, 1, 2, 3, (32, 32, 32))
        return
    size = (64 if name == "swinunetr" else 32,) * dims
    about = TrainedNetwork(
        network=name, spatial_dims=dims, input_size=size, num_channels=1,
        class_names=("a", "b", "c"), mean=(0.1,), std=(2.0,), intensity="window:0:9",
    )  # fmt: skip
    save_trained(about.build(), about, tmp_path / "model.safetensors")
    net, again = load_trained(tmp_path / "model.safetensors")
    assert again == about
    model = misure.load_model(f"trained:{tmp_path}", device="cpu")
    assert model.intensity == "window:0:9"
    image = torch.rand(1, 1, *(side - 3 for side in size))
    logits = model.for_image(image[0])(image)
    assert logits.shape == (1, 3, *image.shape[2:])
    assert not net.training


@pytest.mark.parametrize(
    ("name", "reach_px"), [("small_unet", 46), ("unet", 45), ("deep_unet", 94)]
)
def test_how_far_a_network_sees(name, reach_px):
    torch.manual_seed(0)
    net = build_network(name, 1, 2, 2, (208, 208)).double().eval()
    image = torch.rand(1, 1, 208, 208, dtype=torch.double, requires_grad=True)
    net(image)[0, :, 96, 96].sum().backward()
    rows = torch.nonzero(image.grad[0, 0].any(1))
    assert 96 - int(rows.min()) == reach_px


@pytest.mark.slow
def test_the_command_trains_on_volumes_of_separate_patients(tmp_path):
    rng = np.random.default_rng(0)
    for folder in ("images", "labels"):
        (tmp_path / folder).mkdir()
    for case in range(5):
        labels = np.zeros((14, 12, 10), np.uint8)
        labels[3:9, 2 + case : 6 + case, 3:7] = 1
        image = labels * 500.0 + rng.normal(0, 50, labels.shape)
        for folder, array in (("images", image.astype(np.float32)), ("labels", labels)):
            nibabel.save(
                nibabel.Nifti1Image(array, np.eye(4)), tmp_path / folder / f"{case}.nii.gz"
            )
    spec = f"nifti:{tmp_path}/images,{tmp_path}/labels"
    command = [
        "train",
        spec,
        "--steps",
        "60",
        "--validate-every",
        "20",
        "--out",
        str(tmp_path / "net"),
    ]
    done = CliRunner().invoke(main, command)
    assert done.exit_code == 0, done.output
    card = json.loads((tmp_path / "net" / "card.json").read_text())
    told = card["values"]
    cases = [case for part in ("train", "validation", "test") for case in told[f"{part}_cases"]]
    assert sorted(cases) == [str(case) for case in range(5)]
    assert told["mean_test_dice"] > 0.7
    names = {path.name for path in (tmp_path / "net").iterdir()}
    assert names == {
        "card.json",
        "card.md",
        "curve.png",
        "history.csv",
        "model.safetensors",
        "test.txt",
    }
    assert "| mean |" in (tmp_path / "net" / "card.md").read_text()
    out = tmp_path / "explained"
    command = ["explain", f"{tmp_path}/images/0.nii.gz", "--model", f"trained:{tmp_path}/net"]
    done = CliRunner().invoke(
        main, [*command, "--class", "1", "--out", str(out), "--max-passes", "60"]
    )
    assert done.exit_code == 0, done.output


@pytest.mark.usefixtures("few_canvases")
def test_a_network_of_other_data_is_not_overwritten(tmp_path):
    options = {"network": "small_unet", "num_steps": 2, "out": tmp_path / "net"}
    train("triangle:side=26", **options)
    for changed, told in {
        (
            "dataset",
            "triangle:side=34",
        ): "dataset: 'triangle:side=26' there, 'triangle:side=34' now",
        ("seed", 1): "seed: 0 there, 1 now",
        ("network", "deep_unet"): "network: 'small_unet' there, 'deep_unet' now",
    }.items():
        with pytest.raises(misure.InputError, match=told):
            train(**{"dataset": "triangle:side=26", **options, **dict([changed])})


@pytest.mark.usefixtures("few_canvases")
def test_what_is_finished_is_not_trained_again(tmp_path):
    options = {"network": "small_unet", "num_steps": 2, "out": tmp_path / "net"}
    made = train("triangle:side=26", **options)
    again = train("triangle:side=26", **options, on_step=lambda *_: pytest.fail("it trains"))
    assert again.about == made.about
    assert again.history == made.history
    weights = made.net.state_dict()
    assert all(torch.equal(one, weights[name]) for name, one in again.net.state_dict().items())
    (tmp_path / "net" / "history.csv").write_text("step\n1\n")
    with pytest.raises(
        misure.InputError,
        match=r"history of a trained network in .*history\.csv, .* required field `loss`",
    ):
        train("triangle:side=26", **options)


@pytest.mark.usefixtures("few_canvases")
def test_training_killed_while_it_writes_is_finished_by_the_same_call(tmp_path, monkeypatch):
    options = {"network": "small_unet", "num_steps": 2, "out": tmp_path / "net"}
    with monkeypatch.context() as patched:
        patched.setattr("misure.lab.training.trainer.save_card", _killed)
        with pytest.raises(_KilledError):
            train("triangle:side=26", **options)
    assert not (tmp_path / "net" / "model.safetensors").exists()
    train("triangle:side=26", **options)
    assert {path.name for path in (tmp_path / "net").iterdir()} == {
        "card.json", "card.md", "curve.png", "history.csv", "model.safetensors", "test.txt",
    }  # fmt: skip


def test_a_raw_folder_never_tests_on_what_it_trains_on(tmp_path):
    from misure.datasets.synapse.phantom_files import write_phantoms
    from misure.lab.training.recipes import recipe_of

    write_phantoms(tmp_path, 7, size_px=32, num_slices=8)
    recipe = recipe_of(f"synapse:{tmp_path}")
    parts = [
        {key[:8] for key in part.keys} for part in (recipe.train, recipe.validation, recipe.test)
    ]
    assert not (parts[0] & parts[1] | parts[0] & parts[2] | parts[1] & parts[2])
    for path in tmp_path.rglob("*.nii.gz"):
        if "case" + path.name[-11:-7] in parts[2]:
            path.unlink()
    with pytest.raises(misure.MissingDataError, match="published test split"):
        recipe_of(f"synapse:{tmp_path}")


def test_bad_input_of_training(tmp_path):
    for arguments, words in (
        (("sea",), "expected a data set to train on among triangle, triangle-disc"),
        (("triangle", "--network", "vgg"), "expected a network among small_unet"),
        (("synapse:nowhere",), "nowhere"),
        (("synapse:",), "expected synapse:FOLDER, got no folder"),
        (("triangle", "--learning-rate", "nan"), "expected a learning rate above 0, got nan"),
        (("triangle", "--learning-rate", "0"), "expected a learning rate above 0, got 0"),
    ):
        done = CliRunner().invoke(main, ["train", *arguments, "--out", str(tmp_path / "x")])
        assert done.exit_code == 2
        assert words in done.output
        assert not (tmp_path / "x").exists()
    (tmp_path / "file").write_text("")
    with pytest.raises(misure.InputError, match="is a file"):
        train("triangle", num_steps=2, out=tmp_path / "file")


def _volumes(folder, numbers, num_channels=()):
    """For each case a volume that is its own labels: 0, 1, and a number."""
    for case, number in enumerate(numbers):
        labels = np.zeros((6, 6, 6), np.uint8)
        labels[2:4] = number and 1
        labels[4:] = number
        image = np.stack([labels] * dict(num_channels).get(case, 1), -1)
        for kind, array in (("images", image), ("labels", labels)):
            (folder / kind).mkdir(exist_ok=True)
            nibabel.save(nibabel.Nifti1Image(array, np.eye(4)), folder / kind / f"{case}.nii")


@pytest.mark.parametrize("part", ["validation", "test"])
def test_labels_that_only_other_parts_have_are_no_silent_zeros(part, tmp_path):
    from misure.lab.training.recipes import recipe_of

    _volumes(tmp_path, [1] * 5)
    (case,) = getattr(recipe_of(f"nifti:{tmp_path}"), part).keys[:1]
    numbers = [1] * 5
    numbers[int(case)] = 7
    _volumes(tmp_path, numbers)
    with pytest.raises(misure.InputError, match=rf"\(up to 1\), got 7 in {case}, which is for"):
        recipe_of(f"nifti:{tmp_path}")


def test_images_of_other_channels_are_one_sentence(tmp_path):
    _volumes(tmp_path, [1] * 8, dict.fromkeys(range(0, 8, 2), 2))
    with pytest.raises(
        misure.InputError, match="the same number of channels, got some with 1 and 2"
    ):
        train(f"nifti:{tmp_path}", num_steps=2)


@pytest.mark.parametrize(("number", "told"), [(0, "nothing but 0"), (255, "got 1, 255")])
def test_labels_with_a_gap_are_not_trained_on(tmp_path, number, told):
    from misure.lab.training.recipes import recipe_of

    _volumes(tmp_path, [number] * 5)
    with pytest.raises(misure.InputError, match=f"labels from 1 without a gap .* {told}"):
        recipe_of(f"nifti:{tmp_path}")


@pytest.mark.slow
def test_the_shipped_network_is_as_good_as_its_file_says():
    _, about = load_trained()
    model, dataset = misure.load_model("triangle"), TriangleDataset(300, seed=0)
    told = about.values
    assert mean_dice(model, dataset) == pytest.approx(told["mean_test_dice"], abs=5e-3)
    assert distractor_fraction(model, dataset) == pytest.approx(
        told["distractor_fraction"], abs=2e-3
    )
