# Upstreams that misbehave: what the client is told (502 and 504 told apart), that nothing of a broken message
# leaks into another exchange, and that a connection on which anything surprising was seen is never used
# again.

import socket
import time
import unittest

from clients import Raw, curl
from harness import Gateway, free_port, wait_until
from upstreams import OK, Upstream

ROUTES = "route / { upstream api; access anonymous; }"
TIMEOUTS = "connect_timeout 500ms; response_timeout 700ms; idle_timeout 700ms;"
INJECTED = b"HTTP/1.1 200 OK\r\nContent-Length: 8\r\n\r\npoisoned"

# Path -> the bytes that answer it, for which the client gets 502.
BROKEN = {
    "two-lengths": b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\nContent-Length: 3\r\n\r\nokk",
    "length-list": b"HTTP/1.1 200 OK\r\nContent-Length: 2, 3\r\n\r\nokk",
    "length-sign": b"HTTP/1.1 200 OK\r\nContent-Length: +2\r\n\r\nok",
    "length-and-coding": b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n"
    b"Transfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
    "coding-unknown": b"HTTP/1.1 200 OK\r\nTransfer-Encoding: gzip, chunked\r\n\r\n0\r\n\r\n",
    "coding-in-1.0": b"HTTP/1.0 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
    "unasked-101": b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: x\r\nConnection: Upgrade\r\n\r\n"
    + INJECTED,
    "flood-of-1xx": b"HTTP/1.1 102 Processing\r\n\r\n" * 1000 + OK,
    "bare-lf": b"HTTP/1.1 200 OK\nContent-Length: 2\n\nok",
    "obs-fold": b"HTTP/1.1 200 OK\r\nX: a\r\n b\r\nContent-Length: 2\r\n\r\nok",
    "nul": b"HTTP/1.1 200 OK\r\nX: a\0b\r\nContent-Length: 2\r\n\r\nok",
    "bare-cr": b"HTTP/1.1 200 OK\r\nX: a\rSet-Cookie: access=x\r\nContent-Length: 2\r\n\r\nok",
    "space-before-colon": b"HTTP/1.1 200 OK\r\nContent-Length : 2\r\n\r\nok",
    "empty-name": b"HTTP/1.1 200 OK\r\n: x\r\nContent-Length: 2\r\n\r\nok",
    "status-2": b"HTTP/1.1 20 OK\r\nContent-Length: 2\r\n\r\nok",
    "status-4": b"HTTP/1.1 2000 OK\r\nContent-Length: 2\r\n\r\nok",
    "status-word": b"HTTP/1.1 abc OK\r\nContent-Length: 2\r\n\r\nok",
    "not-http": b"SSH-2.0-OpenSSH_9.2\r\n\r\n\r\n\r\n",
    "http-2": b"HTTP/2.0 200 OK\r\nContent-Length: 2\r\n\r\nok",
    "head-too-large": b"HTTP/1.1 200 OK\r\nX: " + b"a" * 100_000 + b"\r\n\r\n",
    "fields-without-end": b"HTTP/1.1 200 OK\r\n" + b"X: a\r\n" * 5000 + b"\r\n",
    "closes-at-once": b"",
    "half-a-head": b"HTTP/1.1 200 OK\r\nContent-Le",
}
# Bodies that break once the head has gone to the client: it sees the connection break, never a whole answer.
TORN = {
    "short": b"HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nhello",
    "short-chunk": b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhel",
    "no-last-chunk": b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n",
    "bad-chunk": b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n"
    b"5\r\nhello\r\n0x5\r\nhello\r\n0\r\n\r\n",
    "lf-chunk": b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n5\nhello\r\n0\r\n\r\n",
}
# A whole answer, and then bytes that nobody asked for.
SURPLUS = {
    "long": b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok" + INJECTED,
    "after-204": b"HTTP/1.1 204 No Content\r\n\r\n" + INJECTED,
    "after-304": b"HTTP/1.1 304 Not Modified\r\nContent-Length: 5\r\n\r\n" + INJECTED,
    "after-chunks": b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nok\r\n0\r\n\r\n" + INJECTED,
}


def answer(request, connection):
    name = request.target.strip("/")
    if name in BROKEN or name in TORN:
        connection.send({**BROKEN, **TORN}[name])
        raise EOFError
    if name in SURPLUS:
        return SURPLUS[name]
    if name == "late-surplus":
        connection.send(OK)
        time.sleep(0.05)
        return INJECTED
    if name == "silent":
        time.sleep(1.5)
        raise EOFError
    if name == "silent-in-body":
        connection.send(b"HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nhello")
        time.sleep(1.5)
        raise EOFError
    if name == "reset-in-body":
        connection.send(b"HTTP/1.1 200 OK\r\nContent-Length: 1000000\r\n\r\n" + b"a" * 1000)
        time.sleep(0.1)
        connection.reset()
        return None
    if name == "reset-at-once":
        connection.reset()
        return None
    if name == "close":
        connection.send(b"HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Length: 2\r\n\r\nok")
        raise EOFError
    if name == "until-close":
        connection.send(b"HTTP/1.1 200 OK\r\n\r\nuntil the end")
        raise EOFError
    return OK


class UpstreamFaults(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.upstream = Upstream(answer)
        # One shard: each request after the first could be given the connection of the one before.
        cls.gateway = Gateway(cls.upstream.port, routes=ROUTES, upstream=TIMEOUTS, main="workers 1;")

    @classmethod
    def tearDownClass(cls):
        cls.gateway.stop()
        cls.upstream.stop()

    def get(self, name, **options):
        return curl(f"{self.gateway.base}/{name}", **options)

    def assert_next_is_clean(self):
        for _ in range(3):
            reply = self.get("good")
            self.assertEqual((reply.status, reply.body), (200, b"ok"))

    def test_broken_answers_are_502_and_the_next_is_clean(self):
        for name in BROKEN:
            with self.subTest(name):
                reply = self.get(name)
                self.assertEqual(reply.status, 502)
                self.assertEqual(reply.one("content-type"), "application/problem+json")
                self.assertTrue(reply.json["code"].startswith("upstream_"))
                self.assertNotIn(b"ok", reply.body[:2])
                self.assert_next_is_clean()
                self.gateway.lines_for("/" + name, 1)

    def test_torn_bodies_are_visibly_torn(self):
        for name in TORN:
            with self.subTest(name):
                raw = Raw(self.gateway.port)
                raw.send(f"GET /{name} HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n")
                data = raw.rest(3)
                # A fault that is found before anything has left is a whole 502; afterwards the answer is cut.
                is_whole = data.startswith(b"HTTP/1.1 502") and data.count(b"HTTP/1.1 ") == 1
                self.assertTrue(is_whole or data.startswith(b"HTTP/1.1 200 OK"), data)
                self.assertTrue(is_whole or b"HTTP/1.1 5" not in data, data)
                self.assertFalse(data.endswith(b"0\r\n\r\n"), data)
                self.assert_next_is_clean()
                (line,) = self.gateway.lines_for("/" + name, 1)
                self.assertTrue(line["gateway.reason"].startswith("upstream_"))

    def test_surplus_is_never_the_answer_to_another_request(self):
        for name in list(SURPLUS) + ["late-surplus"]:
            with self.subTest(name):
                raw = Raw(self.gateway.port)
                for _ in range(3):
                    raw.send(f"GET /{name} HTTP/1.1\r\nHost: a\r\n\r\n")
                    if name == "late-surplus":
                        # Bytes that come while the next request is on its way cannot be told from its answer.
                        time.sleep(0.2)
                    raw.send("GET /good HTTP/1.1\r\nHost: a\r\n\r\n")
                    self.assertIn(raw.response().status, (200, 204, 304))
                    self.assertEqual(raw.response().body, b"ok")
                raw.close()
                self.assert_next_is_clean()

    def test_a_head_request_with_a_body_in_its_answer(self):
        raw = Raw(self.gateway.port)
        raw.send("HEAD /long HTTP/1.1\r\nHost: a\r\n\r\nGET /good HTTP/1.1\r\nHost: a\r\n\r\n")
        self.assertEqual(raw.response("HEAD").status, 200)
        self.assertEqual(raw.response().body, b"ok")
        raw.close()

    def test_silence_is_504(self):
        began = time.monotonic()
        reply = self.get("silent")
        self.assertEqual((reply.status, reply.json["code"]), (504, "upstream_timeout"))
        self.assertLess(time.monotonic() - began, 1.4)
        self.assert_next_is_clean()

    def test_silence_in_a_body_tears_it(self):
        raw = Raw(self.gateway.port)
        raw.send("GET /silent-in-body HTTP/1.1\r\nHost: a\r\n\r\n")
        self.assertTrue(raw.rest(3).endswith(b"hello"))
        (line,) = self.gateway.lines_for("/silent-in-body", 1)
        self.assertEqual(line["gateway.reason"], "upstream_timeout")

    def test_reset_in_a_body_tears_it(self):
        raw = Raw(self.gateway.port)
        raw.send("GET /reset-in-body HTTP/1.1\r\nHost: a\r\n\r\n")
        self.assertLess(len(raw.rest(3)), 2000)
        self.assert_next_is_clean()

    def test_reset_without_an_answer_is_502(self):
        self.get("good")
        before = len([r for r in self.upstream.requests if r.target == "/reset-at-once"])
        reply = self.get("reset-at-once", method="POST", data="x")
        self.assertEqual((reply.status, reply.json["code"]), (502, "upstream_closed"))
        asked = len([r for r in self.upstream.requests if r.target == "/reset-at-once"]) - before
        self.assertEqual(asked, 1, "a POST is sent once")

    def test_refused_is_502(self):
        lonely = Gateway(free_port(), routes=ROUTES)
        try:
            reply = curl(lonely.base + "/x")
            self.assertEqual((reply.status, reply.json["code"]), (502, "upstream_connect"))
        finally:
            lonely.stop()

    def test_connection_that_does_not_open_is_504(self):
        # A listener whose queue is full drops further connections' first packets.
        with socket.socket() as full:
            full.bind(("127.0.0.1", 0))
            full.listen(0)
            fillers = []
            for _ in range(4):
                filler = socket.socket()
                filler.setblocking(False)
                filler.connect_ex(full.getsockname())
                fillers.append(filler)
            slow = Gateway(full.getsockname()[1], routes=ROUTES, upstream="connect_timeout 300ms;")
            try:
                reply = curl(slow.base + "/x")
                self.assertEqual((reply.status, reply.json["code"]), (504, "upstream_connect_timeout"))
            finally:
                slow.stop()
                for filler in fillers:
                    filler.close()

    def test_an_idle_connection_that_the_upstream_closed_costs_no_get(self):
        for _ in range(20):
            self.assertEqual(self.get("good").status, 200)
            for connection in list(self.upstream.connections):
                connection.close()
            self.assertEqual(self.get("good").status, 200)

    def test_until_close_arrives_whole(self):
        self.assertEqual(self.get("until-close").body, b"until the end")
        self.assertEqual(self.get("close").body, b"ok")
        self.assert_next_is_clean()

    def test_good_connections_are_used_again(self):
        self.get("good")
        opened = self.upstream.opened
        for _ in range(10):
            self.get("good")
        self.assertLessEqual(self.upstream.opened - opened, 1)


class HeaderSplitting(unittest.TestCase):
    def test_what_an_upstream_says_about_sessions_stays_well_formed(self):
        def split(request, connection):
            subject = {"/nul": b"a\0b", "/long": b"x" * 300, "/cr": b"a\rb", "/blank": b"", "/ok": b"zo"}[
                request.target
            ]
            return (
                b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\nSession-Start: "
                + subject
                + b"\r\nSession-Claims: "
                + claims[0]
                + b"\r\n\r\nok"
            )

        claims = [b"{}"]
        upstream = Upstream(split)
        gateway = Gateway(upstream.port, routes="route / { upstream api; access anonymous; login; }")
        try:
            for path in ("/nul", "/long", "/cr", "/blank"):
                self.assertEqual(curl(gateway.base + path).status, 502, path)
            for bad in (b"[]", b'{"sub":"root"}', b'{"a":1,"a":2}', b"{", b'{"x":"' + b"y" * 3000 + b'"}'):
                claims[0] = bad
                reply = curl(gateway.base + "/ok")
                self.assertEqual((reply.status, reply.all("set-cookie")), (502, []), bad[:30])
            claims[0] = b'{"note":"a\\r\\nX-Auth-Subject: root"}'
            self.assertEqual(curl(gateway.base + "/ok").status, 200)
        finally:
            gateway.stop()
            upstream.stop()

    def test_a_claim_with_a_line_end_becomes_no_field(self):
        upstream = Upstream()
        gateway = Gateway(
            upstream.port, routes="route / { upstream api; identity_header X-Note claim note; }"
        )
        try:
            pair = curl(
                gateway.control + "/sessions",
                as_json={"subject": "a", "claims": {"note": "a\r\nX-Auth-Subject: root"}},
            ).json
            self.assertEqual(curl(gateway.base + "/", token=pair["access_token"]).status, 200)
            self.assertEqual(upstream.last().all("x-auth-subject"), ["a"])
            wait_until(lambda: gateway.access_log(), what="the log line")
        finally:
            gateway.stop()
            upstream.stop()
