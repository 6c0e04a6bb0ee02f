# Tunnels and streams whose two sides end at the worst moments: in the same batch of events, between a verdict
# and its stream, one after the other and by the thousand. What must not happen: a gateway that dies, a stream
# that outlives its session, a descriptor that stays open.

import os
import random
import signal
import threading
import time
import unittest

from clients import Raw, curl
from harness import Gateway, wait_until
from upstreams import Upstream

ROUTES = """
route / { upstream api; }
route /open { upstream api; access anonymous; }
route /slow { upstream api; access anonymous; response_timeout 1s; }
"""
SWITCH = b"HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\n"
EVENTS = b"HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\n\r\n"
HANDSHAKE = "GET {path} HTTP/1.1\r\nHost: h\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n{fields}\r\n"


def begin(gateway, subject):
    """A session without a login: the control API begins it."""
    return curl(gateway.control + "/sessions", as_json={"subject": subject}).json


def bearer(pair):
    return f"Authorization: Bearer {pair['access_token']}\r\n"


def descriptors(gateway):
    return len(os.listdir(f"/proc/{gateway.process.pid}/fd"))


class Streams(unittest.TestCase):
    MAIN, ACCESS, LIMITS = "workers 1;", "", "connections_per_address 4000;"

    def setUp(self):
        self.tunnels = []
        self.upstream = Upstream(self.answer, reads_body=False)
        self.gateway = Gateway(
            self.upstream.port, routes=ROUTES, main=self.MAIN, access=self.ACCESS, limits=self.LIMITS
        )
        self.addCleanup(self.gateway.stop)
        # Before the gateway, which waits for streams that go on.
        self.addCleanup(self.upstream.stop)

    def answer(self, request, connection):
        connection.send(SWITCH)
        self.tunnels.append(connection)
        while connection.receive():
            pass

    def tunnel(self, path="/open", fields=""):
        """An open tunnel: the client's end and the upstream's."""
        before = len(self.tunnels)
        raw = Raw(self.gateway.port).send(HANDSHAKE.format(path=path, fields=fields))
        self.assertIn(b"101", raw.line_end(b"\r\n\r\n"))
        wait_until(lambda: len(self.tunnels) > before, what="the upstream's end")
        return raw, self.tunnels[-1]

    def at_once(self, *acts):
        """Has the gateway see all of it in one batch, in this order."""
        os.kill(self.gateway.process.pid, signal.SIGSTOP)
        try:
            for act in acts:
                time.sleep(0.02)
                act()
            time.sleep(0.02)
        finally:
            os.kill(self.gateway.process.pid, signal.SIGCONT)

    def lives(self):
        raw, far = self.tunnel()
        far.send(b"still here")
        self.assertEqual(raw.exactly(10), b"still here")
        raw.close()


class Ends(Streams):
    def test_bytes_for_a_client_that_has_just_reset(self):
        for size in (1, 10_000, 200_000):
            raw, far = self.tunnel()
            far.socket.setblocking(False)
            self.at_once(lambda: far.socket.send(b"x" * size), raw.reset)
            self.lives()

    def test_bytes_for_an_upstream_that_has_just_reset(self):
        for size in (1, 10_000, 200_000):
            raw, far = self.tunnel()
            raw.socket.setblocking(False)
            self.at_once(lambda: raw.socket.send(b"x" * size), far.reset)
            raw.socket.setblocking(True)
            raw.rest(3)
            self.lives()

    def test_both_reset_in_either_order(self):
        for client_first in (True, False):
            raw, far = self.tunnel()
            far.send(b"y"), raw.send(b"x")
            ends = [raw.reset, far.reset]
            self.at_once(*(ends if client_first else reversed(ends)))
            self.lives()

    def test_the_last_bytes_behind_an_upstreams_half_end(self):
        raw, far = self.tunnel()
        far.socket.shutdown(1)
        self.assertEqual(raw.rest(), b"")
        self.at_once(lambda: raw.send(b"z" * 50_000).finish_sending())
        wait_until(lambda: len(far.input) == 50_000, what="all of what the client sent")
        raw.close()


class Bodies(Streams):
    def answer(self, request, connection):
        connection.exactly(int(request.one("content-length")))
        time.sleep(0.6)
        return b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok"

    def test_the_upstreams_time_begins_when_the_last_piece_has_left(self):
        raw = Raw(self.gateway.port).send("POST /slow HTTP/1.1\r\nHost: h\r\nContent-Length: 96000\r\n\r\n")
        for _ in range(3):
            time.sleep(0.28)
            raw.send(b"x" * 32_000)
        self.assertEqual(raw.response().status, 200)


class AcrossTheEnd(Streams):
    """The session ends between the verdict and the stream."""

    def answer(self, request, connection):
        self.asked.set()
        self.go.wait(5)
        connection.send(SWITCH if request.one("upgrade") else EVENTS)
        while connection.receive():
            pass

    def test_neither_stream_outlives_it(self):
        for head in (HANDSHAKE, "GET {path} HTTP/1.1\r\nHost: h\r\n{fields}\r\n"):
            self.asked, self.go = threading.Event(), threading.Event()
            pair = begin(self.gateway, "alice")
            raw = Raw(self.gateway.port).send(head.format(path="/late", fields=bearer(pair)))
            self.assertTrue(self.asked.wait(3))
            curl(self.gateway.control + "/subjects/alice/sessions", method="DELETE")
            self.go.set()
            raw.rest(3)
        for line in self.gateway.lines_for("/late", 2):
            self.assertEqual(line["gateway.reason"], "stream_revoked")


class Drip(Streams):
    ACCESS = "lifetime 10s; leeway 0s; stream_grace 0s;"

    def answer(self, request, connection):
        connection.send(EVENTS)
        while connection.receive():
            pass

    def log(self):
        with open(self.gateway.access_path, "rb") as file:
            return file.read()

    def test_a_client_that_drips_its_body_does_not_outlive_its_token(self):
        pair = begin(self.gateway, "alice")
        head = "POST /drip HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked\r\n{}\r\n"
        raw = Raw(self.gateway.port).send(head.format(bearer(pair)))
        self.assertIn(b"200", raw.line_end(b"\r\n\r\n"))
        end = time.monotonic() + 14
        try:
            while b'"/drip"' not in self.log() and time.monotonic() < end:
                raw.send("1\r\nx\r\n")
                time.sleep(0.1)
        except OSError:
            pass
        (line,) = self.gateway.lines_for("/drip", 1)
        self.assertEqual(line["gateway.reason"], "stream_expired")


class ByTheThousand(Streams):
    def answer(self, request, connection):
        if request.target.startswith("/events"):
            connection.send(EVENTS + b"data: 1\n\n")
        elif request.one("upgrade"):
            connection.send(SWITCH + b"hello")
        elif request.target == "/open?whole":
            return b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok"
        else:
            connection.send(b"HTTP/1.1 200 OK\r\nContent-Length: 100000\r\n\r\n" + b"x" * 50_000)
            if random.random() < 0.3:
                connection.reset()
                return None
        while connection.receive():
            pass

    def test_all_streams_of_a_session_end_at_once(self):
        pair = begin(self.gateway, "alice")
        kept = begin(self.gateway, "bob")
        before = descriptors(self.gateway)
        head = "GET /events HTTP/1.1\r\nHost: h\r\n{}\r\n"
        streams = [Raw(self.gateway.port).send(head.format(bearer(pair))) for _ in range(400)]
        other = Raw(self.gateway.port).send(head.format(bearer(kept)))
        for raw in [*streams, other]:
            raw.line_end(b"data: 1\n\n")
        self.assertEqual(curl(self.gateway.control + "/subjects/alice/sessions", method="DELETE").status, 204)
        for raw in streams:
            self.assertTrue(raw.rest(5).endswith(b"0\r\n\r\n"))
            raw.close()
        wait_until(lambda: descriptors(self.gateway) <= before + 4, what="descriptors of the ended streams")
        self.assertFalse(other.is_closed(0.1))
        other.close()

    def test_thousands_of_resets_at_random_moments_leave_nothing(self):
        pair = begin(self.gateway, "alice")
        chance = random.Random(7)
        requests = [
            HANDSHAKE.format(path="/open", fields="") + "pipelined",
            "GET /events HTTP/1.1\r\nHost: h\r\n" + bearer(pair) + "\r\n",
            "GET /open HTTP/1.1\r\nHost: h\r\n\r\n" * 3,
            "POST /open HTTP/1.1\r\nHost: h\r\nContent-Length: 100000\r\n\r\n" + "b" * 30_000,
            "POST /refresh HTTP/1.1\r\nHost: h\r\nContent-Length: 500\r\n\r\nx",
        ]

        def some(count):
            for _ in range(count):
                request = chance.choice(requests)
                raw = Raw(self.gateway.port)
                raw.send(request[: chance.choice((len(request), chance.randrange(1, len(request))))])
                time.sleep(chance.choice((0, 0, 0.002)))
                raw.reset() if chance.random() < 0.7 else raw.close()

        def settled():
            return wait_until(lambda: descriptors(self.gateway) <= before + 8, 10, "descriptors of the reset")

        before = descriptors(self.gateway)
        some(500)
        settled()
        memory = self.gateway.memory_kilobytes()
        some(4500)
        settled()
        self.assertLess(self.gateway.memory_kilobytes() - memory, 8_000)
        reply = Raw(self.gateway.port).send("GET /open?whole HTTP/1.1\r\nHost: h\r\n\r\n").response()
        self.assertEqual(reply.body, b"ok")


if __name__ == "__main__":
    unittest.main()
