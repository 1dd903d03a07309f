"""Rewards from `ensemble serve` for Python trainers: a checked client, and what TRL, verl and OpenRLHF call.

    from ensemble_client import Client, trl_rewards

    client = Client("http://127.0.0.1:8080")
    scores = client.score([{"prompt": "How do I boil an egg?", "response": "Seven minutes in boiling water."}])
    scores.combined        # [0.31]
    trl_rewards(client)    # [ensemble_helpfulness, ensemble_safety, ensemble_conciseness]

One rule stands above all others: a reward that is not there is never made up. Every failure raises `EnsembleError`; no
function here gives 0.0, None or NaN in place of a score. Standard library only, Python 3.9 or newer.

Environment: ENSEMBLE_URL, ENSEMBLE_API_KEY, ENSEMBLE_DIGEST (the registry that must answer), ENSEMBLE_TIMEOUT and
ENSEMBLE_DEADLINE (seconds). They configure `Client()` and with it every function that a trainer finds by name.
"""

# No `from __future__ import annotations`: OpenRLHF and verl load this file by its path without entering it into
# `sys.modules`, where dataclasses would look up annotations that are strings.
import asyncio
import collections
import concurrent.futures
import email.utils
import functools
import hashlib
import http.client
import json
import logging
import math
import os
import random
import ssl
import threading
import time
from dataclasses import dataclass
from typing import Any, Callable, Dict, Iterable, List, Mapping, Optional, Sequence, Tuple, Union
from urllib.parse import urlsplit

__version__ = "0.1.0"
__all__ = [
    "Client",
    "EnsembleError",
    "ObjectiveScore",
    "Result",
    "Scores",
    "compute_score",
    "compute_score_async",
    "compute_score_batch",
    "ensemble_reward",
    "reward_func",
    "trl_reward",
    "trl_rewards",
]

logger = logging.getLogger("ensemble_client")

DEFAULT_URL = "http://127.0.0.1:8080"
# Answers that another try may change: the server is full, draining or restarting, or something before it says so.
RETRIED_STATUS = (502, 503, 504)
FIRST_PAUSE = 0.5
LONGEST_PAUSE = 30.0
# Batches whose scores are kept, so that one callable per objective costs one request per batch.
KEPT_BATCHES = 8
NO_ANSWER = "no answer in time"
STOP = "Training must stop here: no reward was made up."

Item = Union[Mapping[str, Any], Tuple[Any, str]]
Reward = Callable[..., List[float]]


class EnsembleError(RuntimeError):
    """Scores could not be had, and none were made up. Let it stop the training; the message says what to do.

    `code` is the server's own (`overloaded`, `digest`, ...) or one of `unreachable`, `bad_reply`,
    `registry_changed`, `bad_input`. `status`, `item`, `field` and `request_id` are there where the server named them;
    `item` counts from 0 in the list that was given to `score`.
    """

    def __init__(
        self,
        message: str,
        code: str = "error",
        status: Optional[int] = None,
        item: Optional[int] = None,
        field: Optional[str] = None,
        request_id: Optional[str] = None,
    ) -> None:
        super().__init__(message)
        self.code = code
        self.status = status
        self.item = item
        self.field = field
        self.request_id = request_id


@dataclass(frozen=True)
class ObjectiveScore:
    """One objective's score of one item, with its standard errors (None for a head that has no posterior)."""

    raw: float
    normalized: float
    se: Optional[float] = None
    normalized_se: Optional[float] = None


@dataclass(frozen=True)
class Result:
    """All that the server said of one item."""

    combined: float
    scores: Mapping[str, ObjectiveScore]
    ood_distance: Optional[float] = None
    ood_p: Optional[float] = None
    tokens: Optional[int] = None
    cut_tokens: int = 0
    format: Optional[str] = None


@dataclass(frozen=True)
class Scores:
    """Scores of a list of items, in its order. Every number is finite."""

    results: Tuple[Result, ...]
    objectives: Tuple[str, ...]
    digest: str
    ids: Tuple[str, ...] = ()
    group: Optional[Mapping[str, Any]] = None

    @property
    def combined(self) -> List[float]:
        """The combined score of each item."""
        return [result.combined for result in self.results]

    def normalized(self, objective: str) -> List[float]:
        """The normalized score of each item for one objective."""
        return [self._of(result, objective).normalized for result in self.results]

    def raw(self, objective: str) -> List[float]:
        """The raw score of each item for one objective, in log-odds."""
        return [self._of(result, objective).raw for result in self.results]

    def _of(self, result: Result, objective: str) -> ObjectiveScore:
        if objective not in result.scores:
            raise EnsembleError(
                f"the registry has no objective {objective!r}; it has {', '.join(self.objectives)}", code="bad_input"
            )
        return result.scores[objective]


class Client:
    """A client of one server that scores with one registry.

    Threads may share it: each keeps a connection of its own open. A request that meets a full, draining or absent
    server is tried again with growing, jittered pauses (never shorter than `Retry-After` asks) until `deadline` seconds
    have passed; what the server refuses (4xx) or could not compute (500) is raised at once. The registry's digest is
    pinned by the first answer, or by `digest`: should another registry answer later, that is an error, because a reward
    that changes its meaning in mid-run is worse than none.

    Args:
        url: Base URL; else ENSEMBLE_URL, else http://127.0.0.1:8080. A path prefix is kept.
        api_key: Sent as a bearer token; else ENSEMBLE_API_KEY.
        timeout: Seconds for one try. Keep it above the server's own deadline (170 s), so that its answer comes first.
        deadline: Seconds for all tries of one request.
        digest: The registry that must answer; else ENSEMBLE_DIGEST.
        items_per_request: Longer lists are sent in several requests, in order.
    """

    def __init__(
        self,
        url: Optional[str] = None,
        api_key: Optional[str] = None,
        timeout: Optional[float] = None,
        deadline: Optional[float] = None,
        *,
        digest: Optional[str] = None,
        items_per_request: int = 256,
    ) -> None:
        self.url = (url or os.environ.get("ENSEMBLE_URL") or DEFAULT_URL).rstrip("/")
        parts = urlsplit(self.url)
        if parts.scheme not in ("http", "https") or not parts.hostname or parts.query or parts.fragment:
            raise EnsembleError(
                f"{self.url!r} is no server's base URL; give one like {DEFAULT_URL} as `url` or in ENSEMBLE_URL",
                code="bad_input",
            )
        if not 1 <= items_per_request <= 1024:
            raise EnsembleError("items_per_request must be 1 to 1024", code="bad_input")
        self.timeout = _seconds(timeout, "ENSEMBLE_TIMEOUT", 180.0)
        self.deadline = _seconds(deadline, "ENSEMBLE_DEADLINE", 600.0)
        self.items_per_request = items_per_request
        self._secure, self._prefix = parts.scheme == "https", parts.path
        self._host, self._port = parts.hostname, parts.port
        self._api_key = api_key or os.environ.get("ENSEMBLE_API_KEY") or None
        self._digest = digest or os.environ.get("ENSEMBLE_DIGEST") or None
        self._objectives: Optional[Tuple[str, ...]] = None
        self._lock = threading.Lock()
        self._local = threading.local()
        self._batches: collections.OrderedDict[bytes, concurrent.futures.Future[Scores]] = collections.OrderedDict()

    def __repr__(self) -> str:
        return f"Client({self.url!r}, digest={self._digest!r})"

    def __reduce__(self) -> Any:
        # Ray and multiprocessing send clients to other processes; connections and locks stay here.
        make = functools.partial(Client, digest=self._digest, items_per_request=self.items_per_request)
        return make, (self.url, self._api_key, self.timeout, self.deadline)

    @property
    def digest(self) -> Optional[str]:
        """The pinned registry; None before the first answer."""
        return self._digest

    def objectives(self) -> Tuple[str, ...]:
        """The registry's objectives. The first call scores a short text, which also proves that scores can be had."""
        if self._objectives is None:
            self.score([{"prompt": "Hello", "response": "Hello! How can I help?"}])
        return self._objectives or ()

    def score(
        self,
        items: Sequence[Item],
        weights: Optional[Mapping[str, float]] = None,
        combine: Optional[Mapping[str, Any]] = None,
        group: bool = False,
        expect_digest: Optional[str] = None,
        *,
        uncertainty_penalty: Optional[float] = None,
    ) -> Scores:
        """Scores items, in order.

        Args:
            items: `{"messages": [...]}` ending in the answer, or `{"prompt": text or messages, "response": text}`, or
                `{"text": policy text with its chat template, "prompt": the raw prompt that begins it}`, each with an
                optional `"domain"`; or a pair `(prompt, response)`.
            weights: Objectives' weights for this call instead of the registry's.
            combine: Another rule for this call, such as `{"kind": "worst_case"}`.
            group: The items are answers to one prompt; they then go in one request, and `Scores.group` is filled.
            expect_digest: The registry that must answer, instead of the pinned one.
            uncertainty_penalty: Standard errors taken off each score before combining.

        Raises:
            EnsembleError: Whenever not every item has a finite score.
        """
        options: Dict[str, Any] = {}
        if weights is not None:
            options["weights"] = {str(name): float(weight) for name, weight in weights.items()}
        if combine is not None:
            options["combine"] = dict(combine)
        if group:
            options["group"] = True
        if uncertainty_penalty is not None:
            options["uncertainty_penalty"] = float(uncertainty_penalty)
        listed = [_item(item, position) for position, item in enumerate(items)]
        return self._score_listed(listed, options, expect_digest)

    def score_once(self, items: Sequence[Item], **options: Any) -> Scores:
        """Like `score`, but does not send again what was scored lately or is being scored by another thread."""
        listed = [_item(item, position) for position, item in enumerate(items)]
        key = hashlib.blake2b(_body({"items": listed, "options": options}), digest_size=32).digest()
        with self._lock:
            future = self._batches.get(key)
            ours = future is None
            if future is None:
                future = self._batches[key] = concurrent.futures.Future()
                while len(self._batches) > KEPT_BATCHES:
                    self._batches.popitem(last=False)
            else:
                self._batches.move_to_end(key)
        if ours:
            try:
                future.set_result(self.score(listed, **options))
            except BaseException as error:
                with self._lock:
                    self._batches.pop(key, None)
                future.set_exception(error)
        return future.result()

    def close(self) -> None:
        """Closes this thread's connection; the next request opens another."""
        connection = getattr(self._local, "connection", None)
        self._local.connection = None
        if connection is not None:
            connection.close()

    # What follows is the road of one request: split, send and retry, read, check.

    def _score_listed(self, items: List[Dict[str, Any]], options: Dict[str, Any], expected: Optional[str]) -> Scores:
        if not items:
            raise EnsembleError("there is nothing to score: the list of items is empty", code="bad_input")
        size = len(items) if options.get("group") else self.items_per_request
        parts = []
        for start in range(0, len(items), size):
            chunk = items[start : start + size]
            body = {"items": chunk, **options}
            digest = expected or self._digest
            if digest:
                body["expect_digest"] = digest
            parts.append(self._checked(self._request("/v1/score", _body(body), start), len(chunk), start, digest))
        first = parts[0]
        if any((part.digest, part.objectives) != (first.digest, first.objectives) for part in parts):
            raise self._another_registry(first.digest, next(p.digest for p in parts if p.digest != first.digest))
        with self._lock:
            if expected is None:
                self._digest = self._digest or first.digest
                self._objectives = first.objectives
            pinned = self._digest
        if expected is None and pinned != first.digest:
            raise self._another_registry(pinned, first.digest)
        results = tuple(result for part in parts for result in part.results)
        ids = tuple(request_id for part in parts for request_id in part.ids)
        return Scores(results, first.objectives, first.digest, ids, first.group)

    def _request(self, path: str, body: bytes, offset: int) -> Any:
        """The JSON of a 200; tries again what may pass, and raises everything else."""
        start = time.monotonic()
        tries = 0
        refusal: Optional[EnsembleError] = None
        while True:
            left = self.deadline - (time.monotonic() - start)
            tries += 1
            asked_pause = 0.0
            cause: Exception
            try:
                status, retry_after, payload = self._exchange(path, body, max(0.001, min(self.timeout, left)))
                if status == 200:
                    return self._parsed(payload)
                refusal = self._refusal(status, payload, offset)
                if status not in RETRIED_STATUS:
                    raise refusal
                asked_pause = _retry_after(retry_after)
                found, cause = str(refusal), refusal
            except ssl.SSLCertVerificationError as error:
                text = f"{self.url}: {error}. {STOP} Check the server's certificate."
                raise EnsembleError(text, "unreachable") from error
            except (OSError, http.client.HTTPException) as error:
                self.close()
                found, cause = f"{self.url}: {_plain(error)}", error
                if refusal is not None and left < self.timeout and found.endswith(NO_ANSWER):
                    # A try that the deadline cut short says nothing; what the server said before it does.
                    found, cause = str(refusal), refusal
            pause = random.uniform(0.5, 1.0) * min(LONGEST_PAUSE, FIRST_PAUSE * 2 ** min(tries - 1, 10))
            pause = max(pause, asked_pause * random.uniform(1.0, 1.2))
            left = self.deadline - (time.monotonic() - start)
            if pause >= left:
                raise self._gone(found, tries, time.monotonic() - start, cause) from cause
            waiting = found.partition(f" {STOP}")[0]
            logger.warning("%s; trying again in %.1f s, for %.0f s more", waiting, pause, left)
            time.sleep(pause)

    def _exchange(self, path: str, body: bytes, seconds: float) -> Tuple[int, Optional[str], bytes]:
        """One request and its whole answer within `seconds`: status, Retry-After, body."""
        end = time.monotonic() + seconds
        connection, reused = self._connection()
        headers = {"Content-Type": "application/json", "Accept": "application/json"}
        if self._api_key:
            headers["Authorization"] = f"Bearer {self._api_key}"
        try:
            _limit(connection, end)
            connection.request("POST", self._prefix + path, body, headers)
            response = connection.getresponse()
        except (http.client.RemoteDisconnected, ConnectionResetError, BrokenPipeError):
            self.close()
            if not reused:
                raise
            # The server may close an idle connection at any time; a new one tells whether it is there.
            return self._exchange(path, body, max(0.001, end - time.monotonic()))
        except BaseException:
            self.close()
            raise
        try:
            pieces = []
            while True:
                _limit(connection, end)
                piece = response.read1(1 << 20)
                if not piece:
                    break
                pieces.append(piece)
            length = response.getheader("Content-Length")
            payload = b"".join(pieces)
            if length is not None and length.isdigit() and len(payload) < int(length):
                raise http.client.IncompleteRead(payload, int(length) - len(payload))
            response.close()
        except BaseException:
            # The rest of this answer must not be taken for the next one.
            self.close()
            raise
        if response.will_close:
            self.close()
        return response.status, response.getheader("Retry-After"), payload

    def _connection(self) -> Tuple[http.client.HTTPConnection, bool]:
        """This thread's open connection and whether it was used before; after a fork the child opens its own."""
        local = self._local
        connection = getattr(local, "connection", None)
        if connection is not None and getattr(local, "process", None) == os.getpid():
            return connection, True
        if self._secure:
            context = ssl.create_default_context()
            connection = http.client.HTTPSConnection(self._host, self._port, timeout=self.timeout, context=context)
        else:
            connection = http.client.HTTPConnection(self._host, self._port, timeout=self.timeout)
        local.connection, local.process = connection, os.getpid()
        return connection, False

    def _parsed(self, payload: bytes) -> Any:
        try:
            return json.loads(payload, parse_constant=_no_constant, parse_float=_finite)
        except (ValueError, RecursionError) as error:
            raise self._bad_reply(f"it is not the JSON of scores ({error})") from error

    def _checked(self, reply: Any, count: int, offset: int, digest: Optional[str]) -> Scores:
        """The reply as `Scores`, if it holds a finite number for every objective of every item, in order."""
        if not isinstance(reply, dict):
            raise self._bad_reply("it is not a JSON object")
        request_id, found = reply.get("id"), reply.get("digest")
        objectives, results = reply.get("objectives"), reply.get("results")
        if not isinstance(found, str) or not found:
            raise self._bad_reply("it does not name the registry's digest")
        if digest and found != digest:
            raise self._another_registry(digest, found)
        names = objectives if isinstance(objectives, list) else []
        if not names or not all(isinstance(name, str) for name in names) or len(set(names)) < len(names):
            raise self._bad_reply("it does not name the objectives")
        if not isinstance(results, list) or len(results) != count:
            held = len(results) if isinstance(results, list) else "no"
            raise self._bad_reply(f"it holds {held} results for {count} items")
        if _holds_null(reply.get("group")):
            raise self._bad_reply("group holds null")
        checked = tuple(self._result(result, index, offset, names) for index, result in enumerate(results))
        ids = (request_id,) if isinstance(request_id, str) else ()
        return Scores(checked, tuple(names), found, ids, reply.get("group"))

    def _result(self, result: Any, index: int, offset: int, names: List[str]) -> Result:
        where = f"item {index + offset}"
        if not isinstance(result, dict):
            raise self._bad_reply(f"{where} is not an object", index + offset)
        if isinstance(result.get("index"), bool) or result.get("index") != index:
            raise self._bad_reply(f"result {index} says it is of item {result.get('index')!r}", index + offset)

        def number(holder: Any, key: str, place: str) -> float:
            value = holder.get(key) if isinstance(holder, dict) else None
            if isinstance(value, bool) or not isinstance(value, (int, float)):
                raise self._bad_reply(f"{place}.{key} of {where} is {value!r}, not a number", index + offset)
            try:
                return _finite(value)
            except (ValueError, OverflowError) as error:
                raise self._bad_reply(f"{place}.{key} of {where}: {error}", index + offset) from error

        def optional(holder: Any, key: str, place: str) -> Optional[float]:
            return number(holder, key, place) if isinstance(holder, dict) and key in holder else None

        scores = result.get("scores")
        if not isinstance(scores, dict) or set(scores) != set(names):
            held = ", ".join(map(str, scores)) if isinstance(scores, dict) else "none"
            raise self._bad_reply(f"{where} has scores for: {held}; not for: {', '.join(names)}", index + offset)
        checked = {
            name: ObjectiveScore(
                number(scores[name], "raw", name),
                number(scores[name], "normalized", name),
                optional(scores[name], "se", name),
                optional(scores[name], "normalized_se", name),
            )
            for name in names
        }
        ood, tokens, cut = result.get("ood"), result.get("tokens"), result.get("cut_tokens", 0)
        return Result(
            number(result, "combined", "results"),
            checked,
            optional(ood, "distance", "ood"),
            optional(ood, "p", "ood"),
            tokens if isinstance(tokens, int) else None,
            cut if isinstance(cut, int) else 0,
            result.get("format") if isinstance(result.get("format"), str) else None,
        )

    def _refusal(self, status: int, payload: bytes, offset: int) -> EnsembleError:
        """What the server said instead of 200."""
        try:
            error = json.loads(payload)["error"]
            code, message = str(error["code"]), str(error["message"])
        except (ValueError, KeyError, TypeError, RecursionError):
            text = payload[:200].decode("utf-8", "replace").strip()
            error, code, message = {}, f"http_{status}", text or "no message"
        item = error.get("item")
        item = item + offset if isinstance(item, int) else None
        field, hint, request_id = error.get("field"), error.get("hint"), error.get("request_id")
        place = "".join([f", item {item}" if item is not None else "", f", field {field}" if field else ""])
        if status == 409:
            message += ". This run began with another registry: serve that one again, or start a new run"
        if status == 401 and not hint:
            hint = "set ENSEMBLE_API_KEY to the server's key"
        text = f"{self.url} answered {status} {code}{place}: {message.rstrip('.')}."
        text += f" To do: {hint.rstrip('.')}." if isinstance(hint, str) else ""
        text += f" {STOP}" + (f" (request {request_id})" if request_id else "")
        return EnsembleError(text, code, status, item, field, request_id)

    def _gone(self, found: str, tries: int, seconds: float, cause: Exception) -> EnsembleError:
        inner = cause if isinstance(cause, EnsembleError) else None
        found = found.partition(f" {STOP}")[0].rstrip(".")
        text = (
            f"server gone: {found}; tried {tries} times in {seconds:.0f} s. {STOP} See whether the server runs "
            f"(GET {self.url}/ready), start it again with `ensemble serve`, and resume from the last checkpoint."
        )
        return EnsembleError(text, inner.code if inner else "unreachable", inner.status if inner else None)

    def _bad_reply(self, found: str, item: Optional[int] = None) -> EnsembleError:
        text = f"the answer of {self.url} cannot be trusted: {found}. {STOP} Is it `ensemble serve`? See its log."
        return EnsembleError(text, "bad_reply", 200, item)

    def _another_registry(self, expected: Optional[str], found: str) -> EnsembleError:
        text = (
            f"{self.url} scores with registry {found}, but this run began with {expected}. {STOP} Serve the first "
            "registry again, or start a new run with a new client."
        )
        return EnsembleError(text, "registry_changed")


# ---------------------------------------------------------------------------------------------------------------- TRL


def trl_rewards(
    client: Optional[Client] = None,
    objectives: Optional[Sequence[str]] = None,
    *,
    domain_column: Optional[str] = None,
) -> List[Reward]:
    """One TRL reward function per objective, for GDPO (`multi_objective_aggregation="normalize_then_sum"`).

    They give normalized scores, are named `ensemble_<objective>` (TRL's logs show that), stand in the registry's order
    (so does `reward_weights`), and share one request per batch.

    Args:
        client: The server; `Client()` by default.
        objectives: Which, in which order; all of the registry by default, which asks the server.
        domain_column: The dataset's column that names each prompt's domain, if the registry has domains.
    """
    client = client or _SHARED.client()
    names = tuple(objectives) if objectives is not None else client.objectives()
    return [_TrlReward(f"ensemble_{name}", client, name, {}, domain_column) for name in names]


def trl_reward(
    client: Optional[Client] = None,
    *,
    weights: Optional[Mapping[str, float]] = None,
    combine: Optional[Mapping[str, Any]] = None,
    uncertainty_penalty: Optional[float] = None,
    domain_column: Optional[str] = None,
) -> Reward:
    """One TRL reward function that gives the combined score; the arguments are those of `Client.score`.

    Where TRL offers `log_metric` it logs each objective's mean as `ensemble/<objective>`, and as `ensemble/unfamiliar`
    the share of answers farther from the training data than 95% of held-out answers are.
    """
    options = {"weights": weights, "combine": combine, "uncertainty_penalty": uncertainty_penalty}
    kept = {name: value for name, value in options.items() if value is not None}
    return _TrlReward("ensemble_reward", client or _SHARED.client(), None, kept, domain_column)


def ensemble_reward(prompts: Sequence[Any], completions: Sequence[Any], **columns: Any) -> List[float]:
    """The combined score as a TRL reward function: `trl grpo --reward_funcs ensemble_client.ensemble_reward`.

    For one objective name it after the prefix: `ensemble_client.ensemble_safety`. The environment configures both.
    """
    return _TrlReward("ensemble_reward", None, None, {}, None)(prompts, completions, **columns)


def __getattr__(name: str) -> Any:
    """`ensemble_<objective>`: a TRL reward function for any objective, for dotted paths on a command line."""
    prefix, _, objective = name.partition("_")
    if prefix != "ensemble" or not objective:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return _TrlReward(name, None, objective, {}, None)


class _TrlReward:
    """A TRL reward function as an object, because TRL's asynchronous trainers send it to other processes."""

    def __init__(
        self,
        name: str,
        client: Optional[Client],
        objective: Optional[str],
        options: Mapping[str, Any],
        domain_column: Optional[str],
    ) -> None:
        self.__name__ = name
        self.client = client
        self.objective = objective
        self.options = options
        self.domain_column = domain_column

    def __repr__(self) -> str:
        return f"<TRL reward {self.__name__} of {self.client or 'the environment'}>"

    def __call__(self, prompts: Sequence[Any], completions: Sequence[Any], **columns: Any) -> List[float]:
        if len(prompts) != len(completions):
            raise EnsembleError(f"{len(prompts)} prompts for {len(completions)} completions", code="bad_input")
        items = [_conversation(prompt, completion) for prompt, completion in zip(prompts, completions)]
        if self.domain_column is not None:
            domains = columns.get(self.domain_column)
            if domains is None or len(domains) != len(items):
                raise EnsembleError(f"the dataset has no column {self.domain_column!r}", code="bad_input")
            for item, domain in zip(items, domains):
                item["domain"] = domain
        scores = (self.client or _SHARED.client()).score_once(items, **self.options)
        if self.objective is not None:
            return scores.normalized(self.objective)
        if callable(columns.get("log_metric")):
            _log(scores, columns["log_metric"])
        return scores.combined


def _log(scores: Scores, log_metric: Callable[[str, float], None]) -> None:
    for name in scores.objectives:
        log_metric(f"ensemble/{name}", math.fsum(scores.normalized(name)) / len(scores.results))
    shares = [result.ood_p for result in scores.results if result.ood_p is not None]
    if shares:
        log_metric("ensemble/unfamiliar", sum(share < 0.05 for share in shares) / len(shares))


def _conversation(prompt: Any, completion: Any) -> Dict[str, Any]:
    """An item of what TRL hands over: text and text, or messages and messages."""
    if isinstance(completion, str):
        return {"prompt": prompt, "response": completion}
    begun = [{"role": "user", "content": prompt}] if isinstance(prompt, str) else _messages(prompt)
    answer = _messages(completion)
    if begun and answer and begun[-1]["role"] == "assistant" and answer[0]["role"] == "assistant":
        # The completion continues an answer that the prompt began.
        answer[0]["content"] = begun.pop()["content"] + answer[0]["content"]
    return {"messages": begun + answer}


# --------------------------------------------------------------------------------------------------------------- verl

# Where verl's data preparation scripts and its users put the prompt: the reward function is not given it otherwise.
PROMPT_KEYS = ("prompt", "raw_prompt", "messages", "question")


def compute_score(
    data_source: Any = None,
    solution_str: Optional[str] = None,
    ground_truth: Any = None,
    extra_info: Optional[Mapping[str, Any]] = None,
    **kwargs: Any,
) -> Dict[str, float]:
    """verl's custom reward function: `score` is the combined score, then one normalized score per objective.

    verl hands over the answer but not the prompt, so the prompt must stand in the dataset's `extra_info` column, as
    text or as messages. Its keys are tried in the order of `PROMPT_KEYS`; `reward_kwargs.prompt_key` names another. Use
    it with the reward managers `naive`, `gdpo` and `remote`; not with `rate_limited`, which turns errors into 0.0.

    Args:
        kwargs: `prompt_key`, `weights`, `combine`, `uncertainty_penalty` (as for `Client.score`); what else verl adds
            is not needed.
    """
    return _verl_scores([solution_str], [extra_info], kwargs)[0]


async def compute_score_async(
    data_source: Any = None,
    solution_str: Optional[str] = None,
    ground_truth: Any = None,
    extra_info: Optional[Mapping[str, Any]] = None,
    **kwargs: Any,
) -> Dict[str, float]:
    """`compute_score` for verl's event loop, on threads of its own: more requests at once than verl's pool allows."""
    loop = asyncio.get_running_loop()
    call = functools.partial(_verl_scores, [solution_str], [extra_info], kwargs)
    return (await loop.run_in_executor(_SHARED.pool(), call))[0]


def compute_score_batch(
    data_sources: Sequence[Any],
    solution_strs: Sequence[str],
    ground_truths: Sequence[Any],
    extra_infos: Sequence[Optional[Mapping[str, Any]]],
    **kwargs: Any,
) -> List[Dict[str, float]]:
    """`compute_score` for verl's legacy `batch` reward manager: one request for the whole batch."""
    return _verl_scores(list(solution_strs), list(extra_infos), kwargs)


def _verl_scores(
    answers: Sequence[Optional[str]], infos: Sequence[Optional[Mapping[str, Any]]], kwargs: Mapping[str, Any]
) -> List[Dict[str, float]]:
    if len(answers) != len(infos):
        raise EnsembleError(f"{len(answers)} answers for {len(infos)} rows of extra_info", code="bad_input")
    items = [{"prompt": _verl_prompt(info, kwargs.get("prompt_key")), "response": a} for a, info in zip(answers, infos)]
    wanted = ("weights", "combine", "uncertainty_penalty")
    options = {name: kwargs[name] for name in wanted if kwargs.get(name) is not None}
    scores = _SHARED.client().score(items, **options)
    rows = []
    for result in scores.results:
        row = {"score": result.combined}
        row.update((name, score.normalized) for name, score in result.scores.items() if name != "score")
        rows.append(row)
    return rows


def _verl_prompt(info: Optional[Mapping[str, Any]], key: Optional[str]) -> Any:
    found = info if info is not None else {}
    for name in PROMPT_KEYS if key is None else (key,):
        value = found.get(name)
        if isinstance(value, Iterable) and len(list(value)) > 0:
            return value
    wanted = f"no {key!r}" if key is not None else "none of " + ", ".join(map(repr, PROMPT_KEYS))
    raise EnsembleError(
        "no prompt to score the answer with: verl gives a reward function only extra_info, and it has "
        f"{wanted} (it has: {', '.join(map(str, found)) or 'nothing'}). {STOP} Put the prompt into the dataset's "
        "extra_info, or name its key with reward.custom_reward_function.reward_kwargs.prompt_key.",
        code="bad_input",
    )


# ----------------------------------------------------------------------------------------------------------- OpenRLHF


def reward_func(queries: Sequence[str], prompts: Sequence[str], labels: Sequence[Any]) -> Dict[str, Any]:
    """OpenRLHF's reward function in a file: `--reward.remote_url .../ensemble_client.py`.

    OpenRLHF can ask the server directly, but then gives up after five tries one second apart; this one waits
    `deadline` seconds. `rewards` are combined scores, `scores` the same in 0..1, `extra_logs` the objectives.
    """
    if len(queries) != len(prompts):
        raise EnsembleError(f"{len(prompts)} prompts for {len(queries)} queries", code="bad_input")
    if not queries:
        return {"rewards": [], "scores": [], "extra_logs": {}}
    scores = _SHARED.client().score([{"text": q, "prompt": p} for q, p in zip(queries, prompts)])
    shares = [1.0 / (1.0 + math.exp(-x)) if x >= 0 else math.exp(x) / (1.0 + math.exp(x)) for x in scores.combined]
    logs = {name: scores.normalized(name) for name in scores.objectives}
    return {"rewards": scores.combined, "scores": shares, "extra_logs": logs}


# ------------------------------------------------------------------------------------------------------------- helpers


class _Shared:
    """The client and threads of the functions that trainers find by name, made when needed, one per process."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._client: Optional[Client] = None
        self._pool: Optional[concurrent.futures.ThreadPoolExecutor] = None

    def __reduce__(self) -> Any:
        # Ray sends a function of a file that it cannot import together with what the function names.
        return _Shared, ()

    def client(self) -> Client:
        with self._lock:
            self._client = self._client or Client()
            return self._client

    def pool(self) -> concurrent.futures.ThreadPoolExecutor:
        with self._lock:
            self._pool = self._pool or concurrent.futures.ThreadPoolExecutor(32, "ensemble_client")
            return self._pool


_SHARED = _Shared()


def _item(item: Item, position: int) -> Dict[str, Any]:
    """An item in the server's form: plain dictionaries and lists, whatever arrays or tuples a trainer held them in."""
    if isinstance(item, tuple) and len(item) == 2:
        item = {"prompt": item[0], "response": item[1]}
    if not isinstance(item, Mapping):
        raise EnsembleError(
            f"item {position} is a {type(item).__name__}; give a dictionary or a pair (prompt, response)",
            code="bad_input",
            item=position,
        )
    listed: Dict[str, Any] = {}
    for key, value in item.items():
        try:
            if isinstance(value, str):
                listed[key] = value
            elif key in ("messages", "prompt"):
                listed[key] = _messages(value)
            else:
                raise EnsembleError(f"{key} is a {type(value).__name__}, not text", code="bad_input")
        except EnsembleError as error:
            raise EnsembleError(f"item {position}: {error}", code="bad_input", item=position) from None
    return listed


def _messages(messages: Any) -> List[Dict[str, str]]:
    """Messages with a role and a text each."""
    if isinstance(messages, (str, bytes, Mapping)) or not isinstance(messages, Iterable):
        raise EnsembleError(f"messages are a {type(messages).__name__}, not a list", code="bad_input")
    return [_message(message) for message in messages]


def _message(message: Any) -> Dict[str, str]:
    if not isinstance(message, Mapping) or not isinstance(message.get("role"), str):
        raise EnsembleError("a message is not a dictionary with a role and a content", code="bad_input")
    if message.get("tool_calls"):
        raise EnsembleError("a message calls tools, which no head was trained to judge", code="bad_input")
    content = message.get("content")
    if isinstance(content, str):
        return {"role": message["role"], "content": content}
    parts = content if isinstance(content, Iterable) and not isinstance(content, (bytes, Mapping)) else [None]
    text = ""
    for part in parts:
        if not isinstance(part, Mapping) or part.get("type") != "text" or not isinstance(part.get("text"), str):
            raise EnsembleError("a message's content is not text", code="bad_input")
        text += part["text"]
    return {"role": message["role"], "content": text}


def _body(value: Any) -> bytes:
    try:
        # Lone surrogates, which some tokenizers' decoders leave, are no Unicode text: say so here.
        return json.dumps(value, ensure_ascii=False, allow_nan=False, default=_plain_value).encode("utf-8")
    except (TypeError, ValueError) as error:
        raise EnsembleError(f"the request cannot be written as JSON: {error}", code="bad_input") from error


def _plain_value(value: Any) -> Any:
    """Mappings of other kinds, such as OmegaConf's, as dictionaries."""
    if isinstance(value, Mapping):
        return dict(value)
    raise TypeError(f"a {type(value).__name__} is no JSON value")


def _finite(value: Any) -> float:
    number = float(value)
    if not math.isfinite(number):
        raise ValueError(f"{value} is not a finite number")
    return number


def _no_constant(name: str) -> float:
    raise ValueError(f"{name} is not a finite number")


def _holds_null(value: Any) -> bool:
    if isinstance(value, dict):
        return any(entry is None or _holds_null(entry) for entry in value.values())
    return isinstance(value, list) and any(entry is None or _holds_null(entry) for entry in value)


def _limit(connection: http.client.HTTPConnection, end: float) -> None:
    """Lets the next step on the socket last no longer than until `end`."""
    left = end - time.monotonic()
    if left <= 0:
        raise TimeoutError("timed out")
    connection.timeout = left
    if connection.sock is not None:
        connection.sock.settimeout(left)


def _retry_after(value: Optional[str]) -> float:
    """Seconds that a Retry-After asks for, in either of its forms; 0 where it says nothing readable."""
    if not value:
        return 0.0
    if value.strip().isdigit():
        return float(value)
    try:
        return max(0.0, email.utils.parsedate_to_datetime(value).timestamp() - time.time())
    except (TypeError, ValueError):
        return 0.0


def _seconds(given: Optional[float], variable: str, default: float) -> float:
    value: Any = given if given is not None else os.environ.get(variable) or default
    try:
        seconds = _finite(value)
    except (TypeError, ValueError):
        seconds = 0.0
    if seconds <= 0:
        raise EnsembleError(f"{variable} is {value!r}; give a number of seconds above 0", code="bad_input")
    return seconds


def _plain(error: BaseException) -> str:
    """A connection's error in words."""
    if isinstance(error, TimeoutError) or "timed out" in str(error):
        return NO_ANSWER
    if isinstance(error, ConnectionRefusedError):
        return "connection refused"
    if isinstance(error, http.client.IncompleteRead):
        return "the answer broke off"
    return str(error) or type(error).__name__
