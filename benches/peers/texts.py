"""Preference pairs as token ids, so that every contender reads exactly the same tokens.

    texts.py texts --model FOLDER --count 768 --max-tokens 256 --out ids.jsonl
    texts.py pairs --model FOLDER --count 128 --max-tokens 256 --out ids.jsonl
    texts.py split --train 2000 --train-out train.jsonl --test-out test.jsonl

`texts` is for encoders. A text is a prompt with one of its two responses, as the two segments of the tokenizer's own
pair template (`[CLS] prompt [SEP] response [SEP]` for BERT). One over the limit keeps its first token (`[CLS]`) and
loses what follows, so that the response, which the labelers judged, is cut last. A line is `{"ids": [...]}`, the chosen
text of a pair before the rejected one.

`pairs` is for causal decoders. The prompt is written by the model's chat template, the response and the end-of-text
token follow. Both texts of a pair begin with the same `prompt_tokens` tokens: the prompt loses its oldest tokens until
the longer response fits. A line is `{"prompt_tokens": p, "ids": [...]}`, again chosen before rejected.

`split` writes pairs for training: JSON lines of `prompt`, `chosen`, `rejected`. No prompt is in both files.
"""

import argparse
import gzip
import json
import os
import sys
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tokenizers import Tokenizer

Prompt = str | list[dict[str, str]]


@dataclass(frozen=True)
class Pair:
    """A prompt, its messages or one text, with the better and the worse response."""

    prompt: Prompt
    chosen: str
    rejected: str

    @staticmethod
    def of(row: dict[str, Any]) -> "Pair":
        """The pair in a row of a preference file; other columns are passed over."""
        if missing := {"prompt", "chosen", "rejected"} - row.keys():
            sys.exit(f"a row of the preference data has no {' and no '.join(sorted(missing))}: it has {sorted(row)}")
        return Pair(row["prompt"], row["chosen"], row["rejected"])

    def row(self) -> dict[str, Any]:
        """The pair as a row of a preference file."""
        return {"prompt": self.prompt, "chosen": self.chosen, "rejected": self.rejected}

    def messages(self) -> list[dict[str, str]]:
        """The prompt as messages."""
        return [{"role": "user", "content": self.prompt}] if isinstance(self.prompt, str) else self.prompt

    def prompt_text(self) -> str:
        """The prompt as one text: that of a single message, or turns that begin with who speaks."""
        messages = self.messages()
        if len(messages) == 1:
            return messages[0]["content"]
        names = {"user": "Human", "assistant": "Assistant", "system": "System"}
        return "\n\n".join(f"{names[message['role']]}: {message['content']}" for message in messages)


def rows(path: Path) -> Iterator[dict[str, Any]]:
    """The rows of a JSON lines file, which may be gzipped."""
    if not path.is_file():
        sys.exit(f"{path}: no such file")
    with gzip.open(path, "rt", encoding="utf-8") if path.suffix == ".gz" else path.open(encoding="utf-8") as lines:
        for number, line in enumerate(lines, start=1):
            try:
                yield json.loads(line)
            except json.JSONDecodeError as error:
                sys.exit(f"{path}: line {number} is no JSON: {error}")


def read_pairs(path: Path) -> list[Pair]:
    """All pairs of a preference file."""
    return [Pair.of(row) for row in rows(path)]


class PairTokenizer:
    """A tokenizer that reads a prompt and a response as its own two segments, uncut."""

    def __init__(self, model: Path) -> None:
        file = model / "tokenizer.json"
        if not file.is_file():
            sys.exit(f"{file}: no such file; --model is a Hugging Face folder with a tokenizer.json")
        self.tokenizer = Tokenizer.from_file(str(file))
        self.tokenizer.no_truncation()
        self.tokenizer.no_padding()
        # Where a text spells "[SEP]" it is text.
        self.tokenizer.encode_special_tokens = True

    def texts(self, pairs: Sequence[Pair]) -> list[list[int]]:
        """The ids of the chosen and the rejected text of each pair, one after the other."""
        prompts = [pair.prompt_text() for pair in pairs]
        chosen = zip(prompts, (pair.chosen for pair in pairs))
        rejected = zip(prompts, (pair.rejected for pair in pairs))
        segments = [text for both in zip(chosen, rejected) for text in both]
        return [encoding.ids for encoding in self.tokenizer.encode_batch(segments)]


def cut_left(ids: list[int], max_tokens: int) -> list[int]:
    """The first token and the last ones, at most `max_tokens` in all."""
    return ids if len(ids) <= max_tokens else ids[:1] + ids[len(ids) - max_tokens + 1 :]


def text_lines(model: Path, pairs: Sequence[Pair], max_tokens: int) -> list[dict[str, Any]]:
    """The lines of an encoder's ids file."""
    return [{"ids": cut_left(ids, max_tokens)} for ids in PairTokenizer(model).texts(pairs)]


def pair_lines(model: Path, pairs: Sequence[Pair], max_tokens: int) -> list[dict[str, Any]]:
    """The lines of a decoder's ids file."""
    from transformers import AutoTokenizer

    tokenizer = AutoTokenizer.from_pretrained(model)
    if tokenizer.chat_template is None:
        sys.exit(f"{model}: no chat template; `pairs` is for decoders tuned for chat, `texts` for encoders")
    lines = []
    for pair in pairs:
        text = tokenizer.apply_chat_template(pair.messages(), add_generation_prompt=True, tokenize=False)
        prompt = tokenizer.encode(text, add_special_tokens=False)
        answers = [tokenizer.encode(answer, add_special_tokens=False) for answer in (pair.chosen, pair.rejected)]
        # One prompt token stays, however long the responses are.
        answers = [[*answer, tokenizer.eos_token_id][: max_tokens - 1] for answer in answers]
        prompt = prompt[-(max_tokens - max(map(len, answers))) :]
        lines += [{"prompt_tokens": len(prompt), "ids": prompt + answer} for answer in answers]
    return lines


def describe(lines: Sequence[dict[str, Any]]) -> str:
    """How many tokens there are, and how many of them a shared prompt saves."""
    lengths = [len(line["ids"]) for line in lines]
    total = sum(lengths)
    said = f"{len(lines)} texts, {total} tokens, {total / len(lines):.1f} a text, longest {max(lengths)}"
    if "prompt_tokens" in lines[0]:
        saved = sum(line["prompt_tokens"] for line in lines[::2])
        said += f"; the second text of a pair shares {saved} tokens ({100 * saved / total:.1f} %) with the first"
    return said


def write(path: Path, lines: Sequence[dict[str, Any]]) -> None:
    """Writes JSON lines."""
    path.write_text("".join(json.dumps(line, ensure_ascii=False) + "\n" for line in lines), encoding="utf-8")


def chosen_rows(options: argparse.Namespace) -> list[dict[str, Any]]:
    """The rows of the data file that come from the source asked for."""
    if options.data is None:
        sys.exit("say where the preference data is: --data FOLDER, or ENSEMBLE_DATA in the environment")
    path = Path(options.data) / options.file
    found = [row for row in rows(path) if options.source in ("all", row.get("source"))]
    if not found:
        sys.exit(f"{path}: no row has the source {options.source!r}")
    return found


def make_ids(options: argparse.Namespace) -> None:
    """Writes an ids file."""
    found = chosen_rows(options)
    if not 2 <= options.count <= 2 * len(found) or options.count % 2:
        sys.exit(f"--count {options.count}: give an even number of texts from 2 to {2 * len(found)}")
    if options.max_tokens < 8:
        sys.exit(f"--max-tokens {options.max_tokens}: give at least 8")
    pairs = [Pair.of(row) for row in found[: options.count // 2]]
    lines = options.lines(options.model, pairs, options.max_tokens)
    write(options.out, lines)
    print(describe(lines))


def make_split(options: argparse.Namespace) -> None:
    """Writes a training and a test file."""
    found = chosen_rows(options)
    train, rest = found[: options.train], found[options.train :]
    known = {json.dumps(row["prompt"]) for row in train}
    test = [row for row in rest if json.dumps(row["prompt"]) not in known][: options.test]
    if not train or not test:
        sys.exit(f"--train {options.train}: there are {len(found)} pairs, and some must be left for testing")
    write(options.train_out, [Pair.of(row).row() for row in train])
    write(options.test_out, [Pair.of(row).row() for row in test])
    print(f"{len(train)} pairs for training, {len(test)} for testing")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    data = argparse.ArgumentParser(add_help=False)
    data.add_argument("--data", default=os.environ.get("ENSEMBLE_DATA"), help="folder of preference data")
    data.add_argument("--file", default="safety.jsonl.gz", help="file in it (default: %(default)s)")
    data.add_argument("--source", default="hh_harmless_base_test", help="of its rows, or all (default: %(default)s)")
    modes = parser.add_subparsers(required=True)
    for name, lines in (("texts", text_lines), ("pairs", pair_lines)):
        mode = modes.add_parser(name, parents=[data], help=f"ids for {'encoders' if name == 'texts' else 'decoders'}")
        mode.add_argument("--model", type=Path, required=True, help="Hugging Face folder")
        mode.add_argument("--count", type=int, required=True, help="texts, two a pair")
        mode.add_argument("--max-tokens", type=int, default=256)
        mode.add_argument("--out", type=Path, required=True)
        mode.set_defaults(run=make_ids, lines=lines)
    split = modes.add_parser("split", parents=[data], help="pairs for training and testing")
    split.add_argument("--train", type=int, required=True, help="pairs for training")
    split.add_argument("--test", type=int, help="pairs for testing (default: all others)")
    split.add_argument("--train-out", type=Path, required=True)
    split.add_argument("--test-out", type=Path, required=True)
    split.set_defaults(run=make_split)
    options = parser.parse_args()
    options.run(options)


if __name__ == "__main__":
    main()
