# What holds clients to https: plain listeners that redirect, whatever a client says there; and HSTS, which is
# said by TLS alone.

import os
import re
import unittest
from urllib.parse import urlsplit

from certificates import Authority
from clients import Raw, curl
from harness import Demo, Gateway, directory, free_port
from upstreams import OK, Upstream

HOST = "gateway.test"
ROUTES = """
upstream demo {{ server http://127.0.0.1:{demo}; }}
route /login {{ upstream demo; access anonymous; login; }}
route /public/ {{ upstream api; access anonymous; }}
route / {{ upstream api; }}
route other.test/ {{ upstream api; }}
"""
STS = b"Strict-Transport-Security: max-age=1; preload\r\nstrict-transport-security: max-age=2\r\n"


def setUpModule():
    global demo, upstream, authority, pair, gateway, port, proxied_port
    demo, authority = Demo(), Authority(directory())
    upstream = Upstream(lambda request, connection: OK.replace(b"\r\n\r\n", b"\r\n" + STS + b"\r\n"))
    pair = authority.issue(HOST, "localhost")
    port, proxied_port = free_port(), free_port()
    gateway = start(
        f"listen 127.0.0.1:{port} redirect_to_https;\n"
        f"listen 127.0.0.1:{proxied_port} redirect_to_https proxy_protocol;\ntrusted_proxies 127.0.0.1;"
    )


def tearDownModule():
    gateway.stop()
    upstream.stop()
    demo.stop()


def start(main="", more="", host=HOST):
    return Gateway(
        upstream.port,
        routes=ROUTES.format(demo=demo.port),
        main=main,
        host=host,
        tls=f"certificate {pair[0]}; private_key {pair[1]}; {more}",
    )


class Redirect(unittest.TestCase):
    def setUp(self):
        upstream.forget()

    def tearDown(self):
        self.assertEqual(upstream.requests, [], "nothing of plain http goes any further")

    def ask(self, target, *fields, version="1.1", host="localhost", method="GET", body=""):
        lines = [f"Host: {host}"] if host else []
        head = "\r\n".join([f"{method} {target} HTTP/{version}", *lines, *fields])
        raw = Raw(port).send(f"{head}\r\n\r\n{body}")
        self.addCleanup(raw.close)
        return raw.response(method)

    def assert_leads_to(self, reply, target):
        self.assertEqual(reply.status, 308)
        self.assertEqual(reply.one("location"), gateway.origin + target)
        self.assertEqual(urlsplit(reply.one("location")).netloc, f"{HOST}:{gateway.port}")
        # Of what the client sent only the target is in the answer, and that in one field.
        names = {name for name, _ in reply.fields} - {"connection"}
        self.assertEqual(names, {"date", "location", "cache-control", "content-length"})
        self.assertEqual((reply.one("cache-control"), reply.body), ("no-store", b""))

    def assert_refused(self, raw, status=400):
        answer = raw.rest(3)
        self.assertTrue(answer.startswith(b"HTTP/1.1 %d " % status), answer[:100])
        self.assertNotIn(b"\r\nlocation:", answer.lower())

    def test_public_url_alone_says_where_to(self):
        for host in ("evil.example", "evil.example:443", f"{HOST}.evil.example", "localhost", "[::1]:80"):
            self.assert_leads_to(self.ask("/a?b=c", host=host), "/a?b=c")
        forwarded = [
            "X-Forwarded-Host: evil.example", "X-Forwarded-Proto: https", "X-Forwarded-Port: 1",
            "X-Forwarded-Prefix: //evil.example", "X-Original-URL: //evil.example/", "X-Rewrite-URL: /evil",
            "Forwarded: for=192.0.2.1;host=evil.example;proto=https"]
        self.assert_leads_to(self.ask("/a", *forwarded), "/a")
        for scheme in ("http", "https", "HTTP"):
            self.assert_leads_to(self.ask(f"{scheme}://evil.example/a?b", host="evil.example"), "/a?b")

    def test_another_host_of_ours_is_kept(self):
        for host in ("other.test", "OTHER.test:80"):
            answer = self.ask("/a?b", "X-Forwarded-Host: evil.example", host=host)
            self.assertEqual(
                (answer.status, answer.one("location")), (308, f"https://other.test:{gateway.port}/a?b"))

    def test_old_client_needs_no_host(self):
        self.assert_leads_to(self.ask("/a", version="1.0", host=None), "/a")
        self.assert_leads_to(self.ask("http://evil.example/a", version="1.0", host=None), "/a")
        self.assertTrue(Raw(port).send("GET /a HTTP/1.0\r\n\r\n").rest(3).startswith(b"HTTP/1.1 308 "))

    def test_host_that_is_none_is_refused(self):
        for hosts in ([], ["a", "b"], ["a", "a"], ["a b"], ["a@b"], ["a/b"], [""]):
            fields = "".join(f"Host: {host}\r\n" for host in hosts)
            self.assert_refused(Raw(port).send(f"GET /a HTTP/1.1\r\n{fields}\r\n"))
        self.assert_refused(Raw(port).send("GET http://evil.example/ HTTP/1.1\r\nHost: localhost\r\n\r\n"))

    def test_target_stays_behind_the_origin(self):
        targets = (
            "/", "//evil.example/", "///evil.example", "/\\evil.example", "/@evil.example/", "/.evil.example",
            "/:443@evil.example", "/..//evil.example", "/a/../../b", "/%2e%2e/%2f%2fevil.example",
            "/%0d%0aSet-Cookie:%20a=b", "/%0D%0A%0D%0A<script>", "/?next=%0d%0aLocation:%20//evil.example",
            "/%00", "/%zz", "/a?b?c", "/?", "/" + "a" * 8000)
        for target in targets:
            with self.subTest(target[:40]):
                self.assert_leads_to(self.ask(target), target)

    def test_target_that_is_none_is_refused(self):
        targets = (
            "evil.example", "@evil.example/", ".evil.example/", ":443@evil.example", "evil.example:443", "*",
            "\\\\evil.example\\", "http:evil.example", "http:/evil.example", "http://", "http:///a",
            "http://evil.example",
            "ftp://localhost/a", "javascript:alert(1)", "/a#b", "/a\tb", "/a\rb", "/a\0b",
            "/caf\xe9", "/a b", "http://localhost\\@evil.example/", "")
        for target in targets:
            with self.subTest(target):
                self.assert_refused(Raw(port).send(f"GET {target} HTTP/1.1\r\nHost: localhost\r\n\r\n"))
        # A line feed alone ends no line here, and begins no field of the answer.
        self.assert_refused(Raw(port).send("GET /a\nSet-Cookie: a=b HTTP/1.1\r\nHost: localhost\r\n\r\n"))

    def test_every_method_keeps_its_own(self):
        for method in ("GET", "HEAD", "PUT", "PATCH", "DELETE", "OPTIONS", "PROPFIND"):
            self.assert_leads_to(self.ask("/a", method=method), "/a")
        for start_line in ("CONNECT evil.example:443", "TRACE /a"):
            request = f"{start_line} HTTP/1.1\r\nHost: evil.example:443\r\nConnection: close\r\n\r\n"
            self.assert_refused(Raw(port).send(request), 405)

    def test_upgrades_are_redirected_like_everything_else(self):
        websocket = ["Sec-WebSocket-Version: 13", "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ=="]
        reply = self.ask("/socket", "Connection: Upgrade", "Upgrade: websocket", *websocket)
        self.assert_leads_to(reply, "/socket")
        plaintext_http2 = ["Connection: Upgrade, HTTP2-Settings", "Upgrade: h2c", "HTTP2-Settings: AAMAAABk"]
        self.assert_leads_to(self.ask("/a", *plaintext_http2), "/a")
        self.assert_leads_to(self.ask("/a", "Upgrade-Insecure-Requests: 1"), "/a")

    def test_no_tls_and_no_other_protocol_here(self):
        for first in (b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", b"\x16\x03\x01\x02\x00\x01\x00" + b"\0" * 600):
            answer = Raw(port).send(first).rest(3)
            self.assertNotRegex(answer, b"HTTP/1.1 [23]")
        self.assert_leads_to(self.ask("/a"), "/a")

    def test_health_is_not_told_here(self):
        # A check that follows no redirect sees a 308, never a 200 of somebody else's making.
        for path in ("/healthz", "/readyz", "/ping", "/.well-known/jwks.json", "/sessions"):
            self.assert_leads_to(self.ask(path), path)
            self.assert_leads_to(self.ask(path, method="HEAD"), path)

    def test_body_is_no_further_request(self):
        hidden = "GET /hidden HTTP/1.1\r\nHost: localhost\r\n\r\n"
        chunked = f"{len(hidden):x}\r\n{hidden}\r\n0\r\n\r\n"
        bodies = {f"Content-Length: {len(hidden)}": hidden, "Transfer-Encoding: chunked": chunked}
        for field, body in bodies.items():
            raw = Raw(port).send(f"POST /a HTTP/1.1\r\nHost: localhost\r\n{field}\r\n\r\n{body}")
            answer = raw.rest(5)
            self.assertEqual(re.findall(rb"HTTP/1\.1 \d+", answer), [b"HTTP/1.1 308"])
            self.assertNotIn(b"hidden", answer)
        # Of two readings there is none.
        both = f"Content-Length: 4\r\nTransfer-Encoding: chunked\r\n\r\n{chunked}"
        self.assert_refused(Raw(port).send(f"POST /a HTTP/1.1\r\nHost: localhost\r\n{both}"))

    def test_requests_on_one_connection_are_answered_in_turn(self):
        raw = Raw(port).send("".join(f"GET /{n} HTTP/1.1\r\nHost: localhost\r\n\r\n" for n in range(20)))
        for number in range(20):
            self.assert_leads_to(raw.response(), f"/{number}")

    def test_large_body_does_not_cost_the_answer(self):
        path = os.path.join(gateway.home, "large")
        with open(path, "wb") as file:
            file.write(os.urandom(8 << 20))
        reply = curl(f"http://127.0.0.1:{port}/upload", "-T", path)
        self.assert_leads_to(reply, "/upload")
        # Whoever asks first need not send it.
        raw = Raw(port).send(
            "POST /a HTTP/1.1\r\nHost: localhost\r\nContent-Length: 9\r\nExpect: 100-continue\r\n\r\n")
        self.assert_leads_to(raw.response(), "/a")

    def test_nothing_is_done_with_what_was_sent_in_the_clear(self):
        person = {"user": "alice", "password": "wonderland"}
        self.assert_leads_to(curl(f"http://127.0.0.1:{port}/login", as_json=person), "/login")
        url = f"https://localhost:{gateway.port}"
        first = curl(url + "/login", "--cacert", authority.file, as_json=person).json
        form = {"grant_type": "refresh_token", "refresh_token": first["refresh_token"]}
        for path in ("/refresh", "/refresh/logout"):
            self.assert_leads_to(curl(f"http://127.0.0.1:{port}{path}", form=form), path)
            cookies = {"__Secure-refresh": first["refresh_token"], "__Host-access": first["access_token"]}
            same = ["Sec-Fetch-Site: same-origin"]
            reply = curl(f"http://127.0.0.1:{port}{path}", method="POST", cookies=cookies, headers=same)
            self.assert_leads_to(reply, path)
        # One session, and its first token is still the current one.
        (session,) = curl(gateway.control + "/sessions?subject=alice").json["sessions"]
        self.assertEqual((session["state"], session["generation"]), ("live", 0))

    def test_client_behind_a_proxy_is_known(self):
        reply = curl(f"http://127.0.0.1:{proxied_port}/proxied", "--haproxy-protocol")
        self.assert_leads_to(reply, "/proxied")
        self.assertEqual(Raw(proxied_port).send("GET /a HTTP/1.1\r\nHost: a\r\n\r\n").rest(3), b"")
        raw = Raw(proxied_port).send(
            "PROXY TCP4 192.0.2.7 192.0.2.1 1234 80\r\nGET /far HTTP/1.1\r\nHost: a\r\n\r\n")
        self.assert_leads_to(raw.response(), "/far")
        (line,) = gateway.lines_for("/far", 1)
        self.assertEqual((line["source.ip"], line["http.response.status_code"]), ("192.0.2.7", 308))


class Following(unittest.TestCase):
    def test_whoever_follows_arrives_with_method_and_body(self):
        upstream.forget()
        for method, arguments in (("POST", ()), ("PUT", ("-X", "PUT"))):
            curl(
                f"http://{HOST}:{port}/public/echo?a=b", "-L", "--cacert", authority.file, *arguments,
                "--resolve", f"{HOST}:{port}:127.0.0.1", "--resolve", f"{HOST}:{gateway.port}:127.0.0.1",
                data="a body")
            request = upstream.last()
            self.assertEqual((request.method, request.target), (method, "/public/echo?a=b"))
            self.assertEqual((request.body, request.one("x-forwarded-proto")), (b"a body", "https"))


class StrictTransport(unittest.TestCase):
    def ask(self, gateway, path, *arguments, **options):
        return curl(
            f"{gateway.origin}{path}", "--cacert", authority.file, *arguments,
            "--resolve", f"{urlsplit(gateway.origin).netloc}:127.0.0.1", **options)

    def test_every_answer_by_tls_says_it_once(self):
        answers = [
            self.ask(gateway, "/public/a"),
            self.ask(gateway, "/public/a", method="HEAD"),
            self.ask(gateway, "/a"),
            self.ask(gateway, "/refresh", method="POST"),
            self.ask(gateway, "/refresh/logout", method="POST"),
            self.ask(gateway, "/a", method="TRACE"),
            self.ask(gateway, "/login", as_json={"user": "alice", "password": "wrong"}),
            self.ask(gateway, "/.well-known/jwks.json"),
        ]
        self.assertEqual([answer.status for answer in answers], [200, 200, 401, 400, 204, 405, 401, 200])
        for answer in answers:
            self.assertEqual(answer.all("strict-transport-security"), ["max-age=31536000"])

    def test_plain_http_never_says_it(self):
        # RFC 6797 §7.2: "An HSTS Host MUST NOT include the STS header field in HTTP responses conveyed over
        # non-secure transport".
        for path in ("/a", "/\x01"):
            answer = Raw(port).send(f"GET {path} HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n").rest(3)
            self.assertNotIn(b"strict-transport", answer.lower())

    def test_it_says_what_was_configured(self):
        for directive, expected in (
            ("hsts 30d include_subdomains;", ["max-age=2592000; includeSubDomains"]),
            ("hsts 365d include_subdomains preload;", ["max-age=31536000; includeSubDomains; preload"]),
            ("hsts 0s;", ["max-age=0"]),
            # Whoever says nothing himself leaves it to the upstream.
            ("hsts off;", ["max-age=1; preload", "max-age=2"]),
        ):
            other = start(more=directive)
            self.addCleanup(other.stop)
            with self.subTest(directive):
                reply = self.ask(other, "/public/a")
                self.assertEqual(reply.all("strict-transport-security"), expected)

    def test_localhost_says_nothing_of_its_own(self):
        other = start(host="localhost")
        self.addCleanup(other.stop)
        self.assertEqual(self.ask(other, "/a").all("strict-transport-security"), [])


if __name__ == "__main__":
    unittest.main()
