"""Sends every request of bodies/*.json and compares status and shape of the reply.

bodies/README.md says how they are written and from what.
These are the dialects as their sources have them, also where no package with a client can be had.
"""

import copy
import http.client
import json
import math
import pathlib
import urllib.parse

from common import Run

run = Run("bodies")
FOLDER = pathlib.Path(__file__).with_name("bodies")
KINDS = {
    "number": lambda v: isinstance(v, (int, float)) and not isinstance(v, bool) and math.isfinite(v),
    "share": lambda v: isinstance(v, (int, float)) and not isinstance(v, bool) and 0 <= v <= 1,
    "integer": lambda v: isinstance(v, int) and not isinstance(v, bool),
    "string": lambda v: isinstance(v, str),
    "boolean": lambda v: isinstance(v, bool),
    "object": lambda v: isinstance(v, dict),
    "null": lambda v: v is None,
    "any": lambda v: True,
}


def differences(shape, value, place="reply"):
    """Where a value has not the shape, in words."""
    if isinstance(shape, str):
        fits = any(KINDS[kind](value) for kind in shape.split("|"))
        return [] if fits else [f"{place} is {json.dumps(value)[:80]}, not {shape}"]
    if isinstance(shape, list):
        if not isinstance(value, list) or bool(value) != bool(shape):
            return [f"{place} is {json.dumps(value)[:80]}, not {'a filled' if shape else 'an empty'} list"]
        return [d for i, v in enumerate(value) for d in differences(shape[0], v, f"{place}[{i}]")]
    if not isinstance(value, dict) or (not shape and value):
        return [f"{place} is {json.dumps(value)[:80]}, not an object{'' if shape else ' without keys'}"]
    missing = [f"{place}.{key} is missing" for key in shape if key not in value]
    return missing + [d for k, s in shape.items() if k in value for d in differences(s, value[k], f"{place}.{k}")]


def repeated(body, key, times):
    """The body with one of its lists made longer."""
    body, place = copy.deepcopy(body), key.split(".")
    inside = body
    for name in place[:-1]:
        inside = inside[int(name)] if isinstance(inside, list) else inside[name]
    inside[place[-1]] = inside[place[-1]] * times
    return body


def send(case):
    """Status, media type and body of the reply."""
    body = case.get("body")
    if "repeat" in case:
        body = repeated(body, case["repeat"]["key"], case["repeat"]["times"])
    text = case["body_text"] if "body_text" in case else json.dumps(body) if body is not None else ""
    headers = {"Content-Type": "application/json"} if text else {}
    headers = {k: v for k, v in (headers | case.get("headers", {})).items() if v is not None}
    address = urllib.parse.urlsplit(run.server)
    connection = http.client.HTTPConnection(address.hostname, address.port, timeout=120)
    connection.request(case["method"], case["path"], text.encode(), headers)
    reply = connection.getresponse()
    return reply.status, reply.headers.get_content_type(), reply.read()


def wrong(case):
    """What is wrong with the reply to a case; an empty list if nothing is."""
    status, kind, body = send(case)
    accepted = case["status"] if isinstance(case["status"], list) else [case["status"]]
    if status not in accepted:
        return [f"status {status}, not {' or '.join(map(str, accepted))}: {body[:160].decode(errors='replace')}"]
    if case["reply_shape"] == "any":
        return []
    if kind != "application/json":
        return [f"Content-Type {kind}, not application/json"]
    return differences(case["reply_shape"], json.loads(body))


def checks(file):
    """All cases of one dialect: a line for each that is wrong, one for all that are right."""
    cases, right = json.loads(file.read_text(encoding="utf-8")), 0
    for case in cases:
        found = wrong(case)
        right += not found
        if found:
            run.check(file.stem, case["name"], False, "; ".join(found)[:400])
    run.check(file.stem, "requests with the reply they should have", right == len(cases), f"{right} of {len(cases)}")


for dialect in sorted(FOLDER.glob("*.json")):
    run.guard(dialect.stem, "all requests", lambda f=dialect: checks(f))
run.end()
