import torch

import misure
import toys
from misure.datasets import Sample, SampleList
from misure.runs.other_images import OtherImages
from misure.runs.plan import RunPlan
from misure.runs.run import read_run, run

FEW_PASSES = {"preset": "smallest", "max_passes": 60}


def _samples(*keys):
    generator = torch.Generator().manual_seed(0)
    return SampleList(Sample(key, torch.rand(1, 12, 12, generator=generator)) for key in keys)


def _key(others, samples, index):
    found = others.of(index, samples[index].image)
    return found and found[1]


def test_it_is_the_next_sample_and_the_first_follows_the_last():
    samples = _samples("a", "b", "c")
    others = OtherImages(samples)
    assert [_key(others, samples, i) for i in (2, 0, 1)] == ["a", "b", "c"]
    alone = _samples("a")
    assert OtherImages(alone).of(0, alone[0].image) is None


def test_it_is_of_another_case_or_far_away():
    samples = _samples("x/slice000", "x/slice001", "y/slice000", "y/slice001")
    others = OtherImages(samples)
    assert [_key(others, samples, i) for i in range(4)] == [
        "y/slice000", "y/slice000", "x/slice000", "x/slice000",
    ]  # fmt: skip
    samples = _samples(*[f"x/slice{i:03d}" for i in range(6)])
    assert _key(OtherImages(samples), samples, 1) == "x/slice004"


def test_what_cannot_be_read_or_does_not_fit_is_passed_over():
    class Broken(SampleList):
        def __getitem__(self, index):
            if index == 1:
                raise OSError("gone")
            return super().__getitem__(index)

    samples = Broken(_samples("a", "b", "c", "d"))
    list.__setitem__(samples, 2, Sample("c", torch.zeros(3, 12, 12)))
    assert _key(OtherImages(samples), samples, 0) == "d"
    same = SampleList([Sample("a", torch.ones(1, 4, 4)), Sample("b", torch.ones(1, 4, 4))])
    assert OtherImages(same).of(0, same[0].image) is None


def test_a_run_and_a_comparison_name_the_other_sample_and_use_it(tmp_path):
    model = toys.model_of(toys.OwnBrightness())
    bright = toys.square_image().clamp(min=0.6)  # all of it is foreground
    samples = [Sample("a", toys.square_image()), Sample("b", bright)]
    run(samples, model, tmp_path / "run", RunPlan(classes=("1",), method_options=FEW_PASSES))
    first, second = read_run(tmp_path / "run")
    assert (first.transfer_from, second.transfer_from) == ("b", "a")
    assert first.transfer_dice > 0.9
    alone = misure.explain(model, samples[0].image, misure.predicted_target(
        model, samples[0].image, 1
    ), **FEW_PASSES)  # fmt: skip
    assert alone.transfer_from == "turned"
    assert alone.transfer_dice < 0.5
    rows = misure.compare(
        model,
        samples,
        methods=["misure"],
        metrics=["transfer_dice"],
        class_index=1,
        method_options={"misure": FEW_PASSES},
    ).rows
    assert rows[0].transfer_from == "b"
    assert rows[0].metrics["transfer_dice"] > 0.9


def test_the_spacing_of_a_sample_reaches_its_record(tmp_path):
    model = toys.model_of(toys.OwnBrightness())
    affine = torch.diag(torch.tensor([0.8, 0.8, 5.0, 1.0], dtype=torch.float64))
    sample = Sample("v", toys.square_image(3), affine=affine)
    run([sample], model, tmp_path / "run", RunPlan(classes=("1",), method_options=FEW_PASSES))
    (record,) = read_run(tmp_path / "run")
    assert record.spacing_mm == [0.8, 0.8, 5.0]
    voxels = record.target.pixels
    assert abs(record.target.volume_mm3 - voxels * 3.2) < 1e-6
    assert record.sufficient_region.growth_mm == record.sufficient_region.growth_px * 0.8
