"""Clients of Text Embeddings Inference: tei-client, teicli, huggingface_hub's InferenceClient, llama-index's reranker.

Nothing is replaced but llama-index's base classes, which its reranker needs for its place in a pipeline, not for its
request.
(The file is not called tei_client.py, because that is the name of a package it imports.)
"""

import asyncio
import importlib
import importlib.metadata
import sys
import types

from common import CONVERSATIONS, Proxy, Run, chatml, one_turn, package, sigmoid, stand_in

run = Run("tei-client")
TEXTS = [chatml(c) for c in CONVERSATIONS]
SIGMAS = [sigmoid(x) for x in run.combined]
PAIRS = one_turn()
RERANKER = "llama-index-postprocessor-tei-rerank"


def near(version, what, found, expected):
    """Logistic values: another library's exp may differ from ours in the last bits."""
    worst = max(abs(a - b) for a, b in zip(found, expected, strict=True))
    run.check(version, what, worst <= 2**-52, f"{len(expected)} numbers, largest difference {worst:g}")


def tei_client(version):
    """/info decides what it may ask; /predict always in batches."""
    from tei_client import HttpClient

    client = HttpClient(run.server, timeout=60)
    run.check(version, "healthy", client.health())
    info = client.info()
    labels = info.server_model_metadata.id2label
    run.check(
        version,
        "info is a classifier's",
        info.server_model_type.value == "classifier",
        f"labels {labels}, {info.max_client_batch_size} texts",
    )
    results = client.classify(TEXTS, raw_scores=True)
    run.same(version, "raw scores are /v1/score's combined", [r.scores[0].score for r in results], run.combined)
    run.check(
        version, "labels are those of /info", {s.label for r in results for s in r.scores} <= set(labels.values())
    )
    near(version, "scores are sigma of it by default", [r.scores[0].score for r in client.classify(TEXTS)], SIGMAS)
    (single,) = client.classify(TEXTS[0], raw_scores=True)
    run.same(version, "a single text", [single.scores[0].score], run.combined[:1])
    pairs = client.classify([(prompt, response) for _, prompt, response in PAIRS], raw_scores=True)
    run.same(
        version,
        "pairs are prompt and response",
        [r.scores[0].score for r in pairs],
        [run.combined[i] for i, _, _ in PAIRS],
    )
    later = asyncio.run(HttpClient(run.server, timeout=60).async_classify(TEXTS, raw_scores=True, truncate=True))
    run.same(version, "asynchronous, truncated", [r.scores[0].score for r in later], run.combined)
    reply = client.client.post("/predict", json={"inputs": [[""]]})
    body = reply.json()
    shape = (
        reply.status_code >= 400
        and isinstance(body["error"], str)
        and body["error_type"] in ("Validation", "Empty", "Tokenizer")
    )
    run.check(version, "an empty text is refused in TEI's shape", shape, f"{reply.status_code} {body}"[:160])
    reply = client.client.post("/predict", json={"inputs": TEXTS[:3]})
    run.check(
        version,
        "a flat list of three is refused, as TEI does",
        400 <= reply.status_code < 500,
        f"{reply.status_code} {reply.json()}"[:160],
    )
    busy = {"error": "Model is overloaded", "error_type": "Overloaded"}
    with Proxy(run.server, status=429, body=busy) as proxy:
        slow = HttpClient(proxy.url, timeout=60)
        slow.info()
        proxy.failures, asked = 1, len(proxy.seen)
        run.raises(version, "429 is an error", lambda: slow.classify(TEXTS), Exception)
        run.check(
            version, "429 is not tried again", len(proxy.seen) <= asked + 2, f"{len(proxy.seen) - asked} requests"
        )


def teicli(version):
    """Asks /health before anything; /info and /metrics."""
    from tei import TEIClient

    host, port = run.server.removeprefix("http://").split(":")
    client = TEIClient(host, int(port))
    run.check(version, "healthy", client.health())
    run.check(version, "info is an object", isinstance(client.info()["model_type"], dict), f"{client.info()}"[:120])
    run.check(version, "metrics are text", "# TYPE" in client.metrics(), f"{len(client.metrics())} characters")


def inference_client(version):
    """Posts to the URL it was given and takes the first element of the list."""
    from huggingface_hub import InferenceClient
    from huggingface_hub.errors import HfHubHTTPError

    def first(value):
        return value[0] if isinstance(value, list) else value

    for path in ("", "/predict"):
        client = InferenceClient(model=run.server + path, timeout=60)
        raw = [first(client.text_classification(t, function_to_apply="none", top_k=1)).score for t in TEXTS]
        run.same(version, f"{path or '/'} function_to_apply none", raw, run.combined)
        near(version, f"{path or '/'} by default", [first(client.text_classification(t)).score for t in TEXTS], SIGMAS)
        sigma = [first(client.text_classification(t, function_to_apply="sigmoid")).score for t in TEXTS]
        near(version, f"{path or '/'} function_to_apply sigmoid", sigma, SIGMAS)
        run.raises(
            version,
            f"{path or '/'} an empty text",
            lambda c=client: c.text_classification(" "),
            HfHubHTTPError,
            ["response"],
        )
    client = InferenceClient(model=run.server, provider="hf-inference", token="none", timeout=60)
    run.check(version, "healthy", client.health_check() is True)
    run.check(version, "endpoint info", "model_id" in client.get_endpoint_info(), f"{client.get_endpoint_info()}"[:120])


def reranker(version, root):
    """Posts query and texts to /rerank and reads index and score of each result."""
    for name in (
        "",
        ".core",
        ".core.bridge",
        ".core.instrumentation",
        ".core.instrumentation.events",
        ".core.callbacks",
    ):
        package(f"llama_index{name}", root / "none")
    stand_in(
        "llama_index.core.bridge.pydantic", "llama_index.core.instrumentation.events.rerank", "llama_index.core.schema"
    )
    stand_in("llama_index.core.postprocessor.types")
    stand_in("llama_index.core.callbacks")
    sys.modules["llama_index.core.instrumentation"].get_dispatcher = lambda _: types.SimpleNamespace(
        event=lambda _: None
    )
    sys.modules["llama_index.core.callbacks"].CBEventType = sys.modules["llama_index.core.callbacks"].EventPayload = (
        None
    )
    package("llama_index.postprocessor", root / "llama_index" / "postprocessor")
    module = importlib.import_module("llama_index.postprocessor.tei_rerank.base")
    ranker = module.TextEmbeddingInference.__new__(module.TextEmbeddingInference)
    ranker.base_url, ranker.timeout, ranker.auth_token = run.server, 60.0, None
    _, prompt, response = PAIRS[0]
    texts = [response, "I do not know.", "Ask somebody else about eggs.", response + " Enjoy!"]
    results = ranker._call_api(prompt, texts)
    run.check(
        version, "as many results as texts, each once", sorted(r["index"] for r in results) == list(range(len(texts)))
    )
    scores = [r["score"] for r in results]
    run.check(version, "high scores first", scores == sorted(scores, reverse=True), f"{scores}")
    of_the_answer = next(r["score"] for r in results if r["index"] == 0)
    near(version, "scores are sigma of /v1/score's combined", [of_the_answer], [SIGMAS[PAIRS[0][0]]])


for name, group in (("tei-client", tei_client), ("teicli", teicli), ("huggingface_hub", inference_client)):
    run.peer = name
    try:
        installed = importlib.metadata.version(name)
    except importlib.metadata.PackageNotFoundError:
        run.not_run("", "all checks", "the package is not installed")
        continue
    run.guard(installed, "all checks", lambda g=group, v=installed: g(v))
run.peer, unpacked = RERANKER, run.unpacked(RERANKER, "0.6.0")
if unpacked is None:
    run.not_run("0.6.0", "all checks", "the package could not be had")
else:
    run.guard("0.6.0", "all checks", lambda: reranker("0.6.0", unpacked))
run.end()
