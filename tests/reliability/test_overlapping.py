"""Classes that overlap (regions of tumours), from annotations in files to every match."""

import nibabel
import numpy as np
import pytest
import torch
from click.testing import CliRunner
from PIL import Image
from torch import nn

import misure
from misure.cli.app import main
from misure.datasets import Reading, Sample, SampleList, open_dataset
from misure.explanation.answers.missed_objects import missed_objects
from misure.images.label_regions import read_regions, regions_by_class
from misure.lab.training.minibatches import Batches
from misure.metrics.comparison.compare_runs import compare_runs
from misure.models.segmentation import segment
from misure.reliability import object_dices, read_examples
from misure.runs.alignment import RunInRow, align
from misure.runs.folder import RunFolder
from misure.runs.plan import RunPlan
from misure.runs.run import read_run, run

RULE = "WT=1+2+4,TC=1+4,ET=4"
REGIONS = {"WT": (1, 2, 4), "TC": (1, 4), "ET": (4,)}
GREY_OF = {0: 0.0, 2: 0.3, 1: 0.6, 4: 0.9}  # oedema around necrosis around what enhances
CASES = ("a", "b", "c")
SHAPE = (10, 11, 9)


class Nested(nn.Module):
    """Gives each of three regions what is brighter than its level."""

    def forward(self, images):
        return torch.cat([images - level for level in (0.2, 0.5, 0.8)], 1) * 20


def _model(**options):
    given = {"class_names": "WT,TC,ET", "multilabel": True, "label_regions": RULE, **options}
    return misure.SegmentationModel(Nested(), num_channels=1, **given)


def _labels(shift=0):
    labels = np.zeros(SHAPE, np.uint8)
    labels[1 + shift : 8 + shift, 2:9, 1:8] = 2
    labels[2 + shift : 6 + shift, 3:7, 2:6] = 1
    labels[3 + shift : 5 + shift, 4:6, 3:5] = 4
    return labels


def _drawn(labels):
    return np.vectorize(GREY_OF.get)(labels).astype(np.float32)


def _save(array, path):
    path.parent.mkdir(exist_ok=True, parents=True)
    nibabel.save(nibabel.Nifti1Image(array, np.eye(4)), path)


def _channels(labels):
    return np.stack([np.isin(labels, numbers) for numbers in REGIONS.values()], -1)


@pytest.fixture
def data(tmp_path):
    """Three volumes; the annotation of each is moved by 0, 1 or 2 voxels."""
    for shift, case in enumerate(CASES):
        _save(_drawn(_labels()), tmp_path / "images" / f"{case}.nii.gz")
        _save(_labels(shift), tmp_path / "labels" / f"{case}.nii.gz")
        _save(_channels(_labels(shift)).astype(np.uint8), tmp_path / "apart" / f"{case}.nii.gz")
    return tmp_path


def _expected():
    """The Dice of each region of each case."""
    dices = {}
    for shift, case in enumerate(CASES):
        for index, numbers in enumerate(REGIONS.values()):
            a, b = np.isin(_labels(), numbers), np.isin(_labels(shift), numbers)
            dices[f"{case}#{index}"] = pytest.approx(2 * (a & b).sum() / (a.sum() + b.sum()))
    return dices


def _run(data, model=None, **plan):
    run(f"nifti:{data}", model or _model(), data / "run", RunPlan(method="edges", **plan))
    return data / "run"


# --- Annotations in files -----------------------------------------------------------------------


@pytest.mark.parametrize("source", ["labels", "apart"])
def test_the_dice_of_each_region_is_that_of_its_own_pixels(data, source):
    folder = _run(data)
    wanted = _expected()
    assert len({value.expected for value in wanted.values()}) > 5
    for spec in (f"nifti:{data}/images,{data}/{source}", str(data / source)):
        examples = read_examples([folder], [spec])
        keys = [record.key.replace(".nii.gz", "") for record in examples.records]
        assert dict(zip(keys, examples.dices.tolist(), strict=True)) == wanted


def test_instances_of_regions_are_matched_within_their_region(data):
    folder = _run(data, instances=True)
    found = read_examples([folder], [f"nifti:{data}"])
    by_key = dict(zip([one.key for one in found.records], found.dices.tolist(), strict=True))
    assert by_key == {f"{key}.0": value for key, value in _expected().items()}


def test_what_the_network_does_not_say_the_user_does(data):
    folder = _run(data, _model(label_regions=None))
    spec = [f"nifti:{data}"]
    for annotations in (spec, [str(data / "labels")]):
        with pytest.raises(misure.InputError, match="expected the numbers of each class, since"):
            read_examples([folder], annotations)
    for rule in (RULE, REGIONS):
        found = read_examples([folder], spec, label_map=rule)
        assert sorted(found.dices) == sorted(v.expected for v in _expected().values())
    exclusive = read_examples([folder], spec, label_map={2: 0, 1: 1, 4: 2})
    by_key = dict(zip([one.key for one in exclusive.records], exclusive.dices, strict=True))
    whole, ring = _labels() > 0, _labels() == 2
    assert by_key["a#0"] == pytest.approx(2 * ring.sum() / (whole.sum() + ring.sum()))
    for case in CASES:
        numbers = np.select([_labels() == 1, _labels() == 2], [1, 0], 2)
        _save(numbers.astype(np.uint8), data / "numbered" / f"{case}.nii.gz")
    numbered = read_examples([folder], [str(data / "numbered")], label_offset=0)
    assert numbered.dices[0] == by_key["a#0"]  # the number is the class, 0 too
    with pytest.raises(misure.InputError, match=r"of each class \(WT, TC, ET\) once, got 'XY'"):
        read_examples([folder], spec, label_map="XY=1,TC=1,ET=4")
    with pytest.raises(misure.InputError, match="annotations have, got none of TC"):
        read_examples([folder], spec, label_map="WT=1,ET=4")
    with pytest.raises(misure.InputError, match="labels among 0, 1, 2, .* got 4 in .*ignore=4"):
        read_examples([folder], spec, label_map="WT=1+2,TC=1,ET=1")


def test_ignored_numbers_count_neither_way(data):
    folder = _run(data)
    found = read_examples([folder], [f"nifti:{data}"], label_map="WT=1+2,TC=1,ET=4,ignore=5")
    for case in CASES:
        labels = _labels()
        labels[0:4] = 5
        _save(labels, data / "labels" / f"{case}.nii.gz")
    with pytest.raises(misure.InputError, match="got 5 in"):
        read_examples([folder], [f"nifti:{data}"])
    for options in ({"label_map": f"{RULE},ignore=5"}, {"ignore": (5,)}):
        found = read_examples([folder], [f"nifti:{data}"], **options)
        assert found.dices.tolist() == [1.0] * 9


def test_exclusive_classes_take_no_regions(data):
    model = misure.SegmentationModel(Nested(), num_channels=1)
    _run(data, model, classes=("0",))
    with pytest.raises(misure.InputError, match="expected label_map as NUMBER=CLASS, since"):
        read_examples([data / "run"], [f"nifti:{data}"], label_map=RULE)
    with pytest.raises(misure.InputError, match=r"its shape is \(10, 11, 9, 3\), not \(I, J, K\)"):
        open_dataset(f"nifti:{data}/images,{data}/apart")[0]


def test_channels_of_an_annotation_are_checked(data):
    reading = Reading.for_model(_model())
    spec = f"nifti:{data}/images,{data}/apart"
    sample = open_dataset(spec, reading)[1]
    assert sample.annotation is None
    assert torch.equal(sample.regions.movedim(0, -1), torch.from_numpy(_channels(_labels(1))))
    _save(_channels(_labels())[..., :2].astype(np.uint8), data / "apart" / "a.nii.gz")
    with pytest.raises(misure.InputError, match="expected an annotation of 3 channels, .* got 2"):
        open_dataset(spec, reading)[0]
    _save(_channels(_labels()).astype(np.uint8) * 2, data / "apart" / "a.nii.gz")
    with pytest.raises(misure.InputError, match="expected 0 and 1 in each channel .*got 0, 2 in"):
        open_dataset(spec, reading)[0]


def test_slices_have_the_regions_of_their_volume(data):
    reading = Reading.for_model(_model())
    whole = open_dataset(f"nifti:{data}", reading)[1]
    slices = open_dataset(f"nifti-slices:{data}", reading)
    assert slices.keys[:7] == [f"a/slice{number:03d}" for number in range(1, 8)]
    one = slices[slices.keys.index("b/slice003")]
    assert one.regions.shape == (3, 11, 10)
    assert one.regions.sum((1, 2)).tolist() == whole.regions[..., 3].sum((1, 2)).tolist()
    assert torch.equal(one.judged, torch.ones(11, 10, dtype=torch.bool))
    unknown = Reading.for_model(_model(label_regions=None))
    assert open_dataset(f"nifti-slices:{data}", unknown).keys == slices.keys
    assert not open_dataset(f"nifti:{data}", unknown)[0].is_annotated


def test_pictures_hold_regions_too(tmp_path):
    labels = _labels(1)[4]
    grey = (_drawn(_labels()[4]) * 255).astype(np.uint8)
    (tmp_path / "images").mkdir()
    (tmp_path / "labels").mkdir()
    Image.fromarray(grey).save(tmp_path / "images" / "a.png")
    labels[0] = 255
    Image.fromarray(labels).save(tmp_path / "labels" / "a.png")
    run(str(tmp_path / "images"), _model(), tmp_path / "run", RunPlan(method="edges"))
    found = read_examples([tmp_path / "run"], [str(tmp_path / "labels")])
    drawn, annotated = _labels()[4][1:], labels[1:]
    for index, numbers in enumerate(REGIONS.values()):
        a, b = np.isin(drawn, numbers), np.isin(annotated, numbers)
        assert found.dices[index] == pytest.approx(2 * (a & b).sum() / (a.sum() + b.sum()))


# --- Samples and matches ------------------------------------------------------------------------


def test_a_sample_knows_the_pixels_of_each_class():
    image = torch.rand(1, 4, 4)
    regions = torch.zeros(3, 4, 4, dtype=torch.bool)
    regions[0, :2], regions[1, 0] = True, True
    sample = Sample("a", image, regions=regions)
    assert sample.annotated_classes() == [0, 1]
    assert torch.equal(sample.annotated_region(1), regions[1])
    points = ((0, 0), (1, 0), (3, 3))
    assert [sample.annotated_class_at(point) for point in points] == [None, 0, None]
    with pytest.raises(misure.InputError, match="annotation of class 3, got 3 regions of a"):
        sample.annotated_region(3)
    with pytest.raises(misure.InputError, match="got both of a"):
        Sample("a", image, annotation=regions[0].long(), regions=regions)
    data = SampleList([sample])
    with pytest.raises(misure.InputError, match="a has regions of classes that overlap"):
        Batches(data, 1, (4, 4))(0)


def test_missed_objects_are_those_of_their_region(data):
    """The network draws nothing where the image is dark: the same core, a region by region."""
    dark = _drawn(_labels())
    dark[dark > 0.5] = 0.3  # drawn as oedema
    _save(dark, data / "images" / "b.nii.gz")
    model = _model()
    for source in ("labels", "apart"):
        dataset = open_dataset(f"nifti:{data}/images,{data}/{source}", Reading.for_model(model))
        found = list(missed_objects(model, dataset, min_area=0.001))
        assert [one.key for one in found] == ["b TC 1", "b ET 2", "c ET 2"]
        assert [int(one.target.region.sum()) for one in found] == [64, 8, 8]
        assert all(one.target.multilabel for one in found)
    unknown = _model(label_regions=None)
    with pytest.raises(misure.InputError, match="numbers of each class, .*annotation of a"):
        list(missed_objects(unknown, open_dataset(f"nifti:{data}", Reading.for_model(unknown))))


def test_regions_of_two_runs_stand_beside_themselves(data):
    """Whole tumour and core overlap, and are never taken for each other."""
    run(f"nifti:{data}", _model(), data / "one", RunPlan(method="edges"))
    turned = misure.SegmentationModel(
        lambda images: Nested()(images)[:, [2, 0, 1]],
        class_names="ET,WT,TC",
        multilabel=True,
        num_channels=1,
    )
    run(f"nifti:{data}", turned, data / "two", RunPlan(method="edges"))
    rows = align([RunInRow.open(data / name) for name in ("one", "two")])
    names = {tuple(record.class_name for record in row.records) for row in rows}
    assert names == {(name, name) for name in REGIONS}
    assert [row.overlaps[1] for row in rows] == [1.0] * 9


def test_methods_are_compared_region_by_region(data):
    """The same edges lie on each region to another degree; the region itself does wholly."""
    model, methods = _model(), ("edges", "target_itself")
    for method in methods:
        run(f"nifti:{data}", model, data / method, RunPlan(method=method))
    dataset = open_dataset(f"nifti:{data}", Reading.for_model(model))
    folders = [data / method for method in methods]
    compared = compare_runs(model, dataset, folders, metrics=["energy_inside"])
    found = {(row.image, row.method): row.metrics["energy_inside"] for row in compared.rows}
    assert len(found) == 18
    for record in read_run(data / "edges"):
        edges = RunFolder(data / "edges").read_map(record.map)["saliency_map"].numpy()
        inside = np.isin(_labels(), REGIONS[record.class_name])
        wanted = edges[inside].sum() / edges.sum()
        assert found[record.key, "edges"] == pytest.approx(wanted, rel=1e-5)
        assert found[record.key, "target_itself"] == 1


@pytest.mark.slow
def test_the_command_line_takes_a_rule(data):
    (data / "net.py").write_text(
        "import torch\n"
        "def net():\n"
        "    def call(x):\n"
        "        return torch.cat([x - level for level in (0.2, 0.5, 0.8)], 1) * 20\n"
        "    return call\n"
    )
    asked = ["run", f"nifti:{data}", "--model", f"python:{data}/net.py:net", "--method", "edges"]
    given = (f"label_regions={RULE}", "multilabel=true", "class_names=WT,TC,ET", "num_channels=1")
    rule = [word for one in given for word in ("--model-option", one)]
    done = CliRunner().invoke(main, [*asked, *rule, "--out", str(data / "run"), "--quiet"])
    assert done.exit_code == 0, done.output
    settings = RunFolder(data / "run").settings().model_settings
    assert settings["label_regions"] == {name: [*one] for name, one in REGIONS.items()}
    assert object_dices(
        data / "run", open_dataset(f"nifti:{data}", Reading.for_model(_model()))
    ) == (_expected())
    assert len(read_run(data / "run")) == 9
    fit = ["reliability", "fit", str(data / "run"), "--annotations", f"nifti:{data}", "--label-map"]
    few = CliRunner().invoke(main, [*fit, RULE, "--out", str(data / "trust.json")])
    assert "at least 20 annotated objects" in few.output  # all nine were matched
    assert "got 9 of 3" in few.output
    wrong = CliRunner().invoke(main, [*fit, "WT=1+x", "--out", str(data / "trust.json")])
    assert wrong.exit_code == 2
    assert "such as WT=1+2+4,TC=1+4,ET=4, got 'WT=1+x'" in wrong.output.replace("\n", " ")


@pytest.mark.parametrize("source", ["labels", "apart"])
def test_what_blocks_a_region_is_asked_by_its_annotation(data, source):
    from misure.cli.commands.missed import missed_in_file

    model = _model()
    found = segment(model, torch.from_numpy(_drawn(_labels()))[None])
    path = data / source / "b.nii.gz"
    numbering = Reading.for_model(model).numbering
    for index, numbers in enumerate(REGIONS.values()):
        target = missed_in_file(found, path, index, None, slice_index=None, numbering=numbering)
        assert np.array_equal(target.region.numpy(), np.isin(_labels(1), numbers))
    unknown = Reading.for_model(_model(label_regions=None)).numbering
    options = {"slice_index": None, "numbering": unknown}
    if source == "labels":
        with pytest.raises(misure.InputError, match="numbers of each class"):
            missed_in_file(found, path, 0, None, **options)
    else:
        assert int(missed_in_file(found, path, 2, None, **options).region.sum()) == 8
    with pytest.raises(misure.InputError, match="expected a class from 0 to 2, got 3"):
        missed_in_file(found, path, 3, None, **options)


def test_rules_are_read_or_refused():
    assert read_regions(RULE) == REGIONS == read_regions({"WT": [1, 2, 4], "TC": (1, 4), "ET": 4})
    assert regions_by_class(read_regions("ET=4,WT=1+2+4,TC=1+4"), ("WT", "TC", "ET")) == (
        *REGIONS.values(),
    )
    assert regions_by_class(read_regions("1=3,0=1+3")) == ((1, 3), (3,))
    for wrong in ("", "WT", "WT=", "WT=1+", "WT=1,WT=2", "WT=-1", {"WT": ["a"]}, {"WT": []}):
        with pytest.raises(misure.InputError, match="expected the numbers of each class once"):
            read_regions(wrong)
    with pytest.raises(misure.InputError, match="expected multilabel=True with label_regions"):
        _model(multilabel=False)
    with pytest.raises(misure.InputError, match="got 'XY' among WT, XY, ET"):
        _model(label_regions="WT=1,XY=2,ET=3")
