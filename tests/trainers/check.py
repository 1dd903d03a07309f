"""The server's dialects against the trainers' own code: python tests/trainers/check.py target/release/ensemble

Trains the quickstart into a temporary folder (or takes --registry DIR), serves it on a free port, and runs every peer's
script beside this file in a process of its own. Prints one line per check and a summary; exits with 1 if any fails.

    pip install -r tests/trainers/requirements.txt        (beside torch, transformers and trl)
    python tests/trainers/fetch.py FOLDER                 (the peers that are not installed but unpacked)
    python tests/trainers/check.py BINARY --peers FOLDER

What cannot be had is "not run", with the reason, and never counts as passed.
check.log is what a whole run printed.
"""

import argparse
import contextlib
import json
import os
import pathlib
import select
import signal
import subprocess
import sys
import tempfile
import time
import urllib.request

from common import CONVERSATIONS, chatml, chatml_prompt, chatml_query, one_turn
from fetch import fetch

HERE = pathlib.Path(__file__).resolve().parent
ROOT = HERE.parents[1]
PEERS = ["bodies", "openrlhf_client", "verl_client", "trl_client", "llamafactory_client", "triton_client"]
PEERS += ["tei_clients", "openai_client"]
# The recorded bodies have 1025 items where they have too many.
LIMITS = ["--max-items", "1024"]
# Seconds that one peer's script may take; most of that time peers wait before they try again.
LIMIT = 600


class Tally:
    """Counts the lines of all scripts by their first word."""

    def __init__(self):
        self.counts = {"ok": 0, "FAILED": 0, "not run": 0}

    def line(self, text):
        """Prints a line of a check; lines of other kinds are a peer's own chatter."""
        for verdict in self.counts:
            if text.startswith(verdict + " "):
                self.counts[verdict] += 1
                print(text, flush=True)

    def check(self, what, passed, figures):
        """A check of this file."""
        self.line(f"{'ok' if passed else 'FAILED':<8}ensemble: {what}: {figures}")


def train(binary, folder):
    """Trains the quickstart into `folder`; the registry's path."""
    places = {"registry": folder / "registry", "report": folder / "report", "cache": folder / "cache"}
    settings = [word for name, place in places.items() for word in ("--set", f"output.{name}={place}")]
    subprocess.run([binary, "train-all", ROOT / "configs" / "quickstart.yaml", "--quiet", *settings], check=True)
    return places["registry"]


@contextlib.contextmanager
def serving(binary, registry, tally, limits):
    """A server on a free port, ready; at the end it is asked to stop, which must go well."""
    command = [binary, "serve", "--registry", str(registry), "--port", "0", *limits]
    environment = {k: v for k, v in os.environ.items() if not k.startswith("ENSEMBLE_")}
    server = subprocess.Popen(command, stdout=subprocess.PIPE, env=environment, text=True)
    try:
        if not select.select([server.stdout], [], [], 120)[0]:
            raise RuntimeError("the server did not say its address within 120 s")
        address = server.stdout.readline().strip()
        if not address.startswith("http://"):
            raise RuntimeError(f"the server said {address!r} instead of its address")
        yield address
        started = time.monotonic()
        server.send_signal(signal.SIGTERM)
        code = server.wait(30)
        tally.check("SIGTERM ends the server", code == 0, f"exit code {code} after {time.monotonic() - started:.1f} s")
    finally:
        server.kill()


def post(address, path, body):
    """The JSON of a reply."""
    data, headers = json.dumps(body).encode(), {"Content-Type": "application/json"}
    with urllib.request.urlopen(urllib.request.Request(address + path, data, headers), timeout=120) as reply:
        return json.loads(reply.read())


def equal(tally, what, found, expected):
    """Numbers of two lists of results, all digits."""

    def numbers(results):
        heads = [head for result in results for _, head in sorted(result["scores"].items())]
        return [r["combined"] for r in results] + [n for head in heads for _, n in sorted(head.items())]

    found, expected = numbers(found), numbers(expected)
    worst = max(abs(a - b) for a, b in zip(found, expected, strict=True))
    tally.check(what, found == expected, f"{len(found)} numbers, largest difference {worst:g}")


def truth_of(address, binary, registry, tally):
    """What the server says of the conversations, after a comparison with `ensemble score` and between its own forms."""
    truth = post(address, "/v1/score", {"items": [{"messages": c} for c in CONVERSATIONS]})
    lines = "\n".join(json.dumps({"messages": c}) for c in CONVERSATIONS)
    scored = subprocess.run(
        [binary, "score", "--registry", str(registry)], input=lines, capture_output=True, text=True, check=True
    )
    equal(tally, "/v1/score and `score` agree", truth["results"], [json.loads(x) for x in scored.stdout.splitlines()])
    texts = [{"text": chatml(c)} for c in CONVERSATIONS]
    equal(tally, "ChatML and messages agree", post(address, "/v1/score", {"items": texts})["results"], truth["results"])
    queries = [{"text": chatml_query(c, 3, 2), "prompt": chatml_prompt(c)} for c in CONVERSATIONS]
    padded = post(address, "/v1/score", {"items": queries})["results"]
    equal(tally, "padded ChatML with its prompt and messages agree", padded, truth["results"])
    pairs = [{"prompt": prompt, "response": response} for _, prompt, response in one_turn()]
    expected = [truth["results"][i] for i, _, _ in one_turn()]
    equal(tally, "pairs and messages agree", post(address, "/v1/score", {"items": pairs})["results"], expected)
    return truth


def run_peer(name, arguments, tally):
    """One peer's script; one that dies or hangs is a failed check."""
    before = sum(tally.counts.values())
    command = [sys.executable, str(HERE / f"{name}.py"), *arguments]
    # Peers must not find a proxy between them and this machine.
    environment = os.environ | {"NO_PROXY": "127.0.0.1", "no_proxy": "127.0.0.1"}
    try:
        ended = subprocess.run(command, capture_output=True, text=True, timeout=LIMIT, env=environment)
    except subprocess.TimeoutExpired:
        tally.line(f"FAILED  {name}: the script took longer than {LIMIT} s")
        return
    failed = tally.counts["FAILED"]
    for line in ended.stdout.splitlines():
        tally.line(line)
    if sum(tally.counts.values()) == before or (ended.returncode and tally.counts["FAILED"] == failed):
        last = ended.stderr.strip().splitlines()[-1:] or ["nothing"]
        if last[0].startswith("ModuleNotFoundError"):
            tally.line(f"not run {name}: {last[0]}")
        else:
            tally.line(f"FAILED  {name}: the script ended with {ended.returncode}; last it said {last[0][:200]}")
    elif tally.counts["FAILED"] > failed:
        print(ended.stderr[-4000:], file=sys.stderr)


def main():
    """All of it."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("binary", type=pathlib.Path)
    parser.add_argument("--registry", type=pathlib.Path, help="a registry, instead of training the quickstart")
    parser.add_argument("--peers", type=pathlib.Path, help="folder of unpacked peers; missing ones are fetched into it")
    parser.add_argument("--client", type=pathlib.Path, default=ROOT / "clients" / "python" / "ensemble_client.py")
    parser.add_argument("--only", nargs="*", choices=PEERS, default=PEERS, help="these scripts alone")
    arguments = parser.parse_args()
    binary, tally, started = str(arguments.binary.resolve()), Tally(), time.monotonic()
    with tempfile.TemporaryDirectory() as temporary:
        folder = pathlib.Path(temporary)
        peers = (arguments.peers or folder / "peers").resolve()
        peers.mkdir(parents=True, exist_ok=True)
        fetch(peers)
        registry = (arguments.registry or train(binary, folder)).resolve()
        with serving(binary, registry, tally, LIMITS) as address:
            truth = folder / "truth.json"
            truth.write_text(json.dumps(truth_of(address, binary, registry, tally)), encoding="utf-8")
            given = {"--server": address, "--truth": truth, "--peers": peers, "--client": arguments.client.resolve()}
            words = [str(word) for pair in given.items() for word in pair]
            for name in arguments.only:
                run_peer(name, words, tally)
        if arguments.only == PEERS:
            # No text is kept, or the second peer would find those of the first.
            with serving(binary, registry, tally, ["--queue-items", "2", "--recent-texts", "0"]) as address:
                run_peer("overload", ["--server", address, *words[2:]], tally)
    counts = tally.counts
    seconds = time.monotonic() - started
    print(f"{counts['ok']} ok, {counts['FAILED']} failed, {counts['not run']} not run, in {seconds:.0f} s")
    sys.exit(1 if counts["FAILED"] else 0)


if __name__ == "__main__":
    main()
