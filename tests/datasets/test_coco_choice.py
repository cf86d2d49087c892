"""One annotation out of a file of COCO's."""

import json
from pathlib import Path

import numpy as np
import pytest

import misure
from misure.datasets.coco import VOC_CLASS_NAMES
from misure.datasets.coco_choice import coco_annotation, split_id

pytest.importorskip("pycocotools.mask")

SOFA = VOC_CLASS_NAMES.index("sofa")
CAT = VOC_CLASS_NAMES.index("cat")


def _square(top, left, side):
    bottom, right = top + side, left + side
    return [[left, top, right, top, right, bottom, left, bottom]]


def _annotation(number, category, segmentation, image=7, crowd=0):
    return {
        "id": number, "image_id": image, "category_id": category, "segmentation": segmentation,
        "iscrowd": crowd,
    }  # fmt: skip


@pytest.fixture
def file(tmp_path):
    runs = {"size": [20, 30], "counts": [0, 40, 560]}  # the first two columns
    content = {
        "images": [
            {"id": 7, "file_name": "a.jpg", "height": 20, "width": 30},
            {"id": 8, "file_name": "val/b.jpg", "height": 20, "width": 30},
            {"id": 9, "file_name": "train/b.jpg", "height": 20, "width": 30},
        ],
        "annotations": [
            _annotation(1, 63, _square(4, 5, 10)),
            _annotation(2, 17, _square(8, 18, 4)),
            _annotation(3, 17, _square(1, 20, 5)),
            _annotation(4, 90, _square(15, 25, 4)),
            _annotation(5, 17, runs, crowd=1),
            _annotation(6, 63, _square(2, 2, 2), image=9),
        ],
        "categories": [
            {"id": 17, "name": "cat"}, {"id": 63, "name": "couch"}, {"id": 90, "name": "toothbrush"}
        ],
    }  # fmt: skip
    path = tmp_path / "instances.json"
    path.write_text(json.dumps(content))
    return path


def _choose(file, image="a.jpg", **options):
    return coco_annotation(file, file.parent / image, VOC_CLASS_NAMES, **options)


def test_an_annotation_is_chosen_by_its_id_its_class_or_a_point(file):
    sofa = _choose(file, number=1)
    expected = np.zeros((20, 30), bool)
    expected[4:14, 5:15] = True
    assert np.array_equal(sofa.region, expected)
    assert (sofa.category, sofa.class_index, sofa.is_crowd) == ("couch", SOFA, False)
    assert _choose(file, class_index=SOFA).number == 1
    assert _choose(file, class_index=CAT, point=(9, 19)).number == 2
    assert _choose(file, point=(2, 22)).number == 3
    crowd = _choose(file, number=5)
    assert (crowd.is_crowd, crowd.class_index, int(crowd.region.sum())) == (True, CAT, 40)
    assert bool(crowd.region[:, :2].all())


def test_photographs_of_one_name_are_told_apart_by_their_folders(file):
    assert _choose(file, "train/b.jpg").number == 6
    with pytest.raises(misure.InputError, match="lists several of this name"):
        _choose(file, "b.jpg")


@pytest.mark.parametrize(
    ("image", "options", "message"),
    [
        ("c.jpg", {}, "annotations of the image c.jpg in .*, which lists no image of this name"),
        ("a.jpg", {"number": 6}, "the annotation 6 of a.jpg in .*, which has 1 .couch, 17 % of"),
        ("a.jpg", {"number": 4}, r"a class of the network, got 4 \(toothbrush, 2.7 % of the image"),
        ("a.jpg", {"number": 1, "class_index": CAT}, r"of class cat, got 1 \(couch, 17 % of"),
        ("a.jpg", {"class_index": 1}, r"class aeroplane, got 1 \(couch, .*\), 5 \(crowd of cat, "),
        (
            "a.jpg",
            {"class_index": CAT},
            r"got 5 \(crowd of cat, 6.7 % of the image\), 3 \(cat, 4.2 % .*\. Say instances.json#ID",
        ),
        ("a.jpg", {"class_index": SOFA, "point": (0, 29)}, r"got \(0, 29\) beside 1 \(couch"),
        ("a.jpg", {"point": (50, 0)}, r"a point inside \(20, 30\), got \(50, 0\)"),
        ("a.jpg", {"point": (1, 2, 3)}, r"a point inside \(20, 30\), got \(1, 2, 3\)"),
        ("val/b.jpg", {}, "a class of the network in .*, which has none of this image"),
    ],
)
def test_what_is_not_meant_is_said_with_what_is_there(file, image, options, message):
    with pytest.raises(misure.InputError, match=message):
        _choose(file, image, **options)


def test_an_id_follows_the_file():
    assert split_id(Path("a#b/x.json#12")) == (Path("a#b/x.json"), 12)
    assert split_id(Path("a#b/x.json")) == (Path("a#b/x.json"), None)
    assert split_id(Path("mask#3.png")) == (Path("mask#3.png"), None)
    for text in ("x.json#", "x.json#a", "x.json#-1"):
        with pytest.raises(misure.InputError, match=r"FILE.json#ID with a number"):
            split_id(Path(text))
