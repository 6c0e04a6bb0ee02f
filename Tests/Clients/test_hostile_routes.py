# What could be read in two ways: paths that a lenient upstream takes for another route, credentials on
# anonymous routes, the scheme that clients used, and requests that name their host in the target only.

import unittest

from clients import Raw, curl, login
from harness import Demo, Gateway, wait_until
from upstreams import Upstream

ROUTES = """
upstream demo { server http://127.0.0.1:%d; }
route = /login { upstream demo; access anonymous; login; }
route /admin { upstream api; require claim role admin; }
route /@ops { upstream api; require claim role admin; }
route /caf%%C3%%A9 { upstream api; require claim role admin; }
route /%%3Aguarded/ { upstream api; require claim role admin; }
route "/v;1/" { upstream api; require claim role admin; }
route = /a%%20page { upstream api; access anonymous; }
route /public/ { upstream api; access anonymous; }
route / { upstream api; }
"""


def setUpModule():
    global demo, upstream, gateway, alice, bob
    demo, upstream = Demo(), Upstream()
    gateway = Gateway(upstream.port, routes=ROUTES % demo.port)
    alice, bob = login(gateway), login(gateway, "bob", "builder")


def tearDownModule():
    demo.stop()
    gateway.stop()
    upstream.stop()


class Paths(unittest.TestCase):
    def setUp(self):
        upstream.forget()

    def assert_statuses(self, pair, cases):
        for path, status in cases.items():
            self.assertEqual(curl(gateway.base + path, token=pair["access_token"]).status, status, path)

    def test_guarded_route_is_403_in_its_plain_spellings(self):
        self.assert_statuses(bob, {path: 403 for path in (
            "/admin", "/admin/", "/admin/users", "/adm%69n", "/%61dmin/users", "/admin?x=;", "/@ops",
            "/@ops/x")})
        self.assertEqual(upstream.requests, [])

    def test_spellings_that_lead_elsewhere_for_a_lenient_upstream_are_400(self):
        self.assert_statuses(bob, {path: 400 for path in (
            "/admin;x", "/admin;x/users", "/admin;x=1;y=2", "/adm%69n;x", "/admin;/users", "/%40ops",
            "/%40ops/x", "/%40ops;x", "/@ops;x", "/admin%3Bx", "/admin%3bx/users", "/x;y/../admin;z",
            "/..%3Bx/admin", "/a/..%3Bx/..%3Bx/admin")})
        self.assertEqual(upstream.requests, [])

    def test_same_route_either_way_is_forwarded_unchanged(self):
        for path in ("/other;x=1", "/a%40b", "/other;x=1/y;z", "/%40other", "/administrator;x", "/x/admin;y",
                     "/a%20b;c", "/@opsx;y"):
            self.assertEqual(curl(gateway.base + path, token=bob["access_token"]).status, 200, path)
            self.assertEqual(upstream.last().target, path)

    def test_a_route_that_is_written_encoded_is_guarded_in_every_spelling(self):
        self.assert_statuses(bob, {path: 403 for path in (
            "/caf%C3%A9", "/caf%c3%a9/menu", "/c%61f%C3%A9/x", "/caf%C3%A9/x;y", "/%3Aguarded", "/%3aguarded/x",
            "/v;1", "/v;1/x")})
        # What a lenient upstream takes for one of them, though it is another here.
        self.assert_statuses(bob, {path: 400 for path in (
            "/caf%C3%A9;x", "/:guarded", "/:guarded/x", "/:guarded;x", "/v", "/v/x", "/v;2/x", "/v%3B1/x")})
        self.assertEqual(upstream.requests, [])
        self.assert_statuses(alice, {"/caf%c3%a9/menu": 200, "/%3Aguarded/x": 200, "/v;1/x": 200})
        self.assertEqual([request.target for request in upstream.requests],
                         ["/caf%C3%A9/menu", "/%3Aguarded/x", "/v;1/x"])
        upstream.forget()
        # The nearest neighbours take the route below which they lie.
        for path in ("/caf%C3%A8", "/caf%C3%A9s", "/:guardedx", "/vv", "/vv;1", "/a%20pages"):
            self.assertEqual(curl(gateway.base + path, token=bob["access_token"]).status, 200, path)
            self.assertEqual(upstream.last().target, path)
        self.assertEqual(curl(gateway.base + "/a%20page").status, 200)
        self.assertEqual(curl(gateway.base + "/a%20page/").status, 401)

    def test_who_may_enter_the_guarded_route_still_does(self):
        self.assert_statuses(alice, {"/admin": 200, "/adm%69n": 200, "/admin/users;x=1": 200, "/@ops": 200})
        self.assertEqual([request.target for request in upstream.requests],
                         ["/admin", "/admin", "/admin/users;x=1", "/@ops"])


class AnonymousRoute(unittest.TestCase):
    def setUp(self):
        upstream.forget()

    def misplaced(self):
        return [line for line in gateway.audit_log() if line["event.action"] == "refresh_token_misplaced"]

    def test_refresh_token_is_refused_and_audited(self):
        before = len(self.misplaced())
        reply = curl(gateway.base + "/public/x", token=bob["refresh_token"])
        self.assertEqual((reply.status, reply.json["code"]), (401, "refresh_token_misplaced"))
        self.assertEqual(upstream.requests, [])
        wait_until(lambda: len(self.misplaced()) == before + 1, 2, "the audit event")

    def test_our_access_token_is_not_forwarded(self):
        reply = curl(gateway.base + "/public/x", token=bob["access_token"])
        self.assertEqual(reply.status, 200)
        self.assertIsNone(upstream.last().one("authorization"))
        self.assertIsNone(upstream.last().one("x-auth-subject"))

    def test_our_cookies_are_not_forwarded(self):
        cookies = {"access": bob["access_token"], "theme": "dark", "refresh": bob["refresh_token"]}
        self.assertEqual(curl(gateway.base + "/public/x", cookies=cookies).status, 200)
        self.assertEqual(upstream.last().one("cookie"), "theme=dark")

    def test_what_is_not_ours_is_forwarded(self):
        for value in ("Basic Ym9iOmJ1aWxkZXI=", "Digest username=x", "Bearer of-another-api"):
            reply = curl(gateway.base + "/public/x", headers=["Authorization: " + value])
            self.assertEqual(reply.status, 200, value)
            self.assertEqual(upstream.last().one("authorization"), value)

    def test_request_by_cookie_keeps_its_own_authorization(self):
        basic = "Authorization: Basic Ym9iOmJ1aWxkZXI="
        reply = curl(gateway.base + "/x", cookies={"access": bob["access_token"]}, headers=[basic])
        self.assertEqual(reply.status, 200)
        self.assertEqual(upstream.last().one("authorization"), "Basic Ym9iOmJ1aWxkZXI=")
        self.assertEqual(upstream.last().one("x-auth-subject"), "bob")
        self.assertIsNone(upstream.last().one("cookie"))

    def test_request_by_bearer_loses_it(self):
        self.assertEqual(curl(gateway.base + "/x", token=bob["access_token"]).status, 200)
        self.assertIsNone(upstream.last().one("authorization"))
        basic = ["Authorization: Basic Ym9iOmJ1aWxkZXI="]
        self.assertEqual(curl(gateway.base + "/x", headers=basic).status, 401)


class Forwarded(unittest.TestCase):
    def setUp(self):
        upstream.forget()

    def test_scheme_is_that_of_the_public_url(self):
        secure = Gateway(upstream.port, routes=ROUTES % demo.port, scheme="https")
        self.addCleanup(secure.stop)
        for one, scheme in ((gateway, "http"), (secure, "https")):
            for forged in ("http", "https", "gopher"):
                reply = curl(one.base + "/public/x", headers=["X-Forwarded-Proto: " + forged])
                self.assertEqual(reply.status, 200)
                self.assertEqual(upstream.last().all("x-forwarded-proto"), [scheme])

    def ask(self, request):
        raw = Raw(gateway.port)
        reply = raw.send(request + "\r\n\r\n").response()
        raw.close()
        return reply.status

    def test_http_1_0_in_absolute_form_gets_a_host(self):
        self.assertEqual(self.ask("GET http://shop.example:81/public/x HTTP/1.0"), 200)
        self.assertEqual((upstream.last().target, upstream.last().version), ("/public/x", "HTTP/1.1"))
        self.assertEqual(upstream.last().all("host"), ["shop.example:81"])

    def test_http_1_0_without_any_host_gets_one(self):
        self.assertEqual(self.ask("GET /public/x HTTP/1.0"), 200)
        self.assertEqual(len(upstream.last().all("host")), 1)
        self.assertTrue(upstream.last().one("host"))

    def test_http_1_0_with_a_host_keeps_the_one(self):
        self.assertEqual(self.ask("GET /public/x HTTP/1.0\r\nHost: shop.example"), 200)
        self.assertEqual(upstream.last().all("host"), ["shop.example"])

    def test_http_1_1_without_host_is_refused_in_either_form(self):
        self.assertEqual(self.ask("GET /public/x HTTP/1.1"), 400)
        self.assertEqual(self.ask("GET http://shop.example/public/x HTTP/1.1"), 400)
        self.assertEqual(upstream.requests, [])
