"""Label maps and their tables, read back as other programs do."""

import csv
import re

import numpy as np
import pytest
import torch

import misure
import toys
from misure.datasets.sample import Sample, SampleList
from misure.images.label_tables import MapLabel, write_label_tables
from misure.reports.label_maps import CaseLabels, labels_of_regions, region_labels
from misure.reports.run_volumes import write_run_volumes

nibabel = pytest.importorskip("nibabel")

AFFINE = torch.tensor(
    [[0.0, -0.8, 0, 20], [-0.8, 0, 0, 30], [0, 0, 5, -7], [0, 0, 0, 1]], dtype=torch.float64
)


def _region(*indices):
    region = torch.zeros(6, dtype=torch.bool)
    region[list(indices)] = True
    return region.view(1, 2, 3)


REGIONS = {
    "target": _region(0, 1, 2),
    "sufficient_region": _region(0, 1, 2, 3, 4),
    "minimally_sufficient_region": _region(1, 3),
}


def test_each_voxel_has_the_number_of_where_it_is():
    assert region_labels(REGIONS).flatten().tolist() == [3, 1, 3, 2, 4, 0]
    words = [label.name for label in labels_of_regions("spleen")]
    assert words[0] == "spleen: minimally sufficient, in the target"


def test_voxels_of_several_objects_are_none_of_them(tmp_path):
    case = CaseLabels((1, 2, 3))
    assert case.add("a", _region(0, 1), _region(1, 2)) == 1
    assert case.add("b", _region(4, 5), _region(2, 5)) == 3
    case.write(tmp_path / "x_labels.nii.gz", AFFINE.numpy())
    file = nibabel.load(tmp_path / "x_labels.nii.gz")
    assert np.asarray(file.dataobj).flatten().tolist() == [2, 1, 5, 0, 4, 3]
    assert np.allclose(file.affine, AFFINE)
    assert file.get_data_dtype() == np.uint8
    assert _slicer(tmp_path / "x_labels.ctbl").keys() == {0, 1, 2, 3, 4, 5}


def test_a_region_of_the_whole_volume_hides_no_other_object(tmp_path):
    case, everything = CaseLabels((1, 2, 3)), _region(0, 1, 2, 3, 4, 5)
    case.add("a", _region(0, 1), _region(1))
    case.add("all", _region(2), everything)
    case.add("b", _region(4, 5), _region(3, 5))
    case.add("c", _region(5), _region(5))
    case.write(tmp_path / "x_labels.nii.gz", AFFINE.numpy())
    numbers = np.asarray(nibabel.load(tmp_path / "x_labels.nii.gz").dataobj).flatten()
    assert numbers.tolist() == [2, 1, 3, 9, 6, 9]  # 9: two regions at 3, two targets at 5


def test_no_name_stops_a_reader(tmp_path):
    """ITK-SNAP takes an empty name for a syntax error, Slicer fails on a name of ticks alone."""
    names = ["", " \t", "'", "'ticked'", "l'œil", "肝脏 left"]
    labels = [MapLabel(number, name, "#0072B2") for number, name in enumerate(names, start=1)]
    write_label_tables(labels, tmp_path / "l.nii.gz")
    slicer = [name for name, _ in _slicer(tmp_path / "l.ctbl").values()]
    assert slicer == ["background", "1", "2", "3", "ticked", "l'œil", "肝脏_left"]
    snap = [name for name, _ in _snap(tmp_path / "l.txt").values()]
    assert snap == ["Clear Label", "1", "2", "'", "'ticked'", "l'œil", "肝脏 left"]


def test_the_tables_of_both_programs(tmp_path):
    label = MapLabel(3, 'left  "kidney"', "#D55E00")
    write_label_tables([label], tmp_path / "l.nii.gz")
    assert _slicer(tmp_path / "l.ctbl")[3] == ('left_"kidney"', (213, 94, 0, 255))
    assert _snap(tmp_path / "l.txt") == {
        0: ("Clear Label", (0, 0, 0, 0, 0, 0)),
        3: ("left 'kidney'", (213, 94, 0, 1, 1, 1)),
    }


def _slicer(path):
    rows = [line.split() for line in path.read_text("utf-8").splitlines() if line[0] != "#"]
    assert all(len(row) == 6 for row in rows)
    return {int(row[0]): (row[1], tuple(map(int, row[2:]))) for row in rows}


def _snap(path):
    lines = [line for line in path.read_text("utf-8").splitlines() if line[0] != "#"]
    rows = [re.fullmatch(r'\s*(\d+)((?:\s+\d+){6})\s+"([^"]*)"', line) for line in lines]
    return {int(row[1]): (row[3], tuple(map(int, row[2].split()))) for row in rows}


@pytest.fixture(scope="module")
def exported(tmp_path_factory):
    folder = tmp_path_factory.mktemp("labels")
    image = toys.Beacon.image(3)
    samples = [Sample("imagesTs/cäse 1.nii.gz", image, affine=AFFINE)]
    samples.append(Sample("imagesTs/Case 1.nii", image.flip(1), affine=AFFINE))
    model = toys.model_of(toys.Beacon(), class_names=("sky", "left lamp"))
    plan = misure.RunPlan(method_options={"preset": "quick", "max_passes": 40})
    misure.run(SampleList(samples), model, folder / "run", plan)
    assert write_run_volumes(folder / "run", folder / "out") == 2
    return folder


def test_an_export_has_names_that_a_person_can_read(exported):
    with (exported / "out" / "objects.csv").open(encoding="utf-8", newline="") as file:
        rows = list(csv.DictReader(file))
    names = [row["folder"] for row in rows]
    assert names == ["imagesTs-Case-1_left-lamp", "imagesTs-case-1_left-lamp-2"]
    assert [row["key"] for row in rows] == [
        "imagesTs/Case 1.nii#1",
        "imagesTs/cäse 1.nii.gz#1",
    ]
    written = {path.name for path in (exported / "out").iterdir()}
    maps = [row["case_map"] for row in rows]
    assert maps == ["imagesTs-Case-1_labels.nii.gz", "imagesTs-case-1_labels-2.nii.gz"]
    assert {*names, *maps} < written


def test_an_export_lies_on_the_voxels_of_its_volume(exported):
    sitk = pytest.importorskip("SimpleITK")
    records = {record.key: record for record in misure.read_run(exported / "run")}
    with (exported / "out" / "objects.csv").open(encoding="utf-8", newline="") as file:
        rows = list(csv.DictReader(file))
    for row in rows:
        arrays = misure.Explanation.load(exported / "run" / records[row["key"]].map).tensors()
        small = arrays["minimally_sufficient_region"].numpy()
        own = nibabel.load(exported / "out" / row["folder"] / "labels.nii.gz")
        assert np.array_equal(np.isin(np.asarray(own.dataobj), (1, 2)), small)
        assert small.any()
        path = exported / "out" / row["case_map"]
        case = nibabel.load(path)
        assert np.allclose(case.affine, AFFINE)
        number = int(row["case_label"])
        assert np.array_equal(np.asarray(case.dataobj) == number, small)
        table = _snap(path.with_name(path.name.replace(".nii.gz", ".txt")))
        assert table[number][0] == f"{row['folder']}: minimally sufficient"
        read = sitk.ReadImage(str(path))
        where = np.argwhere(small)[0]
        point = read.TransformIndexToPhysicalPoint([int(i) for i in where])
        ras = AFFINE.numpy() @ [*where, 1]
        assert np.allclose(point, [-ras[0], -ras[1], ras[2]], atol=1e-4)
        assert read[tuple(int(i) for i in where)] == number
