"""TRL's GRPOTrainer with the reward functions of clients/python: its own reward computation, without training.

The trainer is real, on a model of a few thousand random weights; completions are given instead of sampled, so that
each has one score. Nothing is replaced.
"""

import importlib.metadata
import tempfile

from common import CONVERSATIONS, Proxy, Run, byte_tokenizer, float32, one_turn

run = Run("trl")


def normalized(objective):
    """An objective's normalized scores, as float32."""
    return [float32(r["scores"][objective]["normalized"]) for r in run.truth["results"]]


def trainer_with(functions, folder):
    """A GRPOTrainer that would train a tiny model with these reward functions."""
    from datasets import Dataset
    from transformers import Qwen2Config, Qwen2ForCausalLM
    from trl import GRPOConfig, GRPOTrainer

    tokenizer = byte_tokenizer()
    sizes = {"hidden_size": 16, "intermediate_size": 32, "num_hidden_layers": 1}
    heads = {"num_attention_heads": 2, "num_key_value_heads": 2}
    model = Qwen2ForCausalLM(Qwen2Config(vocab_size=len(tokenizer), **sizes, **heads))
    arguments = GRPOConfig(
        folder, per_device_train_batch_size=2, num_generations=2, report_to=[], use_cpu=True, bf16=False
    )
    rows = Dataset.from_list([{"prompt": c[:-1], "source": "ensemble"} for c in CONVERSATIONS])
    return GRPOTrainer(
        model=model, reward_funcs=functions, args=arguments, train_dataset=rows, processing_class=tokenizer
    )


def table(trainer, prompts, completions):
    """What TRL computes of a batch: rows of completions, columns of reward functions, as lists of columns."""
    inputs = [{"prompt": prompt, "source": "ensemble"} for prompt in prompts]
    ids = [[1]] * len(prompts)
    rewards = trainer._calculate_rewards(inputs, prompts, completions, ids)
    return [column.tolist() for column in rewards.T]


def checks(version):
    """One function per objective and the combined one, for messages and for texts."""
    ours = run.ensemble_client()
    objectives = list(run.truth["results"][0]["scores"])
    with Proxy(run.server) as proxy, tempfile.TemporaryDirectory() as folder:
        client = ours.Client(proxy.url)
        names = list(client.objectives())
        run.check(version, "one function per objective", sorted(names) == sorted(objectives), f"{names}")
        trainer = trainer_with([*ours.trl_rewards(client), ours.trl_reward(client)], folder)
        prompts, completions = [c[:-1] for c in CONVERSATIONS], [c[-1:] for c in CONVERSATIONS]
        asked = len(proxy.seen)
        columns = table(trainer, prompts, completions)
        for name, column in zip(names, columns[:-1], strict=True):
            run.same(version, f"messages: {name} is the normalized score", column, normalized(name))
        run.same(
            version,
            "messages: the last column is /v1/score's combined",
            columns[-1],
            [float32(x) for x in run.combined],
        )
        run.check(
            version,
            "all functions share one request",
            len(proxy.seen) == asked + 1,
            f"{len(proxy.seen) - asked} requests",
        )
        turns = one_turn()
        columns = table(trainer, [p for _, p, _ in turns], [r for _, _, r in turns])
        expected = [float32(run.combined[i]) for i, _, _ in turns]
        run.same(version, "texts: the last column is /v1/score's combined", columns[-1], expected)
        errors(version, ours, trainer, proxy, prompts, completions)


def errors(version, ours, trainer, proxy, prompts, completions):
    """A busy server is waited for; an answer of no words is scored, and what cannot be scored stops the trainer."""
    other = [[{"role": "assistant", "content": c[0]["content"] + " Yes."}] for c in completions]
    proxy.failures, asked = 1, len(proxy.seen)
    columns = table(trainer, prompts, other)
    run.check(version, "503 is waited for", len(proxy.seen) == asked + 2, f"{len(proxy.seen) - asked} requests")
    run.same(version, "and the rewards are the same as without it", columns[-1], table(trainer, prompts, other)[-1])
    empty = [{"role": "assistant", "content": ""}]
    expected = [float32(run.score({"messages": prompts[0] + empty}))]
    run.same(version, "an answer of no words has a reward", table(trainer, prompts[:1], [empty])[-1], expected)
    user = [*completions[:-1], [{"role": "user", "content": "And you?"}]]
    stops, words = ours.EnsembleError, ["no reward was made up"]
    run.raises(
        version, "a user's turn as an answer stops the trainer", lambda: table(trainer, prompts, user), stops, words
    )


try:
    installed = importlib.metadata.version("trl")
except importlib.metadata.PackageNotFoundError:
    installed = None
if installed is None:
    run.not_run("", "all checks", "the package is not installed")
elif run.client is None:
    run.not_run(installed, "all checks", "clients/python/ensemble_client.py is not there")
else:
    run.guard(installed, "all checks", lambda: checks(installed))
run.end()
