"""The libraries that people use today, each as a process that speaks the protocol of this folder.

    contenders.py NAME --model FOLDER --ids FILE [--onnx FOLDER] [--threads 2] [--batch-size 32]

loads the model and the ids and prints one line of JSON with `ready`. Then, for each line on standard input, the whole
workload runs once and a line `{"seconds": s, "tokens": t, "texts": n}` follows. The line `save PATH` writes the vectors
of the last run instead: texts x width, f32, little endian, in the order of the ids file, and prints `{"saved": PATH}`.

The workload: all layers, and of the last one the mean over all tokens of a text, as f32. Building the batches is part
of the time, tokenizing is not. Texts are sorted by length and padded on the right to the longest of their batch.
"""

import argparse
import json
import os
import sys
import time
from abc import ABC, abstractmethod
from collections.abc import Sequence
from pathlib import Path
from typing import Any, TextIO

import numpy as np

Ids = list[list[int]]


class Contender(ABC):
    """One library at one precision. The constructor loads the model."""

    dtype: str

    def __init__(self, options: argparse.Namespace) -> None:
        self.options = options

    @abstractmethod
    def pooled(self, ids: np.ndarray, mask: np.ndarray) -> np.ndarray:
        """The mean-pooled vectors of a padded batch; `mask` is 1 where there is a token."""


class Torch(Contender):
    """What the contenders that run in torch share: threads."""

    def __init__(self, options: argparse.Namespace) -> None:
        super().__init__(options)
        import torch

        self.torch = torch
        torch.set_num_threads(options.threads)

    def tensors(self, ids: np.ndarray, mask: np.ndarray) -> dict[str, Any]:
        """A batch as torch takes it, without a copy."""
        return {"input_ids": self.torch.from_numpy(ids), "attention_mask": self.torch.from_numpy(mask)}


class Transformers(Torch):
    """transformers' AutoModel with torch's scaled-dot-product attention."""

    def __init__(self, options: argparse.Namespace) -> None:
        super().__init__(options)
        from transformers import AutoModel

        dtype = {"f32": self.torch.float32, "bf16": self.torch.bfloat16}[self.dtype]
        self.model = AutoModel.from_pretrained(options.model, dtype=dtype, attn_implementation="sdpa").eval()
        if hasattr(self.model, "pooler"):
            # The layer on top of [CLS], which mean pooling does not read.
            self.model.pooler = None
        # A decoder would keep keys and values for a next token that never comes.
        self.model.config.use_cache = False

    def pooled(self, ids: np.ndarray, mask: np.ndarray) -> np.ndarray:
        with self.torch.inference_mode():
            batch = self.tensors(ids, mask)
            states = self.model(**batch).last_hidden_state.float()
            weights = batch["attention_mask"].unsqueeze(-1).float()
            return ((states * weights).sum(1) / weights.sum(1)).numpy()


class TransformersF32(Transformers):
    dtype = "f32"


class TransformersBf16(Transformers):
    """Weights and activations in bf16, which is faster than f32 weights under autocast."""

    dtype = "bf16"


class SentenceTransformers(Torch):
    """The transformer and pooling modules of a SentenceTransformer.

    They are called on ids, without `encode`, which would tokenize again and could not be given the same cut. The module
    that normalises vectors, where the model has one, is left out: the workload is the mean.
    """

    dtype = "f32"

    def __init__(self, options: argparse.Namespace) -> None:
        super().__init__(options)
        from sentence_transformers import SentenceTransformer

        modules = list(SentenceTransformer(str(options.model), device="cpu"))
        self.model = SentenceTransformer(modules=modules[:2], device="cpu").eval()

    def pooled(self, ids: np.ndarray, mask: np.ndarray) -> np.ndarray:
        with self.torch.inference_mode():
            return self.model(self.tensors(ids, mask))["sentence_embedding"].numpy()


class OnnxRuntime(Contender):
    """onnxruntime on the graphs that export_onnx.py makes; pooling is in the graph."""

    graph: str

    def __init__(self, options: argparse.Namespace) -> None:
        super().__init__(options)
        import onnxruntime

        if options.onnx is None:
            sys.exit("onnxruntime needs --onnx FOLDER, made by export_onnx.py")
        path = options.onnx / f"{self.graph}.onnx"
        if not path.is_file():
            sys.exit(f"{path}: no such file; make it with export_onnx.py")
        settings = onnxruntime.SessionOptions()
        settings.intra_op_num_threads = options.threads
        settings.inter_op_num_threads = 1
        self.session = onnxruntime.InferenceSession(path, settings, providers=["CPUExecutionProvider"])

    def pooled(self, ids: np.ndarray, mask: np.ndarray) -> np.ndarray:
        (vectors,) = self.session.run(["pooled"], {"input_ids": ids, "attention_mask": mask})
        return vectors


class OnnxRuntimeF32(OnnxRuntime):
    dtype = "f32"
    graph = "f32"


class OnnxRuntimeFusedF32(OnnxRuntime):
    """The graph after onnxruntime's optimizer for BERT."""

    dtype = "f32"
    graph = "fused-f32"


class OnnxRuntimeInt8(OnnxRuntime):
    """Dynamically quantised: weights once, activations at run time."""

    dtype = "int8"
    graph = "int8"


CONTENDERS: dict[str, type[Contender]] = {
    "transformers-f32": TransformersF32,
    "transformers-bf16": TransformersBf16,
    "sentence-transformers-f32": SentenceTransformers,
    "onnxruntime-f32": OnnxRuntimeF32,
    "onnxruntime-fused-f32": OnnxRuntimeFusedF32,
    "onnxruntime-int8": OnnxRuntimeInt8,
}


def read_ids(path: Path) -> Ids:
    """The token ids of every text of an ids file."""
    with path.open(encoding="utf-8") as lines:
        return [json.loads(line)["ids"] for line in lines]


def batches(texts: Ids, size: int) -> list[list[int]]:
    """The places of the texts in batches of `size`, the longest texts first."""
    order = sorted(range(len(texts)), key=lambda place: len(texts[place]), reverse=True)
    return [order[start : start + size] for start in range(0, len(order), size)]


def padded(texts: Ids, places: Sequence[int]) -> tuple[np.ndarray, np.ndarray]:
    """The ids of a batch and their mask."""
    length = max(len(texts[place]) for place in places)
    ids = np.zeros((len(places), length), dtype=np.int64)
    mask = np.zeros((len(places), length), dtype=np.int64)
    for row, place in enumerate(places):
        ids[row, : len(texts[place])] = texts[place]
        mask[row, : len(texts[place])] = 1
    return ids, mask


def padding_share(texts: Ids, size: int) -> float:
    """How many tokens of padding the batches have for each token of text."""
    read = sum(len(places) * max(len(texts[place]) for place in places) for places in batches(texts, size))
    return read / sum(map(len, texts)) - 1


def run(contender: Contender, texts: Ids) -> np.ndarray:
    """The whole workload: the vector of every text, in the order of the ids file."""
    parts = batches(texts, contender.options.batch_size)
    found = np.concatenate([contender.pooled(*padded(texts, places)) for places in parts])
    vectors = np.empty_like(found, dtype="<f4")
    vectors[np.concatenate(parts)] = found
    return vectors


def serve(contender: Contender, texts: Ids, lines: TextIO, answers: TextIO) -> None:
    """Answers the lines of the protocol until they end."""
    vectors = None
    tokens = sum(map(len, texts))
    for line in lines:
        if line.startswith("save "):
            path = Path(line.removeprefix("save ").strip())
            if vectors is None:
                sys.exit("asked to save before the first run")
            vectors.tofile(path)
            answer: dict[str, Any] = {"saved": str(path)}
        else:
            start = time.perf_counter()
            vectors = run(contender, texts)
            answer = {"seconds": time.perf_counter() - start, "tokens": tokens, "texts": len(texts)}
        print(json.dumps(answer), file=answers, flush=True)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("name", choices=CONTENDERS)
    parser.add_argument("--model", type=Path, required=True, help="Hugging Face folder")
    parser.add_argument("--ids", type=Path, required=True, help="made by texts.py")
    parser.add_argument("--onnx", type=Path, help="folder made by export_onnx.py")
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--batch-size", type=int, default=32)
    options = parser.parse_args()
    # Libraries may print to standard output; only answers go there.
    answers = os.fdopen(os.dup(sys.stdout.fileno()), "w")
    os.dup2(sys.stderr.fileno(), sys.stdout.fileno())
    texts = read_ids(options.ids)
    contender = CONTENDERS[options.name](options)
    ready = {
        "ready": True,
        "name": options.name,
        "dtype": contender.dtype,
        "threads": options.threads,
        "batch_size": options.batch_size,
        "padding": round(padding_share(texts, options.batch_size), 4),
    }
    print(json.dumps(ready), file=answers, flush=True)
    serve(contender, texts, sys.stdin, answers)


if __name__ == "__main__":
    main()
