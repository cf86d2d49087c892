"""Annotated objects that a model misses, and `misure missed` on them."""

import json

import pytest
import torch
from click.testing import CliRunner
from PIL import Image

import misure
import toys
from misure.cli.app import main
from misure.datasets import AnnotatedObject, Sample, SampleList
from misure.errors import InputError

NETWORK = """
import torch
class Inhibitor(torch.nn.Module):
    def forward(self, images):
        last = images[:, -1:].flatten(1).amax(1).view(-1, 1, *[1] * (images.ndim - 2))
        evidence = 10 * torch.minimum(images[:, :1] - 0.5, 0.5 - last)
        return torch.cat([-evidence, evidence], 1)
"""


def _block():
    return toys.Beacon.image()[0] > 0.5


def _samples(**fields):
    """A block that the beacon keeps from being drawn, and the same without the beacon."""
    blocked, seen = toys.Beacon.image(), toys.Beacon.image()
    seen[2] = 0
    return SampleList([Sample("blocked", blocked, **fields), Sample("seen", seen, **fields)])


def test_an_object_is_missed_where_next_to_nothing_is_drawn_on_it():
    model = toys.model_of(toys.Inhibitor(), class_names=("background", "lamp"))
    with model.counting() as spent:
        (one,) = misure.missed_objects(model, _samples(annotation=_block().long()))
    assert (one.key, one.drawn_dice, one.sample.key) == ("blocked lamp 0", 0, "blocked")
    assert torch.equal(one.target.region, _block())
    assert one.target.made_from == "the annotation"
    assert spent.forward_passes == 2
    found = misure.blocking_region(model, one.sample.image, one.target, max_passes=90)
    assert found.is_found
    assert not list(
        misure.missed_objects(model, _samples(annotation=_block().long()), min_area=0.1)
    )


def test_classes_are_matched_by_name_and_parts_are_objects():
    model = toys.model_of(toys.Inhibitor(), class_names=("background", "lamp"))
    annotation = 3 * _block().long()
    annotation[-3:, -3:] = 3
    samples = _samples(annotation=annotation)
    samples.class_names = ("background", "cat", "dog", "lamp")
    keys = [one.key for one in misure.missed_objects(model, samples, min_area=0)]
    assert keys == ["blocked lamp 0", "blocked lamp 1", "seen lamp 1"]
    samples.class_names = ("background", "cat", "dog", "sofa")
    with pytest.raises(InputError, match="expected classes of the data set .* got none"):
        misure.missed_objects(model, samples)


def test_objects_of_a_data_set_keep_their_names():
    model = toys.model_of(toys.Inhibitor())
    samples = _samples(objects=(AnnotatedObject(1, _block(), "1768"),))
    assert [one.key for one in misure.missed_objects(model, samples)] == ["blocked 1 1768"]


@pytest.mark.parametrize(
    ("options", "said"),
    [({"min_area": 2}, r"min_area and max_dice in \[0, 1\)"), ({"classes": ["cat"]}, "class")],
)
def test_bad_arguments(options, said):
    with pytest.raises(InputError, match=said):
        misure.missed_objects(toys.model_of(toys.Inhibitor()), _samples(), **options)


def test_samples_without_annotations_are_said():
    with pytest.raises(InputError, match="expected samples with annotations, blocked has none"):
        list(misure.missed_objects(toys.model_of(toys.Inhibitor()), _samples()))


def test_an_annotation_of_another_shape_is_said():
    samples = _samples(annotation=torch.ones(5, 5, dtype=torch.int64))
    with pytest.raises(InputError, match="of the image's shape"):
        list(misure.missed_objects(toys.model_of(toys.Inhibitor()), samples))


@pytest.fixture
def folder(tmp_path):
    """A folder of COCO with the blocked image, its block a person, and a network."""
    pytest.importorskip("pycocotools.mask")
    (tmp_path / "nets.py").write_text(NETWORK)
    (tmp_path / "annotations").mkdir()
    (tmp_path / "val2017").mkdir()
    image = (255 * toys.Beacon.image()).byte().movedim(0, -1).numpy()
    Image.fromarray(image).save(tmp_path / "val2017" / "a.png")
    rows, columns = _block().nonzero(as_tuple=True)
    top, left, bottom, right = rows.min(), columns.min(), rows.max() + 1, columns.max() + 1
    outline = [left, top, right, top, right, bottom, left, bottom]
    height, width = _block().shape
    content = {
        "images": [{"id": 7, "file_name": "a.png", "height": height, "width": width}],
        "annotations": [
            {
                "id": 5, "image_id": 7, "category_id": 1, "iscrowd": 0,
                "segmentation": [[int(one) for one in outline]],
            }
        ],
        "categories": [{"id": 1, "name": "person"}],
    }  # fmt: skip
    (tmp_path / "annotations" / "instances_val2017.json").write_text(json.dumps(content))
    return tmp_path


def _missed(folder, *arguments):
    start = ["missed", f"coco:{folder}", "--model", f"python:{folder}/nets.py:Inhibitor"]
    start += ["--model-option", "class_names=background,person", "--max-passes", "90"]
    return CliRunner().invoke(main, [*start, "--out", str(folder / "out"), *arguments])


def test_missed_writes_a_folder_for_each_object_and_goes_on(folder):
    done = _missed(folder)
    assert done.exit_code == 0, done.output
    assert "makes the model draw the person" in done.output
    assert "1 missed object, something in the way of 1" in done.output
    (own,) = (folder / "out").iterdir()
    assert own.name == "a.png-person-5"
    found = misure.HiddenRegion.load(own / "blocking.npz")
    beacon = toys.Beacon.image()[2] > 0.5
    assert not (beacon & ~found.region).any()
    written = (own / "blocking.png").stat().st_mtime_ns
    again = _missed(folder)
    assert again.exit_code == 0, again.output
    assert again.output == done.output
    assert (own / "blocking.png").stat().st_mtime_ns == written
    other = _missed(folder, "--drawn-dice", "0.8")
    assert other.exit_code == 2
    assert "holds other results: drawn_dice" in other.output.replace("\n", " ")


def test_nothing_missed_is_an_answer(folder):
    done = _missed(folder, "--min-area", "0.5")
    assert done.exit_code == 0, done.output
    assert "misses no object" in done.output


def test_a_folder_of_another_object_is_not_taken_for_its_own(folder):
    assert _missed(folder).exit_code == 0
    made = folder / "out" / "a.png-person-5" / ".misure.json"
    assert '"a.png person 5"' in made.read_text()
    made.write_text(made.read_text().replace('"a.png person 5"', '"a-png person 5"'))
    done = _missed(folder)
    assert done.exit_code == 2
    assert "object: 'a-png person 5' there, 'a.png person 5' now" in " ".join(done.output.split())
