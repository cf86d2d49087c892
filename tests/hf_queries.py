"""Folders of transformers with small networks of queries, whose random weights report objects."""

import json

import torch
import torch.nn.functional as F
import transformers
from transformers import (
    CLIPTokenizer,
    ConditionalDetrConfig,
    DetrConfig,
    EomtConfig,
    Mask2FormerConfig,
    MaskFormerConfig,
    OneFormerConfig,
    ResNetConfig,
    SwinConfig,
)

NAMES = {0: "wall", 1: "car", 2: "sky", 3: "dog"}
SIDES = {"shortest_edge": 64, "longest_edge": 96}


def resnet():
    return ResNetConfig(
        embedding_size=8,
        hidden_sizes=[8, 8, 16, 16],
        depths=[1, 1, 1, 1],
        layer_type="basic",
        out_features=["stage1", "stage2", "stage3", "stage4"],
    )


def swin():
    return SwinConfig(
        image_size=64,
        embed_dim=8,
        depths=[1, 1, 1, 1],
        num_heads=[1, 1, 2, 2],
        window_size=4,
        out_features=["stage1", "stage2", "stage3", "stage4"],
    )


def detr_sizes():
    layers = {"encoder_layers": 1, "decoder_layers": 2, "d_model": 32}
    heads = {"encoder_attention_heads": 8, "decoder_attention_heads": 8}
    return layers | heads | {"encoder_ffn_dim": 16, "decoder_ffn_dim": 16}


def detr(kind="Detr", config=DetrConfig, num_queries=12):
    net = getattr(transformers, f"{kind}ForSegmentation")(
        config(
            backbone_config=resnet(),
            use_timm_backbone=False,
            num_queries=num_queries,
            id2label=NAMES,
            **detr_sizes(),
        )
    )
    return net, f"{kind}ImageProcessor", {"size": SIDES}


def conditional_detr():
    return detr("ConditionalDetr", ConditionalDetrConfig)


def maskformer():
    config = MaskFormerConfig(
        backbone_config=swin(),
        decoder_config=DetrConfig(num_queries=12, **detr_sizes()),
        fpn_feature_size=32,
        mask_feature_size=32,
        id2label=NAMES,
    )
    net = transformers.MaskFormerForInstanceSegmentation(config)
    return net, "MaskFormerImageProcessor", {"size": SIDES, "size_divisor": 32}


def of_swin():
    """What the configurations of networks with a pixel decoder on Swin have in common."""
    heads = {"num_attention_heads": 2, "num_queries": 12, "id2label": NAMES, "encoder_layers": 1}
    sizes = {"hidden_dim": 32, "encoder_feedforward_dim": 16, "dim_feedforward": 16}
    return {"backbone_config": swin(), **sizes, **heads}


def mask2former():
    config = Mask2FormerConfig(feature_size=32, mask_feature_size=32, decoder_layers=2, **of_swin())
    net = transformers.Mask2FormerForUniversalSegmentation(config)
    return net, "Mask2FormerImageProcessor", {"size": SIDES, "size_divisor": 32}


def eomt():
    config = EomtConfig(
        hidden_size=16,
        image_size=64,
        patch_size=16,
        num_queries=12,
        num_hidden_layers=2,
        num_attention_heads=2,
        num_blocks=1,
        id2label=NAMES,
    )
    keys = {"size": {"shortest_edge": 64, "longest_edge": 64}, "do_pad": True}
    return transformers.EomtForUniversalSegmentation(config), "EomtImageProcessor", keys


def oneformer():
    config = OneFormerConfig(
        conv_dim=32,
        mask_dim=32,
        decoder_layers=3,
        text_encoder_width=8,
        text_encoder_num_layers=1,
        text_encoder_vocab_size=64,
        task_seq_len=20,
        **of_swin(),
    )
    net = transformers.OneFormerForUniversalSegmentation(config)
    return net, "OneFormerImageProcessor", {"size": SIDES}


MAKERS = {
    "detr": detr,
    "conditional_detr": conditional_detr,
    "eomt": eomt,
    "mask2former": mask2former,
    "maskformer": maskformer,
    "oneformer": oneformer,
}


def write_tokenizer(folder):
    """A tokenizer of letters, with which the tasks of OneFormer differ."""
    letters = [chr(number) for number in range(ord("a"), ord("z") + 1)]
    tokens = [
        *letters,
        *(f"{letter}</w>" for letter in letters),
        "<|startoftext|>",
        "<|endoftext|>",
    ]
    (folder / "vocab.json").write_text(json.dumps({token: i for i, token in enumerate(tokens)}))
    (folder / "merges.txt").write_text("#version: 0.2\n")
    CLIPTokenizer(str(folder / "vocab.json"), str(folder / "merges.txt")).save_pretrained(folder)


def scene(generator, side=64):
    """An image (3, H, W) with a shape in each half, and the class (2,) and mask (2, H, W) of each.

    Class 1 is a light square, class 3 a dark disc.
    """

    def draw(low, high):
        return int(torch.randint(low, high, (1,), generator=generator))

    image = 0.5 + 0.05 * torch.randn(3, side, side, generator=generator)
    places = torch.arange(side)
    classes, masks = [], []
    for half in (0, side // 2):
        row, column, radius = draw(12, side - 12), half + draw(12, side // 2 - 12), draw(7, 11)
        down, right = (places - row).abs()[:, None], (places - column).abs()[None]
        is_square = draw(0, 2) == 1
        inside = torch.maximum(down, right) if is_square else (down**2 + right**2).sqrt()
        mask = inside <= radius
        image[:, mask] += 0.4 if is_square else -0.4
        classes.append(1 if is_square else 3)
        masks.append(mask)
    return image.clamp(0, 1), torch.tensor(classes), torch.stack(masks)


def spread(net, run):
    """Scales the heads of a network until its queries differ in class, and masks have two sides.

    Args:
        net: of transformers.
        run: () -> its output for an image.
    """
    last_layers = ("mask_embedder.2.0", "mask_embed.layers.2.0", "mask_head.fc3", "output_conv")
    heads = {name: module for name, module in net.named_modules() if name.endswith(last_layers)}
    classes = [
        module
        for name, module in net.named_modules()
        if name.endswith(("class_predictor", "class_labels_classifier", "class_embed"))
    ]
    seen = {}
    for module in classes:
        module.register_forward_hook(lambda module, _, output: seen.update({module: output}))
    with torch.no_grad():
        for name, weights in net.named_parameters():
            is_query = name.endswith(("embeddings.weight", "embedder.weight", "features.weight"))
            if ("quer" in name and is_query) or name == "query.weight":
                weights.normal_(std=2)
            if "bbox_attention" in name or "mask_attention" in name:
                weights.mul_(20)
        for _ in range(3):
            output = run()
            for module in classes:
                logits = seen[module]
                apart = logits.std(-2).mean()  # between queries
                if apart > 0.01:
                    module.bias.sub_(logits.mean((0, 1)))
                scale = 4 / (apart if apart > 0.01 else logits.std())
                module.bias.mul_(scale)
                module.weight.mul_(scale)
            masks = output.get("masks_queries_logits", output.get("pred_masks"))
            for module in heads.values():
                module.weight.mul_(4 / masks.std())
                module.bias.mul_(4 / masks.std())
    for module in classes:
        module._forward_hooks.clear()


def fit(net, steps, *, keys, none, task=None, batch=4, rate=3e-3, seed=0):
    """Fits a network so that query 0 draws the left shape, and query 1 the right one.

    Args:
        net: of transformers.
        steps: of Adam.
        keys: of the logits of classes and of masks in its output.
        none: the class of the other queries.
        task: (1, length) tokens of OneFormer.
        batch, rate: images a step, and learning rate.
        seed: of the scenes.
    """
    generator = torch.Generator().manual_seed(seed)
    optimizer = torch.optim.Adam(net.parameters(), lr=rate)
    mean, std = torch.tensor(MEAN)[:, None, None], torch.tensor(STD)[:, None, None]
    net.train()
    for module in net.modules():
        if isinstance(module, (torch.nn.Dropout, torch.nn.BatchNorm2d)):
            module.eval()
    for _ in range(steps):
        images, classes, masks = zip(*(scene(generator) for _ in range(batch)), strict=True)
        inputs = (torch.stack(images) - mean) / std
        output = net(inputs) if task is None else net(inputs, task_inputs=task.expand(batch, -1))
        logits, drawn = output[keys[0]], output[keys[1]]
        wanted = torch.full(logits.shape[:2], none)
        wanted[:, :2] = torch.stack(classes)
        areas = F.interpolate(torch.stack(masks).float(), drawn.shape[2:], mode="area")
        weights = torch.ones(logits.shape[-1])
        weights[none] = 0.1  # most queries are none
        loss = F.cross_entropy(logits.flatten(0, 1), wanted.flatten(), weights)
        loss = loss + 2 * F.binary_cross_entropy_with_logits(drawn[:, :2], areas)
        optimizer.zero_grad()
        loss.backward()
        torch.nn.utils.clip_grad_norm_(net.parameters(), 1.0)
        optimizer.step()
    net.eval()
    return float(loss)


MEAN, STD = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)
QUERIES = ("class_queries_logits", "masks_queries_logits")


def make(kind, folder, *, steps=0, seed=0):
    """Saves a network of a kind with its image processor, and returns it.

    Args:
        kind: in `MAKERS`.
        folder: where to.
        steps: for how many it is fitted; 0: its weights are random, but its heads say something.
        seed: of the weights.
    """
    torch.manual_seed(seed)
    net, processor, options = MAKERS[kind]()
    net.eval()
    task = None
    if kind == "oneformer":
        write_tokenizer(folder)
        task = task_tokens(folder, "instance")
    if steps:
        keys = ("logits", "pred_masks") if kind.endswith("detr") else QUERIES
        fit(net, steps, keys=keys, none=3 if kind == "conditional_detr" else 4, task=task)
    else:
        image = torch.randn(1, 3, 64, 64)
        spread(net, lambda: net(image) if task is None else net(image, task_inputs=task))
    net.save_pretrained(folder)
    names = {"image_processor_type": processor, **options}
    (folder / "preprocessor_config.json").write_text(json.dumps(names))
    return net


def task_tokens(folder, task, length=20):
    """Tokens (1, length) of a task, as the processor of OneFormer makes them."""
    tokenizer = CLIPTokenizer.from_pretrained(folder)
    processor = transformers.OneFormerProcessor.__new__(transformers.OneFormerProcessor)
    processor.tokenizer = tokenizer
    return processor._preprocess_text([f"the task is {task}"], max_length=length)
