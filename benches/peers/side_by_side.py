"""Measures the libraries people use today and ours, in turn, in one run.

    side_by_side.py --model FOLDER --ids FILE [--onnx FOLDER] [--ours PATH] [--rounds 5] [--log FILE]

All contenders are started first and stay loaded. In each round every one of them runs the whole workload once, while
the others wait; the order is rotated from round to round. Ratios are taken inside a round, because the speed of a
shared machine drifts from minute to minute, and shown as median and range. `--ours` is the command `embed_ids`, which
speaks the protocol that contenders.py describes; it is run once for each of `--ours-dtypes`.
"""

import argparse
import json
import os
import platform
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from importlib.metadata import version
from pathlib import Path
from statistics import median
from typing import IO, Any, NoReturn, cast

import numpy as np

from contenders import CONTENDERS
from flops import Shape

# Allocators keep the memory they were given, instead of handing it back after every batch and faulting it in again: glibc's
# for the peers, mimalloc for ours.
ALLOCATOR = {
    "MIMALLOC_PURGE_DELAY": "1000",
    "MALLOC_MMAP_THRESHOLD_": "2000000000",
    "MALLOC_TRIM_THRESHOLD_": "8000000000",
    "MALLOC_TOP_PAD_": "67108864",
}
QUIET = {"CUDA_VISIBLE_DEVICES": "", "HF_HUB_OFFLINE": "1", "TOKENIZERS_PARALLELISM": "false"}
# Between two turns: the threads of the last one spin for some hundredths of a second before they sleep.
PAUSE_SECONDS = 0.2
DTYPES = ("f32", "bf16", "int8")
REFERENCE = "transformers-f32"
LIBRARIES = ("torch", "transformers", "sentence-transformers", "onnxruntime", "numpy")


@dataclass(frozen=True)
class Workload:
    """What every contender does once a turn."""

    lengths: tuple[int, ...]
    flops: int

    @staticmethod
    def read(ids: Path, model: Path) -> "Workload":
        """The workload of an ids file on a model."""
        if not ids.is_file():
            sys.exit(f"{ids}: no such file; make it with texts.py")
        with ids.open(encoding="utf-8") as lines:
            lengths = tuple(len(json.loads(line)["ids"]) for line in lines)
        shape = Shape.read(model)
        return Workload(lengths, sum(map(shape.flops, lengths)))

    @property
    def texts(self) -> int:
        return len(self.lengths)

    @property
    def tokens(self) -> int:
        return sum(self.lengths)


class Log:
    """Everything that happens, as JSON lines."""

    def __init__(self, path: Path | None) -> None:
        self.file = path.open("w", encoding="utf-8") if path else None

    def add(self, event: str, **fields: Any) -> None:
        """Writes one event."""
        if self.file:
            line = json.dumps({"event": event, "time": time.time(), **fields}, default=str)
            print(line, file=self.file, flush=True)


class Worker:
    """A contender's process."""

    def __init__(self, name: str, command: Sequence[str], threads: int, folder: Path) -> None:
        self.name, self.command = name, command
        self.errors = folder / f"{name}.stderr"
        environment = {**os.environ, **ALLOCATOR, **QUIET, "OMP_NUM_THREADS": str(threads)}
        try:
            self.process = subprocess.Popen(
                command,
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=self.errors.open("w"),
                env=environment,
                text=True,
            )
        except OSError as error:
            sys.exit(f"{name}: {command[0]} does not start: {error}")
        self.questions, self.answers = cast(IO[str], self.process.stdin), cast(IO[str], self.process.stdout)
        self.ready = self.answer()
        if not self.ready.get("ready"):
            self.fail(f"said {self.ready} before it was ready")

    def fail(self, what: str) -> NoReturn:
        """Ends everything with what the contender wrote last."""
        said = self.errors.read_text(errors="replace").strip().splitlines()[-8:]
        told = [f"command: {' '.join(self.command)}", *said]
        sys.exit("\n  ".join([f"{self.name}: {what}", *told]))

    def answer(self) -> dict[str, Any]:
        """The next line that the contender prints."""
        line = self.answers.readline()
        try:
            return json.loads(line)
        except json.JSONDecodeError:
            self.fail(f"printed {line!r} instead of a line of JSON" if line else "ended without an answer")

    def run(self, workload: Workload) -> float:
        """Seconds of one run of the workload."""
        self.questions.write("run\n")
        self.questions.flush()
        answer = self.answer()
        if (answer.get("texts"), answer.get("tokens")) != (workload.texts, workload.tokens):
            self.fail(f"read another workload: {answer} instead of {workload.texts} texts, {workload.tokens} tokens")
        return answer["seconds"]

    def save(self, path: Path, texts: int) -> np.ndarray:
        """The vectors of the last run. The contender ends."""
        self.process.communicate(f"save {path}\n")
        if self.process.returncode or not path.is_file():
            self.fail(f"did not save its vectors, exit status {self.process.returncode}")
        vectors = np.fromfile(path, dtype="<f4")
        if not vectors.size or vectors.size % texts:
            self.fail(f"saved {vectors.size} numbers for {texts} texts")
        return vectors.reshape(texts, -1)

    def cpu_seconds(self) -> float:
        """Processor time that the process has used."""
        fields = Path(f"/proc/{self.process.pid}/stat").read_text().rpartition(")")[2].split()
        return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")

    def stop(self) -> None:
        """Ends the process, whatever it is doing."""
        self.process.kill()
        self.process.wait()


@dataclass
class Entry:
    """A contender with its seconds in every round."""

    worker: Worker
    dtype: str
    ours: bool
    seconds: list[float] = field(default_factory=list)

    @property
    def name(self) -> str:
        return self.worker.name

    def ratios(self, other: "Entry") -> list[float]:
        """In each round, how many times as long as the other this one took."""
        return [mine / theirs for mine, theirs in zip(self.seconds, other.seconds)]


def peer_command(name: str, options: argparse.Namespace) -> list[str]:
    """How a library is started."""
    command = [sys.executable, str(Path(__file__).with_name("contenders.py")), name]
    command += ["--model", str(options.model), "--ids", str(options.ids)]
    command += ["--threads", str(options.threads), "--batch-size", str(options.batch_size)]
    return command + (["--onnx", str(options.onnx)] if options.onnx else [])


def our_command(dtype: str, options: argparse.Namespace) -> list[str]:
    """How ours is started."""
    command = [str(options.ours), "--backbone", str(options.model), "--dtype", dtype]
    command += ["--ids", str(options.ids), "--threads", str(options.threads)]
    command += ["--budget", str(options.budget)] if options.budget else []
    return command + (["--kernel", options.kernel] if options.kernel else [])


def start(options: argparse.Namespace, entries: list[Entry], folder: Path, log: Log) -> None:
    """Starts the contenders one after another."""
    planned = [(name, CONTENDERS[name].dtype, False, peer_command(name, options)) for name in options.contenders]
    if options.ours:
        planned += [(f"ours-{dtype}", dtype, True, our_command(dtype, options)) for dtype in options.ours_dtypes]
    for name, dtype, ours, command in planned:
        worker = Worker(name, command, options.threads, folder)
        entries.append(Entry(worker, dtype, ours))
        log.add("ready", contender=name, command=command, said=worker.ready)
        print(f"ready: {name}", file=sys.stderr)


def turn(entry: Entry, entries: Sequence[Entry], workload: Workload) -> dict[str, float]:
    """One run of one contender, and what the others did meanwhile."""
    others = [other.worker for other in entries if other is not entry]
    time.sleep(PAUSE_SECONDS)
    before, own = sum(worker.cpu_seconds() for worker in others), entry.worker.cpu_seconds()
    seconds = entry.worker.run(workload)
    return {
        "seconds": seconds,
        "cpu_seconds": entry.worker.cpu_seconds() - own,
        "others_cpu_seconds": sum(worker.cpu_seconds() for worker in others) - before,
        "load": os.getloadavg()[0],
    }


def measure(options: argparse.Namespace, entries: Sequence[Entry], workload: Workload, log: Log) -> None:
    """All rounds. Those before round 0 warm up and do not count."""
    for number in range(-options.warmup, options.rounds):
        first = number % len(entries)
        for entry in [*entries[first:], *entries[:first]]:
            said = turn(entry, entries, workload)
            log.add("turn", round=number, contender=entry.name, **said)
            print(f"round {number}: {entry.name} {said['seconds']:.3f} s", file=sys.stderr)
            if (lost := said["others_cpu_seconds"]) > 0.02 * said["seconds"] + 0.02:
                print(f"  the others used {lost:.2f} s of processor time meanwhile", file=sys.stderr)
            if number >= 0:
                entry.seconds.append(said["seconds"])


def spread(values: Sequence[float]) -> str:
    """Median and range."""
    return f"{median(values):.2f} ({min(values):.2f}-{max(values):.2f})"


def table(header: Sequence[str], lines: Sequence[Sequence[str]]) -> str:
    """A Markdown table."""
    return "\n".join("| " + " | ".join(line) + " |" for line in (header, ["---"] * len(header), *lines))


def of_dtype(entries: Sequence[Entry], dtype: str, ours: bool) -> list[Entry]:
    """Ours, or the peers, at one precision."""
    return [entry for entry in entries if entry.dtype == dtype and entry.ours == ours]


def throughput_row(entry: Entry, entries: Sequence[Entry], workload: Workload, ceilings: dict[str, float]) -> list[str]:
    """A contender's line of the main table."""
    seconds = median(entry.seconds)
    rate = workload.flops / seconds / 1e9
    padding = entry.worker.ready.get("padding")
    ours = [] if entry.ours else of_dtype(entries, entry.dtype, ours=True)
    return [
        entry.name,
        "-" if padding is None else f"{100 * padding:.1f} %",
        f"{seconds:.3f} ({min(entry.seconds):.3f}-{max(entry.seconds):.3f})",
        f"{workload.texts / seconds:.1f}",
        f"{workload.tokens / seconds:.0f}",
        f"{rate:.1f}",
        f"{100 * rate / ceilings[entry.dtype]:.0f} %" if entry.dtype in ceilings else "-",
        spread(entry.ratios(ours[0])) if ours else "-",
    ]


def throughput(entries: Sequence[Entry], workload: Workload, ceilings: dict[str, float]) -> str:
    """The main table."""
    rates = ["texts/s", "tokens/s", "GFLOP/s", "of ceiling"]
    header = ["contender", "padding", "s (range)", *rates, "s / s of ours, same dtype"]
    return table(header, [throughput_row(entry, entries, workload, ceilings) for entry in entries])


def best_peers(entries: Sequence[Entry]) -> str:
    """For each precision, the peer with the lowest median against ours."""
    lines = []
    for dtype in DTYPES:
        peers, ours = of_dtype(entries, dtype, ours=False), of_dtype(entries, dtype, ours=True)
        if peers and ours:
            best = min(peers, key=lambda entry: median(entry.seconds))
            lines.append([dtype, best.name, spread(best.ratios(ours[0]))])
    return table(["dtype", "best peer", "s of best peer / s of ours"], lines)


def all_ratios(entries: Sequence[Entry]) -> str:
    """Every peer against each precision of ours."""
    ours = [entry for entry in entries if entry.ours]
    header = ["s of peer / s of", *(entry.name for entry in ours)]
    peers = [entry for entry in entries if not entry.ours]
    return table(header, [[peer.name, *(spread(peer.ratios(mine)) for mine in ours)] for peer in peers])


def save_all(entries: Sequence[Entry], workload: Workload, folder: Path) -> dict[str, np.ndarray]:
    """The vectors of every contender, which end with this."""
    return {entry.name: entry.worker.save(folder / entry.name, workload.texts) for entry in entries}


def cosines(entries: Sequence[Entry], vectors: dict[str, np.ndarray], log: Log) -> str:
    """How near each contender's vectors are to those of the reference."""
    expected = vectors[REFERENCE].astype(np.float64)
    lines = []
    for entry in entries:
        found = vectors[entry.name].astype(np.float64)
        if found.shape != expected.shape:
            entry.worker.fail(f"saved vectors of shape {found.shape}, {REFERENCE} of shape {expected.shape}")
        norms = np.linalg.norm(found, axis=1) * np.linalg.norm(expected, axis=1)
        angles = (found * expected).sum(1) / norms
        difference = np.abs(found - expected).max()
        log.add("cosine", contender=entry.name, min=angles.min(), mean=angles.mean(), max_abs_diff=difference)
        lines.append([entry.name, f"{angles.min():.6f}", f"{angles.mean():.6f}", f"{difference:.1e}"])
    return table(["contender", f"min cosine to {REFERENCE}", "mean", "max abs diff"], lines)


def processor() -> str:
    """The processor's name."""
    for line in Path("/proc/cpuinfo").read_text().splitlines():
        if line.startswith("model name"):
            return line.partition(":")[2].strip()
    return platform.processor()


def report(options: argparse.Namespace, entries: Sequence[Entry], workload: Workload) -> None:
    """Prints the tables of time."""
    work = f"{workload.texts} texts, {workload.tokens} tokens, {workload.flops / 1e12:.3f} TFLOP"
    print(f"{options.model.name}: {work}; {options.rounds} rounds, {options.threads} threads, {processor()}\n")
    print(throughput(entries, workload, options.ceilings))
    if options.ours:
        print(f"\n{best_peers(entries)}\n\n{all_ratios(entries)}")


def ceilings(text: str) -> dict[str, float]:
    """Reads f32=226.9,bf16=445.8,int8=926.2."""
    found = {dtype: float(rate) for dtype, rate in (part.split("=") for part in text.split(","))}
    if unknown := found.keys() - set(DTYPES):
        raise ValueError(f"no such dtype: {sorted(unknown)}")
    return found


def names(known: Sequence[str]) -> Any:
    """A reader of lists of known names."""

    def read(text: str) -> list[str]:
        found = text.split(",") if text else []
        if unknown := set(found) - set(known):
            raise argparse.ArgumentTypeError(f"{', '.join(sorted(unknown))}: known are {', '.join(known)}")
        return found

    return read


def arguments() -> argparse.Namespace:
    """The command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--model", type=Path, required=True, help="Hugging Face folder")
    parser.add_argument("--ids", type=Path, required=True, help="made by texts.py")
    parser.add_argument("--onnx", type=Path, help="folder made by export_onnx.py")
    parser.add_argument("--ours", type=Path, help="the command embed_ids; without it, only peers run")
    parser.add_argument("--ours-dtypes", type=names(DTYPES), default=list(DTYPES), help="default: f32,bf16,int8")
    parser.add_argument("--budget", type=int, help="passed on to ours: tokens of a pass")
    parser.add_argument("--kernel", choices=["portable", "avx2", "avx512", "avx512-dot", "neon"], help="passed on to ours")
    parser.add_argument("--contenders", type=names(list(CONTENDERS)), help="default: all that run the model")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--warmup", type=int, default=1, help="rounds before, which do not count")
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--batch-size", type=int, default=32, help="texts of a batch of the peers")
    parser.add_argument("--ceilings", type=ceilings, default={}, help="GFLOP/s, as f32=227,bf16=446,int8=926")
    parser.add_argument("--log", type=Path, help="everything, as JSON lines")
    options = parser.parse_args()
    if options.rounds < 1:
        parser.error("--rounds: give at least 1")
    if options.contenders is None:
        causal = Shape.read(options.model).causal
        options.contenders = [name for name in CONTENDERS if not causal or name.startswith("transformers-")]
    if not options.contenders and not options.ours:
        parser.error("there is nothing to measure: give --contenders or --ours")
    return options


def main() -> None:
    options = arguments()
    workload = Workload.read(options.ids, options.model)
    log = Log(options.log)
    libraries = {name: version(name) for name in LIBRARIES}
    work = {"texts": workload.texts, "tokens": workload.tokens, "flops": workload.flops}
    log.add("start", options=vars(options), processor=processor(), libraries=libraries, **work)
    entries: list[Entry] = []
    with tempfile.TemporaryDirectory() as folder:
        try:
            start(options, entries, Path(folder), log)
            measure(options, entries, workload, log)
            report(options, entries, workload)
            if REFERENCE in options.contenders:
                print(f"\n{cosines(entries, save_all(entries, workload, Path(folder)), log)}")
            else:
                print(f"no cosines: {REFERENCE} is not among the contenders", file=sys.stderr)
        finally:
            for entry in entries:
                entry.worker.stop()


if __name__ == "__main__":
    main()
