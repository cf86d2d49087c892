"""Folders of transformers with small promptable networks of random weights."""

import json

import numpy as np
import torch
import transformers
from PIL import Image

SIDE = 64
_PLACES = {"hidden_size": 16, "image_size": SIDE, "mask_input_channels": 4}
_DECODER = {
    "hidden_size": 16,
    "mlp_dim": 32,
    "num_hidden_layers": 2,
    "num_attention_heads": 2,
    "iou_head_depth": 2,
    "iou_head_hidden_dim": 16,
}
_VIT = {
    "hidden_size": 32,
    "output_channels": 16,
    "num_hidden_layers": 2,
    "num_attention_heads": 2,
    "image_size": SIDE,
    "patch_size": 8,
    "window_size": 4,
    "global_attn_indexes": [1],
    "mlp_dim": 64,
    "num_pos_feats": 8,
}


def shaken(net, std=0.2):
    """The network with random weights large enough that its masks are not all about zero."""
    generator = torch.Generator().manual_seed(0)
    with torch.no_grad():
        for parameter in net.parameters():
            if parameter.ndim > 1:
                parameter.copy_(std * torch.randn(parameter.shape, generator=generator))
    return net.eval()


def sam_network():
    config = transformers.SamConfig(
        vision_config=_VIT, prompt_encoder_config=_PLACES | {"patch_size": 8},
        mask_decoder_config=_DECODER,
    )  # fmt: skip
    return transformers.SamModel(config)


def sam_processor(kind="SamProcessor"):
    images = transformers.SamImageProcessorPil(
        size={"longest_edge": SIDE}, pad_size={"height": SIDE, "width": SIDE}
    )
    return getattr(transformers, kind)(images)


def sam(folder):
    """Saves a SAM for images of 64 pixels on the long side, and returns it with its processor."""
    return _saved(folder, shaken(sam_network()), sam_processor())


def sam_hq(folder):
    config = transformers.SamHQConfig(
        vision_config=_VIT, prompt_encoder_config=_PLACES | {"patch_size": 8},
        mask_decoder_config=_DECODER | {"vit_dim": 32},
    )  # fmt: skip
    net = shaken(transformers.SamHQModel(config))
    return _saved(folder, net, sam_processor("SamHQProcessor"))


def _hiera():
    backbone = {
        "hidden_size": 8,
        "image_size": [SIDE, SIDE],
        "blocks_per_stage": [1, 1, 2, 1],
        "embed_dim_per_stage": [8, 16, 32, 64],
        "num_attention_heads_per_stage": [1, 1, 2, 2],
        "window_size_per_stage": [8, 4, 4, 2],
        "window_positional_embedding_background_size": [4, 4],
        "global_attention_blocks": [3],
        "model_type": "sam2_hiera_det_model",
    }
    return {
        "backbone_config": backbone,
        "backbone_channel_list": [64, 32, 16, 8],
        "backbone_feature_sizes": [[16, 16], [8, 8], [4, 4]],
        "fpn_hidden_size": 16,
        "model_type": "sam2_vision_model",
    }


def squeezing_keys(kind, size=SIDE, **keys):
    """The file of an image processor that squeezes images, as the library writes it."""
    return {
        "image_processor_type": kind,
        "size": {"height": size, "width": size},
        "do_resize": True, "do_rescale": True, "do_normalize": True, "do_convert_rgb": True,
        "rescale_factor": 1 / 255, "resample": 2, "mask_size": {"height": 16, "width": 16},
        "image_mean": [0.485, 0.456, 0.406], "image_std": [0.229, 0.224, 0.225],
    } | keys  # fmt: skip


def sam2(folder):
    config = transformers.Sam2Config(
        vision_config=_hiera(), prompt_encoder_config=_PLACES | {"patch_size": 16},
        mask_decoder_config=_DECODER,
    )  # fmt: skip
    net = shaken(transformers.Sam2Model(config))
    return _saved(folder, net, squeezing_keys("Sam2ImageProcessorFast"))


def sam2_video(folder):
    """Saves a SAM 2 as it is shared: as the video model."""
    config = transformers.Sam2VideoConfig(
        vision_config=_hiera(), prompt_encoder_config=_PLACES | {"patch_size": 16},
        mask_decoder_config=_DECODER, image_size=SIDE,
        memory_attention_hidden_size=16, memory_attention_num_layers=1,
        memory_attention_num_attention_heads=1, memory_attention_downsample_rate=1,
        memory_attention_feed_forward_hidden_size=32, memory_attention_rope_feat_sizes=[4, 4],
        memory_encoder_hidden_size=16, memory_encoder_output_channels=8,
        mask_downsampler_embed_dim=16, memory_fuser_num_layers=1, memory_fuser_embed_dim=16,
        memory_fuser_intermediate_dim=32,
    )  # fmt: skip
    net = shaken(transformers.Sam2VideoModel(config))
    return _saved(folder, net, squeezing_keys("Sam2ImageProcessorFast"))


def _sam3_vision():
    backbone = {
        "hidden_size": 32, "intermediate_size": 64, "num_hidden_layers": 2,
        "num_attention_heads": 2, "image_size": SIDE, "patch_size": 8, "window_size": 4,
        "global_attn_indexes": [1], "pretrain_image_size": SIDE, "model_type": "sam3_vit_model",
    }  # fmt: skip
    return {
        "backbone_config": backbone,
        "fpn_hidden_size": 16,
        "backbone_feature_sizes": [[32, 32], [16, 16], [8, 8]],
        "model_type": "sam3_vision_model",
    }


def sam3_tracker(folder):
    config = transformers.Sam3TrackerConfig(
        vision_config=_sam3_vision(), prompt_encoder_config=_PLACES | {"patch_size": 8},
        mask_decoder_config=_DECODER,
    )  # fmt: skip
    net = shaken(transformers.Sam3TrackerModel(config))
    keys = squeezing_keys("Sam3ImageProcessorFast", image_mean=[0.5] * 3, image_std=[0.5] * 3)
    return _saved(folder, net, keys)


def write_tokenizer(folder):
    """Writes a tokenizer of CLIP whose words are letters."""
    letters = [*"abcdefghijklmnopqrstuvwxyz"]
    words = [*letters, *(f"{letter}</w>" for letter in letters)]
    words += ["<|startoftext|>", "<|endoftext|>"]
    (folder / "vocab.json").write_text(json.dumps({word: i for i, word in enumerate(words)}))
    (folder / "merges.txt").write_text("#version: 0.2\n")
    tokenizer = transformers.CLIPTokenizer.from_pretrained(folder)
    tokenizer.model_max_length = 20
    tokenizer.save_pretrained(folder)
    return tokenizer


_TEXT = {
    "vocab_size": 54, "hidden_size": 32, "intermediate_size": 64, "num_hidden_layers": 2,
    "num_attention_heads": 2, "max_position_embeddings": 20, "projection_dim": 16,
    "bos_token_id": 52, "eos_token_id": 53, "pad_token_id": 53,
}  # fmt: skip


def sam3(folder):
    small = {"hidden_size": 16, "num_attention_heads": 2, "intermediate_size": 32}
    config = transformers.Sam3Config(
        vision_config=_sam3_vision(), text_config=_TEXT,
        geometry_encoder_config=small | {"num_layers": 1},
        detr_encoder_config=small | {"num_layers": 1},
        detr_decoder_config=small | {"num_layers": 1, "num_queries": 5},
        mask_decoder_config={"hidden_size": 16, "num_attention_heads": 2, "num_upsampling_stages": 2},
    )  # fmt: skip
    net = shaken(transformers.Sam3Model(config))
    keys = squeezing_keys("Sam3ImageProcessorFast", image_mean=[0.5] * 3, image_std=[0.5] * 3)
    saved = _saved(folder, net, keys)
    write_tokenizer(folder)
    return saved


def clipseg(folder):
    """Saves a CLIPSeg for squares of 64 pixels, and returns it with its processor."""
    config = transformers.CLIPSegConfig(
        text_config=_TEXT,
        vision_config={
            "hidden_size": 32, "intermediate_size": 64, "num_hidden_layers": 3,
            "num_attention_heads": 2, "image_size": SIDE, "patch_size": 8,
        },
        projection_dim=16, reduce_dim=16, extract_layers=[0, 1, 2],
        decoder_num_attention_heads=2, decoder_intermediate_size=32,
    )  # fmt: skip
    net = shaken(transformers.CLIPSegForImageSegmentation(config), 0.1)
    folder.mkdir(exist_ok=True)
    images = transformers.ViTImageProcessorPil(
        size={"height": SIDE, "width": SIDE}, image_mean=[0.5] * 3, image_std=[0.5] * 3
    )
    return _saved(folder, net, transformers.CLIPSegProcessor(images, write_tokenizer(folder)))


def _saved(folder, net, processor):
    folder.mkdir(exist_ok=True)
    net.save_pretrained(folder)
    if isinstance(processor, dict):
        (folder / "preprocessor_config.json").write_text(json.dumps(processor))
    else:
        processor.save_pretrained(folder)
    return net, processor


def picture(height=37, width=53, seed=0):
    """A picture of coarse noise."""
    blocks = np.random.default_rng(seed).integers(0, 256, (height // 4 + 1, width // 4 + 1, 3))
    pixels = blocks.repeat(4, 0).repeat(4, 1)[:height, :width].astype(np.uint8)
    return Image.fromarray(pixels)
