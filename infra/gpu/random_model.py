"""Vision-language models of true architecture with random weights, made where they are used: no download.

`tiny` ones are for tests, `small` ones have heads that CUDA kernels know, `7b` ones have the sizes of
Qwen2-VL-7B and of LLaVA-1.5-7B. Their tokenizer is trained on this project's own pages; the vocabulary of the
weights keeps its true size.
"""

from collections.abc import Mapping
from pathlib import Path
from typing import Any, Literal

from thresher.operators.models.torch_setup import setup_torch

Kind = Literal["qwen2_vl", "llava"]
PAGES = Path(__file__).parents[2] / "docs"
SPECIAL = [
    "<|endoftext|>", "<|im_start|>", "<|im_end|>", "<|vision_start|>", "<|vision_end|>", "<|image_pad|>",
    "<|video_pad|>",
]  # fmt: skip
TEMPLATE = (
    "{%- for message in messages -%}<|im_start|>{{ message['role'] }}\n"
    "{% for part in message['content'] %}"
    "{% if part['type'] == 'image' %}PICTURE{% else %}{{ part['text'] }}{% endif %}"
    "{% endfor %}<|im_end|>\n{% endfor %}"
    "{% if add_generation_prompt %}<|im_start|>assistant\n{% endif %}"
)
"""ChatML, as Qwen's."""
PICTURE = {"qwen2_vl": "<|vision_start|><|image_pad|><|vision_end|>", "llava": "<|image_pad|>"}
SIZES: Mapping[str, Mapping[str, Any]] = {
    "tiny": {
        "text": {"hidden_size": 32, "intermediate_size": 64, "num_hidden_layers": 2, "num_attention_heads": 4,
                 "num_key_value_heads": 2, "vocab_size": 1024, "max_position_embeddings": 4096,
                 "initializer_range": 0.2},
        "qwen2_vl": {"depth": 2, "embed_dim": 32, "hidden_size": 32, "num_heads": 2, "mlp_ratio": 2},
        "llava": {"hidden_size": 32, "intermediate_size": 64, "num_hidden_layers": 2,
                  "num_attention_heads": 2, "image_size": 56, "patch_size": 14, "projection_dim": 32},
        "pixels": (28 * 28, 28 * 28 * 16),
        "words": 600,
    },
    "small": {
        "text": {"hidden_size": 256, "intermediate_size": 512, "num_hidden_layers": 2,
                 "num_attention_heads": 4, "num_key_value_heads": 2, "vocab_size": 2048,
                 "max_position_embeddings": 4096, "initializer_range": 0.05},
        "qwen2_vl": {"depth": 2, "embed_dim": 128, "hidden_size": 256, "num_heads": 2, "mlp_ratio": 2},
        "llava": {"hidden_size": 128, "intermediate_size": 256, "num_hidden_layers": 2,
                  "num_attention_heads": 2, "image_size": 56, "patch_size": 14, "projection_dim": 128},
        "pixels": (28 * 28, 28 * 28 * 16),
        "words": 1000,
    },
    "7b": {
        "text": {"hidden_size": 3584, "intermediate_size": 18944, "num_hidden_layers": 28,
                 "num_attention_heads": 28, "num_key_value_heads": 4, "vocab_size": 152064,
                 "max_position_embeddings": 32768},
        "qwen2_vl": {"depth": 32, "embed_dim": 1280, "hidden_size": 3584, "num_heads": 16, "mlp_ratio": 4},
        "llava": {"hidden_size": 1024, "intermediate_size": 4096, "num_hidden_layers": 24,
                  "num_attention_heads": 16, "image_size": 336, "patch_size": 14, "projection_dim": 768},
        "pixels": (28 * 28 * 4, 28 * 28 * 1280),
        "words": 8000,
    },
}  # fmt: skip


def make(folder: Path, kind: Kind, size: str = "tiny", device: str = "cpu") -> Path:
    """`folder` as `save_pretrained` writes it: safetensors in fp32 (tiny) or bf16, tokenizer, processor."""
    torch = setup_torch()
    from transformers import AutoModelForImageTextToText, GenerationConfig

    torch.manual_seed(7)
    sizes = SIZES[size]
    tokenizer = _tokenizer(sizes["words"])
    config = _config(kind, sizes, tokenizer)
    with torch.device(device):
        made = AutoModelForImageTextToText.from_config(
            config, dtype=torch.float32 if size == "tiny" else torch.bfloat16
        )
    made.generation_config = GenerationConfig(
        do_sample=True, temperature=0.7, repetition_penalty=1.1,  # as published models have: not to be heeded
        eos_token_id=[tokenizer.eos_token_id, tokenizer.pad_token_id], pad_token_id=tokenizer.pad_token_id,
    )  # fmt: skip
    made.save_pretrained(folder)
    _processor(kind, sizes, tokenizer).save_pretrained(folder)
    return folder


def _tokenizer(words: int) -> Any:
    """Byte-level BPE, as Qwen's."""
    from tokenizers import Tokenizer, decoders, pre_tokenizers
    from tokenizers.models import BPE
    from tokenizers.trainers import BpeTrainer
    from transformers import PreTrainedTokenizerFast

    made = Tokenizer(BPE())
    made.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    made.decoder = decoders.ByteLevel()
    trainer = BpeTrainer(
        vocab_size=words,
        special_tokens=SPECIAL,
        initial_alphabet=pre_tokenizers.ByteLevel.alphabet(),
        show_progress=False,
    )
    made.train([str(page) for page in sorted(PAGES.glob("*.md"))], trainer)
    return PreTrainedTokenizerFast(
        tokenizer_object=made, eos_token="<|im_end|>", pad_token="<|endoftext|>",
        additional_special_tokens=SPECIAL[3:], model_max_length=32768,
    )  # fmt: skip


def _config(kind: Kind, sizes: Mapping[str, Any], tokenizer: Any) -> Any:
    from transformers import LlavaConfig, Qwen2VLConfig

    ids = {name: tokenizer.convert_tokens_to_ids(name) for name in SPECIAL}
    ends = {"eos_token_id": ids["<|im_end|>"], "bos_token_id": None, "pad_token_id": ids["<|endoftext|>"]}
    text = dict(sizes["text"]) | ends
    if kind == "llava":
        return LlavaConfig(
            text_config={"model_type": "llama", **text},
            vision_config={"model_type": "clip_vision_model", **sizes["llava"]},
            image_token_index=ids["<|image_pad|>"],
            vision_feature_layer=-2,
            vision_feature_select_strategy="default",
        )
    head = text["hidden_size"] // text["num_attention_heads"]
    sections = [head // 8, head // 2 // 8 * 3, head // 2 - head // 8 - head // 2 // 8 * 3]
    text["rope_parameters"] = {"rope_type": "default", "rope_theta": 1e6, "mrope_section": sections}
    return Qwen2VLConfig(
        text_config={"model_type": "qwen2_vl_text", **text},
        vision_config=dict(sizes["qwen2_vl"]),
        image_token_id=ids["<|image_pad|>"],
        video_token_id=ids["<|video_pad|>"],
        vision_start_token_id=ids["<|vision_start|>"],
        vision_end_token_id=ids["<|vision_end|>"],
    )


def _processor(kind: Kind, sizes: Mapping[str, Any], tokenizer: Any) -> Any:
    import transformers

    template = TEMPLATE.replace("PICTURE", PICTURE[kind])
    if kind == "llava":
        side = sizes["llava"]["image_size"]
        pictures = transformers.CLIPImageProcessor(
            size={"shortest_edge": side}, crop_size={"height": side, "width": side}
        )
        return transformers.LlavaProcessor(
            pictures, tokenizer, patch_size=sizes["llava"]["patch_size"], chat_template=template,
            vision_feature_select_strategy="default", image_token="<|image_pad|>",
            num_additional_image_tokens=1,
        )  # fmt: skip
    least, most = sizes["pixels"]
    edges = {"shortest_edge": least, "longest_edge": most}
    return transformers.Qwen2VLProcessor(
        transformers.Qwen2VLImageProcessor(size=edges),
        tokenizer,
        transformers.Qwen2VLVideoProcessor(size=edges),
        chat_template=template,
    )
