"""COCO as it is downloaded, and as it is broken."""

import json

import numpy as np
import pytest
import torch
from click.testing import CliRunner
from PIL import Image

import misure
from misure.cli.app import main
from misure.datasets import Reading, open_dataset
from misure.datasets.coco import VOC_CLASS_NAMES, CocoDataset

coco_masks = pytest.importorskip("pycocotools.mask")
HEIGHT, WIDTH = 20, 30


def _square(top, left, side):
    bottom, right = top + side, left + side
    return [[left, top, right, top, right, bottom, left, bottom]]


def _annotation(number, image, category, segmentation, crowd=0):
    return {
        "id": number, "image_id": image, "category_id": category, "segmentation": segmentation,
        "iscrowd": crowd, "area": 1, "bbox": [0, 0, 1, 1],
    }  # fmt: skip


@pytest.fixture
def content():
    crowd = np.zeros((HEIGHT, WIDTH), int)
    crowd[0:3] = 1
    runs = np.diff(np.flatnonzero(np.diff(np.concatenate([[2], crowd.T.ravel(), [2]]))))
    return {
        "images": [
            {"id": 7, "file_name": "b.jpg", "height": HEIGHT, "width": WIDTH},
            {"id": 3, "file_name": "a.jpg", "height": HEIGHT, "width": WIDTH},
            {"id": 9, "file_name": "elsewhere.jpg", "height": 5, "width": 5},
        ],
        "annotations": [
            _annotation(1, 7, 63, _square(5, 5, 10)),
            _annotation(2, 7, 17, _square(8, 8, 4)),
            _annotation(3, 7, 90, _square(15, 20, 4)),
            _annotation(4, 7, 1, {"size": [HEIGHT, WIDTH], "counts": [0, *runs.tolist()]}, 1),
        ],
        "categories": [
            {"id": 1, "name": "person"}, {"id": 17, "name": "cat"},
            {"id": 63, "name": "couch"}, {"id": 90, "name": "toothbrush"},
        ],
    }  # fmt: skip


@pytest.fixture
def folder(tmp_path, content):
    (tmp_path / "annotations").mkdir()
    (tmp_path / "val2017").mkdir()
    for name in "ab":
        Image.new("RGB", (WIDTH, HEIGHT), (100, 50, 0)).save(tmp_path / "val2017" / f"{name}.jpg")
    _write(tmp_path, content)
    return tmp_path


def _redraw(content, segmentation):
    content["annotations"][0]["segmentation"] = segmentation


@pytest.mark.parametrize("seed", range(5))
def test_run_lengths_are_those_of_pycocotools(folder, content, seed):
    drawn = np.random.default_rng(seed).random((HEIGHT, WIDTH)) < 0.02 + 0.2 * seed
    text = coco_masks.encode(np.asfortranarray(drawn.astype(np.uint8)))["counts"].decode()
    begins = np.flatnonzero(np.diff(drawn.T.ravel().astype(int), prepend=0))
    runs = np.diff(np.concatenate([[0], begins, [drawn.size]])).tolist()
    for counts in (text, runs):
        _redraw(content, {"size": [HEIGHT, WIDTH], "counts": counts})
        _write(folder, content)
        assert np.array_equal(CocoDataset(folder)[1].objects[0].region, drawn)


def test_annotations_nested_too_deep_are_one_sentence(folder):
    deep = "[" * 200_000
    (folder / "annotations" / "instances_val2017.json").write_text(deep)
    with pytest.raises(misure.InputError, match="cannot be used"):
        CocoDataset(folder)


def _write(folder, content):
    (folder / "annotations" / "instances_val2017.json").write_text(json.dumps(content))


def test_objects_keep_apart_and_small_ones_lie_above(folder):
    dataset = open_dataset(f"coco:{folder}", Reading(num_channels=3))
    assert dataset.keys == ["a.jpg", "b.jpg"]
    assert dataset[0].objects == ()
    assert not dataset[0].annotation.any()
    sample = dataset[1]
    assert sample.image.shape == (3, HEIGHT, WIDTH)
    assert [(one.class_index, one.name) for one in sample.objects] == [(18, "1"), (8, "2")]
    expected = torch.zeros(HEIGHT, WIDTH, dtype=torch.int64)
    expected[:3] = -1
    expected[5:15, 5:15] = VOC_CLASS_NAMES.index("sofa")
    expected[8:12, 8:12] = VOC_CLASS_NAMES.index("cat")
    assert torch.equal(sample.annotation, expected)
    assert int(sample.objects[0].region.sum()) == 100


def test_photographs_lie_as_they_were_annotated(folder):
    path = folder / "val2017" / "b.jpg"
    stored = open_dataset(f"coco:{folder}")[1].image
    with Image.open(path) as picture:
        tag = picture.getexif()
        tag[0x0112] = 3  # upside down
        picture.save(path, exif=tag, quality=95)
    again = open_dataset(f"coco:{folder}")[1].image
    assert torch.allclose(again, stored, atol=0.1)
    assert torch.equal(misure.read_image(path), again.flip(1, 2))


def test_all_classes_and_classes_of_ones_own(folder):
    every = open_dataset(f"coco-all:{folder},val2017")
    assert every.class_names == ("background", "person", "cat", "couch", "toothbrush")
    assert [one.class_index for one in every[1].objects] == [3, 2, 4]
    own = CocoDataset(folder, class_names=("rest", "couch"))
    assert [one.class_index for one in own[1].objects] == [1]


def test_grey_networks_get_grey_photographs(folder):
    assert open_dataset(f"coco:{folder}", Reading(num_channels=1))[0].image.shape[0] == 1


@pytest.mark.parametrize(
    ("damage", "words"),
    [
        (
            lambda c: c.pop("annotations"),
            "cannot be used: Object missing required field `annotations`",
        ),
        (
            lambda c: c["annotations"][0].pop("image_id"),
            r"missing required field `image_id` - at `\$.annotations\[0\]",
        ),
        (
            lambda c: c.update(images=[c["images"][2]], annotations=[]),
            "found none of its 1, such as elsewhere.jpg. Are they of another",
        ),
        (lambda c: c["annotations"][0].update(image_id=77), "of image 77, which is not listed"),
        (lambda c: c["annotations"][0].update(image_id="7"), "Expected `int`, got `str`"),
        (lambda c: c["categories"][0].update(name="cat"), "categories have 'cat' twice"),
        (lambda c: c["categories"][0].update(id=17), "categories have 17 twice"),
        (lambda c: c["images"][0].update(height=21), "to be 21 × 30 .* got 20 × 30"),
        (lambda c: c["annotations"][0].update(segmentation=7), "run lengths in annotation 1"),
        (lambda c: c["annotations"].append(3), "cannot be used: Expected `object`, got `int`"),
        (lambda c: c["annotations"][0].update(category_id=99), "annotation 1 is of no category"),
        (
            lambda c: c["images"][0].update(height=20.0),
            r"Expected `int`, got `float` - at `\$.images\[0\].height",
        ),
        (
            lambda c: c["images"][0].update(file_name=["a"]),
            r"Expected `str`, got `array` - at `\$.images\[0\].file_name",
        ),
        (lambda c: c["images"].append(c["images"][0]), "two images have the id 7"),
        (lambda c: c["images"].append(c["images"][0] | {"id": 8}), "got 'b.jpg' twice"),
        (lambda c: _redraw(c, [[1, 1, 1e9, 1, 1e9, 1e9]]), "lies far outside of the photograph"),
        (lambda c: _redraw(c, [[1, 1, float("nan"), 1, 2, 2]]), "lies far outside"),
        (lambda c: _redraw(c, [[1, 1, 2, 2, 3]]), "three points or more"),
        (lambda c: _redraw(c, {"size": [10**6, 10**6], "counts": [5, 10]}), "not .20, 30."),
        (lambda c: _redraw(c, {"size": [HEIGHT, WIDTH], "counts": []}), "do not add up to 20 × 30"),
        (lambda c: _redraw(c, {"size": [HEIGHT, WIDTH], "counts": [5, 10]}), "do not add up"),
        (lambda c: _redraw(c, {"size": [HEIGHT, WIDTH], "counts": "5:"}), "do not add up"),
        (lambda c: _redraw(c, {"size": [HEIGHT, WIDTH], "counts": [-5, 605]}), "do not add up"),
    ],
)
def test_broken_annotations_are_one_sentence(folder, content, damage, words):
    damage(content)
    _write(folder, content)
    with pytest.raises(misure.InputError, match=words) as raised:
        open_dataset(f"coco:{folder}")[1]
    assert "\n" not in str(raised.value)


def test_what_is_not_there_is_said_with_where_to_get_it(folder):
    for spec in (f"coco:{folder},test2017", f"coco:{folder}/val2017"):
        with pytest.raises(misure.MissingDataError, match="cocodataset.org"):
            open_dataset(spec)
    (folder / "annotations" / "instances_val2017.json").write_text("{")
    done = CliRunner().invoke(
        main, ["run", f"coco:{folder}", "--model", "triangle", "--out", str(folder / "run")]
    )
    assert done.exit_code == 2
    assert "expected instance annotations" in done.output
    with pytest.raises(misure.InputError, match="got no folder"):
        open_dataset("coco:")


# --- panoptic -----------------------------------------------------------------------------------

SEGMENTS = [
    {"id": 7, "category_id": 1, "iscrowd": 0},
    {"id": 256 * 2 + 3, "category_id": 184, "iscrowd": 0},
    {"id": 65536 * 9 + 1, "category_id": 1, "iscrowd": 1},
]


def _panoptic(folder, segments=SEGMENTS, side=8):
    (folder / "val2017").mkdir()
    (folder / "annotations/panoptic_val2017").mkdir(parents=True)
    Image.new("RGB", (side, 8), (90, 120, 30)).save(folder / "val2017/000000000009.jpg")
    colours = np.zeros((8, 8, 3), np.uint8)
    colours[:4, :4] = (7, 0, 0)
    colours[4:] = (3, 2, 0)
    colours[0, 7] = (1, 0, 9)
    Image.fromarray(colours).save(folder / "annotations/panoptic_val2017/000000000009.png")
    content = {
        "images": [{"id": 9, "file_name": "000000000009.jpg"}, {"id": 5, "file_name": "gone.jpg"}],
        "annotations": [
            {"image_id": 9, "file_name": "000000000009.png", "segments_info": segments},
            {"image_id": 5, "file_name": "gone.png", "segments_info": []},
        ],
        "categories": [
            {"id": 1, "name": "person", "isthing": 1},
            {"id": 184, "name": "tree-merged", "isthing": 0},
        ],
    }
    path = folder / "annotations/panoptic_val2017.json"
    path.write_text(json.dumps(content))
    return path


def test_a_folder_may_have_a_comma_in_its_name(tmp_path):
    folder = tmp_path / "COCO, 2017"
    folder.mkdir()
    _panoptic(folder)
    for spec in (f"coco-panoptic:{folder}", f"coco-panoptic:{folder},val2017"):
        assert open_dataset(spec).keys == ["000000000009.jpg"]


def test_panoptic_annotations(tmp_path):
    _panoptic(tmp_path)
    dataset = open_dataset(f"coco-panoptic:{tmp_path}")
    assert dataset.keys == ["000000000009.jpg"]
    assert dataset.class_names == ("unlabelled", "person", "tree-merged")
    sample = dataset[0]
    wanted = torch.full((8, 8), -1)
    wanted[:4, :4], wanted[4:] = 1, 2
    assert torch.equal(sample.annotation, wanted)
    (person,) = sample.objects
    assert (person.class_index, person.name) == (1, "7")
    assert torch.equal(person.region, wanted == 1)


@pytest.mark.parametrize(
    ("damage", "message"),
    [
        (
            lambda f, _: f.write_text("{}"),
            "as COCO publishes them in .*, but .* missing required field `categories`",
        ),
        (lambda f, _: f.unlink(), "expected val2017/, annotations/panoptic_val2017.json"),
        (lambda _, p: p.write_bytes(p.read_bytes()[:60]), "expected a PNG of segments, but"),
        (
            lambda _, p: Image.new("L", (8, 8)).save(p),
            r"expected segments as colours \(RGB\) in .*, got a picture of mode L",
        ),
        (lambda _, p: Image.new("RGB", (5, 5)).save(p), "to be 5 × 5 as its annotation, got 8 × 8"),
        (
            lambda f, _: f.write_text(
                f.read_text().replace('"category_id": 184', '"category_id": 3')
            ),
            "a known category_id",
        ),
        (
            lambda f, _: f.write_text(f.read_text().replace('"iscrowd": 0', '"iscrowd": "no"')),
            "expected segments with an id and a known category_id for 0.*9.png",
        ),
        (
            lambda f, _: f.write_text(f.read_text().replace('"image_id": 5', '"image_id": 6')),
            "gone.png is of image 6, which is not listed",
        ),
        (
            lambda f, _: f.write_text(f.read_text().replace("000000000009.jpg", "other.jpg")),
            "found none of its 2",
        ),
    ],
)
def test_damaged_panoptic_annotations(damage, message, tmp_path):
    file = _panoptic(tmp_path)
    damage(file, tmp_path / "annotations/panoptic_val2017/000000000009.png")
    with pytest.raises(misure.MisureError, match=message):
        open_dataset(f"coco-panoptic:{tmp_path}")[0]


def test_a_polygon_of_two_points_is_left_out_and_named(folder, content):
    _redraw(content, [[1, 1, 2, 2]])
    _write(folder, content)
    with pytest.warns(misure.errors.MisureWarning, match="annotation 1 of image 7 has a polygon"):
        sample = open_dataset(f"coco:{folder}")[1]
    assert [one.name for one in sample.objects] == ["2"]


def test_file_names_may_have_folders(folder, content):
    for image in content["images"]:
        image["file_name"] = f"sub/{image['file_name']}"
    content["images"][1]["file_name"] = "val2017/sub/deep/a.jpg"
    _write(folder, content)
    with pytest.raises(misure.InputError, match="found none of its 3, such as sub/b.jpg"):
        open_dataset(f"coco:{folder}")
    (folder / "val2017/sub/deep").mkdir(parents=True)
    (folder / "val2017/a.jpg").rename(folder / "val2017/sub/deep/a.jpg")
    (folder / "val2017/b.jpg").rename(folder / "val2017/sub/b.jpg")
    dataset = open_dataset(f"coco:{folder}")
    assert dataset.keys == ["sub/b.jpg", "sub/deep/a.jpg"]
    assert [one.name for one in dataset[0].objects] == ["1", "2"]
    Image.new("RGB", (9, 9)).save(folder / "val2017" / "b.jpg")
    with pytest.warns(misure.errors.MisureWarning, match="1 of 3 photographs.* first is b.jpg"):
        open_dataset(f"coco:{folder}")


def test_a_category_called_background_is_class_0(folder, content):
    content["categories"][0]["name"] = "background"
    content["annotations"].append(_annotation(9, 7, 1, _square(0, 0, 3)))
    _write(folder, content)
    every = open_dataset(f"coco-all:{folder}")
    assert every.class_names == ("background", "cat", "couch", "toothbrush")
    assert [one.class_index for one in every[1].objects] == [2, 1, 3]


def test_categories_that_are_no_classes_are_refused(folder, content):
    for number, category in enumerate(content["categories"]):
        category["name"] = f"fish {number}"
    _write(folder, content)
    with pytest.raises(misure.InputError, match="got fish 0, .* name coco-all:FOLDER"):
        open_dataset(f"coco:{folder}")
    assert len(open_dataset(f"coco-all:{folder}")[1].objects) == 3


def test_annotations_that_are_drawn_on_the_turned_photograph(folder, content):
    exif = Image.Exif()
    exif[0x0112] = 6
    upright = np.zeros((HEIGHT, WIDTH, 3), np.uint8)
    upright[5:15, 5:15] = 255
    stored = Image.fromarray(np.rot90(upright))
    stored.save(folder / "val2017" / "b.jpg", exif=exif, quality=95)
    sample = open_dataset(f"coco:{folder}")[1]
    assert sample.image.shape == (3, HEIGHT, WIDTH)
    assert float(sample.image[0][sample.objects[0].region].min()) > 0.8
    content["images"][0]["height"] = 99
    _write(folder, content)
    with pytest.raises(misure.InputError, match=r"got 30 × 20 \(20 × 30 as its EXIF tag turns it"):
        open_dataset(f"coco:{folder}")[1]


def test_an_unused_category_with_the_name_of_another_is_left_out(folder, content):
    used = content["annotations"][0]["category_id"]
    name = next(one["name"] for one in content["categories"] if one["id"] == used)
    content["categories"].insert(0, {"id": 999, "name": name, "supercategory": "none"})
    _write(folder, content)
    assert open_dataset(f"coco-all:{folder}").class_names.count(name) == 1


def test_an_annotation_with_a_box_alone_is_told(folder, content):
    content["annotations"][0]["segmentation"] = []
    _write(folder, content)
    dataset = open_dataset(f"coco-all:{folder}")
    number = [one["id"] for one in content["images"]].index(content["annotations"][0]["image_id"])
    key = content["images"][number]["file_name"]
    with pytest.warns(misure.errors.MisureWarning, match="has no polygon, only a box perhaps"):
        dataset[dataset.keys.index(key)]
