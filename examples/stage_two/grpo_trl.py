"""Stage two on one CPU core: TRL's GRPO trains a small policy on the rewards of `ensemble serve`.

Run: python make_policy.py POLICY && ENSEMBLE_URL=http://127.0.0.1:8080 python grpo_trl.py --policy POLICY

Prompts are those of data/quickstart and, where ENSEMBLE_DATA names the folder of real preference data, those too. The
log holds one line per step and the rewards of held-out prompts before and after; `slope.py` says what it shows.
"""

import argparse
import gzip
import json
import os
import random
import statistics
import sys
import time
from importlib.metadata import version
from pathlib import Path

import torch
from datasets import Dataset
from peft import LoraConfig
from transformers import AutoModelForCausalLM, AutoTokenizer, PrinterCallback, TrainerCallback, set_seed
from trl import GRPOConfig, GRPOTrainer

REPOSITORY = Path(__file__).resolve().parents[2]
sys.path.insert(0, str(REPOSITORY / "clients" / "python"))
from ensemble_client import Client, trl_reward, trl_rewards  # noqa: E402

# Longer prompts cost a CPU more than they teach it.
LONGEST_PROMPT = 160
TEMPERATURE = 0.8
# Held-out prompts whose answers the log shows. Prompts of ENSEMBLE_DATA are not this project's to print.
SHOWN = 4


def arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--policy", type=Path, required=True, help="the folder that make_policy.py wrote")
    parser.add_argument("--log", type=Path, default=Path("grpo_trl.log"))
    parser.add_argument("--adapter", type=Path, help="where the trained LoRA adapter goes")
    parser.add_argument(
        "--gdpo", action="store_true", help="one reward per objective, normalized before they are summed"
    )
    parser.add_argument("--uncertainty-penalty", type=float, help="standard errors taken off each score")
    parser.add_argument("--steps", type=int, default=64)
    parser.add_argument("--prompts-per-step", type=int, default=2)
    parser.add_argument("--group", type=int, default=8, help="answers per prompt")
    parser.add_argument("--tokens", type=int, default=32, help="longest answer")
    parser.add_argument("--learning-rate", type=float, default=2.5e-4)
    parser.add_argument(
        "--beta", type=float, default=0.05, help="weight of the KL divergence from the untrained policy"
    )
    parser.add_argument("--held-out", type=int, default=24, help="prompts that are scored before and after")
    parser.add_argument("--seed", type=int, default=1)
    return parser.parse_args()


def read_prompts(path: Path) -> list[str]:
    """The prompts of one file of JSON lines that are a single, short text."""
    with gzip.open(path, "rt", encoding="utf-8") if path.suffix == ".gz" else path.open(encoding="utf-8") as lines:
        prompts = [json.loads(line)["prompt"] for line in lines]
    return [prompt for prompt in prompts if isinstance(prompt, str) and 0 < len(prompt) <= LONGEST_PROMPT]


def quickstart_prompts() -> set[str]:
    files = sorted((REPOSITORY / "data" / "quickstart").glob("*.jsonl"))
    return {prompt for path in files for prompt in read_prompts(path)}


def all_prompts(seed: int) -> list[str]:
    """Every prompt once, in an order that depends on the seed only."""
    files = []
    if os.environ.get("ENSEMBLE_DATA"):
        folder = Path(os.environ["ENSEMBLE_DATA"])
        files = [folder / f"{name}.jsonl.gz" for name in ("helpfulness", "safety", "conciseness")]
    prompts = sorted(quickstart_prompts().union(*map(read_prompts, files)))
    random.Random(seed).shuffle(prompts)
    return prompts


def conversation(prompt: str) -> list[dict[str, str]]:
    return [{"role": "user", "content": prompt}]


class Log:
    """A text file that a person can read and `slope.py` too; every line also goes to the terminal."""

    def __init__(self, path: Path) -> None:
        self.file = path.open("w", encoding="utf-8")

    def write(self, line: str) -> None:
        print(line, flush=True)
        self.file.write(line + "\n")
        self.file.flush()


class LogSteps(TrainerCallback):
    """One line per step: mean reward, its spread, the objectives, the answers' length."""

    def __init__(self, log: Log) -> None:
        self.log = log
        self.began = (time.monotonic(), time.process_time())

    def on_train_begin(self, args, state, control, **kwargs):
        self.began = (time.monotonic(), time.process_time())

    def on_log(self, args, state, control, logs=None, **kwargs):
        if not logs or "reward" not in logs:
            return
        objectives = {key.split("/")[1]: value for key, value in logs.items() if key.startswith("ensemble/")}
        objectives |= {
            key.split("/")[1]: logs[key] for key in logs if key.startswith("rewards/") and key.endswith("/mean")
        }
        now = (time.monotonic(), time.process_time())
        words = [f"step {state.global_step:3d}", f"reward {logs['reward']:+.4f}", f"sd {logs['reward_std']:.4f}"]
        words += [
            f"{name.removeprefix('ensemble_')} {value:+.3f}"
            for name, value in objectives.items()
            if name != "ensemble_reward"
        ]
        words += [f"tokens {logs['completions/mean_length']:.1f}", f"cut {logs['completions/clipped_ratio']:.2f}"]
        words += [
            f"kl {logs.get('kl', 0.0):.3f}",
            f"entropy {logs['entropy']:.3f}",
            f"seconds {now[0] - self.began[0]:.1f}",
        ]
        words += [f"processor seconds {now[1] - self.began[1]:.1f}"]
        self.began = now
        self.log.write("  ".join(words))


@torch.no_grad()
def answers(model, tokenizer, prompts: list[str], tokens: int, seed: int) -> list[str]:
    """One sampled answer to each prompt; the same seed before and after the training."""
    tokenizer.padding_side = "left"
    chats = [conversation(prompt) for prompt in prompts]
    inputs = tokenizer.apply_chat_template(
        chats, add_generation_prompt=True, padding=True, return_tensors="pt", return_dict=True
    )
    set_seed(seed)
    model.eval()
    output = model.generate(
        **inputs, max_new_tokens=tokens, do_sample=True, temperature=TEMPERATURE, top_k=0, top_p=1.0
    )
    return tokenizer.batch_decode(output[:, inputs["input_ids"].shape[1] :], skip_special_tokens=True)


def held_out_rewards(client: Client, model, tokenizer, prompts: list[str], options, log: Log, when: str) -> None:
    """Rewards of the held-out prompts, two answers each; one line per prompt, so that before and after are pairs."""
    draws = [answers(model, tokenizer, prompts, options.tokens, options.seed + draw) for draw in range(2)]
    penalty = options.uncertainty_penalty
    scores = [
        client.score([(conversation(p), a) for p, a in zip(prompts, draw)], uncertainty_penalty=penalty)
        for draw in draws
    ]
    for place, prompt in enumerate(prompts):
        rewards = [score.combined[place] for score in scores]
        line = f"held-out {when} {place:2d} {statistics.fmean(rewards):+.4f}"
        if place < SHOWN:
            line += f"  {json.dumps(prompt, ensure_ascii=False)} -> {json.dumps(draws[0][place], ensure_ascii=False)}"
        log.write(line)


def main() -> None:
    options = arguments()
    client = Client()
    objectives = client.objectives()
    prompts = all_prompts(options.seed)
    # A few of the held-out prompts are this project's own, so that the log may show their answers.
    ours = quickstart_prompts()
    own = [prompt for prompt in prompts if prompt in ours][:SHOWN]
    held_out = (own + [prompt for prompt in prompts if prompt not in own])[: options.held_out]
    training = [prompt for prompt in prompts if prompt not in held_out]
    set_seed(options.seed)
    model = AutoModelForCausalLM.from_pretrained(options.policy, dtype=torch.float32)
    tokenizer = AutoTokenizer.from_pretrained(options.policy)

    log = Log(options.log)
    packages = " ".join(f"{name} {version(name)}" for name in ("trl", "transformers", "peft", "torch"))
    log.write(f"# {packages}; {torch.get_num_threads()} thread(s)")
    log.write(f"# registry {client.digest}, objectives {', '.join(objectives)}")
    settings = {key: value for key, value in vars(options).items() if key not in ("policy", "log", "adapter")}
    log.write(f"# policy {options.policy.name}; {' '.join(f'{key}={value}' for key, value in settings.items())}")
    log.write(f"# {len(training)} prompts to train on, {len(held_out)} held out")

    config = GRPOConfig(
        output_dir=str(options.adapter or "unused"),
        max_steps=options.steps,
        per_device_train_batch_size=options.prompts_per_step * options.group,
        num_generations=options.group,
        max_completion_length=options.tokens,
        learning_rate=options.learning_rate,
        lr_scheduler_type="constant_with_warmup",
        warmup_steps=5,
        temperature=TEMPERATURE,
        beta=options.beta,
        scale_rewards="group",
        multi_objective_aggregation="normalize_then_sum" if options.gdpo else "sum_then_normalize",
        use_cpu=True,
        bf16=False,
        gradient_checkpointing=False,
        logging_steps=1,
        save_strategy="no",
        report_to="none",
        disable_tqdm=True,
        seed=options.seed,
    )
    combined = trl_reward(client, uncertainty_penalty=options.uncertainty_penalty)
    trainer = GRPOTrainer(
        model=model,
        processing_class=tokenizer,
        reward_funcs=trl_rewards(client) if options.gdpo else combined,
        args=config,
        train_dataset=Dataset.from_dict({"prompt": [conversation(prompt) for prompt in training]}),
        peft_config=LoraConfig(r=16, lora_alpha=32, target_modules="all-linear", task_type="CAUSAL_LM"),
        callbacks=[LogSteps(log)],
    )
    trainer.remove_callback(PrinterCallback)
    held_out_rewards(client, trainer.model, tokenizer, held_out, options, log, "before")
    set_seed(options.seed)
    began = time.monotonic()
    trainer.train()
    log.write(f"# {options.steps} steps in {time.monotonic() - began:.0f} s")
    held_out_rewards(client, trainer.model, tokenizer, held_out, options, log, "after")
    if options.adapter:
        trainer.save_model(str(options.adapter))


if __name__ == "__main__":
    main()
