# Many clients, a network that loses, cuts and doubles, thieves, and kill -9 again and again: what the clients saw is
# recorded and judged. HISTORY_SEED repeats a run's chances, HISTORY_SECONDS makes it longer than a minute.

import base64
import http.client
import json
import os
import random
import socket
import threading
import time
import unittest

from harness import Demo, Gateway, wait_until
from history import Judge, Recorder

SECONDS = int(os.environ.get("HISTORY_SECONDS", "60"))
SEED = int(os.environ.get("HISTORY_SEED", str(int(time.time()))))
OWNERS, SESSIONS = 6, 10
WINDOW = 2
# A client does not ask with a new token while a copy of the last request may still be under way.
PAUSE = 0.5


def exchange(port, token, timeout=10):
    """POST /refresh: (status, body)."""
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=timeout)
    try:
        connection.request("POST", "/refresh", json.dumps({"refresh_token": token}),
                           {"Content-Type": "application/json"})
        reply = connection.getresponse()
        return reply.status, json.loads(reply.read())
    finally:
        connection.close()


def session_claims(access):
    text = access.split(".")[1]
    return json.loads(base64.urlsafe_b64decode(text + "=" * (-len(text) % 4)))


class Network:
    """What lies between a client and the gateway. It sees every answer that the gateway gives, and loses some."""

    def __init__(self, gateway, recorder):
        self.gateway, self.recorder = gateway, recorder

    def ask(self, session, token, holder, chance):
        """The answer, or None when none arrives."""
        fate = chance.random()
        if fate < 0.05:
            return None  # The request is lost.
        if fate < 0.10:
            return self.hang_up(session, token, holder)
        if fate < 0.20:
            # Two copies, at once: the client sees one of the answers.
            other = threading.Thread(target=self.deliver, args=(session, token, holder))
            other.start()
            answer = self.deliver(session, token, holder)
            other.join()
            return answer
        answer = self.deliver(session, token, holder)
        if fate < 0.35:
            return None  # The answer is lost.
        if fate < 0.40:
            time.sleep(chance.uniform(0, 0.3))
        return answer

    def deliver(self, session, token, holder):
        call = self.recorder.call("asked", session, token, holder)
        try:
            status, body = exchange(self.gateway.port, token)
        except (OSError, http.client.HTTPException, ValueError):
            return None  # The gateway has died, with or without having done it.
        if status == 200:
            self.recorder.note("answered", call, "child", body["refresh_token"])
        elif status != 503:
            self.recorder.note("answered", call, "refused", f"{status} {body.get('code')}")
        return status, body

    def hang_up(self, session, token, holder):
        """The connection breaks when the request is out, whole or in part."""
        self.recorder.call("asked", session, token, holder)
        body = json.dumps({"refresh_token": token})
        head = f"POST /refresh HTTP/1.1\r\nHost: a\r\nContent-Type: application/json\r\nContent-Length: {len(body)}"
        try:
            with socket.create_connection(("127.0.0.1", self.gateway.port), timeout=10) as raw:
                raw.sendall(f"{head}\r\n\r\n{body}".encode())
        except OSError:
            pass


class Session:
    count = 0

    def __init__(self, pair):
        Session.count += 1
        self.name = Session.count
        self.access, self.refresh = pair["access_token"], pair["refresh_token"]
        self.is_over = False
        self.ready = 0


class Owner(threading.Thread):
    """Keeps several sessions going, and now and then leaves one. A thief copies a token of every fifth."""

    def __init__(self, gateway, recorder, seed):
        super().__init__(daemon=True)
        self.gateway, self.recorder = gateway, recorder
        self.network = Network(gateway, recorder)
        self.chance = random.Random(seed)
        self.sessions, self.loot = [], []
        self.ends = threading.Event()
        self.failure = None

    def run(self):
        try:
            while not self.ends.is_set():
                try:
                    self.step()
                except (OSError, http.client.HTTPException):
                    time.sleep(0.02)  # The gateway is being started again.
        except Exception as failure:
            self.failure = failure
            raise

    def step(self):
        now = time.monotonic()
        if self.loot and self.loot[0][0] < now:
            _, session, token = self.loot.pop(0)
            self.network.deliver(session.name, token, "stranger")
            self.use(session)
        live = [session for session in self.sessions if not session.is_over]
        if len(live) < SESSIONS:
            self.begin()
        ready = [session for session in live if session.ready < now]
        if not ready:
            time.sleep(0.01)
            return
        session = self.chance.choice(ready)
        if self.chance.random() < 0.01:
            self.leave(session)
        else:
            self.refresh(session)

    def begin(self):
        status, body = self.post("/login", {"user": "alice", "password": "wonderland"})
        if status == 200:
            session = Session(body)
            self.recorder.note("began", session.name)
            self.sessions.append(session)

    def refresh(self, session):
        if session.name % 5 == 0 and self.chance.random() < 0.1:
            self.loot.append((time.monotonic() + self.chance.uniform(0, 6), session, session.refresh))
        answer = self.network.ask(session.name, session.refresh, "owner", self.chance)
        session.ready = time.monotonic() + self.chance.uniform(0.02, 0.2)
        if answer is None or answer[0] == 503:
            return
        status, body = answer
        if status != 200:
            session.is_over = True
            return
        parent = session.refresh
        session.access, session.refresh = body["access_token"], body["refresh_token"]
        session.ready = time.monotonic() + PAUSE * self.chance.uniform(1, 2)
        if self.chance.random() < 0.7:
            self.use(session)
        if self.chance.random() < 0.05:
            self.look(session)
            # Long enough for what is copied now to be too late.
            session.ready = time.monotonic() + WINDOW + 2
            self.loot.append((session.ready - 0.3, session, parent))

    def look(self, session):
        """The control API knows whether the gateway has taken note that the client has its tokens."""
        self.use(session)
        claims = session_claims(session.access)
        status, row = self.get(self.gateway.control_port, f"/sessions/{claims['sid']}")
        if status == 200 and row["confirmed"] and row["generation"] == claims["gen"]:
            self.recorder.note("confirmed_", session.refresh)

    def use(self, session):
        call = self.recorder.call("using", session.name)
        status, _ = self.get(self.gateway.port, "/whoami", session.access)
        if status in (200, 401):
            self.recorder.note("used", call, status == 200)

    def leave(self, session):
        self.recorder.note("leaving", session.name)
        status, _ = self.post("/refresh/logout", {"refresh_token": session.refresh})
        if status == 204:
            session.is_over = True
            self.recorder.note("left", session.name)
            self.use(session)
            self.network.deliver(session.name, session.refresh, "owner")

    def post(self, path, form):
        return self.http(self.gateway.port, "POST", path, json.dumps(form), {"Content-Type": "application/json"})

    def get(self, port, path, token=None):
        return self.http(port, "GET", path, None, {"Authorization": f"Bearer {token}"} if token else {})

    @staticmethod
    def http(port, method, path, body, headers):
        connection = http.client.HTTPConnection("127.0.0.1", port, timeout=10)
        try:
            connection.request(method, path, body, headers)
            reply = connection.getresponse()
            text = reply.read()
            return reply.status, json.loads(text) if text else None
        finally:
            connection.close()


class History(unittest.TestCase):
    def test_clients_that_lose_answers_over_a_gateway_that_is_killed(self):
        print(f"\n    HISTORY_SEED={SEED}", flush=True)
        demo = Demo()
        self.addCleanup(demo.stop)
        gateway = Gateway(demo.port, refresh=f"race_window {WINDOW}s; sessions_per_subject none;")
        self.addCleanup(gateway.stop)
        recorder, moments = Recorder(), random.Random(SEED)
        owners = [Owner(gateway, recorder, SEED + number) for number in range(OWNERS)]
        for owner in owners:
            owner.start()
        end, kills = time.monotonic() + SECONDS, 0
        while time.monotonic() < end:
            time.sleep(moments.uniform(0.5, 4))
            gateway.kill()
            gateway.start()
            kills += 1
        for owner in owners:
            owner.ends.set()
            owner.join(30)
            self.assertIsNone(owner.failure)
        self.refresh_once_more(owners)
        judge = Judge(WINDOW + 1).read(recorder.entries)
        self.assertEqual(judge.violations, [])
        innocent = len(judge.sessions - judge.suspect)
        print(f"    {judge.exchanges} exchanges, {len(judge.sessions)} sessions ({innocent} innocent),"
              f" {judge.replays_found} replays found, {kills} kills", flush=True)
        self.assertGreater(judge.exchanges, 5 * SECONDS)
        self.assertGreater(judge.replays_found, SECONDS // 10)
        events = {line["event.action"] for line in gateway.audit_log()}
        self.assertIn("refresh_token_reused", events)
        self.assertNotIn("store_behind", events)

    def refresh_once_more(self, owners):
        """Every session that is not known to be over has its owner's last word."""
        for owner in owners:
            for session in owner.sessions:
                if not session.is_over:
                    answer = wait_until(lambda: owner.network.deliver(session.name, session.refresh, "owner"))
                    self.assertIn(answer[0], (200, 400))



class TheJudge(unittest.TestCase):
    """A history that breaks a rule is found out, and its nearest neighbour that keeps it is not."""

    BEGAN = (0, "began", 1)

    def violations(self, *entries):
        return len(Judge(2).read([self.BEGAN, *entries]).violations)

    def ask(self, token, answer, what="400", holder="owner", at=1):
        return (at, "asked", at, 1, token, holder), (at, "answered", at, answer, what)

    def test_children(self):
        first = self.ask("a", "child", "b")
        self.assertEqual(self.violations(*first, *self.ask("a", "child", "b", at=2)), 0)
        self.assertEqual(self.violations(*first, *self.ask("a", "child", "c", at=2)), 1)
        self.assertEqual(self.violations(*first, *self.ask("x", "child", "b", at=2)), 1)

    def test_innocence(self):
        self.assertEqual(self.violations(*self.ask("a", "refused")), 1)
        self.assertEqual(self.violations((0, "leaving", 1), *self.ask("a", "refused")), 0)
        self.assertEqual(self.violations(*self.ask("a", "refused", holder="stranger")), 0)
        self.assertEqual(self.violations((0, "using", 1, 1), (0, "used", 1, False)), 1)
        self.assertEqual(self.violations((0, "using", 1, 1), (0, "used", 1, True)), 0)

    def test_replays(self):
        twice = *self.ask("a", "child", "b"), *self.ask("b", "child", "c", at=2)
        self.assertEqual(self.violations(*twice, *self.ask("a", "child", "b", "stranger", at=3)), 1)
        self.assertEqual(self.violations(*twice, *self.ask("a", "refused", at=3)), 0)
        seen = *self.ask("a", "child", "b"), (1, "confirmed_", "b")
        self.assertEqual(self.violations(*seen, *self.ask("a", "child", "b", at=3)), 0)
        self.assertEqual(self.violations(*seen, *self.ask("a", "child", "b", at=4)), 1)

    def test_what_is_over(self):
        left = (0, "leaving", 1), (0, "left", 1)
        self.assertEqual(self.violations(*left, *self.ask("a", "child", "b")), 1)
        self.assertEqual(self.violations(*left, (1, "using", 1, 1), (1, "used", 1, True)), 1)
        self.assertEqual(self.violations(*left, (1, "using", 1, 1), (1, "used", 1, False)), 0)
