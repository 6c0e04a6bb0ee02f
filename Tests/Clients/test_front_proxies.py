# Trusted proxies in front: real nginx with the usual fields, forged fields from everybody else, and what the
# logs, the limits, the sessions and the upstream then take for the client. Request ids, trace fields and Via.

import re
import unittest

from clients import curl
from harness import Gateway, free_port, wait_until
from servers import Nginx
from upstreams import Upstream

ROUTES = """
route / { upstream api; access anonymous; }
route /login { upstream api; access anonymous; login; }
route /limited { upstream api; access anonymous; rate 1/m burst=2; }
"""
PROXY = """
server {{
    listen 127.0.0.1:{port};
    location / {{
        proxy_pass http://{target};
        proxy_http_version 1.1;
        proxy_set_header Connection "";
        proxy_set_header Host $http_host;
        proxy_set_header X-Forwarded-For $proxy_add_x_forwarded_for;
        proxy_set_header X-Forwarded-Proto {scheme};
        proxy_set_header X-Forwarded-Host {host};
        {more}
    }}
}}
"""
TRACE = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01"


def answer(request, connection):
    session = b"Session-Start: alice\r\n" if request.target == "/login" else b""
    return b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n" + session + b"\r\nok"


def setUpModule():
    global upstream, gateway, nginx, plain, second
    upstream = Upstream(answer)
    plain, second = free_port(), free_port()
    # Two of them, one behind the other: 127.0.0.8 speaks to 127.0.0.1, and both are trusted.
    gateway = Gateway(upstream.port, routes=ROUTES, main="trusted_proxies 127.0.0.1 127.0.0.8/32;")
    target = f"127.0.0.1:{gateway.port}"
    nginx = Nginx(
        PROXY.format(
            port=plain, target=target, scheme="https", host="api.example.com",
            more="proxy_set_header X-Request-Id $request_id;",
        )
        + PROXY.format(
            port=second, target=f"127.0.0.1:{plain}", scheme="https", host="api.example.com",
            more="proxy_bind 127.0.0.8;",
        ),
        [plain, second],
    )


def tearDownModule():
    nginx.stop()
    gateway.stop()
    upstream.stop()


def ask(path, *arguments, port=None, source="127.0.0.1", **options):
    """One request from an address of loopback; what the upstream got of it."""
    port = port or gateway.port
    reply = curl(f"http://127.0.0.1:{port}{path}", "--interface", source, *arguments, **options)
    if reply.status != 200:
        raise AssertionError(f"{path}: {reply.status} {reply.body}")
    return upstream.last()


def logged(path):
    (line,) = gateway.lines_for(path, 1)
    return line


class BehindNginx(unittest.TestCase):
    def test_the_client_is_whom_nginx_has_seen(self):
        forged = ["X-Forwarded-For: 203.0.113.1, 127.0.0.1", "X-Forwarded-Proto: http",
                  "X-Forwarded-Host: evil.example", "X-Real-IP: 203.0.113.1"]
        for path, port, chain in (
            ("/one", plain, "127.0.0.9, 127.0.0.1"),
            ("/two", second, "127.0.0.9, 127.0.0.8, 127.0.0.1"),
        ):
            request = ask(path, port=port, source="127.0.0.9")
            self.assertEqual(request.one("x-forwarded-for"), chain)
            self.assertEqual(request.one("x-forwarded-proto"), "https")
            self.assertEqual(request.one("x-forwarded-host"), "api.example.com")
            self.assertEqual(logged(path)["source.ip"], "127.0.0.9")
            request = ask(path + "/forged", port=port, source="127.0.0.9", headers=forged)
            self.assertEqual(request.one("x-forwarded-for"), "203.0.113.1, 127.0.0.1, " + chain)
            self.assertEqual(request.one("x-forwarded-proto"), "https")
            self.assertEqual(request.one("x-forwarded-host"), "api.example.com")
            self.assertEqual(request.all("x-real-ip"), [])
            self.assertEqual(logged(path + "/forged")["source.ip"], "127.0.0.9")

    def test_a_session_has_the_clients_address(self):
        for port, source, address in (
            (plain, "127.0.0.31", "127.0.0.31"),
            (second, "127.0.0.32", "127.0.0.32"),
            (gateway.port, "127.0.0.33", "127.0.0.33"),
        ):
            ask("/login", port=port, source=source, as_json={}, headers=["X-Forwarded-For: 203.0.113.1"])
            sessions = curl(gateway.control + "/sessions?subject=alice").json["sessions"]
            self.assertIn(address, [session["address"] for session in sessions])
            self.assertNotIn("203.0.113.1", [session["address"] for session in sessions])

    def test_rates_are_those_of_the_client(self):
        def status(source, *headers):
            url = f"http://127.0.0.1:{plain}/limited"
            return curl(url, "--interface", source, headers=headers).status

        self.assertEqual([status("127.0.0.41") for _ in range(3)], [200, 200, 429])
        self.assertEqual(status("127.0.0.41", "X-Forwarded-For: 127.0.0.43"), 429)
        self.assertEqual(status("127.0.0.42"), 200)

    def test_the_name_of_a_request_is_nginx_s(self):
        request = ask("/named", port=plain, source="127.0.0.9", headers=["X-Request-Id: mine"])
        name = request.one("x-request-id")
        self.assertRegex(name, "^[0-9a-f]{32}$")
        self.assertEqual(logged("/named")["http.request.id"], name)


class Strangers(unittest.TestCase):
    """Peers that are not trusted, and what a trusted one must not say."""

    FORGED = ["X-Forwarded-For: 203.0.113.1", "X-Forwarded-For: 127.0.0.1", "X-Forwarded-Port: 443",
              "Forwarded: for=203.0.113.1;host=evil", "X-Forwarded-Proto: https", "X-Forwarded-Host: evil.example",
              "X-Forwarded-Prefix: /evil", "X-Real-IP: 203.0.113.1", "X_Forwarded_For: 203.0.113.1"]

    def test_nothing_of_a_stranger_is_believed(self):
        request = ask("/stranger", source="127.0.0.2", headers=self.FORGED)
        self.assertEqual(request.one("x-forwarded-for"), "127.0.0.2")
        self.assertEqual(request.one("x-forwarded-proto"), "http")
        self.assertEqual(request.one("x-forwarded-host"), f"127.0.0.1:{gateway.port}")
        self.assertNotIn(b"203.0.113.1", request.head)
        self.assertNotIn(b"evil", request.head)
        self.assertEqual(logged("/stranger")["source.ip"], "127.0.0.2")

    def test_a_list_is_believed_as_far_as_trusted_proxies_wrote_it(self):
        for number, (headers, client) in enumerate((
            (["X-Forwarded-For: 203.0.113.1"], "203.0.113.1"),
            (["X-Forwarded-For: 6.6.6.6, 203.0.113.1, 127.0.0.8"], "203.0.113.1"),
            (["X-Forwarded-For: 6.6.6.6", "X-Forwarded-For: 203.0.113.1"], "203.0.113.1"),
            (["X-Forwarded-For: 203.0.113.1, unknown"], "127.0.0.1"),
            (["X-Forwarded-For: 203.0.113.1, 127.0.0.01"], "127.0.0.1"),
            (["X-Forwarded-For: 6.6.6.6,, 2001:DB8::1 ,"], "2001:db8::1"),
            (["X-Forwarded-For: 203.0.113.1:4711"], "203.0.113.1"),
            (["X-Forwarded-For: [2001:db8::1]:4711"], "2001:db8::1"),
            (["X-Forwarded-For: ::ffff:203.0.113.1"], "203.0.113.1"),
            (["X-Forwarded-For: 127.0.0.8"], "127.0.0.8"),
            (["X-Forwarded-For;"], "127.0.0.1"),
            (["Connection: X-Forwarded-For", "X-Forwarded-For: 203.0.113.1"], "203.0.113.1"),
        )):
            path = f"/list/{number}"
            request = ask(path, headers=headers)
            self.assertEqual(logged(path)["source.ip"], client, headers)
            self.assertTrue(request.one("x-forwarded-for").endswith("127.0.0.1"), headers)

    def test_forwarded_counts_where_there_is_nothing_else(self):
        for number, (headers, client, scheme) in enumerate((
            (['Forwarded: for="[2001:db8::1]:4711";proto=https;host=example.com'], "2001:db8::1", "https"),
            (["Forwarded: for=6.6.6.6, for=203.0.113.1;proto=https, for=127.0.0.8"], "203.0.113.1", "https"),
            (["Forwarded: for=6.6.6.6;proto=https, for=203.0.113.1"], "203.0.113.1", "http"),
            (['Forwarded: for="6.6.6.6, for=203.0.113.1'], "203.0.113.1", "http"),
            (["Forwarded: for=unknown;proto=https"], "127.0.0.1", "https"),
            (["Forwarded: for=203.0.113.1;for=6.6.6.6"], "127.0.0.1", "http"),
            (["Forwarded: for=6.6.6.6;proto=https", "X-Forwarded-For: 203.0.113.1"], "203.0.113.1", "http"),
        )):
            path = f"/forwarded/{number}"
            request = ask(path, headers=headers)
            self.assertEqual(logged(path)["source.ip"], client, headers)
            self.assertEqual(request.one("x-forwarded-proto"), scheme, headers)
            self.assertEqual(request.all("forwarded"), [], headers)

    def test_words_that_are_no_scheme_or_host_are_not_passed_on(self):
        for headers in (
            ["X-Forwarded-Proto: ftp", "X-Forwarded-Host: evil.example/path"],
            ["X-Forwarded-Proto: https://", "X-Forwarded-Host: user@evil.example"],
            ["X-Forwarded-Proto;", "X-Forwarded-Host: evil.example:99999999"],
        ):
            request = ask("/words", headers=headers)
            self.assertEqual(request.one("x-forwarded-proto"), "http", headers)
            self.assertEqual(request.one("x-forwarded-host"), f"127.0.0.1:{gateway.port}", headers)


class Names(unittest.TestCase):
    def test_only_a_trusted_peer_names_a_request(self):
        for number, (source, headers, kept) in enumerate((
            ("127.0.0.1", ["X-Request-Id: 6ba7b810-9dad"], "6ba7b810-9dad"),
            ("127.0.0.2", ["X-Request-Id: 6ba7b810-9dad"], None),
            ("127.0.0.1", [], None),
            ("127.0.0.1", ["X-Request-Id: a", "X-Request-Id: b"], None),
            ("127.0.0.1", ["X-Request-Id: a b"], None),
            ("127.0.0.1", ['X-Request-Id: a"b'], None),
            ("127.0.0.1", ["X-Request-Id: " + "a" * 128], "a" * 128),
            ("127.0.0.1", ["X-Request-Id: " + "a" * 129], None),
            ("127.0.0.2", ["X_Request_Id: a", "x.request.id: b"], None),
        )):
            path = f"/id/{number}"
            request = ask(path, source=source, headers=headers)
            name = request.one("x-request-id")
            self.assertRegex(name, f"^{re.escape(kept)}$" if kept else "^[0-9a-f]{32}$", headers)
            self.assertEqual(logged(path)["http.request.id"], name)
            self.assertEqual([x for x in request.names if re.fullmatch("x.request.id", x)], ["x-request-id"])

    def test_made_names_differ(self):
        names = {ask("/differs", source="127.0.0.2").one("x-request-id") for _ in range(20)}
        self.assertEqual(len(names), 20)

    def test_refusals_have_a_name_too(self):
        self.assertEqual(curl(gateway.base + "/refused/..%2f", "--interface", "127.0.0.2").status, 400)
        lines = wait_until(
            lambda: [line for line in gateway.access_log() if line["http.response.status_code"] == 400]
        )
        for line in lines:
            self.assertRegex(line["http.request.id"], "^[0-9a-f]{32}$")

    def test_trace_fields_pass_unchanged(self):
        for source in ("127.0.0.1", "127.0.0.2"):
            for state in ("rojo=00f067aa0ba902b7,congo=t61rcWkgMzE", "a=" + "x" * 400):
                request = ask("/t", source=source, headers=[f"traceparent: {TRACE}", f"tracestate: {state}"])
                self.assertEqual((request.one("traceparent"), request.one("tracestate")), (TRACE, state))

    def test_via_says_that_it_came_by_here(self):
        self.assertEqual(ask("/v").one("via"), "1.1 auth-gateway")
        self.assertEqual(ask("/v", "--http1.0").one("via"), "1.0 auth-gateway")
        self.assertEqual(ask("/v", headers=["Via: 1.1 cdn"]).all("via"), ["1.1 cdn", "1.1 auth-gateway"])

    def test_a_loop_ends(self):
        nine = ", ".join(["1.1 auth-gateway"] * 9)
        self.assertEqual(len(ask("/v", headers=[f"Via: {nine}"]).all("via")), 2)
        before = len(upstream.requests)
        reply = curl(gateway.base + "/v", headers=[f"Via: {nine}", "Via: 1.1 auth-gateway"])
        self.assertEqual(reply.status, 508)
        self.assertEqual(len(upstream.requests), before)

    def test_a_gateway_that_is_its_own_upstream_ends_too(self):
        port = free_port()
        loop = Gateway(port, routes=ROUTES, main=f"listen 127.0.0.1:{port};")
        try:
            self.assertEqual(curl(loop.base + "/round").status, 508)
            statuses = [line["http.response.status_code"] for line in loop.lines_for("/round", 11)]
            self.assertEqual(statuses, [508] * 11)
        finally:
            loop.stop()


if __name__ == "__main__":
    unittest.main()
