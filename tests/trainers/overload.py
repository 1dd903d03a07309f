"""A server that is really full: check.py gives this script one whose queue holds two texts.

OpenRLHF and openai-python send all conversations at once; most are turned away with 503, and their own loops must have
every reward in the end. Nothing is replaced but what openrlhf_client.py replaces too.
"""

import asyncio
import importlib.metadata
import logging

from common import CONVERSATIONS, Proxy, Run, chatml, chatml_query, load, package

run = Run("overload")
logging.disable(logging.INFO)
OPENRLHF = "0.11.2"


def turned_away(version, proxy, what):
    """Whether the server was full at all; if it never was, nothing was shown."""
    asked, needed = len(proxy.seen), len(CONVERSATIONS)
    if asked == needed:
        return run.not_run(version, what, "the server was never full")
    return run.check(version, what, asked > needed, f"{asked} requests for {needed} rewards")


def openrlhf(root):
    """One query a request, tried again after a second, five times at most."""
    package("openrlhf", root / "openrlhf")
    package("openrlhf.utils", root / "openrlhf" / "utils")
    agent = load("openrlhf.utils.agent", root / "openrlhf" / "utils" / "agent.py")

    async def all_of_them(executor):
        requests = [executor._fetch_rewards_via_http([chatml_query(c)], [None], [None]) for c in CONVERSATIONS]
        return await asyncio.gather(*requests)

    with Proxy(run.server) as proxy:
        found = asyncio.run(all_of_them(agent.SingleTurnAgentExecutor(proxy.url + "/get_reward")))
        version = f"openrlhf {OPENRLHF}"
        run.same(version, "every reward in the end", [reply[0]["rewards"][0] for reply in found], run.combined)
        turned_away(version, proxy, "its loop asked again")


def openai_python():
    """Tried again after the seconds of Retry-After."""
    import openai

    async def all_of_them(url):
        client = openai.AsyncOpenAI(base_url=url + "/v1", api_key="unused", max_retries=8)
        create = client.embeddings.create
        return await asyncio.gather(
            *[create(model="any", input=chatml(c), encoding_format="float") for c in CONVERSATIONS]
        )

    with Proxy(run.server) as proxy:
        found = asyncio.run(all_of_them(proxy.url))
        version = f"openai {importlib.metadata.version('openai')}"
        run.same(version, "every reward in the end", [reply.data[0].embedding[0] for reply in found], run.combined)
        turned_away(version, proxy, "its loop asked again")


unpacked = run.unpacked("openrlhf", OPENRLHF)
if unpacked is None:
    run.not_run(f"openrlhf {OPENRLHF}", "all checks", "the package could not be had")
else:
    run.guard(f"openrlhf {OPENRLHF}", "all checks", lambda: openrlhf(unpacked))
run.guard("openai", "all checks", openai_python)
run.end()
