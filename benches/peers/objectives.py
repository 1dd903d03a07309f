"""Three objectives over the same pairs, for TRL and for ours.

    objectives.py --data FOLDER --model FOLDER --train 1000 --out FOLDER

Reads `two_objective_pairs.jsonl.gz`, whose pairs have a label for helpfulness and one for safety; the third objective,
conciseness, prefers the shorter answer. Writes for each objective `NAME.train.jsonl` and `NAME.test.jsonl` (`prompt`,
`chosen`, `rejected`) as `trl_reward.py` reads them, and `NAME.yaml` with `run.yaml`, by which `ensemble train-all` trains
on the same pairs and tests on the same others. No prompt stands in both parts. `--fitting` takes only pairs whose texts
have at most 256 tokens each, which are those that TRL does not filter. JSON is YAML.
"""

import argparse
import gzip
import json
from pathlib import Path
from typing import Any

from texts import Pair, PairTokenizer

MAX_TOKENS = 256
OBJECTIVES = ("helpfulness", "safety", "conciseness")


def preferred(row: dict[str, Any], objective: str) -> str | None:
    """The better side of a row, `a` or `b`; none where they are equal."""
    if objective != "conciseness":
        return row["preferred"].get(objective)
    lengths = {side: len(row[f"response_{side}"].split()) for side in "ab"}
    return None if lengths["a"] == lengths["b"] else min(lengths, key=lengths.__getitem__)


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


def write(path: Path, rows: list[dict[str, Any]]) -> None:
    """JSON lines."""
    path.write_text("".join(json.dumps(row) + "\n" for row in rows))


def main() -> None:
    """Splits, writes and says how many."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, required=True)
    parser.add_argument("--model", type=Path, required=True)
    parser.add_argument("--train", type=int, default=1000)
    parser.add_argument("--test", type=int, default=300)
    parser.add_argument("--fitting", action="store_true", help="only pairs that TRL does not filter")
    parser.add_argument("--dtype", default="f32")
    parser.add_argument("--out", type=Path, required=True)
    options = parser.parse_args()
    options.out.mkdir(parents=True, exist_ok=True)
    with gzip.open(options.data / "two_objective_pairs.jsonl.gz", "rt") as file:
        rows = [json.loads(line) for line in file]
    if options.fitting:
        read = len(rows)
        rows = fitting(options.model, rows)
        print(f"{len(rows)} of {read} pairs have at most {MAX_TOKENS} tokens a text")
    groups = sorted({row["group"] for row in rows})
    share = options.train / (options.train + options.test)
    training = set(groups[: round(len(groups) * share)])
    for row in rows:
        row["split"] = "train" if row["group"] in training else "test"
    parts = [row for row in rows if row["split"] == "train"][: options.train]
    parts += [row for row in rows if row["split"] == "test"][: options.test]
    for objective in OBJECTIVES:
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
    run = {"name": "three", "backbone": backbone, "objectives": [{"file": f"{name}.yaml"} for name in OBJECTIVES]}
    (options.out / "run.yaml").write_text(json.dumps(run))


if __name__ == "__main__":
    main()
