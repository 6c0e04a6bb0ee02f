# Streams that a foreign issuer's token has opened: nothing refreshes such a token here, so its end is theirs. And a
# flood of tokens, good ones and bad ones, that must neither grow the gateway nor slow down those in daily use.

import threading
import time
import unittest

from websockets.exceptions import ConnectionClosed
from websockets.sync.client import connect
from websockets.sync.server import serve

from clients import Raw
from harness import Gateway
from identity_provider import Key, Provider
from upstreams import Upstream

HEAD = b"HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\nTransfer-Encoding: chunked\r\n\r\n"


def answer(request, connection):
    if request.target != "/events":
        return b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok"
    connection.send(HEAD)
    while True:
        connection.send(b"9\r\ndata: x\n\n\r\n")
        time.sleep(0.1)


def echo(socket):
    try:
        for message in socket:
            socket.send(message)
    except ConnectionClosed:
        pass


def setUpModule():
    global upstream, provider
    upstream, provider = Upstream(answer), Provider("ES512", kid="main")


def tearDownModule():
    upstream.stop()
    provider.stop()


class Streams(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.sockets = serve(echo, "127.0.0.1", 0)
        threading.Thread(target=cls.sockets.serve_forever, daemon=True).start()
        port = cls.sockets.socket.getsockname()[1]
        cls.gateway = Gateway(
            upstream.port, access="stream_grace 0s; leeway 0s;", main=provider.block("leeway 0s;"),
            routes=f"upstream ws {{ server http://127.0.0.1:{port}; }} route / {{ upstream api; }}"
            " route /ws { upstream ws; }")

    @classmethod
    def tearDownClass(cls):
        cls.gateway.stop()
        cls.sockets.shutdown()

    def open_events(self, token):
        raw = Raw(self.gateway.port)
        raw.send(f"GET /events HTTP/1.1\r\nHost: a\r\nAuthorization: Bearer {token}\r\n\r\n")
        self.assertIn(b"200 OK", raw.line_end(b"\r\n\r\n"))
        return raw

    def open_socket(self, token):
        headers = {"Authorization": f"Bearer {token}"}
        return connect(f"ws://127.0.0.1:{self.gateway.port}/ws", additional_headers=headers)

    def test_they_end_with_their_token(self):
        ends = int(time.time()) + 3
        short, long = provider.token(exp=ends), provider.token(exp=ends + 60)
        events, spared = self.open_events(short), self.open_events(long)
        with self.open_socket(short) as socket, self.open_socket(long) as other:
            socket.send("early")
            self.assertEqual(socket.recv(), "early")
            # A good end, so that the browser comes back and is told.
            self.assertTrue(events.rest(6).endswith(b"0\r\n\r\n"))
            self.assertLess(abs(time.time() - ends), 1.2)
            with self.assertRaises(ConnectionClosed):
                socket.recv(timeout=3)
            self.assertLess(abs(time.time() - ends), 1.5)
            other.send("late")
            self.assertEqual(other.recv(), "late")
        self.assertTrue(spared.receive())
        spared.close()
        (line,) = [line for line in self.gateway.lines_for("/ws", 2) if "gateway.reason" in line]
        self.assertEqual(line["gateway.reason"], "stream_expired")


class Flood(unittest.TestCase):
    """One shard remembers 32 MB of tokens, as it reckons. These are large, so that a few thousand are twice that."""

    COUNT, PADDING = 4000, 5000
    # What they take is a third of what they are reckoned at; all of them would be 26 MB.
    GROWTH_KILOBYTES = 19_000

    @classmethod
    def setUpClass(cls):
        cls.gateway = Gateway(
            upstream.port, main="workers 1;" + provider.block(), routes="route / { upstream api; }")
        cls.connection = Raw(cls.gateway.port)

    @classmethod
    def tearDownClass(cls):
        cls.connection.close()
        cls.gateway.stop()

    def send(self, tokens):
        """Asks with each token on one connection, some at a time; the statuses."""
        statuses, batch = [], 8
        for start in range(0, len(tokens), batch):
            part = tokens[start : start + batch]
            self.connection.send("".join(
                f"GET / HTTP/1.1\r\nHost: a\r\nAuthorization: Bearer {token}\r\n\r\n" for token in part))
            statuses += [self.connection.response().status for _ in part]
        return statuses

    def work(self, tokens):
        """What asking with these tokens costs the gateway, in seconds of a processor."""
        began = self.gateway.processor_seconds()
        self.assertEqual(set(self.send(tokens)), {200})
        return self.gateway.processor_seconds() - began

    def tokens(self, key):
        pad = "x" * self.PADDING
        header = {"alg": "ES512", "kid": "main", "typ": "JWT"}
        return [key.sign(header, provider.claims(jti=str(number), pad=pad)) for number in range(self.COUNT)]

    def test_neither_good_nor_bad_tokens_grow_it_and_the_hot_ones_stay(self):
        hot = [provider.token(jti=f"hot-{number}") for number in range(400)]
        cold = self.work(hot)
        self.work(hot)
        warm = min(self.work(hot) for _ in range(3))
        # A signature of ES512 costs far more than everything else about a token: what is remembered shows.
        self.assertLess(warm, cold / 2)
        between = (warm + cold) / 2
        before = self.gateway.memory_kilobytes()
        self.assertEqual(set(self.send(self.tokens(provider.key))), {200})
        self.assertLess(self.gateway.memory_kilobytes() - before, self.GROWTH_KILOBYTES)
        self.assertLess(self.work(hot), between)
        after = self.gateway.memory_kilobytes()
        self.assertEqual(set(self.send(self.tokens(Key("ES512", "main")))), {401})
        self.assertLess(self.gateway.memory_kilobytes() - after, 8_000)
        self.assertLess(self.work(hot), between)
