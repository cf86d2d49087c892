"""`nnunet:` against nnU-Net's own prediction, number by number, on the voxels of the file."""

import contextlib
import io
import json
import warnings

import nibabel
import numpy as np
import pytest
import torch

import misure
from misure import InputError
from misure.errors import MissingDataError, MisureWarning
from misure.images.read import read_image
from nnunet_folders import REGIONS, make_folder, make_image, make_plans, predict, write_case

pytestmark = pytest.mark.networks
pytest.importorskip("nnunetv2")

CUBE = {"patch": [16, 16, 16], "spacing": [1.0, 1.0, 1.0]}
SLABS = {"patch": [8, 16, 16], "spacing": [4.0, 1.0, 1.0]}
TURNED = np.array([[0, -0.9, 0, 10], [1.1, 0, 0, -5], [0, 0, -2.0, 3], [0, 0, 0, 1.0]])
BY_TORCH = {"resampling": "resample_torch_fornnunet"}
TWO = {
    "normalisation": ["ZScoreNormalization", "RescaleTo01Normalization"],
    "masked": [True, False],
}


def _scaled(*spacing):
    return np.diag([*spacing, 1.0])


FINE = _scaled(0.8, 1.2, 0.9)
THICK = _scaled(0.8, 1.2, 5.0)
FLAT = {"patch": [16, 16], "spacing": [1.0, 1.0], "name": "2d"}
SIDEWAYS = {"patch": [8, 16, 16], "spacing": [3.0, 1.0, 1.2], "transpose": [2, 0, 1]}
LOW = {"patch": [16, 16, 16], "spacing": [2.0, 2.0, 2.0], "name": "3d_lowres"}
BY_NIBABEL, BY_ITK = {"reader": "NibabelIOWithReorient"}, {"reader": "SimpleITKIOWithReorient"}

CASES = {  # name -> plans, shape (I, J, K), affine, border of zeros, other arguments
    "isotropic": (CUBE, (26, 30, 22), FINE, 3, {}),
    "thick slices": (SLABS, (40, 36, 9), THICK, 3, {}),
    "2d": (FLAT, (26, 30, 7), THICK, 0, {}),
    "transposed": (SIDEWAYS, (10, 30, 26), _scaled(5.0, 1.2, 0.9), 2, {}),
    "regions": (CUBE, (22, 30, 22), FINE, 4, {"labels": REGIONS}),
    "two folds": (CUBE, (22, 20, 22), FINE, 0, {"folds": ("0", "1")}),
    "mirrored": (CUBE, (22, 20, 22), FINE, 0, {"mirror_axes": (0, 1, 2)}),
    "CT": (CUBE | {"normalisation": ["CTNormalization"]}, (22, 20, 22), FINE, 2, {}),
    "masked, two channels": (CUBE | TWO, (22, 20, 22), FINE, 6, {}),
    "RAS by nibabel": (CUBE | BY_NIBABEL, (22, 20, 12), TURNED, 2, {}),
    "RAS by SimpleITK": (CUBE | BY_ITK, (22, 20, 12), TURNED, 2, {}),
    "turned": (CUBE, (22, 20, 12), TURNED, 2, {}),
    "by torch": (CUBE | BY_TORCH, (22, 20, 12), _scaled(0.8, 1.2, 2.0), 2, {}),
    "thick slices by torch": (SLABS | BY_TORCH, (22, 20, 9), THICK, 2, {}),
    "3d_lowres": (LOW, (36, 40, 32), FINE, 2, {}),
    "smaller than a tile": (CUBE, (9, 20, 12), _scaled(1, 1, 1), 1, {}),
}


def _read(files):
    volumes = [read_image(file) for file in files]
    return torch.cat(volumes), torch.from_numpy(nibabel.load(files[0]).affine)


def _made(tmp_path, name):
    plans, shape, affine, border, more = CASES[name]
    num_channels = len(plans.get("normalisation", "1"))
    folder = make_folder(tmp_path / "net", make_plans(**plans), **more)
    image = make_image(shape, num_channels, border=border)
    return folder, write_case(tmp_path / "in", image, affine)


def _own_prediction(folder, files, out, more):
    folds = more.get("folds", ("0",))
    with contextlib.redirect_stdout(io.StringIO()), warnings.catch_warnings():
        warnings.simplefilter("ignore")
        file, probabilities = predict(folder, files, out, folds, "mirror_axes" in more)
    return torch.from_numpy(np.asarray(nibabel.load(file).dataobj).astype(int)), probabilities


def _labels(model, logits):
    """The label map that nnU-Net would write for logits (K, *spatial)."""
    if not model.multilabel:
        return logits.argmax(0)
    labels = torch.zeros(logits.shape[1:], dtype=int)
    for index, label in enumerate((1, 2)):
        labels[logits[index] > 0] = label
    return labels


def _dice(ours, theirs, label):
    both = ((ours == label) & (theirs == label)).sum()
    return float(2 * both / ((ours == label).sum() + (theirs == label).sum()))


@pytest.mark.parametrize("name", CASES)
def test_the_segmentation_is_nnunets_own(tmp_path, monkeypatch, name):
    folder, files = _made(tmp_path, name)
    more = CASES[name][-1]
    model = misure.load_model(f"nnunet:{folder}", device="cpu", mirroring="mirror_axes" in more)
    image, affine = _read(files)
    with torch.no_grad():
        logits = model.for_image(image, affine)(image[None])[0]
    ours = _labels(model, logits)
    theirs, _ = _own_prediction(folder, files, tmp_path / "out", more)
    for label in range(3):
        assert (theirs == label).sum() > 50
        assert _dice(ours, theirs, label) >= 0.99
    monkeypatch.setattr(torch, "half", torch.float32)  # nnU-Net sums up tiles in half precision
    theirs, probabilities = _own_prediction(folder, files, tmp_path / "exact", more)
    own = (logits.sigmoid() if model.multilabel else logits.softmax(0)).numpy()
    print(name, [round(_dice(ours, theirs, label), 5) for label in range(3)])
    assert (ours != theirs).sum() <= 2
    if not name.startswith("RAS"):  # nnU-Net writes the probabilities of the turned volume
        assert np.abs(own - probabilities.transpose(0, 3, 2, 1)).max() < 1e-4


def test_a_picture_in_colour_is_seen_as_nnunet_sees_its_bytes(tmp_path, monkeypatch):
    colour = {"normalisation": ["RGBTo01Normalization"] * 3, "masked": [False] * 3}
    folder = make_folder(tmp_path / "net", make_plans(**FLAT, **colour, reader="NaturalImage2DIO"))
    colours = make_image((30, 41), 3).round()
    from nnunetv2.inference.predict_from_raw_data import nnUNetPredictor

    monkeypatch.setattr(torch, "half", torch.float32)
    with contextlib.redirect_stdout(io.StringIO()), warnings.catch_warnings():
        warnings.simplefilter("ignore")
        predictor = nnUNetPredictor(device=torch.device("cpu"), allow_tqdm=False)
        predictor.initialize_from_trained_model_folder(str(folder), ("0",))
        theirs, probabilities = predictor.predict_single_npy_array(
            colours[:, None], {"spacing": (999, 1, 1)}, save_or_return_probabilities=True
        )
    model = misure.load_model(f"nnunet:{folder}", device="cpu")
    picture = torch.from_numpy(colours) / 255
    seen = misure.segment(model, picture)
    assert torch.equal(seen.class_map(), torch.from_numpy(theirs[0]).long())
    with torch.no_grad():
        shares = model.for_image(picture)(picture[None])[0].softmax(0)
    assert np.abs(shares.numpy() - probabilities[:, 0]).max() < 1e-4


@pytest.fixture(scope="module")
def toy(tmp_path_factory):
    """A folder with two folds and mirroring, and the files of one image for it."""
    path = tmp_path_factory.mktemp("toy")
    folder = make_folder(path / "net", make_plans(**CUBE), folds=("0", "1"), mirror_axes=(0, 1, 2))
    return folder, write_case(path / "in", make_image((18, 20, 22), border=2), FINE)


def _load(folder, **options):
    return misure.load_model(f"nnunet:{folder}", device="cpu", **({"mirroring": False} | options))


def test_names_channels_and_folds_are_those_of_the_folder(toy):
    folder, _ = toy
    model = _load(folder)
    assert model.class_names == ("background", "dark", "bright")
    assert model.num_channels == 1
    assert model.channel_names == ("T1",)
    assert not model.multilabel
    assert model.label_regions is None
    about = model.settings()["processor"]
    assert about["folds"] == ["0", "1"]
    assert about["mirrored_axes"] == []
    assert _load(f"{folder}:1").settings()["processor"]["folds"] == ["1"]


def test_regions_are_classes_that_overlap(tmp_path):
    model = _load(make_folder(tmp_path / "net", make_plans(**CUBE), REGIONS, steps=1))
    assert model.class_names == ("whole", "core")
    assert model.multilabel
    assert model.label_regions == {"whole": (1, 2), "core": (2,)}


def test_channels_are_named_by_their_numbers_and_regions_know_what_is_ignored(tmp_path):
    regions = {**REGIONS, "ignore": 3}
    folder = make_folder(tmp_path / "net", make_plans(**(CUBE | TWO)), regions, steps=1)
    about = json.loads((folder / "dataset.json").read_text())
    about["channel_names"] = {"1": "FLAIR", "0": "T1"}
    (folder / "dataset.json").write_text(json.dumps(about))
    model = _load(folder)
    assert model.channel_names == ("T1", "FLAIR")
    assert model.label_regions == {"whole": (1, 2), "core": (2,), "ignore": (3,)}
    about["channel_names"] = {"0": "CT", "1": "CT"}  # which tell nothing apart
    (folder / "dataset.json").write_text(json.dumps(about))
    assert _load(folder).channel_names == ()


def test_gradients_are_those_of_the_whole_pipeline(toy):
    folder, files = toy
    image, affine = _read(files)
    model = _load(f"{folder}:0").for_image(image, affine)
    shown = image[None].clone().requires_grad_()
    model(shown)[0, 1, 9, 10, 11].backward()
    voxel, step = (0, 0, 9, 11, 11), 0.25
    ends = []
    for sign in (-1, 1):
        moved = image[None].clone()
        moved[voxel] += sign * step
        with torch.no_grad():
            ends.append(float(model(moved)[0, 1, 9, 10, 11]))
    assert float(shown.grad[voxel]) == pytest.approx((ends[1] - ends[0]) / (2 * step), rel=0.05)


def test_statistics_of_the_image_hold_for_its_altered_copies(toy):
    folder, files = toy
    image, affine = _read(files)
    case = _load(f"{folder}:0").for_image(image, affine).preprocessing
    altered = image[None].clone()
    altered[:, :, :6] = 100
    before, after = case.to_input(image[None]), case.to_input(altered)
    # The first axis of the file is the last here; splines reach a few voxels far, ever less.
    assert torch.allclose(before[..., 10:], after[..., 10:], atol=1e-3)
    assert not torch.allclose(before[..., :3], after[..., :3], atol=0.1)


def test_an_object_is_explained_on_the_voxels_of_the_file(toy):
    folder, files = toy
    image, affine = _read(files)
    model = _load(f"{folder}:0")
    target = misure.predicted_target(model, image, class_name="bright", instance=0, affine=affine)
    explanation = misure.explain(model, image, target, preset="quick")
    assert explanation.sufficient_region.shape == image.shape[1:]
    assert 0 < explanation.sufficient_region.sum() < image[0].numel()
    assert explanation.dice >= 0.9


def test_a_volume_without_spacing_is_refused(toy):
    folder, files = toy
    image, _ = _read(files)
    with pytest.raises(InputError, match="expected to know the voxel spacing.*affine=..., e.g."):
        misure.segment(_load(folder), image)
    with pytest.raises(InputError, match=r"model.for_image\(image, affine\)"):
        _load(folder)(image[None])
    with pytest.raises(InputError, match="expected a volume .* without --slice"):
        misure.segment(_load(folder), image[:, 0], affine=torch.eye(4))
    with pytest.raises(InputError, match="at most .* voxels after resampling .* Check the affine"):
        misure.segment(_load(folder), image, affine=torch.diag(torch.tensor([99.0, 99, 99, 1])))
    with pytest.raises(InputError, match="gives each axis a length"):
        misure.segment(_load(folder), image, affine=torch.zeros(4, 4))


def test_mirroring_that_is_off_is_said(toy):
    folder, _ = toy
    with pytest.warns(MisureWarning, match="their mirror images and takes the mean, 8 times"):
        misure.load_model(f"nnunet:{folder}", device="cpu")


def test_options_that_the_plans_settle_are_refused(toy):
    folder, _ = toy
    with pytest.raises(InputError, match="expected no mean and no std with nnunet:"):
        _load(folder, mean=0.5, std=0.5)
    with pytest.raises(InputError, match="expected trust as true or false, got 'yes'"):
        _load(folder, trust="yes")


def _edited(toy, tmp_path, change, file="plans.json"):
    """A copy of the toy folder with one file changed."""
    folder = tmp_path / "edited"
    (folder / "fold_0").mkdir(parents=True)
    for name in ("plans.json", "dataset.json", "fold_0/checkpoint_final.pth"):
        (folder / name).write_bytes((toy[0] / name).read_bytes())
    content = json.loads((folder / file).read_text())
    change(content["configurations"]["3d_fullres"] if file == "plans.json" else content)
    (folder / file).write_text(json.dumps(content))
    return folder


def _set(**values):
    return lambda configuration: configuration.update(values)


def _set_network(**values):
    return lambda configuration: configuration["architecture"].update(values)


def _set_part(**values):
    return lambda configuration: configuration["architecture"]["arch_kwargs"].update(values)


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (_set(previous_stage="3d_lowres"), "second stage of a cascade"),
        (_set(normalization_schemes=["Mine"]), "normalisation that misure follows"),
        (_set(preprocessor_name="Mine"), "preprocessor that misure follows"),
        (_set(resampling_fn_data="mine"), "expected a resampling of nnU-Net"),
        (_set(patch_size=[16, 16]), "that fit together"),
        (_set_network(network_class_name="subprocess.Popen"), "run code"),
        (_set_network(network_class_name="nnunetv2.paths.os.system"), "run code"),
        (_set_part(conv_op="os.system"), "run code"),
        (_set_part(features_per_stage=[4, 10**6]), "expected weights that fit the plans"),
        (lambda configuration: configuration.pop("architecture"), "expected plans of nnU-Net v2"),
    ],
)
def test_plans_that_cannot_be_followed_are_one_sentence(toy, tmp_path, change, words):
    folder = _edited(toy, tmp_path, change)
    image, affine = _read(toy[1])
    with pytest.raises(InputError, match=words) as caught:
        misure.segment(_load(folder), image, affine=affine)
    assert "\n" not in str(caught.value)


def test_labels_without_a_background_are_refused(toy, tmp_path):
    folder = _edited(toy, tmp_path, _set(labels={"a": 1}), "dataset.json")
    with pytest.raises(InputError, match="expected plans of nnU-Net v2 in .*Background"):
        _load(folder)


TOTAL = "Dataset297_TotalSegmentator_total_3mm_1559subj"
TRAINED = "nnUNetTrainer_4000epochs_NoMirroring__nnUNetPlans__3d_fullres"
ORGANS = {"background": 0, "spleen": 1, "kidney_right": 2}


@pytest.fixture(scope="module")
def total(tmp_path_factory):
    """A folder as TotalSegmentator unpacks it, with a network for CT at 3 mm."""
    results = tmp_path_factory.mktemp("home") / ".totalsegmentator" / "nnunet" / "results"
    plans = make_plans(
        patch=[16, 16, 16], spacing=[3.0, 3.0, 3.0], normalisation=["CTNormalization"]
    )
    plans["dataset_name"] = TOTAL
    trainer = TRAINED.partition("__")[0]
    make_folder(results / TOTAL / TRAINED, plans, ORGANS, trainer=trainer)
    return results


def test_a_folder_of_totalsegmentator_is_opened_by_its_own_names(total, tmp_path, monkeypatch):
    model = misure.load_model(f"nnunet:{total / TOTAL / TRAINED}", device="cpu")
    assert model.class_names == tuple(ORGANS)
    affine = _scaled(2.0, 2.5, 3.5)
    files = write_case(tmp_path / "in", make_image((26, 30, 22)), affine)
    ours = misure.segment(model, files[0]).class_map()
    monkeypatch.setattr(torch, "half", torch.float32)
    theirs, _ = _own_prediction(total / TOTAL / TRAINED, files, tmp_path / "out", {})
    assert min((theirs == label).sum() for label in range(3)) > 50
    assert (ours != theirs).sum() <= 2


def test_a_volume_that_totalsegmentator_would_turn_gets_a_word(total):
    model = misure.load_model(f"nnunet:{total / TOTAL / TRAINED}", device="cpu")
    lps = torch.from_numpy(np.diag([-3.0, -3.0, 3.0, 1.0]))
    with pytest.warns(MisureWarning, match="axes of the volume are LPS; TotalSegmentator turns"):
        model.for_image(torch.from_numpy(make_image((16, 16, 16))), lps)


def test_the_folders_above_one_of_totalsegmentator_name_it(total):
    with pytest.raises(MissingDataError, match=f"Did you mean one of its folders, {TRAINED}"):
        misure.load_model(f"nnunet:{total / TOTAL}")
    with pytest.raises(MissingDataError, match=f"Did you mean .* folders, {TOTAL}/{TRAINED}"):
        misure.load_model(f"nnunet:{total}")


def test_a_trainer_of_totalsegmentator_needs_no_code(tmp_path):
    name = "nnUNetTrainer_4000epochs_NoMirroring"
    folder = make_folder(tmp_path / "net", make_plans(**CUBE), trainer=name, steps=1)
    model = misure.load_model(f"nnunet:{folder}", device="cpu")
    assert model.settings()["processor"]["trainer"] == name


def test_a_trainer_that_nnunet_lacks_is_said(tmp_path):
    folder = make_folder(tmp_path / "net", make_plans(**CUBE), trainer="MyTrainer", steps=1)
    with pytest.warns(MisureWarning, match="MyTrainer.* is no trainer of nnunetv2: the network of"):
        _load(folder)


def test_a_trainer_that_builds_another_network_is_followed(tmp_path):
    plans = make_plans(**CUBE)
    folder = make_folder(tmp_path / "net", plans, trainer="nnUNetTrainerBN", steps=1)
    with pytest.raises(InputError, match="Plans and weights are not of one training"):
        _load(folder)
