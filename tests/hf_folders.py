"""Folders of transformers with small networks of random weights."""

import json

import transformers
from transformers import SegformerConfig, SegformerForSemanticSegmentation

NAMES = {0: "sky", 1: "sea", 2: "ship"}


def write_processor(folder, keys, name="preprocessor_config.json"):
    """Writes keys of an image processor; None: no file."""
    if keys is not None:
        (folder / name).write_text(json.dumps(keys))


def segformer(folder, network=SegformerForSemanticSegmentation, id2label=None):
    """Saves a SegFormer and returns it."""
    names = id2label or NAMES
    config = SegformerConfig(
        id2label=names,
        label2id={name: index for index, name in names.items()},
        hidden_sizes=[8, 8, 16, 16],
        depths=[1] * 4,
        num_attention_heads=[1, 2, 4, 8],
        decoder_hidden_size=16,
    )
    net = network(config).eval()
    net.save_pretrained(folder)
    return net


def eomt(folder, **config):
    """Saves an EoMT for squares of 64 pixels."""
    sizes = {"hidden_size": 16, "image_size": 64, "patch_size": 16, "num_queries": 5}
    layers = {"num_hidden_layers": 2, "num_attention_heads": 2, "num_blocks": 1}
    net = transformers.EomtForUniversalSegmentation(
        transformers.EomtConfig(**sizes, **layers, **config)
    )
    net.save_pretrained(folder)
