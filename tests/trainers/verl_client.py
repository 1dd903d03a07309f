"""verl's reward loop, which asks a discriminative reward model for one sample a request, against the server.

`RewardLoopWorker`, `DataProto`, the reward managers and the router are verl's own, from the constructor on. What is
replaced: ray (the worker is a plain object), and the modules that start a vLLM or SGLang server for the reward model,
because here the server is ours.
"""

import asyncio
import importlib
import logging
import os
import sys
import tempfile
import threading

import aiohttp
import numpy
import torch
from omegaconf import OmegaConf

from common import (
    CONVERSATIONS,
    Proxy,
    Run,
    byte_tokenizer,
    elapsed,
    float32,
    forget,
    package,
    ray_in_threads,
    stand_in,
)

run = Run("verl")
logging.disable(logging.ERROR)


def address(url):
    """What verl calls a router's address."""
    return url.removeprefix("http://")


def reward_loop(root):
    """The module of one version; the packages around it are verl's own but for what starts servers."""
    forget("verl", "ray")
    sys.path[:] = [str(root)] + [p for p in sys.path if "/verl-" not in p]
    ray_in_threads()
    importlib.import_module("verl")
    stand_in("ray.actor", "ray.util.placement_group", "ray.util.scheduling_strategies", "ray.experimental.state.api")
    stand_in("verl.single_controller.ray.base", "verl.workers.config", "verl.workers.rollout.replica")
    stand_in("verl.workers.reward_manager")
    package("verl.experimental", root / "verl" / "experimental")
    package("verl.experimental.reward_loop", root / "verl" / "experimental" / "reward_loop")
    stand_in("verl.experimental.reward_loop.reward_model")
    return importlib.import_module("verl.experimental.reward_loop.reward_loop")


def configuration(version, tokenizer, engine, function=None):
    """The keys that the worker reads, where each version has them."""
    custom = {"path": function and function[0], "name": function and function[1]}
    actor = {"model": {"path": tokenizer, "tokenizer_path": None}}
    if version.startswith("0.7.0"):
        model = {
            "enable": function is None,
            "model": {"path": tokenizer},
            "rollout": {"name": engine},
            "reward_manager": "naive",
        }
        return OmegaConf.create({"actor_rollout_ref": actor, "reward_model": model, "custom_reward_function": custom})
    reward = {
        "reward_model": {"enable": function is None, "model_path": tokenizer, "rollout": {"name": engine}},
        "reward_manager": {"source": "register", "name": "naive"},
        "custom_reward_function": custom,
        "sandbox_fusion": None,
    }
    return OmegaConf.create({"actor_rollout_ref": actor, "reward": reward})


def batch(tokenizer):
    """A rollout batch as the trainer hands it over: padded token tensors, prompts as messages."""
    from verl import DataProto

    prompts = [tokenizer.apply_chat_template(c[:-1], add_generation_prompt=True, tokenize=False) for c in CONVERSATIONS]
    prompts = [tokenizer(p, add_special_tokens=False)["input_ids"] for p in prompts]
    answers = [
        tokenizer(c[-1]["content"] + tokenizer.eos_token, add_special_tokens=False)["input_ids"] for c in CONVERSATIONS
    ]
    pad = tokenizer.pad_token_id
    left, right = max(map(len, prompts)), max(map(len, answers))
    tensors = {
        "prompts": torch.tensor([[pad] * (left - len(p)) + p for p in prompts]),
        "responses": torch.tensor([a + [pad] * (right - len(a)) for a in answers]),
        "attention_mask": torch.tensor(
            [
                [0] * (left - len(p)) + [1] * (len(p) + len(a)) + [0] * (right - len(a))
                for p, a in zip(prompts, answers, strict=True)
            ]
        ),
    }
    lists = {
        "raw_prompt": [c[:-1] for c in CONVERSATIONS],
        "data_source": ["ensemble"] * len(CONVERSATIONS),
        "reward_model": [{"ground_truth": ""}] * len(CONVERSATIONS),
        "extra_info": [{"prompt": c[:-1], "index": i} for i, c in enumerate(CONVERSATIONS)],
    }
    objects = {}
    for name, values in lists.items():
        objects[name] = numpy.empty(len(values), dtype=object)
        objects[name][:] = values
    return DataProto.from_dict(tensors=tensors, non_tensors=objects)


def outputs_of(module, arguments, data):
    """A worker, made in a running loop as ray makes it, and its outputs; all samples are asked for at once."""

    async def in_a_loop():
        worker = module.RewardLoopWorker(*arguments)
        return worker, await worker.compute_score_batch(data)

    return asyncio.run(in_a_loop())


def scores(module, arguments, data):
    """The rewards of a batch."""
    return [output["reward_score"] for output in outputs_of(module, arguments, data)[1]]


def engines(version, module, tokenizer, folder):
    """The two bodies verl sends, the numbers it reads, and that they become float32 at the last token."""
    data = batch(tokenizer)
    for engine, path in (("vllm", "/classify"), ("sglang", "/v1/embeddings")):
        with Proxy(run.server) as proxy:
            worker, outputs = outputs_of(module, (configuration(version, folder, engine), address(proxy.url)), data)
            found = [output["reward_score"] for output in outputs]
            run.same(version, f"{engine} rewards are /v1/score's combined, all digits", found, run.combined)
            sent, paths = proxy.bodies()[0], {seen[1] for seen in proxy.seen}
            keys = sorted(set(sent) - {"model", "input"})
            run.check(
                version,
                f"{engine} asks {path} for one sample a request",
                paths == {path},
                f"{len(proxy.seen)} requests, options {keys}",
            )
        assemble = getattr(getattr(worker, "reward_manager", None), "assemble_rm_scores", None)
        if assemble is not None:
            table = assemble(data, found).sum(dim=1)
            expected = [float32(x) for x in run.combined]
            run.same(version, f"{engine} rewards in the trainer's float32 tensor", table.tolist(), expected)
    return data


def errors(version, module, folder, data):
    """503 is waited for, a refusal ends the run at once."""
    config = configuration(version, folder, "vllm")
    with Proxy(run.server, failures=2) as proxy:
        found, seconds = elapsed(lambda: scores(module, (config, address(proxy.url)), data[:1]))
        run.same(version, "after two 503 the third try has the reward", found, run.combined[:1])
        figures = f"{len(proxy.seen)} requests, {seconds:.1f} s"
        run.check(version, "503 is tried again after 1 and 2 s", len(proxy.seen) == 3 and seconds >= 3, figures)
    with Proxy(run.server) as proxy:
        worker = module.RewardLoopWorker(config, address(proxy.url))
        refused = aiohttp.ClientResponseError
        body = {"model": folder, "input": "", "use_activation": False}
        run.raises(
            version, "an empty text is refused", lambda: asyncio.run(worker._post_request(body, "classify")), refused
        )
        run.check(version, "a refusal is not tried again", len(proxy.seen) == 1, f"{len(proxy.seen)} request")
    body = {"model": folder, "input": [1, 2, 3], "use_activation": False}
    worker = module.RewardLoopWorker(config, address(run.server))
    run.raises(version, "token ids are refused", lambda: asyncio.run(worker._post_request(body, "classify")), refused)


def custom_function(version, module, folder, data):
    """verl's reward managers call a function of a file; ours tells all objectives beside the score."""
    if run.client is None:
        return run.not_run(version, "clients/python as its reward function", "the file is not there")
    os.environ["ENSEMBLE_URL"] = run.server
    results = run.truth["results"]
    for function in ("compute_score", "compute_score_async"):
        config = configuration(version, folder, "vllm", (str(run.client), function))
        outputs = outputs_of(module, (config,), data)[1]
        run.same(version, f"clients/python {function}", [o["reward_score"] for o in outputs], run.combined)
        for name in results[0]["scores"]:
            found = [o["reward_extra_info"][name] for o in outputs]
            expected = [r["scores"][name]["normalized"] for r in results]
            run.same(version, f"clients/python {function}, {name} beside it", found, expected)
    return None


def router(version, module, tokenizer, folder):
    """verl's own router in front of the server: it passes the caller's headers on, the Host header too."""
    import uvicorn

    naive = importlib.import_module("verl.experimental.reward_loop.router.naive_router")
    application = naive.NaiveRouter(worker_urls=[run.server, run.server]).app
    server = uvicorn.Server(uvicorn.Config(application, host="127.0.0.1", port=0, log_level="critical"))
    threading.Thread(target=server.run, daemon=True).start()
    while not server.started:
        threading.Event().wait(0.05)
    port = server.servers[0].sockets[0].getsockname()[1]
    arguments = (configuration(version, folder, "vllm"), f"127.0.0.1:{port}")
    run.same(version, "rewards through verl's router", scores(module, arguments, batch(tokenizer)), run.combined)
    server.should_exit = True


def versions(version, root):
    """All checks of one version."""
    module = reward_loop(root)
    with tempfile.TemporaryDirectory() as folder:
        tokenizer = byte_tokenizer(folder)
        data = engines(version, module, tokenizer, folder)
        errors(version, module, folder, data)
        custom_function(version, module, folder, data)
        if (root / "verl/experimental/reward_loop/router/naive_router.py").exists():
            router(version, module, tokenizer, folder)


for row in ("0.7.0", "0.9.1"):
    found_root = run.unpacked("verl", row)
    if found_root is None:
        run.not_run(row, "all checks", "the package could not be had")
    else:
        run.guard(row, "all checks", lambda v=row, r=found_root: versions(v, r))
run.end()
