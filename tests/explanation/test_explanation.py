import json
import zipfile

import msgspec
import numpy as np
import pytest
import torch

import misure
import toys
from misure.explanation.content_controls import make_content_controls
from misure.explanation.evidence import content_dices
from misure.explanation.presentation import make_presentations
from misure.explanation.probe import Probe


@pytest.fixture(scope="module")
def explanation():
    model = toys.model_of(toys.Beacon())
    image = toys.beacon_image()
    target = misure.predicted_target(model, image, 1)
    return misure.explain(
        model, image, target, preset="smallest", dice_threshold=1.0, one_minimal=True,
        minimality_cell_px=1,
    )  # fmt: skip


def test_saved_and_loaded_back_equal(explanation, tmp_path):
    explanation.save(tmp_path / "e.npz")
    loaded = misure.Explanation.load(tmp_path / "e.npz")
    assert loaded == explanation
    assert loaded.record() == explanation.record()
    assert [path.name for path in tmp_path.iterdir()] == ["e.npz"]


def test_the_image_is_kept_in_memory_alone(explanation, tmp_path):
    assert torch.equal(explanation.image, toys.beacon_image())
    assert explanation.with_values(image="a.png").image is explanation.image
    explanation.save(tmp_path / "e.npz")
    assert misure.Explanation.load(tmp_path / "e.npz").image is None
    assert "tensor([[[" not in repr(explanation).partition("image=")[2]


def test_other_explanations_are_not_equal(explanation, tmp_path):
    explanation.save(tmp_path / "e.npz")
    other = misure.Explanation.load(tmp_path / "e.npz")
    other.sufficient_region[0, 0] ^= True
    assert other != explanation
    assert explanation != "explanation"


def test_the_arrays_are_plain(explanation, tmp_path):
    explanation.save(tmp_path / "e.npz")
    with np.load(tmp_path / "e.npz", allow_pickle=False) as file:
        arrays = dict(file)
    for name in ("target", "sufficient_region", "minimally_sufficient_region"):
        assert arrays[name].dtype == bool
        assert arrays[name].shape == (30, 30)
    assert arrays["saliency_map"].dtype == np.float32


def test_areas(explanation):
    assert explanation.relative_area == (25 + 9) / 25
    assert explanation.outside_target_fraction == 9 / 34
    record = explanation.record()
    assert record["target"]["area_fraction"] == 25 / 900
    assert record["minimally_sufficient_region"]["area_fraction"] == 34 / 900
    assert record["silhouette_dice"] == max(record["silhouette_dice_by_content"].values())


@pytest.mark.parametrize(
    ("own", "others", "expected"),
    [
        (
            {"mean": 0.92},
            {"blurred": 0.31, "noise": 0.0, "filled": 0.12},
            "on mean alone (blurred 0.31, noise 0.00, filled 0.12): it leans on that fill.",
        ),
        (
            {"mean": 0.92, "filled": 0.95},
            {"blurred": 0.79, "noise": 0.0},
            "on mean and filled alone (blurred 0.79, noise 0.00): it leans on those fills.",
        ),
        ({"mean": 0.92}, {"blurred": 0.31, "noise": 0.0, "filled": 0.81}, ""),
        ({"mean": 0.92, "blurred": 0.9, "noise": 0.9, "filled": 0.9}, {}, ""),
    ],
)
def test_a_region_that_holds_on_its_own_baseline_image_alone_is_said_to_lean_on_it(
    explanation, own, others, expected
):
    small = msgspec.structs.replace(
        explanation.values.minimally_sufficient_region,
        dice_by_baseline_image=own,
        dice_on_other_baseline_images=others,
    )
    changed = explanation.with_values(minimally_sufficient_region=small, dice_threshold=0.9)
    assert changed.dice_on_other_baseline_images == others
    assert changed.baseline_image_note == (f"The region suffices {expected}" if expected else "")


@pytest.mark.parametrize(
    ("dices", "expected"),
    [
        ({"shift": 0.8, "noise": 0.7, "soft_edge": 0.8}, ""),
        (
            {"shift": 0.79, "noise": 0.63, "soft_edge": 0.1},
            "(a shift of one pixel 0.79, a soft edge 0.10): it may suffice by chance.",
        ),
        (
            {"shift": 0.9, "noise": 0.61, "soft_edge": 0.9},
            "(1 % noise 0.61): it may suffice by chance.",
        ),
        ({}, ""),
    ],
)
def test_a_region_that_small_changes_undo_is_said_to(explanation, dices, expected):
    """Under noise the whole image reaches 0.8 only, so 0.9 x 0.8 less 0.1 is enough there."""
    small = msgspec.structs.replace(
        explanation.values.minimally_sufficient_region,
        dice_under_small_changes=dices,
        whole_image_under_small_changes={"shift": 1.0, "noise": 0.8},
    )
    changed = explanation.with_values(minimally_sufficient_region=small, dice_threshold=0.9)
    assert changed.dice_under_small_changes == dices
    assert changed.whole_image_under_small_changes == {"shift": 1.0, "noise": 0.8}
    said = f"The region does not hold under small changes {expected}"
    assert changed.small_changes_note == (said if expected else "")


def test_an_interrupted_save_leaves_the_old_file(explanation, tmp_path, monkeypatch):
    path = tmp_path / "e.npz"
    explanation.save(path)
    before = path.read_bytes()

    def fail(*_args, **_kwargs):
        raise OSError("No space left on device")

    monkeypatch.setattr(np.lib.format, "write_array", fail)
    with pytest.raises(OSError, match="No space"):
        explanation.save(path)
    assert path.read_bytes() == before
    assert list(tmp_path.iterdir()) == [path]


def test_bad_files(explanation, tmp_path):
    explanation.save(tmp_path / "e.npz")
    (tmp_path / "cut.npz").write_bytes((tmp_path / "e.npz").read_bytes()[:300])
    (tmp_path / "text.npz").write_text("text")
    np.savez(tmp_path / "other.npz", a=np.ones(3))
    with np.load(tmp_path / "e.npz") as arrays:
        np.savez(tmp_path / "shapes.npz", **(dict(arrays) | {"ignored": np.zeros((2, 2), bool)}))
    np.savez(tmp_path / "pickle.npz", record=np.array([{}], dtype=object), allow_pickle=True)
    for name in ("missing.npz", "cut.npz", "text.npz", "other.npz", "shapes.npz", "pickle.npz"):
        with pytest.raises(
            misure.InputError, match=r"expected a file written by Explanation\.save"
        ):
            misure.Explanation.load(tmp_path / name)


def test_a_file_that_misure_0_1_0_wrote_is_refused(explanation, tmp_path):
    old = explanation.record()
    del old["format"]
    old |= {"misure_version": "0.1.0", "preset": "certified"}
    explanation.save(tmp_path / "e.npz")
    with np.load(tmp_path / "e.npz") as arrays:
        np.savez(tmp_path / "old.npz", **(dict(arrays) | {"record": np.array(json.dumps(old))}))
    with pytest.raises(
        misure.InputError, match=r"^Explanation\.load: .*written by misure 0\.1\.0 .*Make the"
    ):
        misure.Explanation.load(tmp_path / "old.npz")


def test_a_field_that_is_missing_unknown_or_wrong_is_named(explanation, tmp_path):
    explanation.save(tmp_path / "e.npz")
    with np.load(tmp_path / "e.npz") as arrays:
        saved = dict(arrays)
    for damage, words in (
        ({"seeds": 3}, "unknown field `seeds`"),
        ({"cost": {}}, r"missing required field `forward_passes` - at `\$\.cost`"),
        ({"seed": "3"}, r"Expected `int`, got `str` - at `\$\.seed`"),
    ):
        record = json.dumps(explanation.record() | damage)
        np.savez(tmp_path / "bad.npz", **(saved | {"record": np.array(record)}))
        with pytest.raises(misure.InputError, match=words):
            misure.Explanation.load(tmp_path / "bad.npz")


def test_a_zip_bomb_is_not_unpacked(tmp_path, monkeypatch):
    monkeypatch.setattr("misure._util.arrays._UNPACKED_LIMIT_BYTES", 1000)
    with zipfile.ZipFile(tmp_path / "bomb.npz", "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("target.npy", b"0" * 100_000)
    with pytest.raises(misure.InputError, match="unpacks to more than"):
        misure.Explanation.load(tmp_path / "bomb.npz")


def test_silhouettes_give_away_what_the_outline_alone_shows():
    """A network that takes anything that differs from black for foreground."""

    class NotBlack(torch.nn.Module):
        def forward(self, images):
            lit = images.abs().sum(1, keepdim=True)
            return torch.cat([0.1 - lit, lit - 0.1], 1)

    model = toys.model_of(NotBlack())
    image = toys.square_image()
    target = misure.predicted_target(model, image, 1)
    found = misure.explain(model, image, target, dice_threshold=1.0, max_passes=60)
    assert found.silhouette_dice_by_content == {"mean_colour": 1.0, "noise": 1.0}


def test_the_silhouettes_noise_is_not_the_baseline_images_noise():
    class Bright(torch.nn.Module):
        def forward(self, images):
            return torch.cat([0.5 - images, images - 0.5], 1)

    model = toys.model_of(Bright())
    image = torch.rand(1, 30, 30)
    presentations = make_presentations(model, image, baseline_image="noise", seed=3)
    target = misure.predicted_target(model, image, 1)
    probe = Probe(target, presentations, content_controls=make_content_controls(image, seed=3))
    everything = torch.ones(30, 30, dtype=torch.bool)
    seen = []
    model.net.register_forward_pre_hook(lambda _module, images: seen.append(images[0]))
    content_dices(model, probe, everything)
    assert not torch.equal(seen[1][0], presentations[0].baseline_image)
