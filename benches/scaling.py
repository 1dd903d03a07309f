"""What features and heads cost against tokens per text, texts and objectives: a table and a plot.

    scaling.py --embed-ids COMMAND --ensemble COMMAND --backbone FOLDER --data FOLDER --plot PNG

`--embed-ids` is the example of that name, `--ensemble` the program, `--backbone` a Hugging Face folder of an encoder,
`--data` preference data as `benches/peers/texts.py` reads it. Each figure is the median of --rounds runs.
"""

import argparse
import json
import random
import statistics
import subprocess
import tempfile
import time
from pathlib import Path
from typing import Any

DTYPES = ("f32", "bf16", "int8")
LENGTHS = (16, 32, 64, 128, 256, 512)
TEXTS = (128, 256, 512)
OBJECTIVES = (1, 2, 4)
TOKENS = 16384
PAIRS = 1000


def embed(options: argparse.Namespace, dtype: str, ids: Path) -> float:
    """Median seconds of embedding all texts of an ids file, after one run that does not count."""
    command = [options.embed_ids, "--backbone", options.backbone, "--ids", ids, "--dtype", dtype, "--threads", "2"]
    lines = "\n" * (options.rounds + 1)
    answer = subprocess.run(list(map(str, command)), input=lines, capture_output=True, text=True, check=True)
    seconds = [json.loads(line)["seconds"] for line in answer.stdout.splitlines() if '"seconds"' in line]
    return statistics.median(seconds[1:])


def write_ids(path: Path, lengths: list[int], vocabulary: int) -> None:
    """Texts of random ids."""
    draw = random.Random(1)
    with path.open("w") as file:
        for length in lengths:
            ids = [draw.randrange(1000, vocabulary) for _ in range(length)]
            file.write(json.dumps({"ids": ids}) + "\n")


def by_length(options: argparse.Namespace, folder: Path) -> list[dict[str, Any]]:
    """Thousand tokens a second at each length of text."""
    vocabulary = json.loads((options.backbone / "config.json").read_text())["vocab_size"]
    rows = []
    for length in LENGTHS:
        ids = folder / "ids.jsonl"
        write_ids(ids, [length] * (TOKENS // length), vocabulary)
        rows.append({"tokens": length} | {dtype: TOKENS / embed(options, dtype, ids) / 1000 for dtype in DTYPES})
    return rows


def by_texts(options: argparse.Namespace, folder: Path) -> list[dict[str, Any]]:
    """Seconds for so many real texts."""
    script = Path(__file__).parent / "peers" / "texts.py"
    rows = []
    for count in TEXTS:
        ids = folder / "ids.jsonl"
        command = [options.python, script, "texts", "--data", options.data, "--model", options.backbone]
        command += ["--count", count, "--max-tokens", 256, "--out", ids]
        subprocess.run(list(map(str, command)), check=True, capture_output=True)
        rows.append({"texts": count} | {dtype: embed(options, dtype, ids) for dtype in DTYPES})
    return rows


def write_run(options: argparse.Namespace, folder: Path, count: int) -> Path:
    """A configuration with `count` objectives over the same pairs, each under a name of its own."""
    source = {"path": str(folder / "pairs.jsonl"), "format": "pairs"}
    for index in range(count):
        objective = {"name": f"objective{index}", "question": "Which answer is better?", "labels": "human", "data": [source]}
        (folder / f"objective{index}.yaml").write_text(json.dumps(objective))
    config = {
        "name": f"of{count}",
        "backbone": {"path": str(options.backbone.resolve()), "max_tokens": 256},
        "objectives": [{"file": f"objective{index}.yaml"} for index in range(count)],
    }
    path = folder / f"of{count}.yaml"
    path.write_text(json.dumps(config))
    return path


def by_objectives(options: argparse.Namespace, folder: Path) -> list[dict[str, Any]]:
    """Seconds of train-all with so many objectives over the same pairs, first run and later ones."""
    script = Path(__file__).parent / "peers" / "texts.py"
    command = [options.python, script, "split", "--data", options.data, "--train", PAIRS]
    command += ["--train-out", folder / "pairs.jsonl", "--test-out", folder / "rest.jsonl"]
    subprocess.run(list(map(str, command)), check=True, capture_output=True)
    rows = []
    for count in OBJECTIVES:
        command = [str(options.ensemble), "train-all", str(write_run(options, folder, count)), "--quiet"]
        seconds = []
        for run in range(options.rounds + 1):
            started = time.monotonic()
            subprocess.run(command, cwd=folder, check=True, capture_output=True)
            seconds.append(time.monotonic() - started)
        # The features of the first row are there for the later ones, so only the first run of all is a cold one.
        rows.append({"objectives": count, "first": seconds[0], "later": statistics.median(seconds[1:])})
    return rows


def table(rows: list[dict[str, Any]]) -> str:
    """Rows as Markdown."""
    names = list(rows[0])
    cells = [[f"{row[name]:.3g}" if isinstance(row[name], float) else f"{row[name]}" for name in names] for row in rows]
    lines = [names, ["---"] * len(names), *cells]
    return "\n".join("| " + " | ".join(line) + " |" for line in lines)


def plot(path: Path, lengths: list[dict[str, Any]], texts: list[dict[str, Any]], objectives: list[dict[str, Any]]) -> None:
    """The three tables as one picture."""
    import matplotlib.pyplot as plt

    figure, axes = plt.subplots(1, 3, figsize=(12, 3.6), constrained_layout=True)
    for dtype in DTYPES:
        axes[0].plot([row["tokens"] for row in lengths], [row[dtype] for row in lengths], "o-", label=dtype)
        axes[1].plot([row["texts"] for row in texts], [row[dtype] for row in texts], "o-", label=dtype)
    axes[0].set(xscale="log", xlabel="tokens per text", ylabel="thousand tokens a second", ylim=(0, None))
    axes[0].set_xticks(LENGTHS, LENGTHS)
    axes[0].minorticks_off()
    axes[1].set(xlabel="texts (real, at most 256 tokens)", ylabel="seconds", ylim=(0, None))
    axes[2].plot([row["objectives"] for row in objectives], [row["later"] for row in objectives], "o-")
    axes[2].set(xlabel=f"objectives over the same {PAIRS} pairs", ylabel="seconds of a later train-all", ylim=(0, None))
    for axis in axes[:2]:
        axis.legend(frameon=False)
    for axis in axes:
        axis.spines[["top", "right"]].set_visible(False)
    figure.savefig(path, dpi=110)


def main() -> None:
    """Measures, prints and draws."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    for name in ("embed-ids", "ensemble", "backbone", "data", "plot"):
        parser.add_argument(f"--{name}", type=lambda path: Path(path).expanduser(), required=True)
    parser.add_argument("--python", default="python3", help="one with the packages of benches/peers")
    parser.add_argument("--rounds", type=int, default=3)
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        lengths, texts = by_length(options, folder), by_texts(options, folder)
        objectives = by_objectives(options, folder)
    for title, rows in (
        ("Thousand tokens a second by tokens per text", lengths),
        ("Seconds by texts", texts),
        (f"Seconds of train-all by objectives over the same {PAIRS} pairs", objectives),
    ):
        print(f"\n{title}\n\n{table(rows)}")
    plot(options.plot, lengths, texts, objectives)


if __name__ == "__main__":
    main()
