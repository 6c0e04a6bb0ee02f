# Streams of events and WebSockets, and the sessions that they live as long as: nothing is held back on the
# way, a revocation cuts at once and cuts no other, and the end of a token ends its streams unless the session
# has been refreshed. The waits are shared, because a lifetime is 10 s at least.

import resource
import socket
import threading
import time
import unittest

from websockets.exceptions import ConnectionClosed
from websockets.sync.server import serve

from clients import Raw, curl, login
from harness import Demo, Gateway, wait_until
from test_session_path import claims
from test_websocket import HANDSHAKE
from upstreams import Upstream

ROUTES = """
upstream sockets {{ server http://127.0.0.1:{sockets}; }}
upstream demo {{ server http://127.0.0.1:{demo}; }}
route / {{ upstream api; }}
route /open/ {{ upstream api; access anonymous; }}
route /maybe/ {{ upstream api; access optional; }}
route /ws/ {{ upstream sockets; }}
route /ws/open {{ upstream sockets; access anonymous; }}
route /events {{ upstream demo; }}
route /login {{ upstream demo; access anonymous; login; }}
"""
HEAD = b"HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\nTransfer-Encoding: chunked\r\n\r\n"
LIFETIME, GRACE, REFRESHED = 10, 1, 3


def chunk(data):
    return b"%x\r\n%s\r\n" % (len(data), data)


def answer(request, connection):
    """An event every now and then, for as long as somebody listens; for /flood one upon the other."""
    connection.send(HEAD)
    if request.target.startswith("/steps"):
        for number in range(5):
            go_on.acquire()
            connection.send(chunk(b"data: %d\n\n" % number))
        return b"0\r\n\r\n"
    if request.target.startswith("/hold"):
        connection.send(chunk(b"data: held\n\n"))
        connection.receive()
        return None
    while True:
        if request.target.endswith("flood"):
            connection.send(chunk(b"data: " + b"x" * 8000 + b"\n\n"))
        else:
            connection.send(chunk(b"data: x\n\n"))
            time.sleep(0.1)


def chat(connection):
    try:
        while True:
            flood = connection.request.path.endswith("flood")
            connection.send("x" * 8000 if flood else "x")
            if not flood:
                time.sleep(0.1)
    except ConnectionClosed:
        pass


def setUpModule():
    global upstream, demo, sockets, go_on, routes
    go_on = threading.Semaphore(0)
    upstream, demo = Upstream(answer), Demo()
    sockets = serve(chat, "127.0.0.1", 0, compression=None)
    threading.Thread(target=sockets.serve_forever, daemon=True).start()
    routes = ROUTES.format(sockets=sockets.socket.getsockname()[1], demo=demo.port)


def tearDownModule():
    sockets.shutdown()
    demo.stop()
    upstream.stop()


def open_stream(gateway, path, token=None, **options):
    bearer = f"Authorization: Bearer {token}\r\n" if token else ""
    if path.startswith("/ws/"):
        return Raw(gateway.port, **options).send(HANDSHAKE.format(path=path, fields=bearer))
    return Raw(gateway.port, **options).send(f"GET {path} HTTP/1.1\r\nHost: a\r\n{bearer}\r\n")


class Listener(threading.Thread):
    """Reads a stream to its end; of a slow one, some 200 kB a second."""

    def __init__(self, gateway, path, token=None, slow=False):
        super().__init__(daemon=True)
        self.raw = open_stream(gateway, path, token, receive_buffer=4096 if slow else None)
        self.slow, self.path, self.ended, self.tail, self.latest = slow, path, None, b"", time.monotonic()
        self.start()

    def run(self):
        while data := self.read():
            self.tail = (self.tail + data)[-2000:]
            self.latest = time.monotonic()
            if self.slow:
                time.sleep(0.02)
        self.ended = time.monotonic()

    def read(self):
        try:
            return self.raw.socket.recv(4096)
        except OSError:
            return b""

    def stop(self):
        # A close alone would wait for the thread that reads.
        try:
            self.raw.socket.shutdown(socket.SHUT_RDWR)
        except OSError:
            pass
        self.raw.reset()


def begin(gateway, subject):
    return curl(gateway.control + "/sessions", as_json={"subject": subject}).json


class Passing(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        limits = "connections_per_address 4000;"
        cls.gateway = Gateway(upstream.port, routes=routes, limits=limits)

    @classmethod
    def tearDownClass(cls):
        cls.gateway.stop()

    def test_each_event_arrives_before_the_next_is_sent(self):
        raw = open_stream(self.gateway, "/steps", begin(self.gateway, "alice")["access_token"])
        head = raw.line_end(b"\r\n\r\n")
        self.assertIn(b"text/event-stream", head)
        for number in range(5):
            go_on.release()
            raw.line_end(b"data: %d\n\n\r\n" % number)
        self.assertEqual(raw.exactly(5), b"0\r\n\r\n")
        raw.close()

    def test_the_demos_events_too(self):
        raw = open_stream(self.gateway, "/events", login(self.gateway)["access_token"])
        began = time.monotonic()
        for number in (1, 2):
            self.assertIn(b'"alice"', raw.line_end(b"\n\n"))
        self.assertLess(time.monotonic() - began, 2)
        raw.close()

    def test_who_leaves_leaves_nothing_upstream(self):
        raw = open_stream(self.gateway, "/hold/left", begin(self.gateway, "alice")["access_token"])
        raw.line_end(b"held\n\n")
        connection = upstream.last().connection
        raw.reset()
        wait_until(lambda: connection.socket.fileno() < 0, 3, "the upstream's connection ends")

    def test_a_revocation_cuts_within_a_second_and_in_good_order(self):
        for number, path in enumerate(("/hold/revoked", "/slow/revoked", "/ws/revoked", "/maybe/revoked")):
            subject = f"carol-{number}"
            one, other = begin(self.gateway, subject), begin(self.gateway, subject)
            cut = open_stream(self.gateway, path, one["access_token"])
            spared = Listener(self.gateway, path + "/spared", other["access_token"])
            anonymous = Listener(self.gateway, "/open/x")
            cut.line_end(b"\r\n\r\n")
            ours = claims(one["access_token"])["sid"]
            began = time.monotonic()
            self.assertEqual(curl(f"{self.gateway.control}/sessions/{ours}", method="DELETE").status, 204)
            data = cut.rest(5)
            self.assertLess(time.monotonic() - began, 1)
            if not path.startswith("/ws/"):
                self.assertTrue(data.endswith(b"0\r\n\r\n"), data[-60:])
            (line,) = self.gateway.lines_for(path, 1)
            self.assertEqual(line["gateway.reason"], "stream_revoked")
            self.assertIsNone(spared.ended)
            self.assertIsNone(anonymous.ended)
            for listener in (spared, anonymous):
                listener.stop()

    def test_of_two_thousand_a_revocation_cuts_its_own_only(self):
        soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
        if hard != resource.RLIM_INFINITY and hard < 8192:
            self.skipTest("too few descriptors")
        resource.setrlimit(resource.RLIMIT_NOFILE, (max(soft, 8192), hard))
        tokens = [begin(self.gateway, f"dave-{number}")["access_token"] for number in range(20)]
        streams = []
        # Not all at once: an upstream in Python accepts a few hundred in a go.
        for _ in range(10):
            more = [open_stream(self.gateway, "/hold/many", tokens[number % 20]) for number in range(200)]
            for raw in more:
                raw.line_end(b"held\n\n\r\n")
            streams += more
        began = time.monotonic()
        path = f"{self.gateway.control}/subjects/dave-7/sessions"
        self.assertEqual(curl(path, method="DELETE").status, 204)
        for raw in streams[7::20]:
            self.assertEqual(raw.rest(3), b"0\r\n\r\n")
        self.assertLess(time.monotonic() - began, 1)
        for number, raw in enumerate(streams):
            if number % 20 == 7:
                continue
            raw.socket.setblocking(False)
            with self.assertRaises(BlockingIOError, msg=number):
                raw.socket.recv(1)
        lines = wait_until(
            lambda: [line for line in self.gateway.access_log() if line["url.path"] == "/hold/many"], 3
        )
        self.assertEqual({line["user.id"] for line in lines}, {"dave-7"})
        for raw in streams:
            raw.reset()


class Expiry(unittest.TestCase):
    """Every stream is opened at the same time; what has become of them is looked at twice."""

    PATHS = ("/slow", "/events", "/ws/x", "/maybe/x")

    @classmethod
    def setUpClass(cls):
        access = f"lifetime {LIFETIME}s; leeway 0s; stream_grace {GRACE}s;"
        cls.gateway = Gateway(upstream.port, routes=routes, access=access)
        lone, renewed = begin(cls.gateway, "alice"), begin(cls.gateway, "bob")
        cls.began = time.monotonic()
        cls.lone = cls.open(lone, cls.PATHS)
        cls.renewed = cls.open(renewed, cls.PATHS)
        cls.slow = cls.open(lone, ("/flood", "/ws/flood"), slow=True)
        cls.slow_renewed = cls.open(renewed, ("/flood", "/ws/flood"), slow=True)
        cls.anonymous = cls.open({}, ("/open/x", "/ws/open", "/maybe/x"))
        cls.until(REFRESHED)
        reply = curl(cls.gateway.base + "/refresh", as_json={"refresh_token": renewed["refresh_token"]})
        assert reply.status == 200
        cls.until(LIFETIME - 0.5)
        cls.before = cls.ended()
        cls.until(LIFETIME + GRACE + 1)
        cls.after = cls.ended()
        cls.until(LIFETIME + GRACE + REFRESHED + 1)
        cls.last = cls.ended()

    @classmethod
    def tearDownClass(cls):
        for listener in cls.all():
            listener.stop()
        cls.gateway.stop()

    @classmethod
    def open(cls, pair, paths, slow=False):
        return [Listener(cls.gateway, path, pair.get("access_token"), slow) for path in paths]

    @classmethod
    def all(cls):
        return cls.lone + cls.renewed + cls.slow + cls.slow_renewed + cls.anonymous

    @classmethod
    def ended(cls):
        return {listener for listener in cls.all() if listener.ended}

    @classmethod
    def until(cls, seconds):
        time.sleep(max(0, cls.began + seconds - time.monotonic()))

    def assert_ended(self, listeners, seconds):
        for listener in listeners:
            self.assertIsNotNone(listener.ended, listener.path)
            # The token's times are whole seconds.
            self.assertAlmostEqual(listener.ended - self.began, seconds, delta=1.1, msg=listener.path)

    def test_none_ends_before_its_token_does(self):
        self.assertEqual([listener.path for listener in self.before], [])

    def test_the_end_of_the_token_and_the_grace_end_it(self):
        self.assert_ended(self.lone, LIFETIME + GRACE)
        for listener in self.lone:
            if not listener.path.startswith("/ws/"):
                self.assertTrue(listener.tail.endswith(b"0\r\n\r\n"), listener.path)
        for path in self.PATHS[:3]:
            lines = [line for line in self.gateway.access_log() if line["url.path"] == path]
            self.assertEqual({line["gateway.reason"] for line in lines}, {"stream_expired"}, path)

    def test_a_refresh_meanwhile_carries_it_to_the_end_of_the_newer_token(self):
        for listener in self.renewed:
            self.assertNotIn(listener, self.after, listener.path)
        self.assert_ended(self.renewed, LIFETIME + GRACE + REFRESHED)

    # What is said of a stream must not depend on how fast its client takes it.
    def test_a_slow_reader_of_a_busy_stream_gains_no_time(self):
        gateway_side = {
            (line["user.id"], line["url.path"]): line
            for line in self.gateway.access_log()
            if line["url.path"] in ("/flood", "/ws/flood")
        }
        for subject, seconds in (("alice", LIFETIME + GRACE), ("bob", LIFETIME + GRACE + REFRESHED)):
            for path in ("/flood", "/ws/flood"):
                self.assertIn((subject, path), gateway_side)
                line = gateway_side[(subject, path)]
                self.assertEqual(line["gateway.reason"], "stream_expired")
                # And a while for what has gathered in the gateway: it is still taken as slowly.
                self.assertAlmostEqual(line["event.duration"] / 1e9, seconds + 0.5, delta=1.5)

    def test_anonymous_ones_are_bound_to_nothing(self):
        for listener in self.anonymous:
            self.assertIsNone(listener.ended, listener.path)
            self.assertLess(time.monotonic() - listener.latest, 1, listener.path)


if __name__ == "__main__":
    unittest.main()
