"""Trains a reward head with TRL's RewardTrainer on a frozen encoder, as people do it today.

    trl_reward.py --model FOLDER --train train.jsonl --test test.jsonl [--learning-rates 1e-3,1e-2,1e-1] [--out FILE]

The pair files are JSON lines of `prompt`, `chosen`, `rejected` (`texts.py split`). One epoch, f32, batches of 16 pairs,
at most 256 tokens. The model is AutoModelForSequenceClassification with one label; the parameters outside its base
model train, and nothing else: for BERT `classifier.weight` and `classifier.bias`. BERT's classifier reads the pooler
of `[CLS]`, which stays frozen.

A text is the tokenizer's own pair template, `[CLS] prompt [SEP] response [SEP]`. TRL takes it as ids, which its
documentation allows, because TRL's own path needs an end-of-text token, which BERT has not, and adds it as a second
`[SEP]`. All token types are 0, because TRL's collator makes none. TRL drops the pairs with a text over the limit; they
are counted. Held-out accuracy is that of the test pairs TRL would keep, and that of all, those over the limit cut on
the left behind `[CLS]`.

Every learning rate is a training of its own with a fresh head, with loading and tokenizing. Prints one JSON object.
"""

import argparse
import json
import os
import sys
import tempfile
import time
from collections.abc import Sequence
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path
from typing import Any, cast

import torch
from datasets import Dataset
from transformers import AutoModelForSequenceClassification, AutoTokenizer, PreTrainedModel
from trl import RewardConfig, RewardTrainer

from texts import Pair, PairTokenizer, cut_left, read_pairs

LIBRARIES = ("torch", "transformers", "trl", "datasets")
Row = dict[str, list[int]]


@dataclass(frozen=True)
class Trained:
    """A trained model with what its training cost."""

    model: PreTrainedModel
    kept: int
    names: list[str]
    loss: float
    load_seconds: float
    train_seconds: float


def rows(model: Path, pairs: Sequence[Pair]) -> list[Row]:
    """Pairs as TRL takes them when they are tokenized, uncut."""
    ids = PairTokenizer(model).texts(pairs)
    return [{"chosen_ids": chosen, "rejected_ids": rejected} for chosen, rejected in zip(ids[::2], ids[1::2])]


def frozen(folder: Path, seed: int) -> tuple[PreTrainedModel, list[str]]:
    """The model with a fresh head, and the names of the parameters that train."""
    torch.manual_seed(seed)
    model = AutoModelForSequenceClassification.from_pretrained(folder, num_labels=1, dtype=torch.float32)
    model.base_model.requires_grad_(False)
    names = [name for name, parameter in model.named_parameters() if parameter.requires_grad]
    if not names:
        sys.exit(f"{folder}: {type(model).__name__} has no parameters outside its base model")
    return model, names


def train(options: argparse.Namespace, pairs: Sequence[Pair], learning_rate: float, folder: str) -> Trained:
    """One training, timed from the files of the model on."""
    start = time.perf_counter()
    model, names = frozen(options.model, options.seed)
    settings = RewardConfig(
        output_dir=folder,
        learning_rate=learning_rate,
        num_train_epochs=1,
        per_device_train_batch_size=options.batch_size,
        max_length=options.max_length,
        seed=options.seed,
        use_cpu=True,
        bf16=False,
        # Nothing below the head needs a gradient, so that there is nothing to compute twice.
        gradient_checkpointing=False,
        save_strategy="no",
        report_to="none",
        disable_tqdm=True,
    )
    dataset = Dataset.from_list(rows(options.model, pairs))
    tokenizer = AutoTokenizer.from_pretrained(options.model)
    trainer = RewardTrainer(model=model, args=settings, train_dataset=dataset, processing_class=tokenizer)
    loaded = time.perf_counter()
    loss = trainer.train().training_loss
    done = time.perf_counter()
    kept = len(cast(Dataset, trainer.train_dataset))
    return Trained(model, kept, names, loss, loaded - start, done - loaded)


def rewards(model: PreTrainedModel, texts: Sequence[list[int]], batch_size: int) -> list[float]:
    """The reward of each text, in batches of similar length."""
    order = sorted(range(len(texts)), key=lambda place: len(texts[place]))
    found = [0.0] * len(texts)
    for start in range(0, len(order), batch_size):
        places = order[start : start + batch_size]
        ids = [torch.tensor(texts[place]) for place in places]
        batch = torch.nn.utils.rnn.pad_sequence(ids, batch_first=True)
        mask = torch.nn.utils.rnn.pad_sequence([torch.ones_like(row) for row in ids], batch_first=True)
        with torch.inference_mode():
            logits = model(input_ids=batch, attention_mask=mask).logits.squeeze(-1)
        for place, reward in zip(places, logits.tolist()):
            found[place] = reward
    return found


def right(model: PreTrainedModel, test: Sequence[Row], options: argparse.Namespace) -> list[bool]:
    """Of each pair, cut where it must be, whether the chosen text has the higher reward."""
    texts = [cut_left(ids, options.max_length) for row in test for ids in (row["chosen_ids"], row["rejected_ids"])]
    found = rewards(model.eval(), texts, 2 * options.batch_size)
    return [chosen > rejected for chosen, rejected in zip(found[::2], found[1::2])]


def accuracy(hits: Sequence[bool]) -> dict[str, Any]:
    """The share of hits with its binomial standard error."""
    if not hits:
        return {"pairs": 0, "accuracy": None, "standard_error": None}
    share = sum(hits) / len(hits)
    error = (share * (1 - share) / len(hits)) ** 0.5
    return {"pairs": len(hits), "accuracy": round(share, 4), "standard_error": round(error, 4)}


def fits(row: Row, max_length: int) -> bool:
    """Whether TRL keeps a pair."""
    return max(len(row["chosen_ids"]), len(row["rejected_ids"])) <= max_length


def trial(options: argparse.Namespace, pairs: Sequence[Pair], test: Sequence[Row], rate: float) -> dict[str, Any]:
    """Trains with one learning rate and tests the result."""
    with tempfile.TemporaryDirectory() as folder:
        trained = train(options, pairs, rate, folder)
    start = time.perf_counter()
    hits = right(trained.model, test, options)
    tested = time.perf_counter() - start
    readable = [hit for hit, row in zip(hits, test) if fits(row, options.max_length)]
    return {
        "learning_rate": rate,
        "trained_parameters": trained.names,
        "pairs_read": len(pairs),
        "pairs_kept": trained.kept,
        "pairs_filtered": len(pairs) - trained.kept,
        "train_seconds": round(trained.train_seconds, 3),
        "load_and_tokenize_seconds": round(trained.load_seconds, 3),
        "total_seconds": round(trained.load_seconds + trained.train_seconds, 3),
        "test_seconds": round(tested, 3),
        "pairs_per_second": round(trained.kept / trained.train_seconds, 2),
        "mean_training_loss": round(trained.loss, 4),
        "test_readable": accuracy(readable),
        "test_all_cut_left": accuracy(hits),
    }


def learning_rates(text: str) -> list[float]:
    """Reads numbers between commas."""
    return [float(part) for part in text.split(",")]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--model", type=Path, required=True, help="Hugging Face folder of an encoder")
    parser.add_argument("--train", type=Path, required=True)
    parser.add_argument("--test", type=Path, required=True)
    rates = [1e-3, 1e-2, 1e-1]
    parser.add_argument("--learning-rates", type=learning_rates, default=rates, help="default: 1e-3,1e-2,1e-1")
    parser.add_argument("--batch-size", type=int, default=16, help="pairs of a training step")
    parser.add_argument("--max-length", type=int, default=256)
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--out", type=Path, help="file for the JSON as well")
    options = parser.parse_args()
    torch.set_num_threads(options.threads)
    pairs, test = read_pairs(options.train), rows(options.model, read_pairs(options.test))
    # TRL prints its steps to standard output, where only the JSON belongs.
    answers = os.fdopen(os.dup(sys.stdout.fileno()), "w")
    os.dup2(sys.stderr.fileno(), sys.stdout.fileno())
    result = {
        "libraries": {name: version(name) for name in LIBRARIES},
        "model": options.model.name,
        "text": "[CLS] prompt [SEP] response [SEP], token types 0",
        "batch_size": options.batch_size,
        "max_length": options.max_length,
        "threads": options.threads,
        "seed": options.seed,
        "runs": [trial(options, pairs, test, rate) for rate in options.learning_rates],
    }
    written = json.dumps(result, indent=2)
    print(written, file=answers, flush=True)
    if options.out:
        options.out.write_text(written + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
