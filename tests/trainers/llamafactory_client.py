"""LLaMA-Factory's PPO asks a reward server with one function; it is run unchanged against /v1/score/evaluation.

The packages above the file are entered without their __init__, which would import all of training; nothing is replaced.
"""

import json
import logging

from common import CONVERSATIONS, Proxy, Run, chatml_query, float32, load, package

run = Run("llamafactory")
logging.disable(logging.ERROR)
VERSION = "0.9.5"
URL = run.server + "/v1/score/evaluation"


def checks(root):
    """Rewards, the body that is sent, and what a user sees of an error: the function does not look at the status."""
    for name in ("", ".extras", ".train", ".train.ppo"):
        package(f"llamafactory{name}", root / "llamafactory" / name.replace(".", "/").lstrip("/"))
    ppo = load("llamafactory.train.ppo.ppo_utils", root / "llamafactory" / "train" / "ppo" / "ppo_utils.py")
    messages = [chatml_query(c) for c in CONVERSATIONS]
    rewards = ppo.get_rewards_from_server(URL, messages)
    run.check(VERSION, "rewards become float32", str(rewards.dtype) == "torch.float32", str(rewards.dtype))
    run.same(VERSION, "rewards are /v1/score's combined", rewards.tolist(), [float32(x) for x in run.combined])
    with Proxy(run.server) as proxy:
        single = ppo.get_rewards_from_server(proxy.url + "/v1/score/evaluation", messages[:1])
        run.same(VERSION, "one message has the same reward", single.tolist(), rewards.tolist()[:1])
        (body,) = proxy.bodies()
        run.check(
            VERSION, "the body has model and messages", sorted(body) == ["messages", "model"], json.dumps(sorted(body))
        )
        path = proxy.url + "/v1/score/evaluation"
        # `scores` is read from whatever comes back, so that an error is a KeyError on the trainer's side.
        run.raises(
            VERSION, "no messages are an error", lambda: ppo.get_rewards_from_server(path, []), KeyError, ["scores"]
        )
        run.raises(
            VERSION,
            "an empty message is an error",
            lambda: ppo.get_rewards_from_server(path, [""]),
            KeyError,
            ["scores"],
        )
    with Proxy(run.server, failures=1) as proxy:
        path = proxy.url + "/v1/score/evaluation"
        run.raises(
            VERSION, "503 is not tried again", lambda: ppo.get_rewards_from_server(path, messages), KeyError, ["scores"]
        )
        run.check(VERSION, "one request was sent", len(proxy.seen) == 1, f"{len(proxy.seen)} request")


found_root = run.unpacked("llamafactory", VERSION)
if found_root is None:
    run.not_run(VERSION, "all checks", "the package could not be had")
else:
    run.guard(VERSION, "all checks", lambda: checks(found_root))
run.end()
