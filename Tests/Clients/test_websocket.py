# WebSockets through the gateway, by the `websockets` library at both ends and by raw sockets: messages of any
# size both ways, slow readers, the end from either side, and the session that a socket lives as long as.

import threading
import time
import unittest

from websockets.exceptions import ConnectionClosed, InvalidStatus
from websockets.sync.client import connect
from websockets.sync.server import serve

from clients import Raw, curl
from harness import Gateway, wait_until
from upstreams import Upstream

ROUTES = """
route / { upstream api; }
route /open { upstream api; access anonymous; }
"""
SWITCH = (
    b"HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n"
    b"Sec-WebSocket-Accept: s3pPLMBiTxaQ9kYGzzhZRbK+xOo=\r\n\r\n"
)
HANDSHAKE = (
    "GET {path} HTTP/1.1\r\nHost: h\r\nConnection: keep-alive, Upgrade\r\nUpgrade: websocket\r\n"
    "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Version: 13\r\n{fields}\r\n"
)


def echo(socket):
    """Sends every message back; a few are orders."""
    seen.append(dict(socket.request.headers.raw_items()))
    try:
        for message in socket:
            if message == "close":
                socket.close(4001, "as asked")
            elif message == "flood":
                for _ in range(64):
                    socket.send(b"x" * (1 << 20))
            else:
                socket.send(message)
    except ConnectionClosed:
        pass


def setUpModule():
    global server, gateway, seen
    seen = []
    server = serve(echo, "127.0.0.1", 0, max_size=None, compression=None)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    gateway = Gateway(server.socket.getsockname()[1], routes=ROUTES)


def tearDownModule():
    gateway.stop()
    server.shutdown()


def begin(gateway, subject):
    """A session without a login: the control API begins it."""
    return curl(gateway.control + "/sessions", as_json={"subject": subject}).json


def open_socket(token=None, path="/chat", **options):
    headers = {"Authorization": f"Bearer {token}"} if token else {}
    headers.update(options.pop("headers", {}))
    return connect(
        f"ws://127.0.0.1:{gateway.port}{path}",
        additional_headers=headers,
        max_size=None,
        compression=None,
        **options,
    )


class WebSockets(unittest.TestCase):
    def setUp(self):
        self.token = begin(gateway, "alice")["access_token"]

    def test_messages_of_any_size_pass_both_ways(self):
        with open_socket(self.token) as socket:
            for message in ("hello", b"", b"\x00\xff" * 9, "x" * 70_000, b"y" * (8 << 20)):
                socket.send(message)
                self.assertEqual(socket.recv(), message)

    def test_the_upstream_learns_who_it_is(self):
        with open_socket(self.token, headers={"X-Auth-Subject": "mallory"}):
            pass
        fields = seen[-1]
        self.assertEqual((fields["X-Auth-Subject"], fields["Upgrade"]), ("alice", "websocket"))
        self.assertNotIn("Authorization", fields)

    def test_a_slow_reader_makes_the_upstream_wait(self):
        before = gateway.memory_kilobytes()
        with open_socket(self.token, max_queue=1) as socket:
            socket.send("flood")
            time.sleep(0.5)
            self.assertLess(gateway.memory_kilobytes() - before, 4096)
            for _ in range(64):
                self.assertEqual(len(socket.recv()), 1 << 20)

    def test_the_upstream_ends_it_with_its_own_code(self):
        with open_socket(self.token) as socket:
            socket.send("close")
            with self.assertRaises(ConnectionClosed) as ended:
                socket.recv()
            self.assertEqual(ended.exception.rcvd.code, 4001)

    def test_each_socket_is_one_line_in_the_log(self):
        with open_socket(self.token, path="/logged") as socket:
            socket.send("hello")
            socket.recv()
        (line,) = gateway.lines_for("/logged", 1)
        self.assertEqual((line["http.response.status_code"], line["user.id"]), (101, "alice"))
        self.assertGreater(line["http.response.body.bytes"], 5)
        self.assertNotIn("gateway.reason", line)

    def test_without_a_token_there_is_no_socket(self):
        with self.assertRaises(InvalidStatus) as refused:
            open_socket()
        self.assertEqual(refused.exception.response.status_code, 401)
        with open_socket(path="/open") as socket:
            socket.send("anonymous")
            self.assertEqual(socket.recv(), "anonymous")

    def test_a_cookie_from_a_foreign_page_opens_no_socket(self):
        cookie = f"access={self.token}"
        with self.assertRaises(InvalidStatus) as refused:
            open_socket(headers={"Cookie": cookie}, origin="https://evil.example")
        self.assertEqual(refused.exception.response.status_code, 403)
        with self.assertRaises(InvalidStatus):
            open_socket(headers={"Cookie": cookie})
        with open_socket(headers={"Cookie": cookie}, origin=gateway.origin) as socket:
            socket.send("ours")
            self.assertEqual(socket.recv(), "ours")

    def test_the_end_of_its_session_cuts_it_and_no_other(self):
        spared = begin(gateway, "carol")["access_token"]
        with open_socket(self.token, path="/cut") as socket, open_socket(spared) as other:
            self.assertEqual(curl(gateway.control + "/subjects/alice/sessions", method="DELETE").status, 204)
            began = time.monotonic()
            with self.assertRaises(ConnectionClosed):
                socket.recv(timeout=5)
            self.assertLess(time.monotonic() - began, 1)
            other.send("still here")
            self.assertEqual(other.recv(), "still here")
        (line,) = gateway.lines_for("/cut", 1)
        self.assertEqual(line["gateway.reason"], "stream_revoked")


class Handshakes(unittest.TestCase):
    """What opens a tunnel, and what must not."""

    def setUp(self):
        self.upstream = Upstream(lambda request, connection: self.answer(request, connection))
        self.gateway = Gateway(self.upstream.port, routes="route / { upstream api; access anonymous; }")
        self.addCleanup(self.upstream.stop)
        self.addCleanup(self.gateway.stop)

    def ask(self, path="/", fields="", head=HANDSHAKE):
        return Raw(self.gateway.port).send(head.format(path=path, fields=fields))

    def test_another_protocol_is_not_offered_to_the_upstream(self):
        self.answer = lambda request, connection: None
        for fields in (
            "Upgrade: h2c\r\nConnection: Upgrade, HTTP2-Settings\r\nHTTP2-Settings: AAMAAABk\r\n",
            "Upgrade: websocket, h2c\r\nConnection: Upgrade\r\n",
            "Upgrade: websocket\r\nUpgrade: h2c\r\nConnection: Upgrade\r\n",
            "Upgrade: websocket\r\n",
        ):
            self.answer = lambda request, connection: b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok"
            raw = Raw(self.gateway.port).send(f"GET / HTTP/1.1\r\nHost: h\r\n{fields}\r\n")
            self.assertIn(b"200", raw.line_end(b"\r\n"))
            request = self.upstream.last()
            self.assertEqual((request.all("upgrade"), request.all("http2-settings")), ([], []), fields)
            raw.close()

    def test_a_handshake_that_is_refused_leaves_http_as_it_was(self):
        self.answer = lambda request, connection: (
            b"HTTP/1.1 426 Upgrade Required\r\nSec-WebSocket-Version: 13\r\nContent-Length: 0\r\n\r\n"
            if request.one("upgrade")
            else b"HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\nnext"
        )
        raw = self.ask().send("GET /next HTTP/1.1\r\nHost: h\r\n\r\n")
        self.assertIn(b"426", raw.line_end(b"\r\n\r\n"))
        self.assertIn(b"200", raw.line_end(b"\r\n\r\n"))
        self.assertEqual(raw.exactly(4), b"next")
        self.assertEqual(self.upstream.last().target, "/next")

    def test_an_upgrade_that_nobody_asked_for_is_a_bad_gateway(self):
        self.answer = lambda request, connection: SWITCH
        raw = Raw(self.gateway.port).send("GET / HTTP/1.1\r\nHost: h\r\n\r\n")
        self.assertIn(b"502", raw.line_end(b"\r\n"))
        post = "POST / HTTP/1.1\r\nHost: h\r\nConnection: Upgrade\r\nUpgrade: websocket\r\nContent-Length: 0\r\n\r\n"
        self.assertIn(b"502", Raw(self.gateway.port).send(post).line_end(b"\r\n"))

    def test_an_upgrade_to_something_else_is_a_bad_gateway(self):
        for wrong in (
            SWITCH.replace(b"websocket", b"h2c"),
            SWITCH.replace(b"Upgrade: websocket\r\n", b""),
            SWITCH.replace(b"Connection: Upgrade\r\n", b""),
        ):
            self.answer = lambda request, connection: wrong
            self.assertIn(b"502", self.ask().line_end(b"\r\n"))

    def test_bytes_on_the_heels_of_either_head_are_not_lost(self):
        def answer(request, connection):
            connection.send(SWITCH + b"early")
            connection.send(b"got:" + connection.exactly(9))
            return None

        self.answer = answer
        raw = self.ask().send("too early")
        self.assertIn(b"101", raw.line_end(b"\r\n\r\n"))
        self.assertEqual(raw.exactly(18), b"earlygot:too early")

    def test_half_an_end_lets_the_other_half_finish(self):
        def answer(request, connection):
            connection.send(SWITCH)
            while connection.receive():
                pass
            connection.send(b"%d" % len(connection.input))
            connection.close()

        self.answer = answer
        raw = self.ask()
        raw.line_end(b"\r\n\r\n")
        raw.send(b"z" * 100_000).finish_sending()
        self.assertEqual(raw.rest(), b"100000")

    def test_a_side_that_breaks_takes_the_other_with_it(self):
        ended = threading.Event()

        def answer(request, connection):
            connection.send(SWITCH)
            if request.target == "/reset":
                connection.reset()
                return None
            while connection.receive():
                pass
            ended.set()

        self.answer = answer
        raw = self.ask("/reset")
        raw.rest(3)
        raw = self.ask("/abort")
        raw.line_end(b"\r\n\r\n")
        raw.reset()
        self.assertTrue(ended.wait(3))
        wait_until(lambda: len(self.gateway.access_log()) >= 2, 3, "both lines")


if __name__ == "__main__":
    unittest.main()
