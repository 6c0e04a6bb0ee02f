# A queue before few connections, while clients and upstreams end at random moments, many of them in one batch
# of events. Afterwards every place must be free again, and every answer must be the one that was asked for.

import os
import random
import signal
import threading
import time
import unittest

from clients import Raw, curl
from harness import Gateway, wait_until
from upstreams import Upstream

PLACES = 4
ROUTES = """
route / { upstream api; access anonymous; }
route /login { upstream api; access anonymous; login; }
"""
HANDSHAKE = "GET /ws HTTP/1.1\r\nHost: h\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\n"
SWITCH = b"HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\n"


class Queue(unittest.TestCase):
    WORKERS = 1

    def setUp(self):
        self.chance = random.Random(11)
        self.is_hostile, self.held, self.go = True, [], threading.Event()
        self.upstream = Upstream(self.answer)
        self.gateway = Gateway(
            0, routes=ROUTES, main=f"workers {self.WORKERS};", limits="connections_per_address 4000;",
            upstream="queue 200 timeout=5s;", start=False,
        )  # fmt: skip
        with open(self.gateway.config) as file:
            text = file.read().replace(
                "server http://127.0.0.1:0;", f"server http://127.0.0.1:{self.upstream.port} connections={PLACES};"
            )
        with open(self.gateway.config, "w") as file:
            file.write(text)
        self.gateway.start()
        self.addCleanup(self.gateway.stop)
        self.addCleanup(self.upstream.stop)

    def answer(self, request, connection):
        if request.target.startswith("/hold"):
            self.held.append(request.target)
            self.go.wait(10)
        elif request.target.startswith("/ws"):
            connection.send(SWITCH + b"x" * 2000)
            time.sleep(self.chance.random() * 0.01)
            (connection.reset if self.chance.random() < 0.5 else connection.close)()
            return None
        elif self.is_hostile:
            time.sleep(self.chance.choice((0, 0, 0.002)))
            dice = self.chance.randrange(8)
            if dice == 0:
                connection.reset()
                return None
            if dice == 1:
                connection.send(b"HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nhalf")
                connection.reset()
                return None
            if dice == 2:
                connection.send(b"HTTP/1.1 103 Early Hints\r\n\r\nHTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nokX")
                return None
            if dice == 3:
                connection.send(b"HTTP/1.1 200 OK\r\n\r\nuntil the end")
                connection.close()
                return None
        body = request.target.encode()
        session = b"Session-Start: alice\r\n" if request.target == "/login" else b""
        return b"HTTP/1.1 200 OK\r\n%sContent-Length: %d\r\n\r\n%s" % (session, len(body), body)

    def chaos(self, count):
        requests = [
            "GET /a HTTP/1.1\r\nHost: h\r\n\r\n",
            "GET /a HTTP/1.1\r\nHost: h\r\n\r\n" * 5,
            "GET /a HTTP/1.0\r\nHost: h\r\n\r\n",
            "POST /a HTTP/1.1\r\nHost: h\r\nContent-Length: 20000\r\n\r\n" + "b" * 20_000,
            "POST /login HTTP/1.1\r\nHost: h\r\nContent-Length: 0\r\n\r\n",
            HANDSHAKE + "client's",
        ]
        open_ = []
        for number in range(count):
            raw = Raw(self.gateway.port)
            raw.send(self.chance.choice(requests))
            open_.append(raw)
            if len(open_) < 40:
                continue
            self.chance.shuffle(open_)
            os.kill(self.gateway.process.pid, signal.SIGSTOP)
            time.sleep(0.005)
            for raw in open_[:30]:
                raw.reset() if self.chance.random() < 0.8 else raw.close()
            os.kill(self.gateway.process.pid, signal.SIGCONT)
            open_ = open_[30:]
        for raw in open_:
            raw.reset()

    def places_are_free(self):
        """As many requests as there are places are answered at the same time, and one more waits."""
        self.is_hostile = False
        wait_until(lambda: curl(self.gateway.base + "/a").body == b"/a", 10, "a place")
        head = "GET /hold/{} HTTP/1.1\r\nHost: h\r\n\r\n"
        raws = [Raw(self.gateway.port).send(head.format(number)) for number in range(PLACES + 1)]
        wait_until(lambda: len(self.held) == PLACES, 8, f"{PLACES} requests at once")
        time.sleep(0.1)
        self.assertEqual(len(self.held), PLACES)
        self.go.set()
        for number, raw in enumerate(raws):
            self.assertEqual(raw.response().body, b"/hold/%d" % number)
            raw.close()

    def test_every_place_is_free_again(self):
        self.chaos(1500)
        self.places_are_free()


class QueueOfTwoShards(Queue):
    WORKERS = 2


if __name__ == "__main__":
    unittest.main()
