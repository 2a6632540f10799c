"""Tiny models of the true architectures, with random weights."""

import json
from pathlib import Path

import pytest

CLIP = {
    "embed_dim": 32,
    "vision_cfg": {"image_size": 32, "layers": 2, "width": 32, "head_width": 16, "patch_size": 8},
    "text_cfg": {"context_length": 77, "vocab_size": 49408, "width": 32, "heads": 2, "layers": 2},
}


WORDS = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", ".", "a", "cat", "red", "cup", "dog", "rocket"]
"""What the detectors' tokenizers know."""


@pytest.fixture(scope="session")
def torch():
    from thresher.operators.models.torch_setup import setup_torch

    torch = setup_torch()
    torch.manual_seed(7)
    return torch


@pytest.fixture(scope="session")
def clip(torch, tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    """(configuration, weights) of a CLIP."""
    import open_clip
    from safetensors.torch import save_file

    folder = tmp_path_factory.mktemp("clip")
    config, file = folder / "tiny-clip.json", folder / "weights.safetensors"
    config.write_text(json.dumps(CLIP))
    open_clip.add_model_config(config)
    model = open_clip.create_model("tiny-clip", pretrained=None)
    save_file({name: value.contiguous() for name, value in model.state_dict().items()}, file)
    return config, file


@pytest.fixture(scope="session")
def siglip(torch, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A SigLIP with a tokenizer of 99 words."""
    from tokenizers import Tokenizer
    from tokenizers.models import WordLevel
    from tokenizers.pre_tokenizers import Whitespace
    from transformers import PreTrainedTokenizerFast, SiglipConfig, SiglipModel

    folder = tmp_path_factory.mktemp("siglip")
    common = {"hidden_size": 32, "intermediate_size": 64, "num_hidden_layers": 2, "num_attention_heads": 2}
    config = SiglipConfig(
        text_config={"vocab_size": 99, "projection_size": 32, **common},
        vision_config={"image_size": 48, "patch_size": 16, **common},
    )
    SiglipModel(config).save_pretrained(folder)
    words = {"<pad>": 0, "<unk>": 1, "a": 2, "photo": 3, "of": 4, "rocket": 5}
    tokenizer = Tokenizer(WordLevel(words, unk_token="<unk>"))
    tokenizer.pre_tokenizer = Whitespace()
    PreTrainedTokenizerFast(tokenizer_object=tokenizer, pad_token="<pad>", unk_token="<unk>").save_pretrained(
        folder
    )
    return folder


@pytest.fixture(scope="session")
def dinov2(torch, tmp_path_factory: pytest.TempPathFactory) -> Path:
    from transformers import Dinov2Config, Dinov2Model

    folder = tmp_path_factory.mktemp("dinov2")
    config = Dinov2Config(
        hidden_size=32, num_hidden_layers=2, num_attention_heads=2, image_size=28, patch_size=14
    )
    Dinov2Model(config).save_pretrained(folder)
    return folder


@pytest.fixture(scope="session")
def vit(torch, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A ViT with three labels."""
    from transformers import ViTConfig, ViTForImageClassification, ViTImageProcessor

    folder = tmp_path_factory.mktemp("vit")
    labels = {0: "artificial", 1: "human", 2: "nsfw"}
    config = ViTConfig(
        hidden_size=32, intermediate_size=64, num_hidden_layers=2, num_attention_heads=2,
        image_size=48, patch_size=16, id2label=labels, label2id={v: k for k, v in labels.items()},
        initializer_range=0.5,
    )  # fmt: skip
    ViTForImageClassification(config).save_pretrained(folder)
    ViTImageProcessor(size={"height": 48, "width": 48}).save_pretrained(folder)
    return folder


@pytest.fixture(scope="session")
def laion(torch, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The state dict of LAION's watermark detector, untrained, its last layer made steeper."""
    from thresher.operators.models.watermark import network

    torch.manual_seed(7)
    state = network().state_dict()
    state["classifier.5.weight"] *= 40
    file = tmp_path_factory.mktemp("laion") / "watermark_model_v1.pt"
    torch.save(state, file)
    return file


def _tokenizer(folder: Path, dots: bool) -> None:
    """Words in place of word pieces; with [CLS] and [SEP] around them where a BERT has them."""
    from tokenizers import Tokenizer
    from tokenizers.models import WordLevel
    from tokenizers.pre_tokenizers import BertPreTokenizer
    from tokenizers.processors import TemplateProcessing
    from transformers import PreTrainedTokenizerFast

    made = Tokenizer(WordLevel({word: i for i, word in enumerate(WORDS)}, unk_token="[UNK]"))
    made.pre_tokenizer = BertPreTokenizer()
    if dots:
        made.post_processor = TemplateProcessing(
            single="[CLS] $A [SEP]", special_tokens=[("[CLS]", 2), ("[SEP]", 3)]
        )
    names = {"pad_token": "[PAD]", "unk_token": "[UNK]", "cls_token": "[CLS]", "sep_token": "[SEP]"}
    PreTrainedTokenizerFast(tokenizer_object=made, model_max_length=16, **names).save_pretrained(folder)


def _shake(model, torch) -> None:
    """Random weights large enough for boxes and scores to differ."""
    with torch.no_grad():
        for name, value in model.named_parameters():
            if value.dim() > 1 and "embedding" not in name:
                value.normal_(0, 1.5 / value.shape[-1] ** 0.5)


@pytest.fixture(scope="session")
def dino(torch, tmp_path_factory: pytest.TempPathFactory) -> Path:
    from transformers import GroundingDinoConfig, GroundingDinoForObjectDetection, GroundingDinoImageProcessor

    torch.manual_seed(7)
    folder = tmp_path_factory.mktemp("dino")
    config = GroundingDinoConfig(
        backbone_config={
            "model_type": "swin", "image_size": 64, "patch_size": 4, "embed_dim": 8, "depths": [1, 1, 1, 1],
            "num_heads": [1, 1, 1, 1], "window_size": 4, "out_features": ["stage2", "stage3", "stage4"],
        },
        text_config={
            "model_type": "bert", "hidden_size": 32, "num_hidden_layers": 1, "num_attention_heads": 2,
            "intermediate_size": 32, "vocab_size": len(WORDS),
        },
        d_model=32, encoder_layers=1, decoder_layers=2, encoder_attention_heads=4, decoder_attention_heads=4,
        encoder_ffn_dim=32, decoder_ffn_dim=32, num_queries=10, max_text_len=32,
    )  # fmt: skip
    model = GroundingDinoForObjectDetection(config)
    model.save_pretrained(folder)
    GroundingDinoImageProcessor(size={"shortest_edge": 64, "longest_edge": 100}).save_pretrained(folder)
    _tokenizer(folder, dots=True)
    return folder


@pytest.fixture(scope="session")
def owl(torch, tmp_path_factory: pytest.TempPathFactory) -> Path:
    from transformers import Owlv2Config, Owlv2ForObjectDetection, Owlv2ImageProcessor

    torch.manual_seed(7)
    folder = tmp_path_factory.mktemp("owl")
    common = {
        "hidden_size": 32,
        "intermediate_size": 32,
        "num_hidden_layers": 1,
        "num_attention_heads": 2,
    }
    text = {"vocab_size": 50, "max_position_embeddings": 16, "bos_token_id": 2, "eos_token_id": 3} | common
    vision = {"image_size": 64, "patch_size": 16} | common
    model = Owlv2ForObjectDetection(Owlv2Config(text_config=text, vision_config=vision, projection_dim=32))
    _shake(model, torch)
    model.save_pretrained(folder)
    Owlv2ImageProcessor(size={"height": 64, "width": 64}).save_pretrained(folder)
    _tokenizer(folder, dots=False)
    return folder


@pytest.fixture(scope="session")
def sam(torch, tmp_path_factory: pytest.TempPathFactory) -> Path:
    from transformers import Sam2Config, Sam2ImageProcessor, Sam2Model, Sam2Processor

    torch.manual_seed(7)
    folder = tmp_path_factory.mktemp("sam")
    backbone = {
        "model_type": "sam2_hiera_det_model", "hidden_size": 8, "num_attention_heads": 1,
        "image_size": [128, 128], "blocks_per_stage": [1, 1, 2, 1], "embed_dim_per_stage": [8, 16, 32, 64],
        "num_attention_heads_per_stage": [1, 1, 1, 1], "global_attention_blocks": [3],
        "window_size_per_stage": [4, 4, 4, 4],
    }  # fmt: skip
    config = Sam2Config(
        vision_config={
            "backbone_config": backbone, "backbone_channel_list": [64, 32, 16, 8],
            "backbone_feature_sizes": [[32, 32], [16, 16], [8, 8]], "fpn_hidden_size": 32,
        },
        prompt_encoder_config={"hidden_size": 32, "image_size": 128, "patch_size": 16},
        mask_decoder_config={
            "hidden_size": 32, "mlp_dim": 32, "num_attention_heads": 2, "iou_head_hidden_dim": 32,
        },
    )  # fmt: skip
    Sam2Model(config).save_pretrained(folder)
    Sam2Processor(Sam2ImageProcessor(size={"height": 128, "width": 128})).save_pretrained(folder)
    return folder
