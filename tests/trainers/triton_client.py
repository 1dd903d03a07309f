"""Triton's HTTP client, PyTriton's clients, and NeMo-Aligner's communicator, against the server's /v2 routes.

Nothing is replaced but `nemo.utils`, of which NeMo-Aligner's communicator uses the logger, and the modules with which
PyTriton would start a Triton server.
"""

import importlib
import importlib.metadata
import logging
import sys

import numpy
import tritonclient.http as triton
from tritonclient.utils import InferenceServerException

from common import CONVERSATIONS, Proxy, Run, chatml, float32, package, stand_in

run = Run("triton")
TRITON = importlib.metadata.version("tritonclient")
PYTRITON, NEMO = "0.7.0", "0.7.0"
MODEL = "reward_model"
TEXTS = [chatml(c) for c in CONVERSATIONS]
REWARDS = [float32(x) for x in run.combined]
HOST = run.server.removeprefix("http://")


def sentences(texts):
    """The tensor of NeMo's clients: UTF-8 bytes, one text a row."""
    return numpy.array([[text.encode()] for text in texts], dtype=object)


def tensor(name, array, kind, binary=True):
    """An input of a request."""
    request = triton.InferInput(name, list(array.shape), kind)
    request.set_data_from_numpy(array, binary_data=binary)
    return request


def described(client):
    """What clients ask before they send anything."""
    health = [
        client.is_server_live(),
        client.is_server_ready(),
        client.is_model_ready(MODEL),
        client.is_model_ready(MODEL, "1"),
    ]
    run.check(TRITON, "server and model are ready", all(health), f"{health}")
    run.check(TRITON, "another model is not ready", not client.is_model_ready("another"))
    server, model = client.get_server_metadata(), client.get_model_metadata(MODEL)
    run.check(
        TRITON,
        "the server has a name and a version",
        {"name", "version", "extensions"} <= set(server),
        f"{server}"[:120],
    )
    (given,) = [i for i in model["inputs"] if i["name"] == "sentences"]
    (taken,) = model["outputs"]
    shapes = given["datatype"] == "BYTES" and taken["name"] == "rewards" and taken["datatype"] == "FP32"
    run.check(TRITON, "metadata names sentences and rewards", shapes and len(taken["shape"]) == 2, f"{given}, {taken}")
    config = client.get_model_config(MODEL)
    run.check(
        TRITON,
        "the configuration allows batches",
        config["max_batch_size"] > 0,
        f"max_batch_size {config['max_batch_size']}",
    )
    index = client.get_model_repository_index()
    run.check(
        TRITON,
        "the index has the model, ready",
        [m["state"] for m in index if m["name"] == MODEL] == ["READY"],
        f"{index}",
    )
    words = ["another"]
    run.raises(
        TRITON,
        "another model's metadata is an error",
        lambda: client.get_model_metadata("another"),
        InferenceServerException,
        words,
    )


def inference(client):
    """Binary and JSON tensors in both directions, compressed bodies, several requests at once."""
    array, wanted = sentences(TEXTS), triton.InferRequestedOutput
    for given in (True, False):
        for taken in (True, False):
            what = f"{'binary' if given else 'JSON'} sentences, {'binary' if taken else 'JSON'} rewards"
            reply = client.infer(
                MODEL, [tensor("sentences", array, "BYTES", given)], outputs=[wanted("rewards", binary_data=taken)]
            )
            rewards = reply.as_numpy("rewards")
            shape = rewards.dtype == numpy.float32 and rewards.shape == (len(TEXTS), 1)
            run.check(TRITON, f"{what}: float32, one column", shape, f"{rewards.dtype} {rewards.shape}")
            run.same(TRITON, what, rewards[:, 0], REWARDS)
    inputs = [tensor("sentences", array, "BYTES")]
    run.same(TRITON, "no outputs named", client.infer(MODEL, inputs).as_numpy("rewards")[:, 0], REWARDS)
    reply = client.infer(MODEL, inputs, model_version="1", request_id="seventeen")
    run.same(TRITON, "version and request id", reply.as_numpy("rewards")[:, 0], REWARDS)
    run.check(
        TRITON, "the id comes back", reply.get_response().get("id") == "seventeen", f"{reply.get_response()}"[:160]
    )
    one = numpy.array([[text.encode()] for text in TEXTS[:1]])
    run.same(
        TRITON,
        "an S array",
        client.infer(MODEL, [tensor("sentences", one, "BYTES")]).as_numpy("rewards")[:, 0],
        REWARDS[:1],
    )
    waiting = [client.async_infer(MODEL, [tensor("sentences", sentences([text]), "BYTES")]) for text in TEXTS]
    run.same(
        TRITON, "one text a request, all at once", [w.get_result().as_numpy("rewards")[0, 0] for w in waiting], REWARDS
    )


def compression(client):
    """Compressed bodies are an option of the client; a server may refuse them, but not misread them."""
    inputs = [tensor("sentences", sentences(TEXTS), "BYTES")]
    for kind in ("gzip", "deflate"):
        try:
            rewards = client.infer(MODEL, inputs, request_compression_algorithm=kind).as_numpy("rewards")[:, 0]
            run.same(TRITON, f"a body compressed with {kind}", rewards, REWARDS)
        except InferenceServerException as error:
            run.check(TRITON, f"a body compressed with {kind} is refused", error.status() == "415", f"{error}"[:160])
        rewards = client.infer(MODEL, inputs, response_compression_algorithm=kind).as_numpy("rewards")[:, 0]
        run.same(TRITON, f"a reply asked for in {kind}", rewards, REWARDS)


def refusals(client):
    """Errors are text that tells the user what to send."""
    tokens, lengths = numpy.array([[1, 2, 3]], dtype=numpy.int64), numpy.array([[3]], dtype=numpy.int64)
    cases = {
        "token ids": ([tensor("tokens", tokens, "INT64"), tensor("sequence_lengths", lengths, "INT64")], ["sentences"]),
        "an empty sentence": ([tensor("sentences", sentences(["", TEXTS[0]]), "BYTES")], ["response"]),
        "sentences of numbers": ([tensor("sentences", tokens, "INT64")], ["BYTES"]),
        "bytes that are no UTF-8": (
            [tensor("sentences", numpy.array([[b"\xff\xfe"]], dtype=object), "BYTES")],
            ["UTF-8"],
        ),
        "another input": ([tensor("input_ids", tokens, "INT64")], ["sentences"]),
    }
    for what, (inputs, words) in cases.items():
        run.raises(
            TRITON,
            f"{what} are refused in words",
            lambda i=inputs: client.infer(MODEL, i),
            InferenceServerException,
            words,
        )
    inputs = [tensor("sentences", sentences(TEXTS[:1]), "BYTES")]
    run.raises(
        TRITON,
        "another model is unknown",
        lambda: client.infer("another", inputs),
        InferenceServerException,
        ["another"],
    )
    busy = {"error": "the queue is full"}
    with Proxy(run.server, failures=1, body=busy) as proxy:
        other = triton.InferenceServerClient(proxy.url.removeprefix("http://"))
        run.raises(
            TRITON,
            "503 is not tried again",
            lambda: other.infer(MODEL, inputs),
            InferenceServerException,
            ["queue is full"],
        )
        run.same(
            TRITON, "the next request is answered", other.infer(MODEL, inputs).as_numpy("rewards")[:, 0], REWARDS[:1]
        )


def pytriton(root):
    """PyTriton's clients: they poll, read the configuration, and ask for every output it names."""
    run.peer = "pytriton"
    sys.path.insert(0, str(root))
    package("pytriton", root / "pytriton")
    stand_in("pytriton.triton")
    module = importlib.import_module("pytriton.client")
    logging.getLogger("pytriton").setLevel(logging.CRITICAL)
    with module.ModelClient(run.server, MODEL, init_timeout_s=20) as client:
        batch = client.infer_batch(sentences=sentences(TEXTS))["rewards"]
        run.check(
            PYTRITON, "rewards are float32, one column", batch.dtype == numpy.float32 and batch.shape == (len(TEXTS), 1)
        )
        run.same(PYTRITON, "a batch", batch[:, 0], REWARDS)
        run.same(PYTRITON, "a batch by position", client.infer_batch(sentences(TEXTS))["rewards"][:, 0], REWARDS)
        sample = client.infer_sample(sentences=sentences(TEXTS[:1])[0])["rewards"]
        run.same(PYTRITON, "a sample", sample, REWARDS[:1])
        tokens, lengths = numpy.array([[1, 2]], dtype=numpy.int64), numpy.array([[2]], dtype=numpy.int64)
        error = module.client.PyTritonClientInferenceServerError
        run.raises(
            PYTRITON,
            "token ids",
            lambda: client.infer_batch(tokens=tokens, sequence_lengths=lengths),
            error,
            ["sentences"],
        )
    with module.ModelClient(run.server, MODEL, "1", lazy_init=False, init_timeout_s=20) as client:
        run.same(
            PYTRITON, "version 1, configuration first", client.infer_batch(sentences(TEXTS))["rewards"][:, 0], REWARDS
        )
    with module.ModelClient(run.server, "another", init_timeout_s=1) as client:
        late = module.client.PyTritonClientTimeoutError
        run.raises(
            PYTRITON, "another model never gets ready", lambda: client.infer_batch(sentences(TEXTS)), late, ["another"]
        )


def nemo(root):
    """NeMo-Aligner's communicator; its own reward client sends token ids of the policy, which cannot be scored."""
    run.peer = "nemo-aligner"
    package("nemo_aligner", root / "nemo_aligner")
    package("nemo_aligner.servers", root / "nemo_aligner" / "servers")
    stand_in("nemo.utils")
    sys.modules["nemo.utils"].logging = logging
    module = importlib.import_module("nemo_aligner.servers.http_communicator")
    host, port = HOST.split(":")
    communicator = module.HTTPCommunicator.create_http_communicator_from_dict({MODEL: (host, int(port))})
    futures = [communicator.send_data_to_server(MODEL, {"sentences": sentences([text])}) for text in TEXTS]
    run.same(NEMO, "futures of one sentence", [f.result()["rewards"][0, 0] for f in futures], REWARDS)
    batch = communicator.send_data_to_server(MODEL, {"sentences": sentences(TEXTS)}).result()["rewards"]
    run.same(NEMO, "a future of all sentences, in two dimensions", batch[:, 0], REWARDS)
    data = {
        "tokens": numpy.ones((2, 8), dtype=numpy.int64),
        "sequence_lengths": numpy.full((2, 1), 8, dtype=numpy.int64),
    }
    error = sys.modules["pytriton.client.exceptions"].PyTritonClientInferenceServerError
    run.raises(
        NEMO, "a rollout's token ids", communicator.send_data_to_server(MODEL, data).result, error, ["sentences"]
    )
    communicator.close()


def both(pytriton_root, nemo_root):
    """NeMo-Aligner's communicator needs PyTriton's client."""
    run.guard(PYTRITON, "PyTriton's clients", lambda: pytriton(pytriton_root))
    if nemo_root is None:
        return run.not_run(NEMO, "NeMo-Aligner's communicator", "the package could not be had")
    return run.guard(NEMO, "NeMo-Aligner's communicator", lambda: nemo(nemo_root))


with triton.InferenceServerClient(HOST, concurrency=4) as http:
    for group in (described, inference, compression, refusals):
        run.guard(TRITON, group.__doc__.split(".")[0], lambda g=group: g(http))
if run.unpacked("nvidia-pytriton", PYTRITON) is None:
    run.not_run(PYTRITON, "PyTriton's clients and NeMo-Aligner's", "the package could not be had")
else:
    both(run.unpacked("nvidia-pytriton", PYTRITON), run.unpacked("nemo-aligner", NEMO))
run.end()
