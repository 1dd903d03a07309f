"""Three objectives over the same pairs, for TRL and for ours.

    objectives.py --data FOLDER --model FOLDER [--of helpfulness] --train 1000 --out FOLDER

Reads `two_objective_pairs.jsonl.gz`, whose pairs have a label for helpfulness and one for safety; the third objective,
conciseness, prefers the answer of fewer words. With `--of helpfulness` it reads `helpfulness.jsonl.gz`, which has more
pairs, and the objectives are helpfulness, conciseness, and plainness, which prefers the shorter words. Writes for each objective `NAME.train.jsonl` and `NAME.test.jsonl` (`prompt`,
`chosen`, `rejected`) as `trl_reward.py` reads them, and `NAME.yaml` with `run.yaml`, by which `ensemble train-all` trains
on the same pairs and tests on the same others. No prompt stands in both parts. `--fitting` takes only pairs whose texts
have at most 256 tokens each, which are those that TRL does not filter. JSON is YAML.
"""

import argparse
import gzip
import hashlib
import json
from collections import Counter
from pathlib import Path
from typing import Any

from texts import Pair, PairTokenizer

MAX_TOKENS = 256
OBJECTIVES = {
    "two_objective_pairs": ("helpfulness", "safety", "conciseness"),
    "helpfulness": ("helpfulness", "conciseness", "plainness"),
}


def word_count(text: str) -> float:
    """How many words a text has."""
    return len(text.split())


def word_length(text: str) -> float:
    """How long its words are on average."""
    return sum(map(len, text.split())) / max(1, len(text.split()))


RULES = {"conciseness": word_count, "plainness": word_length}


def preferred(row: dict[str, Any], objective: str) -> str | None:
    """The better side of a row, `a` or `b`; none where they are equal."""
    if objective not in RULES:
        return row["preferred"].get(objective)
    sizes = {side: RULES[objective](row[f"response_{side}"]) for side in "ab"}
    return None if sizes["a"] == sizes["b"] else min(sizes, key=sizes.__getitem__)


def read(path: Path) -> list[dict[str, Any]]:
    """The rows of a file of pairs, with the label of each objective; chosen and rejected become sides."""
    with gzip.open(path, "rt") as file:
        rows = [json.loads(line) for line in file]
    for row in rows:
        if "preferred" not in row:
            row["response_a"], row["response_b"] = row["chosen"], row["rejected"]
            row["preferred"] = {row["objective"]: "a"}
    return rows


def pairs(rows: list[dict[str, Any]], objective: str) -> list[dict[str, Any]]:
    """The pairs of an objective, with the part that each belongs to."""
    found = []
    for row in rows:
        better = preferred(row, objective)
        if better in ("a", "b"):
            worse = "b" if better == "a" else "a"
            chosen, rejected = row[f"response_{better}"], row[f"response_{worse}"]
            found.append({"prompt": row["prompt"], "chosen": chosen, "rejected": rejected, "split": row["split"]})
    return found


def fitting(model: Path, rows: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """The rows whose two texts are within the limit."""
    both = [Pair(row["prompt"], row["response_a"], row["response_b"]) for row in rows]
    ids = PairTokenizer(model).texts(both)
    longest = [max(len(left), len(right)) for left, right in zip(ids[::2], ids[1::2])]
    return [row for row, length in zip(rows, longest) if length <= MAX_TOKENS]


def few_per_prompt(rows: list[dict[str, Any]], most: int | None) -> list[dict[str, Any]]:
    """At most so many rows of each prompt, the prompts in an order that the sources do not follow."""
    if most is None:
        return rows
    counts: Counter[str] = Counter()
    kept = []
    for row in sorted(rows, key=lambda row: hashlib.sha256(row["group"].encode()).hexdigest()):
        counts[row["group"]] += 1
        if counts[row["group"]] <= most:
            kept.append(row)
    return kept


def write(path: Path, rows: list[dict[str, Any]]) -> None:
    """JSON lines."""
    path.write_text("".join(json.dumps(row) + "\n" for row in rows))


def main() -> None:
    """Splits, writes and says how many."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, required=True)
    parser.add_argument("--model", type=Path, required=True)
    parser.add_argument("--of", choices=sorted(OBJECTIVES), default="two_objective_pairs", help="the file of pairs")
    parser.add_argument("--train", type=int, default=1000)
    parser.add_argument("--test", type=int, default=300)
    parser.add_argument("--per-prompt", type=int, help="most pairs of a prompt; default: all")
    parser.add_argument("--fitting", action="store_true", help="only pairs that TRL does not filter")
    parser.add_argument("--dtype", default="f32")
    parser.add_argument("--out", type=Path, required=True)
    options = parser.parse_args()
    options.out.mkdir(parents=True, exist_ok=True)
    rows = read(options.data / f"{options.of}.jsonl.gz")
    if options.fitting:
        total = len(rows)
        rows = fitting(options.model, rows)
        print(f"{len(rows)} of {total} pairs have at most {MAX_TOKENS} tokens a text")
    rows = few_per_prompt(rows, options.per_prompt)
    groups = sorted({row["group"] for row in rows})
    share = options.train / (options.train + options.test)
    training = set(groups[: round(len(groups) * share)])
    for row in rows:
        row["split"] = "train" if row["group"] in training else "test"
    parts = [row for row in rows if row["split"] == "train"][: options.train]
    parts += [row for row in rows if row["split"] == "test"][: options.test]
    names = OBJECTIVES[options.of]
    for objective in names:
        found = pairs(parts, objective)
        write(options.out / f"{objective}.pairs.jsonl", found)
        for split in ("train", "test"):
            rows_of = [{key: row[key] for key in ("prompt", "chosen", "rejected")} for row in found if row["split"] == split]
            write(options.out / f"{objective}.{split}.jsonl", rows_of)
            print(f"{objective} {split}: {len(rows_of)} pairs")
        source = {"path": f"{objective}.pairs.jsonl", "format": "pairs", "split_field": "split"}
        description = {"name": objective, "question": "Which answer is better?", "labels": "human", "data": [source]}
        (options.out / f"{objective}.yaml").write_text(json.dumps(description))
    backbone = {"path": str(options.model.resolve()), "max_tokens": MAX_TOKENS, "dtype": options.dtype}
    run = {"name": "three", "backbone": backbone, "objectives": [{"file": f"{name}.yaml"} for name in names]}
    (options.out / "run.yaml").write_text(json.dumps(run))


if __name__ == "__main__":
    main()
