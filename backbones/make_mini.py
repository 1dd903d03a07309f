"""Make the built-in backbone `mini` from all-MiniLM-L6-v2.

    python make_mini.py SOURCE OUT [--check] [--random SEED]

SOURCE is a Hugging Face directory of sentence-transformers/all-MiniLM-L6-v2
(config.json, model.safetensors, tokenizer.json). OUT gets the same three files
and a tokenizer_config.json, with

- the embeddings and the first LAYERS encoder layers, in f16, and no pooler;
- a WordPiece vocabulary of VOCAB_SIZE tokens, renumbered densely: the special
  tokens, every single character, its '##' form where the pre-tokenizer can
  produce it, and then the tokens of the lowest ids, which are roughly the most
  frequent ones.

The same SOURCE always gives the same bytes. Other files in OUT (README.md,
LICENSE) are left alone.

--check        after writing, print the sizes and compare the mean of mini's last
               layer with that of the same layer of SOURCE on sample sentences
               (needs torch and transformers).
--random SEED  write freshly initialised weights instead of the ones of SOURCE,
               as an untrained baseline.
"""

import argparse
import json
from pathlib import Path

import numpy as np
from safetensors.numpy import load_file, save_file
from tokenizers import Tokenizer

LAYERS = 3
VOCAB_SIZE = 10_600
SPECIAL = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]"]

SAMPLES = [
    "The quick brown fox jumps over the lazy dog.",
    "How do I bake bread without yeast?",
    "I'm sorry, but I can't help with that. Is there something else you would like to know?",
    "Photosynthesis converts carbon dioxide and water into glucose, releasing oxygen.",
    "def fib(n):\n    return n if n < 2 else fib(n - 1) + fib(n - 2)",
    "Quantum chromodynamics describes the strong interaction between quarks and gluons.",
    "Mitochondrial encephalomyopathy was diagnosed by the paediatric neurologist.",
    "El perro de mi vecino ladra toda la noche.",
    "lol that's hilarious, thx for sharing!!! 😂",
    "1. Preheat the oven to 350°F.\n2. Mix the flour, sugar and butter.\n3. Bake for 25 minutes.",
]


def choose_tokens(tokenizer: Tokenizer) -> list[str]:
    """Return the kept tokens in the order of their old ids, [PAD] first."""
    vocab = tokenizer.get_vocab()
    by_id = sorted(vocab, key=vocab.get)

    def joins(char: str) -> bool:
        # Punctuation and Han characters are always split off, so their '##' form never occurs.
        text = tokenizer.normalizer.normalize_str("a" + char)
        return len(tokenizer.pre_tokenizer.pre_tokenize_str(text)) == 1

    singles = {t for t in by_id if len(t) == 1}
    suffixes = {t for t in by_id if len(t) == 3 and t.startswith("##")}
    kept = set(SPECIAL) | singles | {t for t in suffixes if joins(t[2])}
    for token in by_id:
        if len(kept) == VOCAB_SIZE:
            break
        if token not in suffixes and not token.startswith("[unused"):
            kept.add(token)
    return [t for t in by_id if t in kept]


def make_tokenizer(source: dict, vocab: dict[str, int]) -> dict:
    """Return the tokenizer.json of `source` with the vocabulary `vocab`."""
    result = dict(source, truncation=None, padding=None)
    result["model"] = dict(source["model"], vocab=vocab)
    result["added_tokens"] = [dict(t, id=vocab[t["content"]]) for t in source["added_tokens"]]
    post = json.loads(json.dumps(source["post_processor"]))
    for special in post["special_tokens"].values():
        special["ids"] = [vocab[t] for t in special["tokens"]]
    result["post_processor"] = post
    return result


def make_weights(source: dict[str, np.ndarray], old_ids: list[int]) -> dict[str, np.ndarray]:
    """Keep the embedding rows `old_ids` and the first layers, as f16."""
    prefixes = ("embeddings.", *(f"encoder.layer.{i}." for i in range(LAYERS)))
    weights = {
        name: tensor
        for name, tensor in source.items()
        if name.startswith(prefixes) and name != "embeddings.position_ids"
    }
    name = "embeddings.word_embeddings.weight"
    weights[name] = weights[name][old_ids]
    return {name: tensor.astype(np.float16) for name, tensor in weights.items()}


def randomise(weights: dict[str, np.ndarray], seed: int) -> dict[str, np.ndarray]:
    """Initialise as BERT does: normal of std 0.02, LayerNorm weights 1, biases 0."""
    rng = np.random.default_rng(seed)
    result = {}
    for name, tensor in sorted(weights.items()):
        if name.endswith(".bias"):
            values = np.zeros(tensor.shape)
        elif name.endswith("LayerNorm.weight"):
            values = np.ones(tensor.shape)
        else:
            values = rng.normal(0.0, 0.02, tensor.shape)
        result[name] = values.astype(np.float16)
    return result


def write_json(path: Path, value: dict, indent: int | None = None) -> None:
    separators = None if indent else (",", ":")
    text = json.dumps(value, ensure_ascii=False, indent=indent, separators=separators)
    path.write_text(text + "\n", encoding="utf-8")


def make(source: Path, out: Path, seed: int | None) -> None:
    tokenizer = Tokenizer.from_file(str(source / "tokenizer.json"))
    tokens = choose_tokens(tokenizer)
    old_ids = [tokenizer.token_to_id(t) for t in tokens]
    vocab = {token: i for i, token in enumerate(tokens)}

    weights = make_weights(load_file(source / "model.safetensors"), old_ids)
    if seed is not None:
        weights = randomise(weights, seed)

    config = json.loads((source / "config.json").read_text(encoding="utf-8"))
    for key in ("_name_or_path", "gradient_checkpointing", "transformers_version"):
        config.pop(key, None)
    config.update(
        num_hidden_layers=LAYERS,
        vocab_size=len(vocab),
        pad_token_id=vocab["[PAD]"],
        torch_dtype="float16",
    )
    tokenizer_json = json.loads((source / "tokenizer.json").read_text(encoding="utf-8"))
    tokenizer_config = {
        "tokenizer_class": "BertTokenizer",
        "do_lower_case": True,
        "model_max_length": config["max_position_embeddings"],
        **{f"{t.strip('[]').lower()}_token": t for t in SPECIAL},
    }

    out.mkdir(parents=True, exist_ok=True)
    save_file(weights, out / "model.safetensors", metadata={"format": "pt"})
    write_json(out / "config.json", config, indent=2)
    write_json(out / "tokenizer.json", make_tokenizer(tokenizer_json, vocab))
    write_json(out / "tokenizer_config.json", tokenizer_config, indent=2)


def check(source: Path, out: Path) -> None:
    import torch
    from transformers import BertModel, logging

    logging.set_verbosity_error()
    logging.disable_progress_bar()

    def layer_mean(directory: Path, text: str) -> tuple[torch.Tensor, list[str]]:
        encoding = tokenizers[directory].encode(text)
        with torch.no_grad():
            states = models[directory](
                torch.tensor([encoding.ids]), output_hidden_states=True
            ).hidden_states
        return states[LAYERS][0].mean(0), encoding.tokens

    tokenizers = {d: Tokenizer.from_file(str(d / "tokenizer.json")) for d in (source, out)}
    models = {
        d: BertModel.from_pretrained(d, add_pooling_layer=False, dtype=torch.float32).eval()
        for d in (source, out)
    }
    files = sorted(p for p in out.iterdir() if p.is_file())
    for path in files:
        print(f"{path.stat().st_size:>12,}  {path.name}")
    print(f"{sum(p.stat().st_size for p in files):>12,}  total")
    print(f"vocabulary: {tokenizers[out].get_vocab_size()} tokens")
    print("cosine  tokens mini/source  sentence")
    for text in SAMPLES:
        (a, ours), (b, theirs) = layer_mean(out, text), layer_mean(source, text)
        cosine = torch.nn.functional.cosine_similarity(a, b, dim=0).item()
        print(f"{cosine:.4f}  {len(ours):>3}/{len(theirs):<3}  {text[:60]!r}")


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("source", type=Path)
    parser.add_argument("out", type=Path)
    parser.add_argument("--check", action="store_true")
    parser.add_argument("--random", type=int, metavar="SEED")
    args = parser.parse_args()
    make(args.source, args.out, args.random)
    if args.check:
        check(args.source, args.out)


if __name__ == "__main__":
    main()
