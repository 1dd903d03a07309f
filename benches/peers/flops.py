"""How much arithmetic a text needs, from the model's configuration.

A multiplication with an addition counts as two. Only matrix products count: those with weights, and the two of
attention. Let h be the width, a = heads x head width, k = key-value heads x head width, f the feed-forward width and
L the length of a text. A layer then needs

    weights:    2 (h a + 2 h k + a h + m h f)   a token, m = 2, or 3 where the feed-forward layer is gated
    attention:  4 a L                           a token in an encoder
                2 a (L + 1)                     a token in a causal decoder, on average: half of the scores are masked

For all-MiniLM-L6-v2 that is 21.23 MFLOP and 9216 L FLOP a token. Padding is no useful work and counts for nobody, and
a prompt shared by two texts counts twice whether or not a contender reads it once.
"""

import json
import sys
from dataclasses import dataclass
from pathlib import Path

ENCODERS = {"bert", "roberta", "xlm-roberta", "electra"}
GATED_DECODERS = {"llama", "mistral", "qwen2", "qwen3", "gemma3_text"}


@dataclass(frozen=True)
class Shape:
    """What of a model's configuration decides its arithmetic."""

    layers: int
    width: int
    query_width: int
    key_value_width: int
    feed_forward: int
    causal: bool

    @staticmethod
    def read(model: Path) -> "Shape":
        """The shape of the model in a Hugging Face folder."""
        path = model / "config.json"
        if not path.is_file():
            sys.exit(f"{path}: no such file; --model is a Hugging Face folder")
        config = json.loads(path.read_text(encoding="utf-8"))
        kind = config["model_type"]
        if kind not in ENCODERS | GATED_DECODERS:
            known = ", ".join(sorted(ENCODERS | GATED_DECODERS))
            sys.exit(f"{path}: the model type {kind!r} is not known here; known are {known}")
        width, heads = config["hidden_size"], config["num_attention_heads"]
        head = config.get("head_dim") or width // heads
        return Shape(
            layers=config["num_hidden_layers"],
            width=width,
            query_width=heads * head,
            key_value_width=config.get("num_key_value_heads", heads) * head,
            feed_forward=config["intermediate_size"],
            causal=kind in GATED_DECODERS,
        )

    def flops(self, length: int) -> int:
        """Useful FLOPs of one text of `length` tokens."""
        products = (3 if self.causal else 2) * self.width * self.feed_forward
        products += 2 * self.width * self.query_width + 2 * self.width * self.key_value_width
        attention = 2 * self.query_width * (length + 1) if self.causal else 4 * self.query_width * length
        return self.layers * length * (2 * products + attention)
