# Pages of other origins: what a preflight is told, who may read an answer, and from whose page a cookie
# counts. By curl, for the protocol: test_cors_browser has what Chromium makes of it.

import http.server
import json
import threading
import unittest

from clients import Raw, curl
from harness import Gateway, free_port
from upstreams import Upstream

APP = "https://app.example"
EVIL = "https://evil.example"
CORS = "cors { origins %s http://localhost:%d; credentials on; expose ETag X-Total; max_age 5m; }"
ROUTES = """
upstream gone { server http://127.0.0.1:%(closed)d; tries 1; max_fails 0; }
route = /login { upstream api; access anonymous; login; }
route /app/ { upstream api; %(cors)s }
route /admin/ { upstream api; require claim role admin; %(cors)s }
route /few/ { upstream api; rate 1/h burst=1; %(cors)s }
route /gone/ { upstream gone; %(cors)s }
route /read/ { upstream api; methods GET; %(cors)s }
route /small/ { upstream api; request_body 1k; %(cors)s }
route = /pong { respond 200 "pong"; access anonymous; %(cors)s }
route = /favicon.ico { respond 204; access anonymous; }
route other.example/ { upstream api; cors { origins https://partner.example; credentials on; } }
route /free/ { upstream api; access anonymous; cors { origins https://free.example; credentials on; } }
route /hidden/ { upstream api; remove_header Origin; %(cors)s }
route /bare/ { upstream api; cors { origins https://app.example https://reader.example; } }
route /open/ { upstream api; access anonymous; cors { origins *; methods GET QUERY; headers X-One; } }
route / { upstream api; }
"""
# What a careless upstream says to everybody, in several spellings.
CARELESS = (
    b"Access-Control-Allow-Origin: *\r\naccess-control-allow-credentials: true\r\n"
    b"Access_Control_Allow_Origin: https://evil.example\r\nAccess-Control-Expose-Headers: *\r\n"
)


def answer(request, connection):
    if request.target.endswith("/early"):
        connection.send(b"HTTP/1.1 103 Early Hints\r\nLink: </style.css>\r\n" + CARELESS + b"\r\n")
    if request.target == "/login":
        head, body = b"Session-Start: alice\r\n", b"{}"
    else:
        seen = {name: request.one(name) for name in ("origin", "x-auth-subject", "x-one")}
        head = CARELESS + b'Vary: Accept\r\nETag: "1"\r\nX-Total: 7\r\nX-Secret: 1\r\n'
        body = json.dumps(dict(seen, method=request.method, body=request.body.decode())).encode()
    return b"HTTP/1.1 200 OK\r\n%sContent-Type: application/json\r\nContent-Length: %d\r\n\r\n%s" % (
        head, len(body), body)  # fmt: skip


def setUpModule():
    global upstream, gateway, page, cookies, token
    upstream, page = Upstream(answer), PageServer()
    cors = CORS % (APP, page.port)
    gateway = Gateway(upstream.port, routes=ROUTES % {"closed": free_port(), "cors": cors})
    reply = curl(gateway.base + "/login", method="POST", headers=["Sec-Fetch-Site: same-origin"])
    cookies = {name: value for name, (value, _) in reply.cookies().items()}
    token = curl(gateway.base + "/login", method="POST").json["access_token"]


def tearDownModule():
    page.stop()
    gateway.stop()
    upstream.stop()


class PageServer:
    """A web server of another origin, with an empty page at every path."""

    class Page(http.server.BaseHTTPRequestHandler):
        def do_GET(self):
            body = b'<!doctype html><link rel="icon" href="data:,"><p>page</p>'
            self.send_response(200)
            self.send_header("Content-Type", "text/html")
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *_):
            pass

    def __init__(self):
        self.server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), self.Page)
        self.port = self.server.server_address[1]
        threading.Thread(target=self.server.serve_forever, daemon=True).start()

    def stop(self):
        self.server.shutdown()
        self.server.server_close()


def ask(path, origin=None, *headers, **options):
    if origin is not None:
        headers = (f"Origin: {origin}", *headers)
    return curl(gateway.base + path, headers=headers, **options)


def preflight(path, origin=APP, method="PUT", *headers):
    return ask(path, origin, f"Access-Control-Request-Method: {method}", *headers, method="OPTIONS")


def permissions(reply):
    return {name: value for name, value in reply.fields if name.startswith("access-control-")}


class Preflights(unittest.TestCase):
    def setUp(self):
        upstream.forget()

    def tearDown(self):
        self.assertEqual(upstream.requests, [])

    def test_a_listed_origin_needs_no_token(self):
        reply = preflight("/app/x", APP, "PUT", "Access-Control-Request-Headers: authorization,x-one")
        self.assertEqual((reply.status, reply.body), (204, b""))
        self.assertEqual(permissions(reply), {
            "access-control-allow-origin": APP,
            "access-control-allow-credentials": "true",
            "access-control-allow-methods": "GET, HEAD, POST, PUT, PATCH, DELETE",
            "access-control-allow-headers": "authorization, x-one",
            "access-control-max-age": "300",
        })  # fmt: skip
        self.assertEqual(
            reply.one("vary"), "Origin, Access-Control-Request-Method, Access-Control-Request-Headers")

    def test_another_origin_is_told_nothing(self):
        for origin in (EVIL, "null", "http://app.example", APP + ":443", APP + ".evil.example", APP.upper()):
            reply = preflight("/app/x", origin)
            self.assertEqual((reply.status, permissions(reply)), (403, {}), origin)
            self.assertIn("Origin", reply.one("vary"))

    def test_an_answer_of_the_gateways_own_has_preflights_too(self):
        self.assertEqual(preflight("/pong").status, 204)
        self.assertEqual(preflight("/pong", EVIL).status, 403)

    def test_methods_and_fields_are_those_of_the_block_else_of_the_route(self):
        reply = preflight("/open/x", EVIL, "GET", "Access-Control-Request-Headers: x-two")
        self.assertEqual(reply.status, 204)
        self.assertEqual(permissions(reply), {
            "access-control-allow-origin": "*",
            "access-control-allow-methods": "GET, QUERY",
            "access-control-allow-headers": "X-One",
            "access-control-max-age": "600",
        })  # fmt: skip
        # `methods GET` without OPTIONS: a preflight is none of the route's own requests.
        reply = preflight("/read/x", APP, "GET")
        self.assertEqual((reply.status, reply.one("access-control-allow-methods")), (204, "GET, HEAD"))

    def test_a_preflight_costs_nothing_of_the_rate(self):
        for _ in range(3):
            self.assertEqual(preflight("/few/preflight").status, 204)

    def test_where_no_page_may_call_there_are_none(self):
        reply = preflight("/x")
        self.assertEqual((reply.status, permissions(reply)), (401, {}))
        # Of what it is on a route with a block, a part is missing.
        self.assertEqual(ask("/app/x", APP, method="OPTIONS").status, 401)
        method = "Access-Control-Request-Method: PUT"
        self.assertEqual(ask("/app/x", None, method, method="OPTIONS").status, 401)


class Answers(unittest.TestCase):
    def setUp(self):
        upstream.forget()

    def assert_readable(self, reply, status, origin=APP):
        self.assertEqual(reply.status, status)
        self.assertEqual(permissions(reply), {
            "access-control-allow-origin": origin,
            "access-control-allow-credentials": "true",
            "access-control-expose-headers": "ETag, X-Total",
        })  # fmt: skip
        self.assertIn("Origin", reply.all("vary"))

    def test_a_listed_origin_may_read_and_the_upstreams_word_is_gone(self):
        reply = ask("/app/x", APP, token=token)
        self.assert_readable(reply, 200)
        self.assertEqual(reply.all("vary"), ["Accept", "Origin"])
        self.assertNotIn("access_control_allow_origin", [name for name, _ in reply.fields])
        self.assertEqual(reply.json["origin"], APP)

    def test_the_upstreams_word_is_gone_from_interim_answers_too(self):
        for path, is_gone in (("/app/early", True), ("/early", False)):
            raw = Raw(gateway.port)
            raw.send(f"GET {path} HTTP/1.1\r\nHost: h\r\nAuthorization: Bearer {token}\r\n\r\n")
            early = raw.line_end(b"\r\n\r\n").lower()
            self.assertTrue(early.startswith(b"http/1.1 103 "))
            self.assertIn(b"link: </style.css>", early)
            self.assertEqual(b"access-control-" not in early, is_gone, path)
            self.assertEqual(raw.response().status, 200)

    def test_another_origin_may_not(self):
        for origin in (EVIL, "null", None):
            reply = ask("/app/x", origin, token=token)
            self.assertEqual((reply.status, permissions(reply)), (200, {}), origin)
            self.assertEqual(reply.all("vary"), ["Accept", "Origin"])

    def test_without_a_block_the_upstreams_own_word_stands(self):
        reply = ask("/x", EVIL, token=token)
        self.assertEqual(reply.one("access-control-allow-origin"), "*")
        self.assertEqual(reply.all("vary"), ["Accept"])

    def test_an_origin_that_is_not_forwarded_counts_all_the_same(self):
        reply = ask("/hidden/x", APP, token=token)
        self.assert_readable(reply, 200)
        self.assertIsNone(reply.json["origin"])
        self.assertEqual(permissions(ask("/hidden/x", EVIL, token=token)), {})
        for path, connection in (("/hidden/x", ()), ("/app/x", ("Connection: Origin, Sec-Fetch-Site",))):
            for origin, status in ((APP, 200), (EVIL, 403)):
                reply = ask(path, origin, *connection, method="POST", cookies=cookies)
                self.assertEqual(reply.status, status, path)

    def test_one_connections_origins_do_not_mix(self):
        fields = f"Host: h\r\nAuthorization: Bearer {token}\r\n"
        raw = Raw(gateway.port)
        for path, origin, allowed in (("/app/x", APP, APP), ("/app/x", EVIL, None), ("/x?y", APP, "*"),
                                      ("/app/x", None, None), ("/nowhere%2F", APP, None)):  # fmt: skip
            line = f"Origin: {origin}\r\n" if origin else ""
            reply = raw.send(f"GET {path} HTTP/1.1\r\n{fields}{line}\r\n").response()
            self.assertEqual(reply.one("access-control-allow-origin"), allowed, (path, origin))

    def test_any_origin_may_read_what_is_open(self):
        for origin in (EVIL, None):
            reply = ask("/open/x", origin)
            self.assertEqual(permissions(reply), {"access-control-allow-origin": "*"})
            self.assertEqual(reply.all("vary"), ["Accept"])

    def test_refusals_are_readable(self):
        self.assert_readable(ask("/app/x", APP), 401)
        self.assert_readable(ask("/admin/x", APP, token=token), 403)
        self.assert_readable(ask("/gone/x", APP, token=token), 502)
        self.assert_readable(ask("/read/x", APP, token=token, method="PUT"), 405)
        self.assert_readable(ask("/small/x", APP, token=token, data="x" * 1025), 413)
        self.assert_readable(ask("/pong", APP), 200)
        self.assert_readable(ask("/few/x", APP, token=token), 200)
        self.assert_readable(ask("/few/x", APP, token=token), 429)
        for path in ("/app/x", "/few/x"):
            self.assertEqual(permissions(ask(path, EVIL)), {}, path)


class CookiesOfOtherPages(unittest.TestCase):
    """A request that changes something, and whose only word is a cookie."""

    def status(self, path, origin, *headers, **options):
        options.setdefault("method", "POST")
        return ask(path, origin, *headers, cookies=cookies, **options).status

    def test_an_allowed_origin_may_and_another_may_not(self):
        for site in ((), ("Sec-Fetch-Site: cross-site",), ("Sec-Fetch-Site: same-site",)):
            for method in ("POST", "PUT", "PATCH", "DELETE"):
                self.assertEqual(self.status("/app/x", APP, *site, method=method), 200, (site, method))
                self.assertEqual(self.status("/app/x", EVIL, *site, method=method), 403, (site, method))
            self.assertEqual(self.status("/app/x", None, *site), 403)
            self.assertEqual(self.status("/app/x", "null", *site), 403)
        self.assertEqual(self.status("/app/x", gateway.origin), 200)

    def test_an_origin_is_allowed_on_its_route_and_with_credentials_only(self):
        for path in ("/x", "/bare/x"):
            self.assertEqual(self.status(path, APP), 403, path)
            self.assertEqual(self.status(path, APP, method="GET"), 200, path)
            self.assertEqual(ask(path, APP, method="POST", token=token).status, 200, path)

    def test_a_websocket_counts_as_a_change(self):
        upgrade = ("Connection: Upgrade", "Upgrade: websocket", "Sec-WebSocket-Version: 13",
                   "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==")  # fmt: skip
        self.assertEqual(self.status("/app/x", EVIL, *upgrade, method="GET"), 403)
        self.assertNotEqual(self.status("/app/x", APP, *upgrade, method="GET"), 403)

    def test_who_may_act_by_cookie_somewhere_may_refresh_and_nobody_else(self):
        # A cookie that is no token: whether it is looked at is the question, and 403 says that it is not.
        for origin, status in ((APP, 401), (EVIL, 403), ("https://reader.example", 403), ("null", 403),
                               ("https://partner.example", 403), ("https://free.example", 403)):
            for site in ((), ("Sec-Fetch-Site: same-site",)):
                reply = ask("/refresh", origin, *site, method="POST", cookies={"refresh": "rt_none"})
                self.assertEqual(reply.status, status, (origin, site))
                allowed = {"access-control-allow-origin": APP, "access-control-allow-credentials": "true"}
                self.assertEqual(permissions(reply), allowed if origin == APP else {}, origin)
                self.assertEqual(reply.all("vary"), ["Origin"])
            self.assertEqual(preflight("/refresh", origin, "POST").status, 204 if origin == APP else 403)
        self.assertEqual(preflight("/refresh", APP, "POST").one("access-control-allow-methods"), "POST")
        # On the host that names it, it may.
        reply = ask("/refresh", "https://partner.example", "Host: other.example", method="POST", cookies={"refresh": "x"})
        self.assertEqual(reply.status, 401)

    def test_what_is_beside_the_refresh_is_for_our_own_pages(self):
        for path, method in (("/refresh/logout", "POST"), ("/refresh/sessions", "GET")):
            reply = ask(path, APP, "Sec-Fetch-Site: same-site", method=method, cookies=cookies)
            self.assertEqual((reply.status, permissions(reply)), (403, {}), path)
        self.assertEqual(permissions(preflight("/refresh/logout")), {})


if __name__ == "__main__":
    unittest.main()
