# One path for everybody: which route a spelling of a path is matched to, and what the upstream then gets to
# see.

import unittest

from clients import Raw, curl, login
from harness import Demo, Gateway
from upstreams import Upstream

ROUTES = """
upstream demo { server http://127.0.0.1:%d; }
route = /login { upstream demo; access anonymous; login; }
route /public/ { upstream api; access anonymous; }
route /open { upstream api; access anonymous; }
route /open/closed/ { upstream api; }
route = /exact { upstream api; access anonymous; }
route /admin/ { upstream api; require claim role admin; }
route other.example/ { upstream api; access anonymous; }
route /user/ { upstream api; }
"""


def setUpModule():
    global demo, upstream, gateway, token
    demo, upstream = Demo(), Upstream()
    gateway = Gateway(upstream.port, routes=ROUTES % demo.port)
    token = login(gateway, "bob", "builder")["access_token"]


def tearDownModule():
    demo.stop()
    gateway.stop()
    upstream.stop()


class Paths(unittest.TestCase):
    def setUp(self):
        upstream.forget()

    def get(self, target, **options):
        return curl(gateway.base + target, **options)

    def test_forwarded_as_matched(self):
        cases = {
            "/public/a": "/public/a",
            "/public/%61": "/public/a",
            "/public/x/../b": "/public/b",
            "/public//c": "/public/c",
            "//public/d": "/public/d",
            "/public/./e": "/public/e",
            "/public/x/%2e%2E/f": "/public/f",
            "/p%75blic/g": "/public/g",
            "/public/%c3%a9": "/public/%C3%A9",
            "/public/a%20b": "/public/a%20b",
            "/x/../public/h": "/public/h",
            "/public/?q=/../..": "/public/?q=/../..",
            "/public/i?a=%2f%00#": None,
            "/public/a;b=c": "/public/a;b=c",
            "/public/x/.": "/public/x/",
            "/public/x/y/..": "/public/x/",
            "/public/...": "/public/...",
            "/public/~%7e": "/public/~~",
        }
        for target, seen in cases.items():
            upstream.forget()
            if seen is None:
                continue
            self.assertEqual(self.get(target).status, 200, target)
            self.assertEqual(upstream.last().target, seen, target)

    def test_what_can_be_read_in_two_ways_is_400(self):
        for target in (
            "/public/%2fx",
            "/public/%2Fadmin",
            "/public/%5cx",
            "/public/a\\b",
            "/public/%00",
            "/public/%252e%252e/admin/x",
            "/public/..;/admin/x",
            "/public/.;/x",
            "/../x",
            "/public/../../x",
            "/public/%2e%2e/%2e%2e/%2e%2e/x",
            "/public/%252fx",
        ):
            self.assertEqual(self.get(target).status, 400, target)
        self.assertEqual(upstream.requests, [])

    def test_no_spelling_reaches_a_guarded_path(self):
        for target in (
            "/public/../admin/x",
            "/public/%2e%2e/admin/x",
            "/public/.%2e/admin/x",
            "//admin/x",
            "/./admin/x",
            "/public/x/../../admin/x",
            "/%61dmin/x",
            "/%61%64min/x",
            "/admin//x",
            "/open/../admin/x",
            "/open/closed/x",
            "/open//closed/x",
            "/open/./closed/x",
            "/open/%63losed/x",
            "/admin/x?/public/",
            "/admin/x?a=/../../public/",
        ):
            self.assertEqual(self.get(target).status, 401, target)
        self.assertEqual(self.get("/public/..%2fadmin/x").status, 400)
        self.assertEqual(self.get("/public/../admin/x", token=token).status, 403)
        self.assertEqual(upstream.requests, [])

    def test_prefixes_match_on_segment_borders(self):
        for target, status in (
            ("/open", 200),
            ("/open/", 200),
            ("/open/x", 200),
            ("/opening", 404),
            ("/open.txt", 404),
            ("/public", 200),
            ("/publicity", 404),
            ("/exact", 200),
            ("/exact/", 404),
            ("/exact/x", 404),
            ("/administrator", 404),
            ("/ADMIN/x", 404),
            ("/Open", 404),
            ("/open?x", 200),
            ("/open;x", 404),
        ):
            self.assertEqual(self.get(target).status, status, target)

    def test_headers_do_not_choose_the_route(self):
        for header in (
            "X-Forwarded-Uri: /public/x",
            "X-Original-URL: /public/x",
            "X-Rewrite-URL: /public/x",
            "X-Forwarded-Host: other.example",
            "X-HTTP-Method-Override: GET",
            "Forwarded: host=other.example",
        ):
            self.assertEqual(self.get("/admin/x", headers=[header]).status, 401, header)

    def test_host_chooses_the_route(self):
        self.assertEqual(self.get("/anything").status, 404)
        self.assertEqual(self.get("/anything", headers=["Host: other.example"]).status, 200)
        self.assertEqual(self.get("/anything", headers=["Host: OTHER.example:81"]).status, 200)
        self.assertEqual(self.get("/anything", headers=["Host: another.example"]).status, 404)

    def test_absolute_form_decides_over_the_host_or_is_refused(self):
        for host in ("x", "other.example"):
            raw = Raw(gateway.port)
            raw.send(f"GET http://other.example/anything HTTP/1.1\r\nHost: {host}\r\n\r\n")
            reply = raw.response()
            self.assertIn(reply.status, (200, 400))
            raw.close()
        for request in upstream.requests:
            self.assertEqual((request.target, request.one("host")), ("/anything", "other.example"))

    def test_fragment_is_refused(self):
        raw = Raw(gateway.port)
        raw.send("GET /public/x#/../../admin HTTP/1.1\r\nHost: a\r\n\r\n")
        self.assertEqual(raw.response().status, 400)
        self.assertEqual(upstream.requests, [])

    def test_asterisk_stays_here(self):
        raw = Raw(gateway.port)
        raw.send("OPTIONS * HTTP/1.1\r\nHost: a\r\n\r\nGET * HTTP/1.1\r\nHost: a\r\n\r\n")
        self.assertEqual(raw.response().status, 204)
        self.assertEqual(raw.response().status, 400)
        self.assertEqual(upstream.requests, [])


class Own(unittest.TestCase):
    def test_refresh_path_belongs_to_the_gateway_in_every_spelling(self):
        upstream.forget()
        for target in ("/refresh", "/%72efresh", "//refresh", "/public/../refresh", "/refresh/"):
            self.assertEqual(curl(gateway.base + target).status, 405, target)
        for target in ("/refresh/x", "/refresh/logout/x"):
            self.assertEqual(curl(gateway.base + target).status, 404, target)
        self.assertEqual(curl(gateway.base + "/refreshing", headers=["Host: other.example"]).status, 200)

    def test_keys_are_published(self):
        reply = curl(gateway.base + "/.well-known/jwks.json")
        self.assertEqual(reply.status, 200)
        # The one that signs and the one that is to follow.
        self.assertEqual(len(reply.json["keys"]), 2)
        for key in reply.json["keys"]:
            self.assertEqual(
                (key["kty"], key["crv"], key["alg"], key["use"]), ("EC", "P-256", "ES256", "sig")
            )
            self.assertNotIn("d", key)
        self.assertEqual(curl(gateway.base + "/.well-known/jwks.json", method="POST").status, 405)
        self.assertEqual(
            curl(gateway.base + "/.well-known/jwks.json", method="POST").one("allow"), "GET, HEAD"
        )
        head = curl(gateway.base + "/.well-known/jwks.json", method="HEAD")
        self.assertEqual(head.one("content-length"), reply.one("content-length"))
