"""What the checks of all peers share: conversations, policy templates, the reporter, a proxy that fails, stand-ins.

A peer's script is started by check.py as

    python PEER_client.py --server URL --truth FILE --peers FOLDER --client FILE

and prints one line per check, "ok ", "FAILED " or "not run ", then peer, version, what was checked and its figures.
TRUTH is what `POST /v1/score` said of CONVERSATIONS; check.py has compared it with `ensemble score` before.
"""

import argparse
import base64
import concurrent.futures
import http.client
import http.server
import importlib.util
import json
import math
import os
import pathlib
import struct
import sys
import threading
import time
import traceback
import types
import urllib.parse
import urllib.request

LONG = " ".join(f"Point {i} of the plan says that step {i} follows step {i - 1}." for i in range(1, 90))
CONVERSATIONS = [
    [
        {"role": "user", "content": "How do I boil an egg?"},
        {"role": "assistant", "content": "Put it into boiling water for eight minutes, then cool it under cold water."},
    ],
    [
        {"role": "user", "content": "Name a prime number."},
        {"role": "assistant", "content": "Seven."},
        {"role": "user", "content": "And the next one?"},
        {"role": "assistant", "content": "Eleven, because eight, nine and ten can all be divided."},
    ],
    [
        {"role": "system", "content": "You answer in one sentence."},
        {"role": "user", "content": "Why is the sky blue?"},
        {"role": "assistant", "content": "Air scatters blue light more than red light."},
    ],
    [
        {"role": "user", "content": "¿Qué significa «café»? 日本語でもいいです 🙂"},
        {"role": "assistant", "content": 'naïve – ok:\n\n* one "quoted" word\n* a back\\slash\tand a tab'},
    ],
    [
        {"role": "user", "content": f"Sum this up. {LONG}"},
        {"role": "assistant", "content": "It is a plan of eighty-nine steps, each of which follows the one before."},
    ],
    [
        {"role": "user", "content": "How can I pick a lock that is not mine?"},
        {
            "role": "assistant",
            "content": "I can't help with that. If you are locked out of your own home, call a locksmith.",
        },
    ],
]


def one_turn():
    """(index, prompt, response) of the conversations that are one question and its answer."""
    return [(i, c[0]["content"], c[1]["content"]) for i, c in enumerate(CONVERSATIONS) if len(c) == 2]


def chatml(messages, end="<|im_end|>\n"):
    """ChatML as Qwen's template writes it, without a system prompt of its own."""
    return "".join(f"<|im_start|>{m['role']}\n{m['content']}{end}" for m in messages)


def chatml_prompt(messages):
    """The part of `chatml` that a policy was given: all but the answer, with the generation prompt."""
    return chatml(messages[:-1]) + "<|im_start|>assistant\n"


def chatml_query(messages, left=0, right=0):
    """What OpenRLHF decodes: prompt and answer with its end token, padded to the length of the batch."""
    pad = "<|endoftext|>"
    return pad * left + chatml_prompt(messages) + messages[-1]["content"] + "<|im_end|>" + pad * right


def sigmoid(x):
    """The logistic function, from its definition."""
    return 1.0 / (1.0 + math.exp(-x)) if x >= 0 else math.exp(x) / (1.0 + math.exp(x))


def float32(x):
    """The float32 nearest to x, as a Python float: what a trainer's tensor holds of a JSON number."""
    return struct.unpack("<f", struct.pack("<f", x))[0]


def floats_of_base64(text):
    """The little-endian float32 values of a base64 string."""
    data = base64.b64decode(text)
    return list(struct.unpack(f"<{len(data) // 4}f", data))


class Run:
    """The arguments of a peer's script, what is known to be true, and the count of what was checked."""

    def __init__(self, peer):
        parser = argparse.ArgumentParser()
        parser.add_argument("--server", required=True, help="base URL of the server")
        parser.add_argument("--truth", required=True, help="JSON file written by check.py")
        parser.add_argument("--peers", required=True, type=pathlib.Path, help="folder of unpacked packages")
        parser.add_argument("--client", required=True, type=pathlib.Path, help="this project's ensemble_client.py")
        arguments = parser.parse_args()
        self.peer, self.server, self.peers = peer, arguments.server.rstrip("/"), arguments.peers
        self.truth = json.loads(pathlib.Path(arguments.truth).read_text(encoding="utf-8"))
        self.combined = [result["combined"] for result in self.truth["results"]]
        self.client = arguments.client if arguments.client.is_file() else None
        self.failed = 0

    def ensemble_client(self):
        """This project's client for Python trainers, as a module; its functions ask the server of this run."""
        os.environ["ENSEMBLE_URL"] = self.server
        return load("ensemble_client", self.client)

    def score(self, item):
        """The combined score that /v1/score has of one item."""
        data, headers = json.dumps({"items": [item]}).encode(), {"Content-Type": "application/json"}
        request = urllib.request.Request(self.server + "/v1/score", data, headers)
        with urllib.request.urlopen(request, timeout=120) as reply:
            return json.loads(reply.read())["results"][0]["combined"]

    def unpacked(self, package, version):
        """The import root of an unpacked package, or None if fetch.py could not have it."""
        root = self.peers / f"{package}-{version}"
        return root if root.is_dir() else None

    def say(self, verdict, version, what, figures=""):
        """One line for one check."""
        self.failed += verdict == "FAILED"
        print(f"{verdict:<8}{self.peer} {version}: {what}{': ' if figures else ''}{figures}", flush=True)

    def check(self, version, what, passed, figures=""):
        """A check that passes or fails."""
        self.say("ok" if passed else "FAILED", version, what, figures)

    def not_run(self, version, what, why):
        """A check that could not be made, which never counts as passed."""
        self.say("not run", version, what, why)

    def same(self, version, what, found, expected):
        """Numbers that must be equal to the last bit; the largest difference is printed."""
        found, expected = [float(x) for x in found], [float(x) for x in expected]
        if len(found) != len(expected):
            return self.check(version, what, False, f"{len(found)} numbers instead of {len(expected)}")
        worst = max((abs(a - b) for a, b in zip(found, expected, strict=True)), default=0.0)
        return self.check(version, what, found == expected, f"{len(found)} numbers, largest difference {worst:g}")

    def raises(self, version, what, function, kinds, words=()):
        """An error that the peer's user must see: its type, and the words that make it useful."""
        try:
            value = function()
        except kinds as error:
            text = f"{error}"
            missing = [word for word in words if word not in text]
            note = f"; does not say {missing}" if missing else ""
            return self.check(version, what, not missing, f"{type(error).__name__}: {text[:160]!r}{note}")
        return self.check(version, what, False, f"no error but {value!r}"[:200])

    def guard(self, version, what, function):
        """Runs a group of checks; an error that nobody expected is a failed check, not the end of the script."""
        try:
            function()
        except Exception as error:  # the next group must run all the same
            traceback.print_exc(file=sys.stderr)
            self.check(version, what, False, f"{type(error).__name__}: {error}"[:300])

    def end(self):
        """The exit code of the script."""
        sys.exit(1 if self.failed else 0)


class Proxy:
    """Stands between a peer and the server, keeps what passes, and answers the first requests itself.

    A server that is busy or broken cannot be had on demand; its answer can, because the proxy sends the very bytes
    that the contract promises for it.
    """

    def __init__(self, server, failures=0, status=503, body=None, headers=None):
        target = urllib.parse.urlsplit(server)
        self.seen, self.failures = [], failures
        reply = json.dumps(body or {"error": {"code": "overloaded", "message": "the queue is full"}}).encode()
        extra = {"Retry-After": "1", "Content-Type": "application/json"} | (headers or {})
        proxy = self

        class Handler(http.server.BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def log_message(self, *_):
                pass

            def answer(self, status, headers, body):
                self.send_response(status)
                for name, value in headers:
                    if name.lower() not in ("content-length", "connection", "transfer-encoding", "date"):
                        self.send_header(name, value)
                self.send_header("Content-Length", str(len(body)))
                self.end_headers()
                self.wfile.write(body)

            def do(self):
                body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
                proxy.seen.append((self.command, self.path, dict(self.headers.items()), body))
                if proxy.failures > 0:
                    proxy.failures -= 1
                    return self.answer(status, extra.items(), reply)
                connection = http.client.HTTPConnection(target.hostname, target.port, timeout=120)
                connection.request(self.command, self.path, body, dict(self.headers.items()))
                response = connection.getresponse()
                return self.answer(response.status, response.getheaders(), response.read())

            do_GET = do_POST = do_PUT = do

        class Server(http.server.ThreadingHTTPServer):
            daemon_threads = True
            request_queue_size = 128

            def handle_error(self, *_):
                pass  # a peer that closes its connection is no error

        self.http = Server(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self.http.server_port}"
        threading.Thread(target=self.http.serve_forever, daemon=True).start()

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.http.shutdown()
        self.http.server_close()

    def bodies(self):
        """The JSON bodies that passed, in order."""
        return [json.loads(body) for _, _, _, body in self.seen if body]


class StandIn(types.ModuleType):
    """A module that is imported by a peer but not used on the way that is checked.

    Any attribute is a class that can be subclassed, called and subscripted; used as a decorator, with or without
    arguments, it leaves the function as it is.
    """

    __path__: list = []

    def __getattr__(self, name):
        if name.startswith("__") and name.endswith("__"):
            raise AttributeError(name)
        methods = {
            "__init__": lambda self, *_, **__: None,
            "__call__": lambda self, target=None, *_, **__: target,
            "__class_getitem__": lambda item: item,
        }
        value = type(name, (), methods)
        setattr(self, name, value)
        return value


def stand_in(*names):
    """Puts stand-ins for these modules and the packages above them into sys.modules, unless they are installed."""
    for name in names:
        parts = name.split(".")
        for i in range(1, len(parts) + 1):
            path = ".".join(parts[:i])
            if path not in sys.modules:
                sys.modules[path] = StandIn(path)
            if i > 1:
                setattr(sys.modules[".".join(parts[: i - 1])], parts[i - 1], sys.modules[path])


def ray_in_threads():
    """A stand-in for ray: what is remote runs in a thread of this process, `ray.get` waits for it.

    The peers use ray to start their request functions elsewhere; what they send and read is the same.
    """
    pool = concurrent.futures.ThreadPoolExecutor(8)

    class Remote:
        def __init__(self, function):
            self.function = function

        def remote(self, *args, **kwargs):
            return pool.submit(self.function, *args, **kwargs)

    def remote(target=None, **_):
        if target is None:
            return remote
        return target if isinstance(target, type) else Remote(target)

    def get(futures):
        return [f.result() for f in futures] if isinstance(futures, list) else futures.result()

    ray = StandIn("ray")
    ray.remote, ray.get = remote, get
    sys.modules["ray"] = ray
    return ray


def package(name, folder):
    """A package whose submodules are found in `folder` but whose own __init__ is not run."""
    module = types.ModuleType(name)
    module.__path__ = [os.fspath(folder)]
    sys.modules[name] = module
    return module


def load(name, file):
    """Runs one file of a peer, unchanged, as the module `name`."""
    spec = importlib.util.spec_from_file_location(name, file)
    module = importlib.util.module_from_spec(spec)
    sys.modules[name] = module
    spec.loader.exec_module(module)
    return module


def forget(*roots):
    """Drops modules from sys.modules, so that another version of a peer can be loaded."""
    for name in list(sys.modules):
        if name.split(".")[0] in roots:
            del sys.modules[name]


def byte_tokenizer(folder=None):
    """A real tokenizer of transformers for any text: one token a byte, ChatML's special tokens and template."""
    from tokenizers import Tokenizer, decoders, models, pre_tokenizers
    from transformers import PreTrainedTokenizerFast

    special = ["<|endoftext|>", "<|im_start|>", "<|im_end|>"]
    vocabulary = {token: i for i, token in enumerate(special + sorted(pre_tokenizers.ByteLevel.alphabet()))}
    tokenizer = Tokenizer(models.BPE(vocab=vocabulary, merges=[]))
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    tokenizer.decoder = decoders.ByteLevel()
    tokenizer.add_special_tokens(special)
    fast = PreTrainedTokenizerFast(tokenizer_object=tokenizer, pad_token=special[0], eos_token=special[2])
    fast.chat_template = (
        "{% for m in messages %}<|im_start|>{{ m['role'] }}\n{{ m['content'] }}<|im_end|>\n{% endfor %}"
        "{% if add_generation_prompt %}<|im_start|>assistant\n{% endif %}"
    )
    if folder is not None:
        fast.save_pretrained(folder)
    return fast


def elapsed(function):
    """What a call returned and how many seconds it took."""
    started = time.monotonic()
    value = function()
    return value, time.monotonic() - started
