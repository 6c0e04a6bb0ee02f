# Observed routes: what would be refused is forwarded and logged as such, so that a move behind the gateway
# shows in the log what it would break. What protects the gateway itself, and refresh tokens, is never let go.

import unittest

from clients import curl
from harness import Gateway, wait_until
from upstreams import OK, Upstream

ROUTES = """
route = /login { upstream api; access anonymous; login; }
route /seen/ { upstream api; observe; }
route /seen/scope { upstream api; require scope items:read; observe; }
route /seen/admin { upstream api; require claim role admin; observe; login_page /in.html; }
route /seen/read { upstream api; methods GET; observe; }
route /seen/small { upstream api; request_body 1k; observe; }
route /seen/local { respond 200 "pong"; observe; }
route /public/ { upstream api; access anonymous; }
route / { upstream api; }
"""


def answer(request, connection):
    if request.target == "/login":
        return b"HTTP/1.1 200 OK\r\nSession-Start: alice\r\nContent-Length: 2\r\n\r\n{}"
    return OK


def setUpModule():
    global upstream, gateway, pair, cookies
    upstream = Upstream(answer)
    # One shard, so that the lines of the log stand in the order of the requests.
    gateway = Gateway(upstream.port, routes=ROUTES, main="workers 1;")
    pair = curl(gateway.base + "/login", method="POST").json
    reply = curl(gateway.base + "/login", method="POST", headers=["Sec-Fetch-Site: same-origin"])
    cookies = {name: value for name, (value, _) in reply.cookies().items()}
    wait_until(lambda: len(gateway.access_log()) == 2, 3, "the lines of the logins")


def tearDownModule():
    gateway.stop()
    upstream.stop()


class Case(unittest.TestCase):
    def setUp(self):
        upstream.forget()

    def ask(self, path, *headers, **options):
        """The reply and its line in the log."""
        count = len(gateway.access_log())
        reply = curl(gateway.base + path, headers=headers, **options)
        wait_until(lambda: len(gateway.access_log()) > count, 3, "the line in the log")
        return reply, gateway.access_log()[count]

    def assert_let_through(self, word, path, *headers, **options):
        reply, line = self.ask(path, *headers, **options)
        self.assertEqual((reply.status, line.get("gateway.observed")), (200, word), path)
        self.assertIsNone(line.get("gateway.reason"))
        self.assertEqual(len(upstream.requests), 1)
        request = upstream.requests.pop()
        self.assertNotIn("eyJ", request.head.decode("latin-1"))
        self.assertNotIn("rt_", request.head.decode("latin-1"))
        return request

    def assert_refused(self, status, code, path, *headers, **options):
        reply, line = self.ask(path, *headers, **options)
        self.assertEqual((reply.status, reply.json["code"]), (status, code), path)
        self.assertEqual(line["gateway.reason"], code)
        self.assertEqual(upstream.requests, [])


class Observed(Case):
    def test_no_token_and_a_bad_one(self):
        request = self.assert_let_through("token_missing", "/seen/x", "X-Auth-Subject: forged")
        self.assertIsNone(request.one("x-auth-subject"))
        forged = pair["access_token"][:-6] + "AAAAAA"
        request = self.assert_let_through("token_signature", "/seen/x", token=forged)
        self.assertIsNone(request.one("x-auth-subject"))
        # The same where nothing is observed.
        self.assert_refused(401, "token_missing", "/x")

    def test_a_good_token_is_nothing_to_observe(self):
        request = self.assert_let_through(None, "/seen/x", token=pair["access_token"])
        self.assertEqual(request.one("x-auth-subject"), "alice")

    def test_a_token_that_grants_too_little_still_says_whose_it_is(self):
        for path, word in (("/seen/scope", "insufficient_scope"), ("/seen/admin", "insufficient_claim")):
            request = self.assert_let_through(word, path, token=pair["access_token"])
            self.assertEqual(request.one("x-auth-subject"), "alice")

    def test_a_page_of_another_origin(self):
        origin = "Origin: https://evil.example"
        self.assert_let_through("cross_origin", "/seen/x", origin, method="POST", cookies=cookies)
        self.assert_refused(403, "cross_origin", "/x", origin, method="POST", cookies=cookies)

    def test_a_navigation_is_not_led_to_the_login(self):
        navigation = ("Sec-Fetch-Mode: navigate", "Sec-Fetch-Site: none", "Sec-Fetch-Dest: document")
        self.assert_let_through("token_missing", "/seen/admin", *navigation)

    def test_an_answer_of_the_gateways_own(self):
        reply, line = self.ask("/seen/local")
        self.assertEqual((reply.body, line["gateway.observed"]), (b"pong", "token_missing"))

    def test_a_method_that_the_route_does_not_take(self):
        token = pair["access_token"]
        self.assert_let_through("method_not_allowed", "/seen/read", method="PUT", token=token)
        self.assert_let_through(None, "/seen/read", method="HEAD", token=token)
        # Of several refusals, the one that the client would be told.
        self.assert_let_through("method_not_allowed", "/seen/read", method="PUT")

    def test_what_protects_the_gateway_is_refused_all_the_same(self):
        self.assert_refused(413, "body_too_large", "/seen/small", data="x" * 1025)
        self.assert_let_through("token_missing", "/seen/small", data="x" * 1024)
        self.assert_refused(404, "no_route", "/refresh/x")
        self.assert_refused(400, "path", "/seen/%2e%2e%2fx")
        self.assert_refused(405, "method_not_allowed", "/seen/x", method="TRACE")


class RefreshTokens(Case):
    """They are forwarded nowhere, whatever else a route lets through."""

    def test_as_a_bearer(self):
        for path in ("/seen/x", "/public/x", "/x"):
            self.assert_refused(401, "refresh_token_misplaced", path, token=pair["refresh_token"])

    def test_beside_another_authorization(self):
        basic, bearer = "Authorization: Basic eDp5", f"Authorization: Bearer {pair['refresh_token']}"
        for lines in ((basic, bearer), (bearer, basic), (bearer, bearer)):
            for path in ("/seen/x", "/public/x", "/x"):
                self.assert_refused(401, "refresh_token_misplaced", path, *lines)

    def test_an_access_token_beside_another_authorization_stays_here(self):
        bearer = f"Authorization: Bearer {pair['access_token']}"
        for lines in (("Authorization: Basic eDp5", bearer), (bearer, "Authorization: Basic eDp5")):
            for path in ("/seen/x", "/public/x", "/x"):
                self.assert_refused(400, "token_ambiguous", path, *lines)

    def test_as_a_cookie(self):
        everything = dict(cookies, theme="dark")
        request = self.assert_let_through(None, "/seen/x", cookies=everything)
        self.assertEqual(request.one("cookie"), "theme=dark")
        del everything["access"]
        request = self.assert_let_through("token_missing", "/seen/x", cookies=everything)
        self.assertEqual(request.one("cookie"), "theme=dark")


if __name__ == "__main__":
    unittest.main()
