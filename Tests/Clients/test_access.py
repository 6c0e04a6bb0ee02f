# Who is let in, and what the upstream is told about it: refusals, CSRF, cookies, forged identity, misplaced
# tokens.

import base64
import json
import unittest

from clients import curl, login
from harness import Demo, Gateway
from upstreams import Upstream

ROUTES = """
upstream demo { server http://127.0.0.1:%d; }
route /login { upstream demo; access anonymous; login; }
route /public/ { upstream api; access anonymous; }
route /feed/ { upstream api; access optional; }
route /items { upstream api; require scope items:read; }
route /editors/ { upstream api; require scope items:write; }
route /admin/ { upstream api; require claim role admin; identity_header X-Auth-Role claim role; }
route / { upstream api; identity_header X-Auth-Role claim role; }
"""
SETS_COOKIES = (
    b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\nSet-Cookie: access=evil; Path=/\r\nSet-Cookie: theme=dark\r\n"
    b"Set-Cookie:  refresh = evil\r\nSession-Start: root\r\nsession_start: root\r\n"
    b"Session-End: subject\r\n\r\n"
)


def answer(request, connection):
    if request.target.endswith("cookies"):
        return SETS_COOKIES
    return b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok"


def setUpModule():
    global demo, upstream, gateway, alice, bob
    demo, upstream = Demo(), Upstream(answer)
    gateway = Gateway(upstream.port, routes=ROUTES % demo.port)
    alice, bob = login(gateway), login(gateway, "bob", "builder")


def tearDownModule():
    demo.stop()
    gateway.stop()
    upstream.stop()


class Refusals(unittest.TestCase):
    def setUp(self):
        upstream.forget()

    def assert_problem(self, reply, status, code):
        self.assertEqual(reply.status, status)
        self.assertEqual(reply.one("content-type"), "application/problem+json")
        self.assertEqual(reply.one("cache-control"), "no-store")
        body = reply.json
        self.assertEqual((body["status"], body["code"]), (status, code))
        self.assertTrue(body["type"] and body["title"] and body["detail"])
        self.assertEqual(upstream.requests, [])

    def test_no_token_gets_a_bare_challenge(self):
        reply = curl(gateway.base + "/x")
        self.assert_problem(reply, 401, "token_missing")
        self.assertEqual(reply.one("www-authenticate"), "Bearer")

    def test_bad_tokens_get_invalid_token(self):
        head, body, signature = alice["access_token"].split(".")
        unsigned = base64.urlsafe_b64encode(b'{"alg":"none","typ":"at+jwt"}').decode().rstrip("=")
        cases = {
            "x": "token_malformed",
            "a.b.c": "token_malformed",
            f"{head}.{body}": "token_malformed",
            f"{head}.{body}.{signature}=": "token_malformed",
            f"{head}.{body}.{'A' * len(signature)}": "token_signature",
            f"{head}.{body}.": None,
            f"{unsigned}.{body}.": None,
            f"{unsigned}.{body}.{signature}": None,
            bob["access_token"].rsplit(".", 1)[0] + "." + signature: "token_signature",
        }
        for token, code in cases.items():
            reply = curl(gateway.base + "/x", token=token)
            self.assert_problem(reply, 401, code or reply.json["code"])
            self.assertRegex(
                reply.one("www-authenticate"), r'^Bearer error="invalid_token", error_description="[^"\\]+"$'
            )

    def test_good_token_once_does_not_help_a_changed_one(self):
        head, body, signature = alice["access_token"].split(".")
        self.assertEqual(curl(gateway.base + "/x", token=alice["access_token"]).status, 200)
        upstream.forget()
        changed = ("A" if signature[5] != "A" else "B").join((signature[:5], signature[6:]))
        self.assert_problem(
            curl(gateway.base + "/x", token=f"{head}.{body}.{changed}"), 401, "token_signature"
        )

    def test_forged_claims(self):
        head, body, signature = alice["access_token"].split(".")
        claims = json.loads(base64.urlsafe_b64decode(body + "=="))
        claims["sub"] = "root"
        forged = base64.urlsafe_b64encode(json.dumps(claims).encode()).decode().rstrip("=")
        self.assert_problem(
            curl(gateway.base + "/x", token=f"{head}.{forged}.{signature}"), 401, "token_signature"
        )

    def test_missing_scope_and_claim_are_403(self):
        reply = curl(gateway.base + "/editors/x", token=bob["access_token"])
        self.assert_problem(reply, 403, "insufficient_scope")
        self.assertIn('error="insufficient_scope"', reply.one("www-authenticate"))
        self.assertIn('scope="items:write"', reply.one("www-authenticate"))
        self.assert_problem(
            curl(gateway.base + "/admin/x", token=bob["access_token"]), 403, "insufficient_claim"
        )

    def test_what_is_granted_passes(self):
        for token, path in ((alice, "/editors/x"), (alice, "/admin/x"), (bob, "/items"), (bob, "/x")):
            self.assertEqual(curl(gateway.base + path, token=token["access_token"]).status, 200, path)

    def test_two_authorization_fields_are_400(self):
        header = "Authorization: Bearer " + alice["access_token"]
        self.assert_problem(curl(gateway.base + "/x", headers=[header, header]), 400, "token_ambiguous")

    def test_optional_means_no_token_not_a_bad_one(self):
        self.assert_problem(curl(gateway.base + "/feed/x", token="a.b.c"), 401, "token_malformed")
        self.assertEqual(curl(gateway.base + "/feed/x").status, 200)
        self.assertIsNone(upstream.last().one("x-auth-subject"))
        self.assertEqual(curl(gateway.base + "/feed/x", token=bob["access_token"]).status, 200)
        self.assertEqual(upstream.last().one("x-auth-subject"), "bob")

    def test_head_is_refused_without_a_body(self):
        reply = curl(gateway.base + "/x", method="HEAD")
        self.assertEqual((reply.status, reply.body), (401, b""))


class CrossSite(unittest.TestCase):
    def post(self, headers, **credentials):
        return curl(gateway.base + "/items", as_json={"name": "x"}, headers=headers, **credentials)

    def test_cookie_and_unsafe_method_need_the_same_origin(self):
        cookies = login(gateway, browser=True)
        cases = [
            (["Sec-Fetch-Site: same-origin"], 200),
            (["Sec-Fetch-Site: none"], 200),
            (["Sec-Fetch-Site: cross-site"], 403),
            (["Sec-Fetch-Site: same-site"], 403),
            (["Sec-Fetch-Site: anything"], 403),
            (["Origin: " + gateway.origin], 200),
            (["Origin: https://evil.example"], 403),
            (["Origin: null"], 403),
            ([], 403),
            (["Sec-Fetch-Site: cross-site", "Origin: " + gateway.origin], 403),
            (["Sec-Fetch-Site: same-origin", "Sec-Fetch-Site: cross-site"], 403),
            (["Origin: " + gateway.origin, "Origin: https://evil.example"], 403),
            (["Origin: " + gateway.origin + ".evil.example"], 403),
        ]
        for headers, status in cases:
            reply = self.post(headers, cookies=cookies)
            self.assertEqual(reply.status, status, headers)
            if status == 403:
                self.assertEqual(reply.json["code"], "cross_origin")
                self.assertIsNone(reply.one("www-authenticate"))

    def test_reading_by_cookie_is_free_of_the_rule(self):
        cookies = login(gateway, browser=True)
        self.assertEqual(curl(gateway.base + "/items", cookies=cookies).status, 200)
        self.assertEqual(curl(gateway.base + "/items", cookies=cookies, method="HEAD").status, 200)
        for method in ("PUT", "DELETE", "PATCH"):
            self.assertEqual(curl(gateway.base + "/x", cookies=cookies, method=method).status, 403, method)

    def test_bearer_wins_over_the_cookie_and_the_rule(self):
        cookies = login(gateway, browser=True)
        headers = ["Sec-Fetch-Site: cross-site"]
        self.assertEqual(self.post(headers, cookies=cookies, token=bob["access_token"]).status, 200)
        self.assertEqual(upstream.last().one("x-auth-subject"), "bob")
        self.assertEqual(self.post(headers, cookies=cookies, token="a.b.c").status, 401)


class Cookies(unittest.TestCase):
    def test_ours_never_reach_the_upstream(self):
        cookies = login(gateway, browser=True)
        value = f"a=1; access={cookies['access']}; b=2;refresh={cookies['refresh']}; accessory=3"
        for path in ("/x", "/public/x", "/feed/x"):
            self.assertEqual(curl(gateway.base + path, headers=["Cookie: " + value]).status, 200)
            self.assertEqual(upstream.last().one("cookie"), "a=1; b=2; accessory=3", path)
        curl(gateway.base + "/public/x", cookies=cookies)
        self.assertIsNone(upstream.last().one("cookie"))

    def test_of_duplicates_each_is_tried(self):
        good = login(gateway, browser=True)["access"]
        for value in (f"access=stale; access={good}", f"access={good}; access=stale"):
            self.assertEqual(curl(gateway.base + "/x", headers=["Cookie: " + value]).status, 200, value[:20])
        two = curl(gateway.base + "/x", headers=["Cookie: access=stale", f"Cookie: access={good}"])
        self.assertEqual(two.status, 200)
        self.assertEqual(curl(gateway.base + "/x", headers=["Cookie: access=a; access=b"]).status, 401)

    def test_upstream_sets_none_of_ours_and_begins_nothing_elsewhere(self):
        for path in ("/public/cookies", "/cookies"):
            reply = curl(gateway.base + path, token=bob["access_token"])
            self.assertEqual(reply.all("set-cookie"), ["theme=dark"])
            self.assertEqual(
                [name for name, _ in reply.fields if name.replace("_", "-").startswith("session-")], []
            )
        self.assertEqual(curl(gateway.base + "/x", token=bob["access_token"]).status, 200)


class Identity(unittest.TestCase):
    SPELLINGS = [
        "X-Auth-Subject",
        "x-auth-subject",
        "X_Auth_Subject",
        "X.Auth.Subject",
        "X-Auth_Subject",
        "X~Auth~Subject",
        "X!Auth-Subject",
        "X-AUTH.SUBJECT",
        "X-Auth-Session",
        "X_AUTH_SESSION",
        "X-Auth-Scope",
        "X.auth.scope",
        "X-Auth-Role",
        "X_Auth_Role",
        "X'Auth`Role",
        "X-Forwarded-Host",
        "X_Forwarded_Host",
        "X-Real-IP",
        "Forwarded",
        "X-Forwarded-Prefix",
        "Proxy",
    ]

    def test_forged_fields_are_gone_on_every_route(self):
        headers = [f"{name}: forged" for name in self.SPELLINGS]
        for path, token in (
            ("/x", bob["access_token"]),
            ("/public/x", None),
            ("/feed/x", None),
            ("/public/x", bob["access_token"]),
            ("/feed/x", bob["access_token"]),
        ):
            self.assertEqual(curl(gateway.base + path, headers=headers, token=token).status, 200)
            self.assertNotIn(b"forged", upstream.last().head, path)

    def test_connection_removes_nothing_of_ours(self):
        for named in (
            "X-Auth-Subject",
            "x-auth-subject, x-auth-session",
            "X-Forwarded-For",
            "Authorization",
            "close, X-Auth-Role",
            "Cookie",
            "Host",
        ):
            reply = curl(gateway.base + "/x", headers=["Connection: " + named], token=bob["access_token"])
            self.assertEqual(reply.status, 200, named)
            request = upstream.last()
            self.assertEqual(request.one("x-auth-subject"), "bob", named)
            self.assertEqual(request.one("x-auth-role"), "user", named)
            self.assertEqual(request.one("x-forwarded-for"), "127.0.0.1", named)
            self.assertIsNotNone(request.one("host"))

    def test_identity_comes_from_the_token(self):
        curl(gateway.base + "/x", token=alice["access_token"])
        request = upstream.last()
        self.assertEqual(request.one("x-auth-subject"), "alice")
        self.assertEqual(request.one("x-auth-scope"), "items:read items:write")
        self.assertEqual(request.one("x-auth-role"), "admin")
        self.assertEqual(len(request.one("x-auth-session")), 22)

    def test_our_token_goes_no_further(self):
        for path in ("/x", "/feed/x"):
            curl(gateway.base + path, token=alice["access_token"])
            self.assertIsNone(upstream.last().one("authorization"), path)

    # PRODUCT 4: "forwarded for foreign issuers, removed for our own"; also where nobody looks at it.
    def test_our_token_goes_no_further_on_an_anonymous_route(self):
        curl(gateway.base + "/public/x", token=alice["access_token"])
        self.assertIsNone(upstream.last().one("authorization"))

    def test_foreign_credentials_of_an_anonymous_route_pass(self):
        curl(gateway.base + "/public/x", headers=["Authorization: Basic dTpw"])
        self.assertEqual(upstream.last().one("authorization"), "Basic dTpw")


class MisplacedRefreshToken(unittest.TestCase):
    def setUp(self):
        upstream.forget()

    def assert_refused(self, reply):
        self.assertEqual((reply.status, reply.json["code"]), (401, "refresh_token_misplaced"))
        self.assertEqual(upstream.requests, [])

    def test_as_a_bearer(self):
        action = "refresh_token_misplaced"
        before = sum(line["event.action"] == action for line in gateway.audit_log())
        for path in ("/x", "/feed/x"):
            self.assert_refused(curl(gateway.base + path, token=bob["refresh_token"]))
        gateway.events(action, before + 2)

    # PRODUCT 3: "anywhere but under /refresh is not forwarded"; anonymous routes are no exception.
    def test_as_a_bearer_on_an_anonymous_route(self):
        self.assert_refused(curl(gateway.base + "/public/x", token=bob["refresh_token"]))

    def test_elsewhere_in_the_head(self):
        token = bob["refresh_token"]
        places = {
            "query": {"url": gateway.base + "/x?refresh_token=" + token},
            "another cookie": {"cookies": {"other": token}},
            "another field": {"headers": ["X-Refresh-Token: " + token]},
        }
        for name, place in places.items():
            with self.subTest(name):
                upstream.forget()
                reply = curl(place.pop("url", gateway.base + "/x"), token=bob["access_token"], **place)
                self.assert_refused(reply)

    def test_as_a_cookie_it_stops_at_the_gateway(self):
        curl(gateway.base + "/x", cookies={"refresh": bob["refresh_token"]}, token=bob["access_token"])
        self.assertNotIn(bob["refresh_token"].encode(), upstream.last().head)

    def test_as_the_access_cookie(self):
        reply = curl(gateway.base + "/x", cookies={"access": bob["refresh_token"]})
        self.assertEqual(reply.status, 401)
        self.assertEqual(upstream.requests, [])
