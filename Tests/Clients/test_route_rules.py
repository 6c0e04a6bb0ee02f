# What a route does to a request: the methods and bodies that it takes, the path and the fields that the
# upstream gets, the answers that it gives itself, how long it waits, and what `observe` lets through.

import time
import unittest

from clients import Raw, curl
from harness import Gateway
from upstreams import OK, Upstream

ROUTES = """
route = /login { upstream api; access anonymous; login; }
route = /closed { upstream api; access anonymous; methods POST; }
route /read/ { upstream api; access anonymous; methods GET; }
route /write/ { upstream api; access anonymous; methods POST PUT; request_body 1k; }
route /wide/ { upstream api; access anonymous; request_body 64k; }
route /old/ { upstream api; access anonymous; strip_prefix; }
route /v1/api { upstream api; access anonymous; strip_prefix; }
route /v2/ { upstream api; access anonymous; strip_prefix; }
route /v2/admin { upstream api; require claim role admin; strip_prefix /v2; }
route = /v2/admin/help { upstream api; access anonymous; strip_prefix /v2/; }
route /fields/ {
    upstream api; access anonymous;
    set_header X-Api-Version 1; set_header Host api.internal:9000; set_header Authorization "Basic eDp5";
    remove_header X-Debug; remove_header User-Agent; remove_header Cookie;
}
route /member/ { upstream api; remove_header Authorization; remove_header Cookie; }
route = /ping { respond 200 "pong"; access anonymous; }
route /gone/ { respond 410 "<p>gone</p>" text/html; access anonymous; }
route /private/ { respond 200 "for members"; }
route /pages/ { upstream api; login_page /in.html?lang=de; }
route /slow { upstream api; access anonymous; response_timeout 300ms; }
route /slow/but/patient { upstream api; access anonymous; response_timeout 20s; }
route /silent { upstream api; access anonymous; idle_timeout 300ms; }
route /silent/but/patient { upstream api; access anonymous; idle_timeout 20s; }
route /socket { upstream api; access anonymous; tunnel_timeout 300ms; idle_timeout 20s; }
route /socket/but/patient { upstream api; access anonymous; tunnel_timeout 20s; idle_timeout 300ms; }
route / { upstream api; }
"""
# Longer than the timeouts that are to strike, shorter than those that are not.
PAUSE = 0.8


def answer(request, connection):
    if request.target == "/login":
        return b"HTTP/1.1 200 OK\r\nSession-Start: alice\r\nContent-Length: 2\r\n\r\n{}"
    if request.target.startswith("/slow"):
        time.sleep(PAUSE)
    elif request.target.startswith("/silent"):
        connection.send(b"HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\nab")
        time.sleep(PAUSE)
        return b"cd"
    elif request.target.startswith("/socket"):
        connection.send(b"HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n"
                        b"Sec-WebSocket-Accept: s3pPLMBiTxaQ9kYGzzhZRbK+xOo=\r\n\r\n")  # fmt: skip
        time.sleep(PAUSE)
        return b"\x81\x02hi"
    return OK


def setUpModule():
    global upstream, gateway, pair, cookies
    upstream = Upstream(answer)
    gateway = Gateway(upstream.port, routes=ROUTES)
    pair = curl(gateway.base + "/login", method="POST").json
    reply = curl(gateway.base + "/login", method="POST", headers=["Sec-Fetch-Site: same-origin"])
    cookies = {name: value for name, (value, _) in reply.cookies().items()}


def tearDownModule():
    gateway.stop()
    upstream.stop()


def ask(path, **options):
    return curl(gateway.base + path, **options)


class Case(unittest.TestCase):
    def setUp(self):
        upstream.forget()

    def forwarded(self, path, **options):
        self.assertEqual(ask(path, **options).status, 200, path)
        return upstream.last()


class Methods(Case):
    def test_another_method_is_405_with_those_that_there_are(self):
        for path, allow, methods in (
            ("/read/x", "GET, HEAD", ("POST", "DELETE", "OPTIONS", "get", "GETX")),
            ("/write/x", "POST, PUT", ("GET", "HEAD", "PATCH")),
            ("/closed", "POST", ("GET",)),
        ):
            for method in methods:
                reply = ask(path, method=method)
                self.assertEqual((reply.status, reply.one("allow")), (405, allow), method)
        self.assertEqual(upstream.requests, [])
        self.assertEqual(ask("/read/x", method="POST").json["code"], "method_not_allowed")

    def test_those_of_the_route_pass_and_get_brings_head(self):
        for path, method in (("/read/x", "GET"), ("/read/x", "HEAD"), ("/write/x", "POST"),
                             ("/write/x", "PUT"), ("/closed", "POST"), ("/wide/x", "PROPFIND")):  # fmt: skip
            self.assertEqual(self.forwarded(path, method=method).method, method)

    def test_a_method_in_a_field_is_no_method(self):
        override = ["X-HTTP-Method-Override: DELETE"]
        self.assertEqual(self.forwarded("/read/x", headers=override).method, "GET")
        self.assertEqual(ask("/read/x", headers=override, method="DELETE").status, 405)


class Bodies(Case):
    def test_the_routes_own_limit_counts_and_not_another_ones(self):
        for path, limit in (("/write/x", 1 << 10), ("/wide/x", 64 << 10)):
            for framing in ([], ["Transfer-Encoding: chunked"]):
                self.assertEqual(len(self.forwarded(path, data="x" * limit, headers=framing).body), limit)
                reply = ask(path, data="x" * (limit + 1), headers=framing)
                self.assertEqual((reply.status, reply.json["code"]), (413, "body_too_large"))

    def test_what_is_declared_too_large_is_refused_unread(self):
        raw = Raw(gateway.port)
        raw.send("POST /write/x HTTP/1.1\r\nHost: h\r\nContent-Length: 1025\r\nExpect: 100-continue\r\n\r\n")
        self.assertEqual(raw.response().status, 413)
        self.assertEqual(upstream.requests, [])


class StripPrefix(Case):
    def test_the_rest_of_the_path_arrives_with_its_query(self):
        for path, target in {
            "/old/whoami": "/whoami", "/old/": "/", "/old": "/", "/old/old/x": "/old/x",
            "/old?a=b": "/?a=b", "/old/x?a=/old/": "/x?a=/old/", "/old/x?": "/x?",
            "/old/a%20b%C3%A4;p=1": "/a%20b%C3%A4;p=1", "/%6fld/x": "/x", "/old/%78": "/x",
            "/old//x": "/x", "//old/x": "/x", "/old/a/../b": "/b", "/old/%2e/x": "/x",
            "/v1/api/x": "/x", "/v1/api": "/", "/v1/./api/x/": "/x/",
        }.items():  # fmt: skip
            request = self.forwarded(path)
            self.assertEqual(request.target, target, path)
            prefix = "/v1/api" if "v1" in path else "/old"
            self.assertEqual(request.all("x-forwarded-prefix"), [prefix], path)

    def test_parts_of_a_stripped_api_have_rules_of_their_own(self):
        for path, target in (("/v2/x", "/x"), ("/v2/administrator", "/administrator"), ("/v2/admin/help", "/admin/help")):
            request = self.forwarded(path)
            self.assertEqual((request.target, request.all("x-forwarded-prefix")), (target, ["/v2"]), path)
        upstream.forget()
        for path in ("/v2/admin", "/v2/admin/", "/v2/admin/users", "/v2/admin/help/x", "/v2/./adm%69n/x"):
            self.assertEqual(ask(path).status, 401, path)
        self.assertEqual(ask("/v2/admin", token=pair["access_token"]).status, 403)
        self.assertEqual(upstream.requests, [])
        admin = curl(gateway.control + "/sessions", as_json={"subject": "ann", "claims": {"role": "admin"}}).json
        self.assertEqual(self.forwarded("/v2/admin?x", token=admin["access_token"]).target, "/admin?x")

    def test_nothing_that_is_left_names_a_host_or_leads_out(self):
        self.assertEqual(self.forwarded("/old//evil.example/x").target, "/evil.example/x")
        for path, status in (("/old/%2F%2Fevil.example", 400), ("/old/..;/x", 400), ("/old/%2e%2e/x", 401),
                             ("/older/x", 401)):  # fmt: skip
            self.assertEqual(ask(path).status, status, path)
        self.assertEqual(len(upstream.requests), 1)

    def test_a_target_that_names_its_host_is_stripped_too(self):
        raw = Raw(gateway.port)
        raw.send("GET http://shop.example/old//x?y HTTP/1.1\r\nHost: shop.example\r\n\r\n")
        self.assertEqual(raw.response().status, 200)
        self.assertEqual((upstream.last().target, upstream.last().one("host")), ("/x?y", "shop.example"))

    def test_a_prefix_is_nobodys_word_but_ours(self):
        forged = ["X-Forwarded-Prefix: /evil", "X_Forwarded_Prefix: /evil"]
        self.assertEqual(self.forwarded("/old/x", headers=forged).all("x-forwarded-prefix"), ["/old"])
        self.assertNotIn("x_forwarded_prefix", upstream.last().names)
        request = self.forwarded("/wide/x", headers=forged)
        self.assertEqual((request.target, request.all("x-forwarded-prefix")), ("/wide/x", []))


class Fields(Case):
    def test_what_is_set_replaces_the_clients_own_in_any_spelling(self):
        spellings = ("X-Api-Version", "x-api-version", "X_Api_Version", "X-API_version")
        for spelling in spellings:
            request = self.forwarded("/fields/x", headers=[f"{spelling}: 9", f"{spelling}: 8"])
            self.assertEqual(request.all("x-api-version"), ["1"], spelling)
            folded = [name for name in request.names if name.replace("_", "-") == "x-api-version"]
            self.assertEqual(len(folded), 1, spelling)
        self.assertEqual(self.forwarded("/wide/x", headers=["X-Api-Version: 9"]).one("x-api-version"), "9")

    def test_what_is_removed_does_not_arrive_in_any_spelling(self):
        headers = ["X-Debug: 1", "x_debug: 1", "X-DEBUG: 1", "User_Agent: 1", "X-Debugger: 1"]
        names = self.forwarded("/fields/x", headers=headers, cookies={"theme": "dark"}).names
        for name in ("x-debug", "x_debug", "user-agent", "user_agent", "cookie"):
            self.assertNotIn(name, names)
        self.assertIn("x-debugger", names)

    def test_connection_does_not_take_away_what_is_set(self):
        connection = ["Connection: X-Api-Version, Host, Authorization"]
        request = self.forwarded("/fields/x", headers=connection)
        self.assertEqual(request.one("x-api-version"), "1")
        self.assertEqual(request.one("host"), "api.internal:9000")

    def test_host_and_authorization_are_set(self):
        basic = ["Host: shop.example", "Authorization: Basic Zm9yZ2Vk"]
        request = self.forwarded("/fields/x", headers=basic)
        self.assertEqual(request.one("host"), "api.internal:9000")
        self.assertEqual(request.one("authorization"), "Basic eDp5")
        self.assertEqual(request.one("x-forwarded-host"), "shop.example")

    def test_a_removed_credential_still_opens_the_gate(self):
        for credential in ({"token": pair["access_token"]}, {"cookies": dict(cookies, theme="dark")}):
            request = self.forwarded("/member/x", **credential)
            self.assertEqual(request.one("x-auth-subject"), "alice")
            self.assertEqual((request.one("authorization"), request.one("cookie")), (None, None))
        self.assertEqual(ask("/member/x").status, 401)


class Answers(Case):
    def test_they_are_given_without_an_upstream(self):
        for path, status, body, kind in (("/ping", 200, b"pong", "text/plain; charset=utf-8"),
                                         ("/gone/x", 410, b"<p>gone</p>", "text/html")):  # fmt: skip
            reply = ask(path)
            self.assertEqual((reply.status, reply.body, reply.one("content-type")), (status, body, kind))
            head = ask(path, method="HEAD")
            self.assertEqual((head.status, head.body), (status, b""))
            self.assertEqual(head.one("content-length"), str(len(body)))
        self.assertEqual(ask("/ping/x").status, 401)
        self.assertEqual(upstream.requests, [])

    def test_the_gate_stands_before_them_too(self):
        self.assertEqual(ask("/private/x").status, 401)
        self.assertEqual(ask("/private/x", token=pair["access_token"]).body, b"for members")

    def test_a_body_is_no_second_request(self):
        raw = Raw(gateway.port)
        raw.send("POST /ping HTTP/1.1\r\nHost: h\r\nContent-Length: 32\r\n\r\n"
                 "GET /read/x HTTP/1.1\r\nHost: h\r\n\r\n"[:-1])  # fmt: skip
        self.assertEqual(raw.response().body, b"pong")
        self.assertEqual(upstream.requests, [])


class LoginPages(Case):
    def visit(self, path, *more, mode="navigate", **options):
        headers = [f"Sec-Fetch-Mode: {mode}", "Sec-Fetch-Site: none", "Sec-Fetch-Dest: document", *more]
        return ask(path, headers=headers, **options)

    def test_a_navigation_is_led_there_and_told_whence(self):
        reply = self.visit("/pages/a?b=c&d=%20")
        self.assertEqual(reply.status, 303)
        self.assertEqual(reply.one("location"), "/in.html?lang=de&return_to=/pages/a%3Fb%3Dc%26d%3D%2520")
        self.assertEqual(reply.one("cache-control"), "no-store")
        # What was posted cannot be had again by a GET.
        self.assertEqual(self.visit("/pages/a", method="POST").one("location"), "/in.html?lang=de")
        self.assertEqual(self.visit("/pages/" + "x" * 3000).one("location"), "/in.html?lang=de")

    def test_whatever_is_no_navigation_gets_the_401(self):
        for mode in ("cors", "no-cors", "same-origin", "websocket"):
            self.assertEqual(self.visit("/pages/a", mode=mode).status, 401, mode)
        self.assertEqual(ask("/pages/a").status, 401)
        self.assertEqual(self.visit("/other").status, 401)
        self.assertEqual(self.visit("/pages/a", token=pair["access_token"]).status, 200)

    def test_the_way_back_leads_nowhere_else(self):
        for path in ("//evil.example/../pages/a", "///pages/a", "/./pages//a", "/%70ages/a"):
            location = self.visit(path).one("location")
            self.assertEqual(location, "/in.html?lang=de&return_to=/pages/a", path)
        self.assertEqual(self.visit("/\\evil.example/../pages/a").status, 400)


class Timeouts(Case):
    def test_an_upstream_that_does_not_answer_in_the_routes_time_is_504(self):
        reply = ask("/slow")
        self.assertEqual((reply.status, reply.json["code"]), (504, "upstream_timeout"))
        self.assertEqual(ask("/slow/but/patient").status, 200)

    def test_an_answer_that_falls_silent_is_cut(self):
        raw = Raw(gateway.port)
        raw.send("GET /silent HTTP/1.1\r\nHost: h\r\n\r\n")
        self.assertTrue(raw.rest(3).endswith(b"\r\n\r\nab"))
        self.assertEqual(ask("/silent/but/patient").body, b"abcd")

    def test_a_tunnel_has_a_time_of_its_own(self):
        for path, last in (("/socket", None), ("/socket/but/patient", b"\x81\x02hi")):
            raw = Raw(gateway.port)
            raw.send(
                f"GET {path} HTTP/1.1\r\nHost: h\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n"
                "Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n"
            )
            self.assertTrue(raw.line_end(b"\r\n\r\n").startswith(b"HTTP/1.1 101 "))
            if last:
                self.assertEqual(raw.exactly(len(last)), last)
            else:
                self.assertEqual(raw.rest(PAUSE + 1), b"")
            raw.close()


if __name__ == "__main__":
    unittest.main()
