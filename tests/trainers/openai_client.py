"""openai-python, which speaks to vLLM and SGLang as to OpenAI: embeddings, models, generic requests for the rest.

Nothing is replaced.
"""

import asyncio
import importlib.metadata

import httpx
import openai

from common import (
    CONVERSATIONS,
    Proxy,
    Run,
    chatml,
    elapsed,
    float32,
    floats_of_base64,
    one_turn,
    sigmoid,
)

run = Run("openai")
VERSION = importlib.metadata.version("openai")
TEXTS = [chatml(c) for c in CONVERSATIONS]
REWARDS = [float32(x) for x in run.combined]
PAIRS = one_turn()
client = openai.OpenAI(base_url=run.server + "/v1", api_key="unused", max_retries=0)


def near(what, found, expected):
    """Logistic values: another library's exp may differ from ours in the last bits."""
    worst = max(abs(a - b) for a, b in zip(found, expected, strict=True))
    run.check(VERSION, what, worst <= 2**-52, f"{len(expected)} numbers, largest difference {worst:g}")


def post(path, **body):
    """A request that openai-python has no method for, sent with its generic one."""
    return client.post(path, cast_to=httpx.Response, body=body).json()


def models():
    """The first model's id is what vLLM's examples use for every request."""
    found = client.models.list().data
    run.check(VERSION, "there is a model", bool(found), f"{[m.id for m in found]}")
    return found[0].id


def embeddings(model):
    """As verl and SGLang read a reward: the only number of an embedding."""
    default = client.embeddings.create(model=model, input=TEXTS).data
    run.same(VERSION, "embeddings, base64 by default", [e.embedding[-1] for e in default], REWARDS)
    run.check(
        VERSION,
        "one number each, in order",
        [(len(e.embedding), e.index) for e in default] == [(1, i) for i in range(len(TEXTS))],
    )
    plain = client.embeddings.create(model=model, input=TEXTS, encoding_format="float").data
    run.same(VERSION, "embeddings as numbers, all digits", [e.embedding[-1] for e in plain], run.combined)
    single = client.embeddings.create(model="any name at all", input=TEXTS[0], encoding_format="float")
    run.same(VERSION, "one text and an unknown model's name", single.data[0].embedding, run.combined[:1])
    run.check(VERSION, "usage counts tokens", single.usage.prompt_tokens > 0, f"{single.usage}")

    async def all_of_them():
        later = openai.AsyncOpenAI(base_url=run.server + "/v1", api_key="unused", max_retries=0)
        return await asyncio.gather(
            *[later.embeddings.create(model=model, input=t, encoding_format="float") for t in TEXTS * 8]
        )

    found = [e.data[0].embedding[0] for e in asyncio.run(all_of_them())]
    run.same(VERSION, "48 requests at once", found, run.combined * 8)


def classification(model):
    """/v1/classify and /v1/pooling of vLLM, with every spelling of the option that takes the logistic function away."""
    for option in ("use_activation", "activation", "softmax", "normalize"):
        body = {"model": model, "input": TEXTS, option: False}
        run.same(
            VERSION,
            f"classify {option} false",
            [d["probs"][-1] for d in post("/classify", **body)["data"]],
            run.combined,
        )
        body[option] = True
        near(
            f"classify {option} true",
            [d["probs"][-1] for d in post("/classify", **body)["data"]],
            [sigmoid(x) for x in run.combined],
        )
    default = [d["probs"][-1] for d in post("/classify", model=model, input=TEXTS)["data"]]
    near("classify by default is sigma", default, [sigmoid(x) for x in run.combined])
    found = [
        post("/classify", model=model, messages=c, use_activation=False)["data"][-1]["probs"][-1] for c in CONVERSATIONS
    ]
    run.same(VERSION, "classify messages", found, run.combined)
    parts = [{**m, "content": [{"type": "text", "text": m["content"]}]} for m in CONVERSATIONS[0]]
    found = post("/classify", model=model, messages=parts, use_activation=False)["data"][0]["probs"]
    run.same(VERSION, "classify messages of content parts", found, run.combined[:1])
    raw = post("/pooling", model=model, input=TEXTS, use_activation=False)["data"]
    run.same(VERSION, "pooling", [d["data"][0] for d in raw], run.combined)
    packed = post("/pooling", model=model, input=TEXTS, use_activation=False, encoding_format="base64")["data"]
    run.same(VERSION, "pooling in base64", [floats_of_base64(d["data"])[0] for d in packed], REWARDS)


def pairs(model):
    """/v1/score and /v1/rerank of vLLM."""
    prompts, answers = [p for _, p, _ in PAIRS], [r for _, _, r in PAIRS]
    expected = [run.combined[i] for i, _, _ in PAIRS]
    for first, second in (("text_1", "text_2"), ("data_1", "data_2"), ("queries", "documents"), ("queries", "items")):
        body = {"model": model, first: prompts, second: answers, "use_activation": False}
        run.same(VERSION, f"score {first}, {second}", [d["score"] for d in post("/score", **body)["data"]], expected)
    found = post("/score", model=model, text_1=prompts[0], text_2=answers, use_activation=False)["data"]
    run.check(VERSION, "one prompt for all answers", len(found) == len(answers) and found[0]["score"] == expected[0])
    ranked = post("/rerank", model=model, query=prompts[0], documents=answers, use_activation=False)["results"]
    order = [r["relevance_score"] for r in ranked]
    run.check(VERSION, "rerank puts high scores first", order == sorted(order, reverse=True), f"{order}")
    same = {r["index"]: r["relevance_score"] for r in ranked} == {d["index"]: d["score"] for d in found}
    run.check(VERSION, "rerank and score agree to the last bit", same)
    best = post("/rerank", model=model, query=prompts[0], documents=answers, top_n=2, use_activation=False)["results"]
    run.check(VERSION, "top_n", best == ranked[:2], f"{[b['index'] for b in best]}")


def errors(model):
    """Types of errors, and which of them are tried again."""
    create = client.embeddings.create
    refused = (openai.BadRequestError, openai.UnprocessableEntityError)
    run.raises(VERSION, "an empty text", lambda: create(model=model, input=[TEXTS[0], ""]), refused, ["response"])
    run.raises(VERSION, "token ids", lambda: create(model=model, input=[1, 2, 3]), refused, ["token"])
    run.raises(VERSION, "no input", lambda: create(model=model, input=[]), refused)
    run.raises(VERSION, "no such route", lambda: post("/nothing"), openai.NotFoundError)
    with Proxy(run.server, failures=2) as proxy:
        patient = openai.OpenAI(base_url=proxy.url + "/v1", api_key="unused", max_retries=2)
        reply, seconds = elapsed(lambda: patient.embeddings.create(model=model, input=TEXTS, encoding_format="float"))
        run.same(
            VERSION, "after two 503 the third try has the rewards", [d.embedding[0] for d in reply.data], run.combined
        )
        figures = f"{len(proxy.seen)} requests, {seconds:.1f} s"
        run.check(VERSION, "503 is tried again when Retry-After says", len(proxy.seen) == 3 and seconds >= 2, figures)


def checks():
    """All of them, with the model's name that the server gives."""
    model = models()
    for group in (embeddings, classification, pairs, errors):
        run.guard(VERSION, group.__name__, lambda g=group: g(model))


run.guard(VERSION, "all checks", checks)
run.end()
