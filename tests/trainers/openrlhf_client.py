"""OpenRLHF's own request code, one version for every row of what it sends, against the server's /get_reward.

What is replaced: ray (tasks run in threads), vllm (the answer is given, so that it has one score), and modules that the
files import but do not use on the way of a reward: models, trainers, deepspeed. Requests, retries, sharding and the
conversion to tensors are theirs.
"""

import asyncio
import logging
import os
import types

from common import (
    CONVERSATIONS,
    Proxy,
    Run,
    byte_tokenizer,
    chatml_prompt,
    chatml_query,
    elapsed,
    float32,
    forget,
    load,
    package,
    ray_in_threads,
    sigmoid,
    stand_in,
)

run = Run("openrlhf")
logging.disable(logging.INFO)
URL = run.server + "/get_reward"
QUERIES = [chatml_query(c) for c in CONVERSATIONS]
PROMPTS = [chatml_prompt(c) for c in CONVERSATIONS]
LABELS = [None, "a string", 3, None, {"answer": [1]}, None]
REWARDS = [float32(x) for x in run.combined]
OBJECTIVES = list(run.truth["results"][0]["scores"])
BAD = {"query": ["", QUERIES[0]], "prompts": ["", PROMPTS[0]], "labels": [None, None]}


def normalized(objective):
    """An objective's normalized scores of all conversations, as float32."""
    return [float32(result["scores"][objective]["normalized"]) for result in run.truth["results"]]


def modules(root):
    """The packages of one version, whose __init__ files would import all of training."""
    forget("openrlhf", "ray")
    ray_in_threads()
    for name in ("", ".utils", ".trainer", ".trainer.ppo_utils"):
        package(f"openrlhf{name}", root / "openrlhf" / name.replace(".", "/").lstrip("/"))
    stand_in("vllm", "openrlhf.models.utils", "openrlhf.trainer.ray.launcher", "openrlhf.trainer.ray.vllm_engine")
    return root / "openrlhf"


def errors(version, request, attempts):
    """Every failure is tried again, whatever its status, and then raised."""
    with Proxy(run.server, failures=2) as proxy:
        url = proxy.url + "/get_reward"
        value, seconds = elapsed(lambda: request(url, {"query": QUERIES[:1], "prompts": PROMPTS[:1], "labels": [None]}))
        rewards = value["rewards"] if isinstance(value, dict) else value
        run.same(version, "after two 503 the third try has the reward", rewards, run.combined[:1])
        waited = f"{len(proxy.seen)} requests, {seconds:.1f} s"
        run.check(version, "503 is tried again after a pause", len(proxy.seen) == 3 and seconds >= 2, waited)
    with Proxy(run.server) as proxy:
        url = proxy.url + "/get_reward"
        words = ["Request error for 2 times"]
        run.raises(version, "an empty query is refused", lambda: attempts(url, BAD), Exception, words)
        run.check(version, "a refused request is tried again too", len(proxy.seen) == 2, f"{len(proxy.seen)} requests")


def function_of_the_batch(version, root, arguments):
    """0.4 to 0.7: one function, the whole batch, a float32 tensor."""
    rm = load("openrlhf.utils.remote_rm_utils", modules(root) / "utils" / "remote_rm_utils.py")
    lists = [QUERIES, PROMPTS, LABELS][:arguments]
    tensor = rm.remote_rm_fn(URL, *lists)
    run.check(version, "rewards become float32", str(tensor.dtype) == "torch.float32", str(tensor.dtype))
    run.same(version, f"rewards of {len(QUERIES)} queries are /v1/score's combined", tensor.tolist(), REWARDS)
    padded = [chatml_query(c, left=i, right=2 * i) for i, c in enumerate(CONVERSATIONS)]
    run.same(version, "padding tokens on both sides change nothing", rm.remote_rm_fn(URL, padded, *lists[1:]), REWARDS)
    import ray

    refs = [rm.remote_rm_fn_ray.remote(url, *lists) for url in (URL, URL)]
    for tensor in ray.get(refs):
        run.same(version, "each of two URLs has the whole batch", tensor.tolist(), REWARDS)
    empty = rm.remote_rm_fn(URL, *[[] for _ in lists])
    run.check(version, "an empty shard has no rewards", list(empty.shape) == [0], f"shape {list(empty.shape)}")
    errors(version, rm.request_api_wrapper, lambda url, data: rm.request_api_wrapper(url, data, try_max_times=2))


def sharded_reward_model(version, root):
    """0.8: the batch split over the URLs, rewards, scores and extra_logs put into samples."""
    folder = modules(root)
    rm = load("openrlhf.utils.remote_rm_utils", folder / "utils" / "remote_rm_utils.py")
    maker = load(
        "openrlhf.trainer.ppo_utils.experience_maker", folder / "trainer" / "ppo_utils" / "experience_maker.py"
    )
    model = rm.RemoteRewardModel(types.SimpleNamespace(micro_rollout_batch_size=2), [URL] * 4)
    replies = model.get_rewards(QUERIES, PROMPTS, LABELS)
    # Four URLs and six queries: shards of two, the last URL has none.
    run.check(version, "the last of four URLs has an empty shard", replies[3]["rewards"] == [], f"{replies[3]}")
    samples = [types.SimpleNamespace(sequences=[q], info={}) for q in QUERIES]
    maker.update_samples_with_rewards(replies, samples)
    run.same(version, "samples hold /v1/score's combined", [s.rewards.item() for s in samples], REWARDS)
    run.same(
        version,
        "samples hold its sigma as score",
        [s.scores.item() for s in samples],
        [float32(sigmoid(x)) for x in run.combined],
    )
    errors(version, rm.request_api_wrapper, lambda url, data: rm.request_api_wrapper(url, data, try_max_times=2))


class Engine:
    """Answers with the conversation's own answer, where vLLM would write one."""

    def __init__(self, tokenizer, answer):
        self.ids = tokenizer(text=answer + "<|im_end|>", add_special_tokens=False)["input_ids"]

    async def generate(self, *_, **__):
        output = types.SimpleNamespace(token_ids=self.ids, finish_reason="stop", logprobs=None, text="")
        return types.SimpleNamespace(outputs=[output])


def rollouts(executor, tokenizer):
    """The outputs of the executor for all conversations at once, as vLLM's engine actor gathers them."""
    parameters = types.SimpleNamespace(max_tokens=4096, logprobs=None)

    async def all_of_them():
        engines = [Engine(tokenizer, c[-1]["content"]) for c in CONVERSATIONS]
        return await asyncio.gather(
            *[
                executor.execute(prompt, label, parameters, 65536, tokenizer, engine)
                for prompt, label, engine in zip(PROMPTS, LABELS, engines, strict=True)
            ]
        )

    return asyncio.run(all_of_them())


def single_turn_executor(version, root, empty_shards):
    """0.9 and later: one query a request with aiohttp, then the tensors of an experience."""
    folder = modules(root)
    agent = load("openrlhf.utils.agent", folder / "utils" / "agent.py")
    generator = load(
        "openrlhf.trainer.ppo_utils.samples_generator", folder / "trainer" / "ppo_utils" / "samples_generator.py"
    )
    tokenizer = byte_tokenizer()
    outputs = rollouts(agent.SingleTurnAgentExecutor(URL), tokenizer)
    run.same(version, "rewards are /v1/score's combined, all digits", [o["reward"][0] for o in outputs], run.combined)
    maker = generator.SamplesGenerator.__new__(generator.SamplesGenerator)
    experiences = [maker._process_response_into_experience(o, max_len=65536) for o in outputs]
    run.same(version, "experiences hold it as float32", [e.rewards.item() for e in experiences], REWARDS)
    run.same(
        version,
        "experiences hold sigma as score",
        [e.scores.item() for e in experiences],
        [float32(sigmoid(x)) for x in run.combined],
    )
    for objective in OBJECTIVES:
        values = [e.info[objective].item() for e in experiences]
        run.same(version, f"extra_logs carry {objective}", values, normalized(objective))
    with Proxy(run.server) as second, Proxy(run.server) as third:
        urls = [URL, second.url + "/get_reward", third.url + "/get_reward"]
        outputs = rollouts(agent.SingleTurnAgentExecutor(urls), tokenizer)
        run.same(version, "rewards with three URLs", [o["reward"][0] for o in outputs], run.combined)
        empty = sum(body["query"] == [] for body in second.bodies() + third.bodies())
        run.check(version, "URLs without a query get empty shards", empty == empty_shards, f"{empty} seen by two URLs")
    asyncio_errors(version, agent, tokenizer)
    if run.client is None:
        return run.not_run(version, "clients/python as its reward function", "the file is not there")
    os.environ["ENSEMBLE_URL"] = run.server
    outputs = rollouts(agent.SingleTurnAgentExecutor(str(run.client)), tokenizer)
    return run.same(version, "clients/python as its reward function", [o["reward"][0] for o in outputs], run.combined)


def asyncio_errors(version, agent, tokenizer):
    """Two 503 are waited for; five refusals are an error (which `execute` logs, so that the reward stays empty)."""
    with Proxy(run.server, failures=2) as proxy:
        executor = agent.SingleTurnAgentExecutor(proxy.url + "/get_reward")
        found, seconds = elapsed(
            lambda: asyncio.run(executor._fetch_rewards_via_http(QUERIES[:1], PROMPTS[:1], [None]))
        )
        run.same(version, "after two 503 the third try has the reward", found[0]["rewards"], run.combined[:1])
        waited = f"{len(proxy.seen)} requests, {seconds:.1f} s"
        run.check(version, "503 is tried again after a pause", len(proxy.seen) == 3 and seconds >= 2, waited)
    executor = agent.SingleTurnAgentExecutor(URL)
    engine, parameters = Engine(tokenizer, ""), types.SimpleNamespace(max_tokens=64, logprobs=None)
    output = asyncio.run(executor.execute(PROMPTS[0], None, parameters, 65536, tokenizer, engine))
    expected = run.score({"messages": [*CONVERSATIONS[0][:-1], {"role": "assistant", "content": ""}]})
    run.same(version, "an answer of no words has a reward too", output["reward"], [expected])
    with Proxy(run.server) as proxy:
        executor = agent.SingleTurnAgentExecutor(proxy.url + "/get_reward")
        request = executor._fetch_rewards_via_http([""], [""], [None])
        words = ["Request error for 5 times"]
        run.raises(version, "an empty query is refused", lambda: asyncio.run(request), RuntimeError, words)
        run.check(version, "a refused request is tried again too", len(proxy.seen) == 5, f"{len(proxy.seen)} requests")


ROWS = [
    ("0.4.6", lambda version, root: function_of_the_batch(version, root, 1)),
    ("0.5.9.post1", lambda version, root: function_of_the_batch(version, root, 2)),
    ("0.7.5", lambda version, root: function_of_the_batch(version, root, 3)),
    ("0.8.11", sharded_reward_model),
    ("0.9.10", lambda version, root: single_turn_executor(version, root, 2 * len(CONVERSATIONS))),
    ("0.11.2", lambda version, root: single_turn_executor(version, root, 0)),
]
for row_version, checks in ROWS:
    row_root = run.unpacked("openrlhf", row_version)
    if row_root is None:
        run.not_run(row_version, "all checks", "the package could not be had")
    else:
        run.guard(row_version, "all checks", lambda c=checks, v=row_version, r=row_root: c(v, r))
run.end()
