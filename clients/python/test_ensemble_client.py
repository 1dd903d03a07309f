"""Tests of the client against a server that can be slow, full, broken or gone. Run: python3 -m unittest

The stub scores in a closed form of the texts (`combined_of`, `objective_of`), so a score that belongs to another item
or another objective is noticed.
"""

import asyncio
import contextlib
import importlib.util
import json
import logging
import os
import pickle
import random
import socket
import threading
import time
import unittest
import warnings
from concurrent.futures import ThreadPoolExecutor
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from unittest import mock

import ensemble_client
from ensemble_client import Client, EnsembleError, trl_reward, trl_rewards

OBJECTIVES = ["helpfulness", "safety", "conciseness"]
logging.getLogger("ensemble_client").setLevel(logging.ERROR)


def text_of(item):
    """All that the item says, in one string."""
    if "messages" in item:
        return "|".join(f"{message['role']}:{message['content']}" for message in item["messages"])
    prompt = item.get("prompt", "")
    prompt = prompt if isinstance(prompt, str) else "|".join(f"{m['role']}:{m['content']}" for m in prompt)
    return prompt + ">" + item.get("response", item.get("text", ""))


def objective_of(text, objective):
    return round(sum(map(ord, text)) % 97 / 7 - OBJECTIVES.index(objective), 6)


def combined_of(text):
    return round(sum(objective_of(text, name) for name in OBJECTIVES), 6)


def reply_to(request):
    """The reply that `ensemble serve` is specified to give."""
    results = []
    for index, item in enumerate(request["items"]):
        text = text_of(item)
        scores = {
            name: {
                "raw": 2 * objective_of(text, name),
                "normalized": objective_of(text, name),
                "se": 0.5,
                "normalized_se": 0.25,
            }
            for name in OBJECTIVES
        }
        ood = {"distance": 17.1, "p": 0.43}
        result = {"index": index, "combined": combined_of(text), "scores": scores, "ood": ood, "tokens": len(text)}
        results.append({**result, "format": "messages" if "messages" in item else "prompt"})
    return {"id": "score-1", "digest": "d1", "objectives": OBJECTIVES, "results": results}


class StubServer:
    """A server whose behaviour is `answer(request) -> (status, headers, bytes)`; by default it scores."""

    def __init__(self, port=0):
        self.requests, self.headers, self.connections = [], [], set()
        self.answer = self.score
        stub = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"
            disable_nagle_algorithm = True

            def do_POST(self):
                body = self.rfile.read(int(self.headers["Content-Length"]))
                stub.connections.add(self.client_address)
                stub.requests.append((self.path, json.loads(body)))
                stub.headers.append(dict(self.headers))
                try:
                    status, headers, payload = stub.answer(json.loads(body))
                    self.send_response(status)
                    for name, value in {"Content-Length": str(len(payload)), **headers}.items():
                        self.send_header(name, value)
                    self.end_headers()
                    self.wfile.write(payload)
                    self.close_connection = headers.get("Connection") == "close"
                except (BrokenPipeError, ConnectionResetError):
                    self.close_connection = True

            def log_message(self, *_):
                pass

        self.server = ThreadingHTTPServer(("127.0.0.1", port), Handler)
        self.server.daemon_threads = True
        self.url = f"http://127.0.0.1:{self.server.server_address[1]}"
        threading.Thread(target=self.server.serve_forever, args=(0.01,), daemon=True).start()

    @staticmethod
    def score(request):
        return 200, {}, json.dumps(reply_to(request)).encode()

    def close(self):
        self.server.shutdown()
        self.server.server_close()


def free_port():
    with socket.socket() as holder:
        holder.bind(("127.0.0.1", 0))
        return holder.getsockname()[1]


def full(retry_after="0"):
    error = {"error": {"code": "overloaded", "message": "the queue is full", "request_id": "r-7"}}
    return 503, {"Retry-After": retry_after}, json.dumps(error).encode()


class Case(unittest.TestCase):
    def setUp(self):
        # A thread's connection is closed when the thread's client is collected, not before.
        warnings.simplefilter("ignore", ResourceWarning)
        self.stub = StubServer()
        self.addCleanup(self.stub.close)
        self.client = Client(self.stub.url, timeout=5, deadline=5)
        self.addCleanup(self.client.close)
        quick = mock.patch.object(ensemble_client, "FIRST_PAUSE", 0.01)
        quick.start()
        self.addCleanup(quick.stop)
        # The functions that trainers find by name build their client from the environment, once per process.
        environment = mock.patch.dict(os.environ, {"ENSEMBLE_URL": self.stub.url, "ENSEMBLE_DEADLINE": "5"})
        environment.start()
        self.addCleanup(environment.stop)
        shared = mock.patch.object(ensemble_client, "_SHARED", ensemble_client._Shared())
        shared.start()
        self.addCleanup(shared.stop)

    def fails(self, *words):
        """The error of scoring two items, which must say these words."""
        with self.assertRaises(EnsembleError) as caught:
            self.client.score([("p", "a"), ("p", "b")])
        for word in (*words, "no reward was made up"):
            self.assertIn(word, str(caught.exception))
        return caught.exception


class Scoring(Case):
    def test_every_form_of_item_is_sent_as_it_is_and_scores_come_in_order(self):
        messages = [{"role": "user", "content": "ü?"}, {"role": "assistant", "content": "yes"}]
        items = [{"messages": messages}, {"prompt": "p", "response": "r", "domain": "d"}, {"text": "t"}, ("p", "pair")]
        scores = self.client.score(
            items, weights={"safety": 2}, combine={"kind": "worst_case"}, uncertainty_penalty=0.5
        )
        path, sent = self.stub.requests[0]
        self.assertEqual(path, "/v1/score")
        self.assertEqual(sent["items"], [*items[:3], {"prompt": "p", "response": "pair"}])
        options = {key: sent[key] for key in sent if key != "items"}
        expected = {"weights": {"safety": 2.0}, "combine": {"kind": "worst_case"}, "uncertainty_penalty": 0.5}
        self.assertEqual(options, expected)
        texts = [text_of(item) for item in sent["items"]]
        self.assertEqual(scores.combined, [combined_of(text) for text in texts])
        self.assertEqual(scores.normalized("safety"), [objective_of(text, "safety") for text in texts])
        self.assertEqual(scores.raw("safety"), [2 * objective_of(text, "safety") for text in texts])
        self.assertEqual((scores.digest, scores.objectives), ("d1", tuple(OBJECTIVES)))
        self.assertEqual(scores.results[0].ood_p, 0.43)

    def test_long_lists_are_split_and_put_together_in_order(self):
        client = Client(self.stub.url, items_per_request=7)
        items = [("p", f"answer {number}") for number in range(30)]
        scores = client.score(items)
        self.assertEqual([len(sent["items"]) for _, sent in self.stub.requests], [7, 7, 7, 7, 2])
        self.assertEqual(scores.combined, [combined_of(f"p>answer {number}") for number in range(30)])
        self.stub.requests.clear()
        client.score(items, group=True)
        self.assertEqual([len(sent["items"]) for _, sent in self.stub.requests], [30])

    def test_a_thread_keeps_one_connection(self):
        for _ in range(5):
            self.client.score([("p", "a")])
        self.assertEqual(len(self.stub.connections), 1)

    def test_a_connection_that_the_server_closed_meanwhile_is_no_failure(self):
        # Unannounced: the client learns of it only when it writes.
        def once(request):
            status, _, payload = StubServer.score(request)
            return status, {"Connection": "close"}, payload

        for answer in (once, StubServer.score):
            self.stub.answer = answer
            self.client.score([("p", "a")])
        connection = self.client._local.connection
        connection.sock.shutdown(socket.SHUT_RDWR)
        self.client.deadline = 0.001 + 5
        self.assertEqual(self.client.score([("p", "a")]).combined, [combined_of("p>a")])

    def test_the_key_is_sent_and_never_shown(self):
        client = Client(self.stub.url, api_key="secret-key")
        client.score([("p", "a")])
        self.assertEqual(self.stub.headers[0]["Authorization"], "Bearer secret-key")
        self.assertNotIn("secret-key", repr(client))

    def test_a_path_prefix_is_kept(self):
        Client(self.stub.url + "/rewards/").score([("p", "a")])
        self.assertEqual(self.stub.requests[0][0], "/rewards/v1/score")

    def test_settings_come_from_the_environment(self):
        settings = {
            "ENSEMBLE_API_KEY": "k",
            "ENSEMBLE_DIGEST": "d1",
            "ENSEMBLE_TIMEOUT": "7",
            "ENSEMBLE_DEADLINE": "70",
        }
        with mock.patch.dict(os.environ, settings):
            client = Client()
        self.assertEqual((client.url, client.timeout, client.deadline, client.digest), (self.stub.url, 7, 70, "d1"))
        client.score([("p", "a")])
        self.assertEqual(self.stub.requests[0][1]["expect_digest"], "d1")
        self.assertEqual(self.stub.headers[0]["Authorization"], "Bearer k")

    def test_a_client_survives_pickling_with_its_pin(self):
        self.client.score([("p", "a")])
        copy = pickle.loads(pickle.dumps(self.client))
        self.assertEqual((copy.url, copy.digest, copy.deadline), (self.client.url, "d1", 5))

    @unittest.skipUnless(hasattr(os, "fork"), "needs fork")
    def test_a_forked_child_does_not_write_on_its_parents_connection(self):
        self.client.score([("p", "parent")])
        child = os.fork()
        if child == 0:
            code = 1
            with contextlib.suppress(BaseException):
                code = int(self.client.score([("p", "child")]).combined != [combined_of("p>child")])
            os._exit(code)
        self.assertEqual(os.waitpid(child, 0)[1], 0)
        self.assertEqual(self.client.score([("p", "again")]).combined, [combined_of("p>again")])
        self.assertEqual(len(self.stub.connections), 2)


class Retrying(Case):
    def test_a_full_server_is_asked_again_no_sooner_than_it_said(self):
        times = []

        def answer(request):
            times.append(time.monotonic())
            return full("1") if len(times) == 1 else StubServer.score(request)

        self.stub.answer = answer
        self.assertEqual(self.client.score([("p", "a")]).combined, [combined_of("p>a")])
        self.assertGreaterEqual(times[1] - times[0], 1.0)

    def test_gateways_and_deadlines_are_tried_again(self):
        statuses = [502, 504, 503]
        self.stub.answer = lambda r: (statuses.pop(0), {}, b"<html>") if statuses else StubServer.score(r)
        self.client.score([("p", "a")])
        self.assertEqual(len(self.stub.requests), 4)

    def test_a_refusal_is_never_tried_again(self):
        for status in (400, 401, 403, 404, 408, 409, 413, 415, 422, 429, 500, 501, 307):
            with self.subTest(status=status):
                self.stub.requests.clear()
                error = {
                    "error": {
                        "code": "some_code",
                        "message": "so it is",
                        "item": 1,
                        "field": "response",
                        "hint": "do this",
                    }
                }
                self.stub.answer = lambda r, s=status, e=error: (s, {"Retry-After": "0"}, json.dumps(e).encode())
                found = self.fails("some_code", "so it is", "do this", "item 1", "field response", str(status))
                self.assertEqual((found.status, found.code, found.item), (status, "some_code", 1))
                self.assertEqual(len(self.stub.requests), 1)

    def test_the_item_of_a_refusal_counts_in_the_whole_list(self):
        client = Client(self.stub.url, items_per_request=4)
        error = {"error": {"code": "invalid_item", "message": "empty", "item": 2}}
        self.stub.answer = lambda r: (
            (422, {}, json.dumps(error).encode()) if len(self.stub.requests) == 2 else StubServer.score(r)
        )
        with self.assertRaises(EnsembleError) as caught:
            client.score([("p", str(number)) for number in range(8)])
        self.assertEqual(caught.exception.item, 6)

    def test_a_server_that_stays_full_ends_the_run(self):
        self.client.deadline = 1
        self.stub.answer = lambda r: full()
        found = self.fails("server gone", "overloaded", "tried", "checkpoint")
        self.assertEqual((found.status, found.code), (503, "overloaded"))
        self.assertGreater(len(self.stub.requests), 1)

    def test_a_last_try_that_the_deadline_cut_short_does_not_hide_what_the_server_said(self):
        release = threading.Event()
        self.addCleanup(release.set)
        self.client.deadline = 1
        self.stub.answer = lambda r: full() if len(self.stub.requests) == 1 else (release.wait(10), full())[1]
        self.assertEqual(self.fails("server gone", "the queue is full").code, "overloaded")

    def test_a_pause_that_leads_past_the_deadline_is_not_begun(self):
        self.stub.answer = lambda r: full("3600")
        began = time.monotonic()
        self.fails("server gone")
        self.assertLess(time.monotonic() - began, 2)

    def test_a_server_that_is_gone_ends_the_run_and_says_so(self):
        self.client = Client(f"http://127.0.0.1:{free_port()}", deadline=0.3)
        found = self.fails("server gone", "connection refused", "ensemble serve")
        self.assertEqual(found.code, "unreachable")

    def test_a_server_that_comes_back_is_used(self):
        port = free_port()
        client = Client(f"http://127.0.0.1:{port}", deadline=10)
        with ThreadPoolExecutor(1) as pool:
            waiting = pool.submit(client.score, [("p", "a")])
            time.sleep(0.3)
            stub = StubServer(port)
            self.addCleanup(stub.close)
            self.assertEqual(waiting.result().combined, [combined_of("p>a")])

    def test_a_slow_answer_is_given_up_in_time(self):
        release = threading.Event()
        self.addCleanup(release.set)
        self.stub.answer = lambda r: (release.wait(10), StubServer.score(r))[1]
        self.client.timeout, self.client.deadline = 0.2, 0.5
        began = time.monotonic()
        self.fails("server gone", "no answer in time")
        self.assertLess(time.monotonic() - began, 3)

    def test_a_trickling_answer_is_given_up_in_time(self):
        with socket.create_server(("127.0.0.1", 0)) as listener:

            def trickle():
                with contextlib.suppress(OSError):
                    while True:
                        connection, _ = listener.accept()
                        connection.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: 100000\r\n\r\n{")
                        for _ in range(60):
                            time.sleep(0.05)
                            connection.sendall(b" ")

            threading.Thread(target=trickle, daemon=True).start()
            self.client = Client(f"http://127.0.0.1:{listener.getsockname()[1]}", timeout=0.3, deadline=0.3)
            began = time.monotonic()
            self.fails("no answer in time")
            self.assertLess(time.monotonic() - began, 2)

    def test_an_answer_that_breaks_off_is_asked_for_again(self):
        answers = [{"Content-Length": "1000000", "Connection": "close"}]
        self.stub.answer = lambda r: (200, answers.pop() if answers else {}, StubServer.score(r)[2])
        self.assertEqual(self.client.score([("p", "a")]).combined, [combined_of("p>a")])
        self.assertEqual(len(self.stub.requests), 2)

    def test_pauses_grow_differ_and_end(self):
        pauses = []
        self.client.deadline = 10_000
        with (
            mock.patch.object(ensemble_client.time, "sleep", pauses.append),
            mock.patch.object(ensemble_client, "FIRST_PAUSE", 0.5),
        ):
            self.stub.answer = lambda r: full() if len(pauses) < 12 else StubServer.score(r)
            self.client.score([("p", "a")])
        self.assertTrue(all(pause <= 30 for pause in pauses))
        self.assertTrue(all(0.25 * 2**k <= pause <= 0.5 * 2**k for k, pause in enumerate(pauses[:6])), pauses)
        self.assertGreaterEqual(min(pauses[7:]), 15)
        self.assertEqual(len(set(pauses)), len(pauses))

    def test_retry_after_may_be_a_date(self):
        future = time.strftime("%a, %d %b %Y %H:%M:%S GMT", time.gmtime(time.time() + 100))
        self.assertAlmostEqual(ensemble_client._retry_after(future), 100, delta=2)
        self.assertEqual([ensemble_client._retry_after(value) for value in (None, "", "soon", "-3")], [0, 0, 0, 0])


class BrokenReplies(Case):
    def broken(self, change):
        """The stub gives a reply after `change` of it; a string replaces the whole body."""

        def answer(request):
            reply = reply_to(request)
            changed = change(reply)
            return 200, {}, (changed if isinstance(changed, str) else json.dumps(reply)).encode()

        self.stub.answer = answer

    def test_every_broken_reply_raises_once_and_is_not_tried_again(self):
        def put(path, value):
            def change(reply):
                holder = reply
                for key in path[:-1]:
                    holder = holder[key]
                if value is KeyError:
                    del holder[path[-1]]
                else:
                    holder[path[-1]] = value

            return change

        first = ("results", 0)
        second = ("results", 1, "scores", "safety")
        cases = {
            "NaN": put((*first, "combined"), float("nan")),
            "infinite": put((*first, "combined"), float("inf")),
            "too large": lambda reply: json.dumps(reply).replace(str(reply["results"][0]["combined"]), "1e999"),
            "too large an integer": lambda reply: json.dumps(reply).replace(
                '"combined": ', '"combined": ' + "9" * 400, 1
            ),
            "null": put((*first, "combined"), None),
            "text": put((*first, "combined"), "0.5"),
            "true": put((*first, "combined"), True),
            "missing": put((*first, "combined"), KeyError),
            "null objective": put((*second, "normalized"), None),
            "NaN objective": put((*second, "raw"), float("nan")),
            "null error": put((*second, "se"), None),
            "missing number": put((*second, "normalized"), KeyError),
            "missing objective": put(("results", 1, "scores", "safety"), KeyError),
            "another objective": put(("results", 1, "scores", "speed"), {"raw": 1, "normalized": 1}),
            "scores are a list": put(("results", 1, "scores"), [1, 2, 3]),
            "null ood": put((*first, "ood", "p"), None),
            "wrong order": lambda reply: reply["results"].reverse(),
            "index is true": put((*first, "index"), False),
            "one too few": lambda reply: reply["results"].pop(),
            "one too many": lambda reply: reply["results"].append(reply["results"][0]),
            "none": put(("results",), None),
            "no digest": put(("digest",), KeyError),
            "no objectives": put(("objectives",), []),
            "an objective twice": put(("objectives",), ["safety", "safety"]),
            "cut": lambda reply: json.dumps(reply)[:-30],
            "a page": lambda reply: "<html>hello</html>",
            "empty": lambda reply: "",
            "a list": lambda reply: "[]",
            "deep": lambda reply: "[" * 100_000,
            "null in group": put(("group",), {"spread": [1.0, None]}),
        }
        for name, change in cases.items():
            with self.subTest(name):
                self.stub.requests.clear()
                self.broken(change)
                found = self.fails("cannot be trusted")
                self.assertEqual((found.code, len(self.stub.requests)), ("bad_reply", 1))
                self.stub.answer = StubServer.score
                self.client.score([("p", "next")])

    def test_a_random_cut_or_changed_byte_never_gives_a_wrong_number(self):
        generator = random.Random(7)
        request = {"items": [{"prompt": "p", "response": letter} for letter in "ab"]}
        whole = json.dumps(reply_to(request)).encode()
        right = [combined_of("p>a"), combined_of("p>b")]
        raised = 0
        for _ in range(300):
            cut = whole[: generator.randrange(len(whole))]
            self.stub.answer = lambda r, body=cut: (200, {}, body)
            with self.assertRaises(EnsembleError):
                self.client.score([("p", "a"), ("p", "b")])
            # A structural byte: digits that turn into other digits are beyond any client.
            place = generator.choice([i for i, byte in enumerate(whole) if chr(byte) in '{}[]":,'])
            changed = whole[:place] + b"x" + whole[place + 1 :]
            self.stub.answer = lambda r, body=changed: (200, {}, body)
            try:
                self.assertEqual(self.client.score([("p", "a"), ("p", "b")]).combined, right)
            except EnsembleError:
                raised += 1
        self.assertGreater(raised, 250)

    def test_heads_without_a_posterior_have_no_standard_errors(self):
        def change(reply):
            for result in reply["results"]:
                for score in result["scores"].values():
                    del score["se"], score["normalized_se"]
                del result["ood"]

        self.broken(change)
        result = self.client.score([("p", "a")]).results[0]
        self.assertEqual((result.scores["safety"].se, result.ood_p), (None, None))


class Digests(Case):
    def other(self, request):
        return 200, {}, json.dumps({**reply_to(request), "digest": "d2"}).encode()

    def test_another_registry_in_mid_run_ends_it(self):
        self.client.score([("p", "a")])
        self.stub.answer = self.other
        self.assertEqual(self.fails("d1", "d2").code, "registry_changed")
        self.assertEqual(self.stub.requests[1][1]["expect_digest"], "d1")

    def test_another_registry_between_two_parts_of_a_list_ends_it(self):
        client = Client(self.stub.url, items_per_request=1)
        self.stub.answer = lambda r: StubServer.score(r) if len(self.stub.requests) == 1 else self.other(r)
        with self.assertRaises(EnsembleError) as caught:
            client.score([("p", "a"), ("p", "b")])
        self.assertEqual(caught.exception.code, "registry_changed")

    def test_the_servers_own_refusal_says_what_to_do(self):
        self.stub.answer = lambda r: (409, {}, b'{"error": {"code": "digest", "message": "this is d2"}}')
        self.fails("digest", "this is d2", "another registry")

    def test_a_digest_for_one_call_is_not_pinned(self):
        self.client.score([("p", "a")], expect_digest="d1")
        self.assertIsNone(self.client.digest)
        with self.assertRaises(EnsembleError):
            self.client.score([("p", "a")], expect_digest="d2")

    def test_threads_that_begin_together_pin_one_registry(self):
        gate = threading.Barrier(8)
        digests = iter([f"d{number}" for number in range(8)])
        self.stub.answer = lambda r: (
            gate.wait(5),
            (200, {}, json.dumps({**reply_to(r), "digest": next(digests)}).encode()),
        )[1]

        def call(number):
            try:
                return self.client.score([("p", str(number))]).digest
            except EnsembleError as error:
                return error.code

        with ThreadPoolExecutor(8) as pool:
            found = list(pool.map(call, range(8)))
        self.assertEqual(found.count("registry_changed"), 7, found)


class BadInput(Case):
    def test_what_cannot_be_scored_is_refused_before_it_is_sent(self):
        cases = {
            "empty": [],
            "no text": [{"prompt": "p", "response": None}],
            "a number": [{"prompt": "p", "response": 3}],
            "not an item": ["p"],
            "no role": [{"messages": [{"content": "x"}]}],
            "an image": [{"messages": [{"role": "user", "content": [{"type": "image", "image": "x"}]}]}],
            "a tool call": [{"messages": [{"role": "assistant", "content": "", "tool_calls": [{"name": "f"}]}]}],
            "messages as text": [{"messages": {"role": "user"}}],
            "half a character": [{"prompt": "p", "response": "\ud83d"}],
        }
        for name, items in cases.items():
            with self.subTest(name), self.assertRaises(EnsembleError) as caught:
                self.client.score(items)
            self.assertEqual(caught.exception.code, "bad_input", name)
        with self.assertRaises(EnsembleError):
            self.client.score([("p", "a")], weights={"safety": float("nan")})
        self.assertEqual(self.stub.requests, [])

    def test_text_parts_are_one_text(self):
        parts = [{"type": "text", "text": "a"}, {"type": "text", "text": "b"}]
        self.client.score([{"messages": [{"role": "assistant", "content": parts, "name": "x"}]}])
        self.assertEqual(self.stub.requests[0][1]["items"], [{"messages": [{"role": "assistant", "content": "ab"}]}])

    def test_settings_that_cannot_be_meant(self):
        for settings in ({"url": "localhost:8080"}, {"url": "ftp://x"}, {"timeout": 0}, {"deadline": float("nan")}):
            with self.subTest(settings), self.assertRaises(EnsembleError):
                Client(**settings)


class Trl(Case):
    prompts = ["p", "p", "q", "q"]
    completions = ["a", "b", "c", "d"]

    def call(self, reward, **more):
        """As GRPOTrainer._calculate_rewards calls it."""
        columns = {"completion_ids": [[1]] * 4, "topic": ["x"] * 4, "trainer_state": object(), "log_extra": print}
        return reward(prompts=self.prompts, completions=self.completions, **columns, **more)

    def test_one_function_per_objective_and_one_request_per_batch(self):
        rewards = trl_rewards(self.client)
        self.assertEqual([reward.__name__ for reward in rewards], [f"ensemble_{name}" for name in OBJECTIVES])
        self.stub.requests.clear()
        texts = [f"{prompt}>{completion}" for prompt, completion in zip(self.prompts, self.completions)]
        for reward, objective in zip(rewards, OBJECTIVES):
            self.assertEqual(self.call(reward), [objective_of(text, objective) for text in texts])
        self.assertEqual(len(self.stub.requests), 1)
        self.assertEqual(self.call(trl_reward(self.client)), [combined_of(text) for text in texts])
        self.assertEqual(len(self.stub.requests), 1)
        self.completions = ["a", "b", "c", "e"]
        self.call(rewards[0])
        self.assertEqual(len(self.stub.requests), 2)

    def test_functions_that_run_at_once_share_the_request_too(self):
        rewards = trl_rewards(self.client, OBJECTIVES)
        release = threading.Event()
        self.stub.answer = lambda r: (release.wait(5), StubServer.score(r))[1]
        with ThreadPoolExecutor(3) as pool:
            calls = [pool.submit(self.call, reward) for reward in rewards]
            time.sleep(0.1)
            release.set()
            self.assertEqual([len(call.result()) for call in calls], [4, 4, 4])
        self.assertEqual(len(self.stub.requests), 1)

    def test_a_failure_is_not_kept(self):
        reward = trl_reward(self.client)
        self.stub.answer = lambda r: (500, {}, b'{"error": {"code": "nonfinite_score", "message": "item 0"}}')
        with self.assertRaises(EnsembleError):
            self.call(reward)
        self.stub.answer = StubServer.score
        self.assertEqual(len(self.call(reward)), 4)

    def test_the_store_stays_small(self):
        reward = trl_reward(self.client)
        for number in range(50):
            reward(prompts=["p"], completions=[str(number)])
        self.assertLessEqual(len(self.client._batches), ensemble_client.KEPT_BATCHES)

    def test_conversations(self):
        reward = trl_reward(self.client)
        user = {"role": "user", "content": "u"}
        said = [{"role": "assistant", "content": "a"}]
        cases = [
            ([user], said, {"messages": [user, *said]}),
            ("u", said, {"messages": [user, *said]}),
            ([user], "a", {"prompt": [user], "response": "a"}),
            (
                [user, {"role": "assistant", "content": "be"}],
                said,
                {"messages": [user, {"role": "assistant", "content": "bea"}]},
            ),
        ]
        for prompt, completion, item in cases:
            self.stub.requests.clear()
            self.client._batches.clear()
            reward(prompts=[prompt], completions=[completion])
            self.assertEqual(self.stub.requests[0][1]["items"], [item])
        self.assertEqual(said, [{"role": "assistant", "content": "a"}])

    def test_options_and_domains_are_sent(self):
        reward = trl_reward(self.client, weights={"safety": 3}, uncertainty_penalty=1, domain_column="topic")
        self.call(reward)
        sent = self.stub.requests[0][1]
        self.assertEqual((sent["weights"], sent["uncertainty_penalty"]), ({"safety": 3.0}, 1.0))
        self.assertEqual({item["domain"] for item in sent["items"]}, {"x"})
        with self.assertRaises(EnsembleError):
            reward(prompts=["p"], completions=["a"])

    def test_metrics_are_logged_where_trl_takes_them(self):
        logged = {}
        self.call(trl_reward(self.client), log_metric=logged.__setitem__)
        self.assertEqual(set(logged), {*(f"ensemble/{name}" for name in OBJECTIVES), "ensemble/unfamiliar"})
        texts = [f"{prompt}>{completion}" for prompt, completion in zip(self.prompts, self.completions)]
        self.assertAlmostEqual(logged["ensemble/safety"], sum(objective_of(text, "safety") for text in texts) / 4)

    def test_dotted_paths(self):
        for name, expected in (
            ("ensemble_reward", combined_of),
            ("ensemble_safety", lambda t: objective_of(t, "safety")),
        ):
            reward = getattr(ensemble_client, name)
            self.assertEqual(reward.__name__, name)
            self.assertEqual(reward(prompts=["p"], completions=["a"]), [expected("p>a")])
        with self.assertRaises(EnsembleError) as caught:
            ensemble_client.ensemble_speed(prompts=["p"], completions=["a"])
        self.assertIn("helpfulness, safety, conciseness", str(caught.exception))
        with self.assertRaises(AttributeError):
            ensemble_client.nothing  # noqa: B018

    def test_rewards_can_be_sent_to_other_processes(self):
        for reward in pickle.loads(pickle.dumps(trl_rewards(self.client))):
            self.assertEqual(len(self.call(reward)), 4)

    def test_what_the_named_functions_share_can_be_sent_too(self):
        ensemble_client._SHARED.client()
        self.assertIsNot(pickle.loads(pickle.dumps(ensemble_client._SHARED)).client(), ensemble_client._SHARED.client())

    def test_lists_of_different_lengths(self):
        with self.assertRaises(EnsembleError):
            trl_reward(self.client)(prompts=["p"], completions=["a", "b"])


class Verl(Case):
    def score(self, extra_info, **more):
        return ensemble_client.compute_score(
            data_source="x", solution_str="a", ground_truth="", extra_info=extra_info, **more
        )

    def test_a_score_and_every_objective(self):
        info = {"index": 3, "prompt": "p", "num_turns": 2, "rollout_reward_scores": {}}
        expected = {"score": combined_of("p>a"), **{name: objective_of("p>a", name) for name in OBJECTIVES}}
        self.assertEqual(self.score(info, reward_router_address=None, reward_model_tokenizer=None), expected)
        found = asyncio.run(
            ensemble_client.compute_score_async(data_source="x", solution_str="a", ground_truth="", extra_info=info)
        )
        self.assertEqual(found, expected)

    def test_where_the_prompt_may_stand(self):
        messages = ({"role": "user", "content": "q"},)
        for info, more, prompt in (
            ({"raw_prompt": messages}, {}, list(messages)),
            ({"question": "q", "prompt": None}, {}, "q"),
            ({"prompt": "p", "mine": "q"}, {"prompt_key": "mine"}, "q"),
        ):
            self.stub.requests.clear()
            self.score(info, **more)
            self.assertEqual(self.stub.requests[0][1]["items"][0]["prompt"], prompt)

    def test_no_prompt_is_an_error_that_says_where_to_put_it(self):
        for info, more in (
            ({"index": 1}, {}),
            (None, {}),
            ({"prompt": ""}, {}),
            ({"prompt": "p"}, {"prompt_key": "mine"}),
        ):
            with self.subTest(info), self.assertRaises(EnsembleError) as caught:
                self.score(info, **more)
            self.assertIn("extra_info", str(caught.exception))
        self.assertEqual(self.stub.requests, [])

    def test_the_legacy_batch_is_one_request(self):
        rows = ensemble_client.compute_score_batch(
            data_sources=["x"] * 3,
            solution_strs=["a", "b", "c"],
            ground_truths=[None] * 3,
            extra_infos=[{"prompt": "p"}] * 3,
        )
        self.assertEqual([row["score"] for row in rows], [combined_of(f"p>{letter}") for letter in "abc"])
        self.assertEqual(len(self.stub.requests), 1)

    def test_failures_raise_in_every_form(self):
        self.stub.answer = lambda r: (422, {}, b'{"error": {"code": "invalid_item", "message": "no"}}')
        info = {"prompt": "p"}
        with self.assertRaises(EnsembleError):
            self.score(info)
        with self.assertRaises(EnsembleError):
            asyncio.run(ensemble_client.compute_score_async(solution_str="a", extra_info=info))
        with self.assertRaises(EnsembleError):
            ensemble_client.compute_score_batch(["x"], ["a"], [None], [info])

    def test_many_awaited_at_once(self):
        info = {"prompt": "p"}

        async def many():
            calls = (ensemble_client.compute_score_async(solution_str=str(n), extra_info=info) for n in range(200))
            return await asyncio.gather(*calls)

        self.assertEqual([row["score"] for row in asyncio.run(many())], [combined_of(f"p>{n}") for n in range(200)])


class OpenRlhf(Case):
    def load(self):
        """The file as OpenRLHF and verl load it: by its path, without an entry in sys.modules."""
        spec = importlib.util.spec_from_file_location("reward_func", Path(ensemble_client.__file__))
        module = importlib.util.module_from_spec(spec)
        spec.loader.exec_module(module)
        return module

    def test_rewards_scores_and_logs(self):
        found = self.load().reward_func(["<u>p<a>x", "<u>p<a>y"], ["<u>p<a>", "<u>p<a>"], [None, "l"])
        self.assertEqual(self.stub.requests[0][1]["items"][0], {"text": "<u>p<a>x", "prompt": "<u>p<a>"})
        texts = ["<u>p<a>><u>p<a>x", "<u>p<a>><u>p<a>y"]
        self.assertEqual(found["rewards"], [combined_of(text) for text in texts])
        self.assertTrue(all(0 < share < 1 for share in found["scores"]))
        self.assertEqual(found["extra_logs"]["safety"], [objective_of(text, "safety") for text in texts])

    def test_an_empty_shard(self):
        self.assertEqual(self.load().reward_func([], [], []), {"rewards": [], "scores": [], "extra_logs": {}})


if __name__ == "__main__":
    unittest.main()
