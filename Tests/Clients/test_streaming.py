# Messages in pieces: bodies both ways, slow and vanishing clients, interim responses, HTTP/1.0. Memory stays
# flat whatever the size, and each exchange leaves exactly one line in the log.

import os
import time
import unittest

from clients import Raw, curl
from harness import Gateway, wait_until
from upstreams import Upstream

ROUTES = "route / { upstream api; access anonymous; request_body 64m; }"
MEGABYTE = 1 << 20


def answer(request, connection):
    path = request.target
    if path.startswith("/big"):
        connection.send(b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n" % (20 * MEGABYTE))
        for _ in range(20):
            connection.send(b"x" * MEGABYTE)
        return None
    if path.startswith("/chunks"):
        connection.send(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\nTrailer: X-Sum\r\n\r\n")
        for number in range(5):
            connection.send(b"7;ext=1\r\nchunk-%d\r\n" % number)
            time.sleep(0.02)
        return b"0\r\nX-Sum: y\r\n\r\n"
    if path.startswith("/drip"):
        connection.send(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n")
        for _ in range(200):
            connection.send(b"1\r\nx\r\n")
            time.sleep(0.02)
        return b"0\r\n\r\n"
    if path == "/hints":
        return (
            b"HTTP/1.1 103 Early Hints\r\nLink: </a>\r\nSession-Start: root\r\nSet-Cookie: access=x\r\n\r\n"
            b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok"
        )
    if path in ("/204", "/304"):
        return b'HTTP/1.1 %s X\r\nETag: "a"\r\n\r\n' % path[1:].encode()
    if path == "/slow":
        time.sleep(0.4)
    if request.method == "HEAD":
        return b"HTTP/1.1 200 OK\r\nContent-Length: 123\r\n\r\n"
    body = b"%d" % len(request.body)
    return b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n%s" % (len(body), body)


def setUpModule():
    global upstream, gateway
    upstream = Upstream(answer)
    gateway = Gateway(
        upstream.port, routes=ROUTES, limits="header_timeout 1s; body_timeout 1s; idle_timeout 2s;"
    )


def tearDownModule():
    gateway.stop()
    upstream.stop()


class Clients(unittest.TestCase):
    def ask(self, text):
        return Raw(gateway.port).send(text)

    def test_dripping_head_is_408_in_time(self):
        raw = Raw(gateway.port)
        began = time.monotonic()
        try:
            for byte in "GET /drip-head HTTP/1.1\r\n":
                raw.send(byte)
                raw.socket.settimeout(0.15)
                try:
                    raw.receive()
                except TimeoutError:
                    pass
                if raw.input:
                    break
        except OSError:
            pass
        raw.socket.settimeout(3)
        self.assertEqual(raw.response().status, 408)
        self.assertLess(time.monotonic() - began, 1.9)
        self.assertTrue(raw.is_closed())

    def test_dripping_head_after_a_good_request_too(self):
        raw = self.ask("GET /a HTTP/1.1\r\nHost: a\r\n\r\n")
        self.assertEqual(raw.response().status, 200)
        raw.send("GET /b HT")
        self.assertEqual(raw.response().status, 408)

    def test_body_that_does_not_come_is_408(self):
        raw = self.ask("POST /late HTTP/1.1\r\nHost: a\r\nContent-Length: 10\r\n\r\nhell")
        self.assertEqual(raw.response().status, 408)
        self.assertTrue(raw.is_closed())
        gateway.lines_for("/late", 1)
        local = self.ask("POST /refresh HTTP/1.1\r\nHost: a\r\nContent-Length: 10\r\n\r\nhell")
        self.assertEqual(local.response().status, 408)

    def test_idle_connection_is_closed_without_a_word(self):
        raw = self.ask("GET /a HTTP/1.1\r\nHost: a\r\n\r\n")
        raw.response()
        self.assertTrue(raw.is_closed(4))
        self.assertTrue(Raw(gateway.port).is_closed(4))

    def test_half_closed_client_gets_its_answer(self):
        for path in ("/slow", "/chunks/half", "/refresh"):
            raw = self.ask(f"GET {path} HTTP/1.1\r\nHost: a\r\n\r\n")
            raw.finish_sending()
            self.assertEqual(raw.response().status, 405 if path == "/refresh" else 200, path)
            self.assertTrue(raw.is_closed(), path)
        raw = self.ask("POST /half-body HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\n\r\nhello")
        raw.finish_sending()
        self.assertEqual(raw.response().body, b"5")

    def test_half_closed_client_with_a_large_answer(self):
        raw = self.ask("GET /big/half HTTP/1.1\r\nHost: a\r\n\r\n")
        raw.finish_sending()
        time.sleep(0.3)
        self.assertEqual(len(raw.response().body), 20 * MEGABYTE)

    def test_aborted_exchanges_are_logged_once_each(self):
        for path, way in (("/drip/reset", "reset"), ("/drip/close", "close"), ("/big/reset", "reset")):
            raw = self.ask(f"GET {path} HTTP/1.1\r\nHost: a\r\n\r\n")
            raw.line_end(b"\r\n\r\n")
            getattr(raw, way)()
            (line,) = gateway.lines_for(path, 1, 6)
            self.assertIn(line["gateway.reason"], ("client_closed", "client_stalled"), path)
        raw = self.ask("POST /half HTTP/1.1\r\nHost: a\r\nContent-Length: 50\r\n\r\nhalf")
        time.sleep(0.1)
        raw.close()
        gateway.lines_for("/half", 1)

    # The upstream's pieces fill the client's buffer without any event of the client's own, and the wait for
    # it must have its limit (body_timeout) all the same: the exchange holds two connections.
    def test_client_that_never_reads_is_let_go(self):
        raw = Raw(gateway.port, receive_buffer=4096)
        raw.send("GET /big/stall HTTP/1.1\r\nHost: a\r\n\r\n")
        (line,) = gateway.lines_for("/big/stall", 1, 6)
        self.assertEqual(line["gateway.reason"], "client_stalled")
        raw.close()

    def test_storm_of_resets_leaks_nothing(self):
        def descriptors():
            return len(os.listdir(f"/proc/{gateway.process.pid}/fd"))

        before = descriptors()
        for number in range(600):
            raw = Raw(gateway.port)
            raw.send("GET /slow HTTP/1.1\r\nHost: a\r\n\r\nPOST / HTTP/1.1\r\n"[: number % 50])
            raw.reset()
        wait_until(lambda: descriptors() <= before + 20, 5, "descriptors come back")
        self.assertEqual(curl(gateway.base + "/a").status, 200)


class Messages(unittest.TestCase):
    def test_chunked_answer_streams_with_its_pieces(self):
        raw = Raw(gateway.port)
        raw.send("GET /chunks/whole HTTP/1.1\r\nHost: a\r\n\r\n")
        reply = raw.response()
        self.assertEqual(reply.body, b"".join(b"chunk-%d" % number for number in range(5)))
        raw.send("GET /a HTTP/1.1\r\nHost: a\r\n\r\n")
        self.assertEqual(raw.response().status, 200)

    def test_answers_without_a_body(self):
        raw = Raw(gateway.port)
        for method, path, status in (
            ("HEAD", "/a", 200),
            ("GET", "/204", 204),
            ("GET", "/304", 304),
            ("HEAD", "/304", 304),
        ):
            raw.send(f"{method} {path} HTTP/1.1\r\nHost: a\r\n\r\n")
            reply = raw.response(method)
            self.assertEqual(reply.status, status)
            if method == "HEAD" and status == 200:
                self.assertEqual(reply.one("content-length"), "123")
            if status == 204:
                self.assertEqual((reply.one("content-length"), reply.one("transfer-encoding")), (None, None))
        raw.send("GET /a HTTP/1.1\r\nHost: a\r\n\r\n")
        self.assertEqual(raw.response().body, b"0")

    def test_continue(self):
        for path in ("/up", "/refresh"):
            raw = Raw(gateway.port)
            raw.send(f"POST {path} HTTP/1.1\r\nHost: a\r\nExpect: 100-continue\r\nContent-Length: 5\r\n\r\n")
            raw.socket.settimeout(0.8)
            self.assertEqual(raw.response().status, 100, path)
            raw.socket.settimeout(5)
            raw.send("hello")
            self.assertIn(raw.response().status, (200, 400))
            raw.close()

    def test_continue_is_not_said_to_a_request_that_is_refused(self):
        raw = Raw(gateway.port)
        raw.send("POST /../x HTTP/1.1\r\nHost: a\r\nExpect: 100-continue\r\nContent-Length: 5\r\n\r\n")
        self.assertEqual(raw.response().status, 400)

    def test_interim_answers_pass_cleaned(self):
        raw = Raw(gateway.port)
        raw.send("GET /hints HTTP/1.1\r\nHost: a\r\n\r\n")
        head = raw.line_end(b"\r\n\r\n")
        self.assertTrue(head.startswith(b"HTTP/1.1 103"))
        self.assertIn(b"Link: </a>", head)
        self.assertNotIn(b"ession-", head)
        self.assertNotIn(b"access=", head)
        self.assertEqual(raw.response().body, b"ok")

    def test_http_1_0(self):
        raw = Raw(gateway.port).send("GET /a HTTP/1.0\r\n\r\n")
        data = raw.rest(3)
        self.assertTrue(data.startswith(b"HTTP/1.1 200"))
        self.assertTrue(data.endswith(b"\r\n\r\n0"))
        chunked = Raw(gateway.port).send("GET /chunks/old HTTP/1.0\r\nHost: a\r\n\r\n").rest(3)
        self.assertNotIn(b"ransfer-Encoding", chunked)
        self.assertTrue(chunked.endswith(b"chunk-0chunk-1chunk-2chunk-3chunk-4"), chunked)
        kept = Raw(gateway.port).send("GET /a HTTP/1.0\r\nConnection: keep-alive\r\n\r\n")
        self.assertEqual(kept.response().body, b"0")
        kept.send("GET /a HTTP/1.0\r\n\r\n")
        self.assertEqual(kept.response().body, b"0")
        hints = Raw(gateway.port).send("GET /hints HTTP/1.0\r\n\r\n").rest(3)
        self.assertFalse(hints.startswith(b"HTTP/1.1 103"), "RFC 9110 15.2: no 1xx to an HTTP/1.0 client")

    # RFC 9110 6.6.1: an origin server with a clock MUST send Date, and who forwards an answer without one
    # MUST add it.
    def test_every_answer_has_a_date(self):
        for path in ("/a", "/refresh", "/.well-known/jwks.json"):
            with self.subTest(path):
                self.assertIsNotNone(curl(gateway.base + path).one("date"))

    # RFC 9112 2.2: "a server that is expecting to receive and parse a request-line SHOULD ignore at least one
    # empty line (CRLF) received prior to the request-line".
    def test_an_empty_line_before_a_request(self):
        raw = Raw(gateway.port).send("\r\nGET /a HTTP/1.1\r\nHost: a\r\n\r\n")
        self.assertEqual(raw.response().status, 200)

    def test_early_answer_to_an_upload(self):
        early = Upstream(reads_body=False, answer=self.refuse_early)
        front = Gateway(early.port, routes=ROUTES)
        try:
            raw = Raw(front.port)
            raw.send(f"POST /x HTTP/1.1\r\nHost: a\r\nContent-Length: {8 * MEGABYTE}\r\n\r\n")
            try:
                for _ in range(64):
                    raw.send(b"z" * (MEGABYTE // 8))
            except OSError:
                pass
            self.assertEqual(raw.response().status, 413)
            raw.close()
        finally:
            front.stop()
            early.stop()

    @staticmethod
    def refuse_early(request, connection):
        connection.send(b"HTTP/1.1 413 Too Large\r\nContent-Length: 0\r\nConnection: close\r\n\r\n")
        time.sleep(0.3)
        raise EOFError
