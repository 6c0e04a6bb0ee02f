# kill -9 at random moments while clients refresh: no acknowledged rotation and no acknowledged log-out is
# lost, and no client loses its session by it. CRASH_SEED repeats a run's moments; CRASH_ROUNDS makes it
# longer.

import http.client
import json
import os
import random
import threading
import time
import unittest

from clients import curl, login
from harness import Demo, Gateway

ROUNDS = int(os.environ.get("CRASH_ROUNDS", "20"))
SEED = int(os.environ.get("CRASH_SEED", str(int(time.time()))))
CLIENTS = 6
SESSIONS = 12


class Refresher(threading.Thread):
    """A client that refreshes without a pause, its sessions in turn, since each has a pace of its own, and repeats
    the older token when the answer was lost."""

    def __init__(self, gateway, pairs):
        super().__init__(daemon=True)
        self.gateway, self.tokens = gateway, [pair["refresh_token"] for pair in pairs]
        self.turn = 0
        self.acknowledged = self.lost = 0
        self.refusal = None
        self.ends = threading.Event()

    def run(self):
        connection = None
        while not self.ends.is_set() and not self.refusal:
            try:
                if connection is None:
                    connection = http.client.HTTPConnection("127.0.0.1", self.gateway.port, timeout=10)
                connection.request(
                    "POST",
                    "/refresh",
                    json.dumps({"refresh_token": self.tokens[self.turn]}),
                    {"Content-Type": "application/json"},
                )
                reply = connection.getresponse()
                body = json.loads(reply.read())
            except (OSError, http.client.HTTPException, ValueError):
                self.lost += 1
                connection = None
                time.sleep(0.005)
                continue
            if reply.status == 200:
                self.tokens[self.turn] = body["refresh_token"]
                self.acknowledged += 1
                self.turn = (self.turn + 1) % len(self.tokens)
            elif reply.status not in (429, 503):
                self.refusal = (reply.status, body)


class Crash(unittest.TestCase):
    def setUp(self):
        self.demo = Demo()
        self.gateway = Gateway(self.demo.port)

    def tearDown(self):
        self.gateway.stop()
        self.demo.stop()

    def test_kill_in_a_loop_of_refreshes(self):
        print(f"\n    CRASH_SEED={SEED}", flush=True)
        moments = random.Random(SEED)
        clients = [Refresher(self.gateway, [login(self.gateway) for _ in range(SESSIONS)]) for _ in range(CLIENTS)]
        for client in clients:
            client.start()
        ended, starts = [], []
        for _ in range(ROUNDS):
            leaver = login(self.gateway, "bob", "builder")
            time.sleep(moments.uniform(0.02, 0.3))
            reply = curl(
                self.gateway.base + "/refresh/logout", as_json={"refresh_token": leaver["refresh_token"]}
            )
            self.assertEqual(reply.status, 204)
            self.gateway.kill()
            starts.append(self.gateway.start())
            ended.append(leaver)
            for pair in ended[-3:]:
                self.assert_ended(pair)
        for client in clients:
            client.ends.set()
            client.join(20)
        for client in clients:
            self.assertIsNone(client.refusal)
            self.assertGreater(client.acknowledged, ROUNDS)
        self.assert_nothing_was_lost(clients)
        for pair in ended:
            self.assert_ended(pair)
        rotations, lost = sum(c.acknowledged for c in clients), sum(c.lost for c in clients)
        print(
            f"    {rotations} rotations, {lost} attempts lost, slowest start {max(starts) * 1000:.0f} ms",
            flush=True,
        )

    def assert_ended(self, pair):
        refused = curl(self.gateway.base + "/refresh", as_json={"refresh_token": pair["refresh_token"]})
        self.assertEqual((refused.status, refused.json["code"]), (400, "session_ended"))
        self.assertEqual(curl(self.gateway.base + "/whoami", token=pair["access_token"]).status, 401)

    def assert_nothing_was_lost(self, clients):
        # A row that is behind its client's token would be healed, and audited: so the audit log tells.
        events = {line["event.action"] for line in self.gateway.audit_log()}
        self.assertNotIn("store_behind", events)
        self.assertNotIn("refresh_token_reused", events)
        sessions = curl(self.gateway.control + "/sessions?subject=alice").json["sessions"]
        self.assertEqual({session["state"] for session in sessions}, {"live"})
        self.assertEqual(len(sessions), CLIENTS * SESSIONS)
        self.assertGreaterEqual(sum(s["generation"] for s in sessions), sum(c.acknowledged for c in clients))
        for token in [token for client in clients for token in client.tokens]:
            pair = curl(self.gateway.base + "/refresh", as_json={"refresh_token": token})
            self.assertEqual(pair.status, 200)
            self.assertEqual(curl(self.gateway.base + "/whoami", token=pair.json["access_token"]).status, 200)
