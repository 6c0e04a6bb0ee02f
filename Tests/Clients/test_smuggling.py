# Requests that two readers could understand differently: each is answered with its status and a closed
# connection, the upstream sees nothing of it, and one line of the log tells of it. What two readers cannot
# misunderstand passes.

import time
import unittest

from clients import Raw
from harness import Gateway, wait_until
from upstreams import Upstream

ROUTES = """
route /open/ { upstream api; access anonymous; request_body 64k; }
route / { upstream api; }
"""
TRAP = "GET /open/trap HTTP/1.1\r\nHost: a\r\n\r\n"
POST = "POST /open/x HTTP/1.1\r\nHost: a\r\n"
CHUNKED = POST + "Transfer-Encoding: chunked\r\n\r\n"

# Name -> bytes, and the statuses that may answer them.
REFUSED = {
    "CL and TE": (POST + "Content-Length: 6\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\nX" + TRAP, {400}),
    "TE and CL": (POST + "Transfer-Encoding: chunked\r\nContent-Length: 6\r\n\r\n0\r\n\r\nX" + TRAP, {400}),
    "two CL": (POST + "Content-Length: 0\r\nContent-Length: 40\r\n\r\n" + TRAP, {400}),
    "two equal CL": (POST + "Content-Length: 0\r\nContent-Length: 0\r\n\r\n" + TRAP, {400}),
    "CL list": (POST + "Content-Length: 0, 0\r\n\r\n" + TRAP, {400}),
    "empty CL beside one": (POST + "Content-Length:\r\nContent-Length: 40\r\n\r\n" + TRAP, {400}),
    "TE in HTTP/1.0": (
        "POST /open/x HTTP/1.0\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n" + TRAP,
        {400},
    ),
    "NUL in a value": ("GET /open/x HTTP/1.1\r\nHost: a\r\nX: a\0b\r\n\r\n", {400}),
    "NUL in a target": ("GET /open/\0x HTTP/1.1\r\nHost: a\r\n\r\n", {400}),
    "fragment": ("GET /open/x#y HTTP/1.1\r\nHost: a\r\n\r\n", {400}),
    "obs-fold": ("GET /open/x HTTP/1.1\r\nHost: a\r\nX: a\r\n b\r\n\r\n", {400}),
    "fold of the first line": ("GET /open/x HTTP/1.1\r\n X: a\r\nHost: a\r\n\r\n", {400}),
    "bare LF after the request line": ("GET /open/x HTTP/1.1\nHost: a\r\n\r\n", {400}),
    "bare LF in a field": ("GET /open/x HTTP/1.1\r\nHost: a\nX: b\r\n\r\n", {400}),
    "bare LF at the end": ("GET /open/x HTTP/1.1\r\nHost: a\r\n\n" + TRAP, {400}),
    "bare CR in a value": ("GET /open/x HTTP/1.1\r\nHost: a\r\nX: a\rb\r\n\r\n", {400}),
    "bare CR at the end of a field": ("GET /open/x HTTP/1.1\r\nHost: a\r\nX: a\r\rB: c\r\n\r\n", {400}),
    "space before the colon": (POST + "Content-Length : 5\r\n\r\nhello", {400}),
    "tab before the colon": (POST + "Transfer-Encoding\t: chunked\r\n\r\n0\r\n\r\n", {400}),
    "empty name": ("GET /open/x HTTP/1.1\r\nHost: a\r\n: b\r\nContent-Length: 40\r\n\r\n" + TRAP, {400}),
    "line without a colon": ("GET /open/x HTTP/1.1\r\nHost: a\r\nnonsense\r\n\r\n", {400}),
    "byte above 127 in a name": ("GET /open/x HTTP/1.1\r\nHost: a\r\nX\xff: b\r\n\r\n", {400}),
    "no Host": ("GET /open/x HTTP/1.1\r\n\r\n", {400}),
    "two Host": ("GET /open/x HTTP/1.1\r\nHost: a\r\nHost: a\r\n\r\n", {400}),
    "two different Host": ("GET /open/x HTTP/1.1\r\nHost: a\r\nHost: b\r\n\r\n", {400}),
    "Host with a path": ("GET /open/x HTTP/1.1\r\nHost: a/b\r\n\r\n", {400}),
    "Host with user": ("GET /open/x HTTP/1.1\r\nHost: a@b\r\n\r\n", {400}),
    "Host with a list": ("GET /open/x HTTP/1.1\r\nHost: a, b\r\n\r\n", {400}),
    "Host with a blank": ("GET /open/x HTTP/1.1\r\nHost: a b\r\n\r\n", {400}),
    "absolute form against Host": ("GET http://a/open/x HTTP/1.1\r\nHost: b\r\n\r\n", {400}),
    "absolute form with user": ("GET http://a@b/open/x HTTP/1.1\r\nHost: b\r\n\r\n", {400}),
    "absolute form of another scheme": ("GET file:///open/x HTTP/1.1\r\nHost: a\r\n\r\n", {400}),
    "no slash": ("GET open/x HTTP/1.1\r\nHost: a\r\n\r\n", {400}),
    "CONNECT": ("CONNECT a:80 HTTP/1.1\r\nHost: a:80\r\n\r\n" + TRAP, {400, 405}),
    "two blanks": ("GET  /open/x HTTP/1.1\r\nHost: a\r\n\r\n", {400}),
    "blank in the target": ("GET /open/x /y HTTP/1.1\r\nHost: a\r\n\r\n", {400}),
    "tab for blank": ("GET\t/open/x HTTP/1.1\r\nHost: a\r\n\r\n", {400}),
    "HTTP/0.9": ("GET /open/x\r\n\r\n", {400}),
    "HTTP/2.0": ("GET /open/x HTTP/2.0\r\nHost: a\r\n\r\n", {400, 505}),
    "HTTP/1.2 in lower case": ("GET /open/x http/1.1\r\nHost: a\r\n\r\n", {400, 505}),
    "h2 preface": ("PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", {400, 505}),
    "TLS hello": ("\x16\x03\x01\x02\0\x01\0\x01\xfc\x03\x03" + "a" * 40 + "\r\n\r\n", {400}),
    "Expect of another word": (POST + "Expect: 200-ok\r\nContent-Length: 5\r\n\r\nhello", {417}),
    "Expect obfuscated": (POST + "Expect: y 100-continue\r\nContent-Length: 40\r\n\r\n" + TRAP, {400, 417}),
    "two Expect": (
        POST + "Expect: 100-continue\r\nExpect: x\r\nContent-Length: 40\r\n\r\n" + TRAP,
        {400, 417},
    ),
    "head too large": ("GET /open/x HTTP/1.1\r\nHost: a\r\nX: " + "a" * 40000 + "\r\n\r\n", {431}),
    "too many fields": ("GET /open/x HTTP/1.1\r\nHost: a\r\n" + "A: b\r\n" * 150 + "\r\n", {431}),
    "target too long": ("GET /open/" + "a" * 20000 + " HTTP/1.1\r\nHost: a\r\n\r\n", {414}),
    "body too large": (POST + "Content-Length: 70000\r\n\r\n", {413}),
}
for value in (
    "+5",
    "-1",
    "0x5",
    "5_0",
    "5 ",
    "٥",
    "1e1",
    "99999999999999999999",
    "18446744073709551621",
    "5;",
    "5 5",
):
    if value.strip() != value:
        continue
    text = value.encode().decode("latin-1")
    REFUSED[f"CL {value}"] = (POST + f"Content-Length: {text}\r\n\r\nhello" + TRAP, {400})
for value in (
    "xchunked",
    "chunked, chunked",
    "gzip, chunked",
    "identity",
    "chunked, identity",
    "chunked;q=1",
    '"chunked"',
    "\vchunked",
    "chunked\v",
    "\x00chunked",
    "chunk\u00e9d",
    "",
    "chunked,",
    ",chunked",
    "gzip",
    "x-chunked",
):
    REFUSED[f"TE {value!r}"] = (POST + f"Transfer-Encoding: {value}\r\n\r\n0\r\n\r\n" + TRAP, {400, 501})
    both = f"Transfer-Encoding: chunked\r\nTransfer-Encoding: {value}\r\n"
    REFUSED[f"TE twice {value!r}"] = (POST + both + "\r\n0\r\n\r\n" + TRAP, {400, 501})

# What follows a chunked head; the upstream may see a beginning, but never a complete request.
BAD_CHUNKS = {
    "sign": "+5\r\nhello\r\n0\r\n\r\n",
    "minus": "-1\r\nhello\r\n0\r\n\r\n",
    "prefix": "0x5\r\nhello\r\n0\r\n\r\n",
    "underscore": "0_5\r\nhello\r\n0\r\n\r\n",
    "blank before": " 5\r\nhello\r\n0\r\n\r\n",
    "empty size": "\r\nhello\r\n0\r\n\r\n",
    "letters": "xyz\r\nhello\r\n0\r\n\r\n",
    "overflow": "10000000000000005\r\nhello\r\n0\r\n\r\n",
    "long size": "0" * 40 + "5\r\nhello\r\n0\r\n\r\n",
    "bare LF after size": "5\nhello\r\n0\r\n\r\n",
    "bare LF after data": "5\r\nhello\n0\r\n\r\n",
    "bare LF in extension": "5;a\nb\r\nhello\r\n0\r\n\r\n",
    "bare CR in extension": "5;a\rb\r\nhello\r\n0\r\n\r\n",
    "NUL in extension": "5;a=\0\r\nhello\r\n0\r\n\r\n",
    "too much data": "5\r\nhellohello\r\n0\r\n\r\n",
    "bare LF at the end": "5\r\nhello\r\n0\r\n\n" + TRAP,
    "bad trailer": "0\r\nnonsense\r\n\r\n",
    "fold in trailer": "0\r\nX: a\r\n b\r\n\r\n",
    "extensions without end": ("1;" + "a" * 3000 + "\r\nx\r\n") * 3,
    "trailers without end": "0\r\n" + "X: y\r\n" * 5000,
}


class Smuggling(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.upstream = Upstream()
        cls.gateway = Gateway(cls.upstream.port, routes=ROUTES)
        cls.sent = 0

    @classmethod
    def tearDownClass(cls):
        cls.gateway.stop()
        cls.upstream.stop()

    def exchange(self, data):
        """Everything that comes back until the gateway closes; None when it does not close."""
        raw = Raw(self.gateway.port)
        raw.send(data)
        try:
            return raw.rest(5)
        except TimeoutError:
            return None
        finally:
            raw.close()

    def test_a_refused_request_is_answered_once_and_logged_once(self):
        self.begin_counting()
        for name, (data, statuses) in REFUSED.items():
            with self.subTest(name):
                self.upstream.forget()
                answer = self.exchange(data)
                self.assertIsNotNone(answer, "still open")
                self.assertEqual(answer.count(b"HTTP/1.1 "), 1, answer[:200])
                self.assertIn(int(answer.split(b" ")[1]), statuses)
                self.assertIn(b"connection: close", answer.lower())
                self.assertEqual([request.head for request in self.upstream.requests], [])
        self.assert_lines(len(REFUSED))

    def begin_counting(self):
        # Lines are written behind the answers: of a gateway of its own, none is another test's.
        self.gateway = Gateway(self.upstream.port, routes=ROUTES)
        self.addCleanup(self.gateway.stop)

    def assert_lines(self, count):
        wait_until(lambda: len(self.gateway.access_log()) >= count, what="a line for each")
        # One more would follow soon.
        time.sleep(0.2)
        self.assertEqual(len(self.gateway.access_log()), count)

    def test_a_bad_chunk_ends_the_connection(self):
        self.begin_counting()
        for name, body in BAD_CHUNKS.items():
            with self.subTest(name):
                self.upstream.forget()
                answer = self.exchange(CHUNKED + body + TRAP)
                self.assertIsNotNone(answer, "still open")
                self.assertEqual(answer[:12], b"HTTP/1.1 400")
                self.assertEqual(answer.count(b"HTTP/1.1 "), 1)
                self.assertEqual(
                    [request.target for request in self.upstream.requests if "trap" in request.target], []
                )
        self.assert_lines(len(BAD_CHUNKS))

    def test_byte_by_byte_they_are_refused_just_the_same(self):
        for name in ("CL and TE", "obs-fold", "bare LF in a field", "two Host", "TE 'xchunked'", "CL +5"):
            data, statuses = REFUSED[name]
            with self.subTest(name):
                self.upstream.forget()
                raw = Raw(self.gateway.port)
                try:
                    for byte in data:
                        raw.send(byte)
                except (BrokenPipeError, ConnectionResetError):
                    pass
                self.assertIn(int(raw.response().status), statuses)
                self.assertEqual(self.upstream.requests, [])
                raw.close()

    def test_the_body_of_a_refused_request_never_becomes_a_request(self):
        trap = TRAP.encode()
        for path, head in (
            ("/closed", "HTTP/1.1 401"),
            ("/open/%00", "HTTP/1.1 400"),
            ("/refresh/none", "HTTP/1.1 404"),
        ):
            for framing in (
                f"Content-Length: {len(trap)}\r\n\r\n{TRAP}",
                f"Transfer-Encoding: chunked\r\n\r\n{len(trap):x}\r\n{TRAP}\r\n0\r\n\r\n",
            ):
                self.upstream.forget()
                answer = self.exchange_or_rest(f"POST {path} HTTP/1.1\r\nHost: a\r\n{framing}")
                self.assertTrue(answer.startswith(head.encode()), answer[:100])
                self.assertEqual(answer.count(b"HTTP/1.1 "), 1)
                self.assertEqual(self.upstream.requests, [], path)

    def exchange_or_rest(self, data):
        """All of the answer, from a connection that may stay open."""
        raw = Raw(self.gateway.port)
        raw.send(data)
        raw.socket.settimeout(0.5)
        try:
            while raw.receive():
                pass
        except TimeoutError:
            pass
        raw.close()
        return raw.input

    def test_upgrades_to_h2c_are_not_passed_on(self):
        raw = Raw(self.gateway.port)
        raw.send(
            "GET /open/x HTTP/1.1\r\nHost: a\r\nConnection: Upgrade, HTTP2-Settings\r\nUpgrade: h2c\r\n"
            "HTTP2-Settings: AAMAAABkAARAAAAAAAIAAAAA\r\n\r\n"
        )
        self.assertIn(raw.response().status, (200, 400))
        for request in self.upstream.requests:
            self.assertEqual([name for name in request.names if name in ("upgrade", "http2-settings")], [])
        raw.close()

    def test_hop_by_hop_fields_stop_here(self):
        self.upstream.forget()
        raw = Raw(self.gateway.port)
        raw.send(
            "GET /open/x HTTP/1.1\r\nHost: a\r\nConnection: X-Mine, keep-alive\r\nX-Mine: 1\r\n"
            "Keep-Alive: 5\r\n"
            "Proxy-Connection: close\r\nTE: trailers\r\nProxy-Authorization: Basic eA==\r\nX-Else: 2\r\n\r\n"
        )
        self.assertEqual(raw.response().status, 200)
        names = self.upstream.last().names
        for name in ("x-mine", "keep-alive", "proxy-connection", "proxy-authorization"):
            self.assertNotIn(name, names)
        self.assertIn("x-else", names)
        raw.close()

    def test_good_chunks_pass_with_framing_of_our_own(self):
        self.upstream.forget()
        raw = Raw(self.gateway.port)
        raw.send(CHUNKED + "5;a=b\r\nhello\r\n00006\r\n world\r\n000\r\nX-Trailer: y\r\n\r\n")
        self.assertEqual(raw.response().status, 200)
        request = self.upstream.last()
        self.assertEqual(request.body, b"hello world")
        self.assertEqual((request.one("transfer-encoding"), request.one("content-length")), ("chunked", None))
        self.assertNotIn(b"a=b", request.head)
        raw.close()

    def test_pipelined_requests_are_answered_in_order(self):
        self.upstream.answer = lambda request, connection: (
            b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n%s"
            % (len(request.target), request.target.encode())
        )
        try:
            raw = Raw(self.gateway.port)
            raw.send(
                "".join(
                    (
                        f"POST /open/{number} HTTP/1.1\r\nHost: a\r\nContent-Length: 3\r\n\r\nabc"
                        if number % 3 == 0
                        else f"GET /{('', 'closed', 'open')[number % 3]}/{number} HTTP/1.1\r\nHost: a\r\n\r\n"
                    )
                    for number in range(60)
                )
            )
            for number in range(60):
                reply = raw.response()
                if number % 3 == 1:
                    self.assertEqual(reply.status, 401)
                else:
                    self.assertEqual((reply.status, reply.body), (200, f"/open/{number}".encode()))
            raw.close()
        finally:
            self.upstream.answer = (
                lambda request, connection: b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok"
            )

    def test_log_lines_cannot_be_forged(self):
        raw = Raw(self.gateway.port)
        raw.send('GET /open/a"%0a\x7b HTTP/1.1\r\nHost: a\r\nUser-Agent: "}\t{"x":"\xe9\xff\\\r\n\r\n')
        raw.response()
        raw.close()
        self.gateway.access_log()
