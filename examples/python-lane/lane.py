#!/usr/bin/env python3
"""A lane in Python, with the standard library only: claims, works, reports, and keeps its claim alive meanwhile.

    LANEKEEPER_TOKEN=<the lane's key> python3 examples/python-lane/lane.py factory

Put your own work into handle(). One task at a time: for more, start it more than once. Linux and macOS, because signals interrupt the work.
Settings: LANEKEEPER_URL, LANEKEEPER_BOARD, LEASE_SECONDS (60), DRAIN_SECONDS (30: how long the task at hand may go on after TERM).
"""
import http.client
import json
import os
import random
import signal
import sys
import threading
import time
import urllib.error
import urllib.request
import uuid

URL = os.environ.get("LANEKEEPER_URL", "http://127.0.0.1:7420")
KEY = os.environ.get("LANEKEEPER_TOKEN", "")
BOARD = os.environ.get("LANEKEEPER_BOARD", "default")
LEASE_SECONDS = int(os.environ.get("LEASE_SECONDS", "60"))
DRAIN_SECONDS = int(os.environ.get("DRAIN_SECONDS", "30"))
WAIT_SECONDS = 30  # Of a long poll; the server allows 60.
PATIENCE_SECONDS = 600  # With a server that is away; after that whoever started this should know.
TEXT_MAX = 4000  # Characters of a reason; of an error more would be allowed.


def handle(task, claim):
    """The work: yours goes here. What it returns completes the task; Block, RetryAfter and Fatal end it otherwise, and so does any other error.
    It is interrupted, wherever it is, by Stopped: after a cancel, when the claim is lost, at the end of a drain. Clean up in `finally`.

    This one counts, from where the attempt before left off: payload {"steps": 5, "seconds": 0.2}."""
    payload = task["payload"] or {}
    steps = payload.get("steps", 3)
    if steps > 1_000_000:
        raise Fatal(f"{steps} steps are more than anybody counts")
    done = (claim.checkpoint or {}).get("done", 0)
    while done < steps:
        time.sleep(payload.get("seconds", 0.1))
        done += 1
        claim.progress(done, checkpoint={"done": done})
        claim.output(f"step {done}", *(f"told: {text}" for text in claim.messages()))
    return {"summary": f"counted to {done}", "result": {"done": done}}


class Block(Exception):
    """It cannot go on without a person (needs_input), a capability, or something that passes (transient)."""

    def __init__(self, reason, kind="needs_input"):
        super().__init__(reason)
        self.kind = kind


class RetryAfter(Exception):
    """Not now: a limit was met, say. No failure."""

    def __init__(self, seconds, reason="to be tried again later"):
        super().__init__(reason)
        self.seconds = seconds


class Fatal(Exception):
    """No other attempt would do better."""


class Stopped(BaseException):
    """Raised in the middle of handle(); its text says why. No Exception, or the `except Exception` of a handler would swallow it."""


class Problem(Exception):
    """The server has refused something, and says why: application/problem+json."""

    def __init__(self, refusal):
        try:
            problem = json.load(refusal)
        except LOST:
            problem = {}  # Something between us and the server has answered.
        self.status = refusal.code
        super().__init__(f"{refusal.code} {problem.get('code', refusal.reason)}: {problem.get('detail', '')}")
        self.may_pass = refusal.code >= 500 or refusal.code == 429 or problem.get("code") == "idempotency_in_flight"
        asked = refusal.headers.get("Retry-After", "")
        self.retry_after = int(asked) if asked.isdigit() else 0


# No connection, one that was cut, an answer that is none: nobody knows what has happened.
LOST = (OSError, ValueError, http.client.HTTPException)


def call(path, token, body, patience, headers=None, wait=0):
    """A POST, tried again for `patience` seconds. That is safe: a claim has a key, and heartbeats and ends may be repeated as they are."""
    until = time.monotonic() + patience
    request = urllib.request.Request(f"{URL}/v1/{path}", json.dumps(body).encode(), {"Content-Type": "application/json", **(headers or {})})
    request.add_unredirected_header("Authorization", f"Bearer {token}")
    pause = 0.1
    while True:
        try:
            with urllib.request.urlopen(request, timeout=wait + 10) as answer:
                return json.load(answer)
        except urllib.error.HTTPError as refusal:
            error = Problem(refusal)
            if not error.may_pass:
                raise error from None
        except LOST as lost:
            error = lost
        # Not before the server wants it, and with jitter on top: otherwise all its clients come back in one moment.
        delay = getattr(error, "retry_after", 0) + random.uniform(0, pause)
        pause = min(pause * 2, 10)
        if time.monotonic() + delay > until:
            raise error
        time.sleep(delay)


class Claim:
    """A live hold on a task. A thread renews its lease, and hears of a cancel by that; the token speaks for this claim and nothing else."""

    def __init__(self, lane, claim):
        self.lane, self.run, self.task, self.handoff = lane, claim["run_id"], claim["task"], claim["handoff"]
        self.token, self.interval = claim["token"], claim["heartbeat_interval_seconds"]
        self.lease_until = time.monotonic() + self.interval * 3
        left = [attempt["checkpoint"] for attempt in self.handoff["attempts"] if attempt["checkpoint"] is not None]
        self.checkpoint = left[-1] if left else None  # The latest that an earlier attempt has left.
        self.lock, self.unread, self.heard = threading.Lock(), [], set()
        self._hear(self.handoff["messages"])
        self.is_over = threading.Event()
        self.keeper = threading.Thread(target=self._keep, daemon=True)
        self.keeper.start()

    def progress(self, value, note=None, checkpoint=None):
        """A rising number. The checkpoint is what the next attempt begins with, should this one not end well."""
        self._beat({"progress": value, "note": note, "checkpoint": checkpoint})

    def output(self, *lines):
        """What people see while it works."""
        self._try("output", {"lines": lines})

    def messages(self):
        """What people have told this task since the last call. What is not acknowledged is told to the next attempt."""
        with self.lock:
            taken, self.unread = self.unread, []
        if taken:
            self._try("messages/ack", {"ids": [message["id"] for message in taken]})
        return [message["text"] for message in taken]

    def _try(self, verb, body):
        """Not worth failing for: should the claim be lost, the next heartbeat says so."""
        try:
            call(f"runs/{self.run}/{verb}", self.token, body, patience=1)
        except (Problem, *LOST):
            pass

    def _hear(self, messages):
        with self.lock:
            self.unread += [message for message in messages if message["id"] not in self.heard]
            self.heard.update(message["id"] for message in messages)

    def _beat(self, body):
        began = time.monotonic()
        try:
            answer = call(f"runs/{self.run}/heartbeat", self.token, body, patience=self.lease_until - began)
        except Problem as problem:
            if problem.status in (400, 413):
                raise  # A checkpoint that is too large, say: for the handler to know.
            return self.lane.stop(self, f"the claim is lost: {problem}")
        except LOST:
            return self.lane.stop(self, "no heartbeat got through for a whole lease: the task may be with somebody else")
        self.lease_until = began + self.interval * 3
        self.token = answer.get("token", self.token)
        self._hear(answer["messages"])
        if answer["cancel_requested"]:
            self.lane.stop(self, "a cancel was requested")

    def _keep(self):
        while not self.is_over.wait(self.interval):
            self._beat({})


class Lane:
    def __init__(self, name):
        self.name, self.worker = name, f"{os.uname().nodename}-{os.getpid()}"
        self.is_interruptible = False  # True in handle() and in the long poll, nowhere else.
        self.is_working = self.is_draining = False
        self.why = "the worker is shutting down"

    def run(self):
        for number in (signal.SIGTERM, signal.SIGINT, signal.SIGALRM, signal.SIGUSR1):
            signal.signal(number, self._on_signal)
        while not self.is_draining:
            for claim in self._claim():
                self._work(Claim(self, claim))

    def stop(self, claim, why):
        """From any thread: interrupts handle(), which runs in the main thread, as signals do."""
        if not claim.is_over.is_set():
            self.why = why
            signal.pthread_kill(threading.main_thread().ident, signal.SIGUSR1)

    def _on_signal(self, number, _frame):
        if number in (signal.SIGTERM, signal.SIGINT) and not self.is_draining:
            self.is_draining = True
            signal.alarm(max(1, DRAIN_SECONDS))  # The task at hand may go on until then; so do its heartbeats.
            if self.is_working:
                return
        if self.is_interruptible and (self.is_working or self.is_draining):
            self.is_interruptible = False
            raise Stopped(self.why)

    def _claim(self):
        path, body = f"boards/{BOARD}/lanes/{self.name}/claims", {"worker": self.worker, "lease_seconds": LEASE_SECONDS}
        key = {"Idempotency-Key": str(uuid.uuid4())}
        try:
            self.is_interruptible = True
            if not self.is_draining:
                claims = call(path, KEY, body, PATIENCE_SECONDS, {**key, "Prefer": f"wait={WAIT_SECONDS}"}, WAIT_SECONDS)["claims"]
                if not claims:
                    time.sleep(1)  # Should a proxy have made the wait short.
                self.is_interruptible = False
                return claims
        except Stopped:
            pass
        self.is_interruptible = False
        # A claim may have been on its way to us. The same key brings it again, and it goes back without having been begun.
        try:
            for claim in call(path, KEY, body, 5, key)["claims"]:
                call(f"runs/{claim['run_id']}/release", claim["token"], {"reason": self.why}, 5)
        except (Problem, *LOST) as error:
            print(f"a claim may be left to its lease: {error}", file=sys.stderr)
        return []

    def _work(self, claim):
        verb, body = self._end_of(claim)
        signal.alarm(0)
        try:
            call(f"runs/{claim.run}/{verb}", claim.token, body, PATIENCE_SECONDS)
            print(f"{claim.task['id']} {verb}", flush=True)
        except Problem as problem:  # Most likely claim_lost: it is somebody else who decides over the task now.
            print(f"{claim.task['id']} {verb} was refused: {problem}", file=sys.stderr)
            if problem.status in (400, 413):  # What the handler gave is not valid, or too large.
                call(f"runs/{claim.run}/fail", claim.token, {"error": f"{verb} was refused: {problem}"[:TEXT_MAX]}, PATIENCE_SECONDS)
        claim.is_over.set()
        claim.keeper.join(1)  # A last word of it must not hit the next task.

    def _end_of(self, claim):
        try:
            try:
                self.is_working = self.is_interruptible = True
                if self.is_draining:
                    raise Stopped(self.why)
                done = handle(claim.task, claim) or {}
                json.dumps(done)  # What is no JSON is the handler's failure.
                return "complete", done
            except Block as block:
                return "block", {"reason": str(block)[:TEXT_MAX], "kind": block.kind}
            except RetryAfter as later:
                return "release", {"reason": str(later)[:TEXT_MAX], "delay_seconds": later.seconds}
            except Exception as error:
                return "fail", {"error": f"{type(error).__name__}: {error}"[:TEXT_MAX], "permanent": isinstance(error, Fatal)}
            finally:
                self.is_interruptible = self.is_working = False
        except Stopped as stopped:
            return "release", {"reason": str(stopped)[:TEXT_MAX]}


if __name__ == "__main__":
    if len(sys.argv) != 2 or not KEY:
        sys.exit(__doc__)
    try:
        Lane(sys.argv[1]).run()
    except (Problem, *LOST) as error:
        sys.exit(f"lane.py: {error}")
