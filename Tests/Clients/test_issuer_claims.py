# What an `issuer` block asks of tokens, wherever they say it: audience, subject, scopes, required claims, types and
# times; and what an upstream is told and given of a token.

import time
import unittest

from clients import curl
from harness import Gateway
from identity_provider import Key, Provider, ask
from upstreams import Upstream

ROUTES = """
route / { upstream api; }
route /open { upstream api; access anonymous; }
route /items { upstream api; require scope items:read; }
route /admin {
    upstream api; require claim realm_access.roles admin owner; identity_header X-Roles claim realm_access.roles;
}
route /tenant {
    upstream api; require claim https://example.com/tenant acme;
    identity_header X-Tenant claim https://example.com/tenant;
}
route /dotted { upstream api; require claim =a.b 7; identity_header X-Dotted claim =a.b; }
"""


def setUpModule():
    global upstream
    upstream = Upstream()


def tearDownModule():
    upstream.stop()


class WithProvider(unittest.TestCase):
    def setUp(self):
        self.provider = Provider("ES256", kid="main")
        self.addCleanup(self.provider.stop)

    def start(self, *lines, audience="api", **options):
        gateway = Gateway(
            upstream.port, routes=ROUTES, main=self.provider.block(*lines, audience=audience), **options)
        self.addCleanup(gateway.stop)
        return gateway

    def assert_code(self, gateway, code, path="/", header=None, **claims):
        """That a token with these claims is refused for this reason; None: that it is let in."""
        reply = ask(gateway, self.provider.token(header=header, **claims), path)
        self.assertEqual(reply.json["code"] if reply.status != 200 else None, code, (claims, reply.body))
        return reply


class Audience(WithProvider):
    def test_one_of_ours_must_be_among_theirs(self):
        gateway = self.start(audience="api https://api.example.com")
        for audience in ("api", ["api"], ["x", "api"], ["https://api.example.com", "api"], "https://api.example.com"):
            self.assert_code(gateway, None, aud=audience)
        for audience in ("API", "api ", "ap", ["x"], [], "https://api.example.com/", "", "any"):
            self.assert_code(gateway, "token_audience", aud=audience)
        for audience in (None, 7, {"api": "api"}, ["api", 7], [["api"]], True):
            self.assert_code(gateway, "token_claims", aud=audience)

    def test_any_takes_what_was_made_for_others(self):
        gateway = self.start(audience="any")
        for audience in ("elsewhere", None, ["a", "b"]):
            self.assert_code(gateway, None, aud=audience)
        self.assert_code(gateway, "token_claims", aud=7)

    def test_another_claim_may_be_the_audience(self):
        gateway = self.start("audience_claim client_id;", audience="spa mobile")
        self.assert_code(gateway, None, client_id="mobile", aud=None)
        self.assert_code(gateway, "token_audience", client_id="batch", aud="spa")
        self.assert_code(gateway, "token_claims", aud="spa")


class Claims(WithProvider):
    def test_the_subject_is_where_the_block_says(self):
        for claim, good, bad in (
            ("oid", {"oid": "u-1"}, {}),
            ("user.id", {"user": {"id": "u-1"}}, {"user.id": "u-1"}),
            ("=user.id", {"user.id": "u-1"}, {"user": {"id": "u-1"}}),
            ("https://example.com/id", {"https://example.com/id": "u-1"}, {"https://example": {"com/id": "u-1"}}),
        ):
            gateway = self.start(f"subject_claim {claim};")
            with self.subTest(claim):
                self.assert_code(gateway, None, **good)
                self.assertEqual(upstream.last().one("x-auth-subject"), "u-1")
                self.assert_code(gateway, "token_claims", **bad)

    def test_scopes_are_where_the_block_says_words_or_a_list(self):
        gateway = self.start("scope_claim access.granted;")
        for value in ("items:read", "a items:read b", ["a", "items:read"]):
            self.assert_code(gateway, None, "/items", access={"granted": value})
        for value in ("items:reader", "ITEMS:READ", [], "", ["no items:read"], ["items:read x"]):
            reply = self.assert_code(gateway, "insufficient_scope", "/items", access={"granted": value})
            self.assertEqual(reply.status, 403)
            self.assertIn('scope="items:read"', reply.one("www-authenticate"))
        self.assert_code(gateway, "insufficient_scope", "/items", scope="items:read")
        for value in (7, {"items:read": True}, None, [7], "a\nb"):
            self.assert_code(gateway, "token_claims", "/items", access={"granted": value})
        self.assert_code(gateway, None, access={"granted": ["a", "b c", "d"]})
        self.assertEqual(upstream.last().one("x-auth-scope"), "a d")

    def test_routes_reach_claims_inside_of_others(self):
        gateway = self.start()
        self.assert_code(gateway, None, "/admin", realm_access={"roles": ["user", "admin"]})
        self.assertEqual(upstream.last().one("x-roles"), "user,admin")
        self.assert_code(gateway, None, "/admin", realm_access={"roles": "owner"})
        for claims in ({"realm_access": {"roles": ["user"]}}, {"realm_access": {"roles": {"admin": True}}},
                       {"realm_access.roles": ["admin"]}, {"roles": ["admin"]}, {"realm_access": ["admin"]},
                       {"realm_access": {"roles": [["admin"]]}}, {"realm_access": {"roles": ["admin "]}}):
            self.assertEqual(self.assert_code(gateway, "insufficient_claim", "/admin", **claims).status, 403)
        self.assert_code(gateway, None, "/tenant", **{"https://example.com/tenant": "acme"})
        self.assertEqual(upstream.last().one("x-tenant"), "acme")
        self.assert_code(gateway, "insufficient_claim", "/tenant", **{"https://example": {"com/tenant": "acme"}})
        self.assert_code(gateway, None, "/dotted", **{"a.b": 7})
        self.assertEqual(upstream.last().one("x-dotted"), "7")
        self.assert_code(gateway, "insufficient_claim", "/dotted", a={"b": 7})

    def test_no_claim_writes_a_field_of_its_own(self):
        gateway = self.start()
        for value in (["admin", "x\r\nX-Auth-Subject: root"], ["admin", "a,b"], ["admin", "\u0000"]):
            self.assert_code(gateway, None, "/admin", realm_access={"roles": value})
            self.assertEqual(upstream.last().all("x-roles"), [])
            self.assertEqual(upstream.last().all("x-auth-subject"), ["alice"])

    def test_what_the_block_requires_holds_on_every_route(self):
        gateway = self.start("require claim tenant acme globex;", "require claim verified true;")
        self.assert_code(gateway, None, tenant="globex", verified=True)
        self.assert_code(gateway, None, tenant=["x", "acme"], verified="true")
        for claims in ({"tenant": "acme"}, {"tenant": "initech", "verified": True},
                       {"tenant": "acme", "verified": False}, {"tenant": None, "verified": True}):
            self.assertEqual(self.assert_code(gateway, "token_claims", **claims).status, 401)


class Forms(WithProvider):
    def test_types(self):
        usual = self.start()
        narrow = self.start("type at+jwt;")
        none = self.start("type none;")
        own = self.start("type vendor+jwt none;")
        for kind, allowed in (
            ("JWT", (usual,)), ("jwt", (usual,)), ("at+jwt", (usual, narrow)), ("AT+JWT", (usual, narrow)),
            ("application/at+jwt", (usual, narrow)), (None, (usual, none, own)), ("Vendor+JWT", (own,)),
            ("none", ()), ("", ()), ("dpop+jwt", ()), ("logout+jwt", ()), ("text/at+jwt", ()), ("at+jwt ", ()),
            ("secevent+jwt", ()),
        ):
            # A member that is None is left out.
            header = {"alg": "ES256", "kid": "main"} | ({} if kind is None else {"typ": kind})
            token = self.provider.key.sign(header, self.provider.claims())
            for name, gateway in (("usual", usual), ("narrow", narrow), ("none", none), ("own", own)):
                with self.subTest(f"{kind} where {name}"):
                    self.assertEqual(ask(gateway, token).status, 200 if gateway in allowed else 401)
        for kind in (7, None, ["JWT"]):
            self.assert_code(usual, "token_malformed", header={"typ": kind})

    def test_times_and_the_leeway_of_the_block(self):
        now = int(time.time())
        gateway = self.start("leeway 20s;", access="leeway 0s;")
        for code, claims in (
            (None, {"exp": now - 10}), ("token_expired", {"exp": now - 25}),
            (None, {"nbf": now + 10}), ("token_not_yet_valid", {"nbf": now + 30}),
            (None, {"iat": now + 10}), ("token_issued_in_future", {"iat": now + 30}), (None, {"iat": None}),
            (None, {"exp": now + 60.5}), (None, {"nbf": now - 0.5}), (None, {"exp": 253402300799}),
            ("token_claims", {"exp": None}), ("token_claims", {"exp": str(now + 60)}), ("token_claims", {"exp": -1}),
            ("token_claims", {"exp": 1e300}), ("token_claims", {"nbf": "0"}), ("token_claims", {"iat": True}),
        ):
            self.assert_code(gateway, code, **claims)
        strict = self.start(access="leeway 0s;")
        self.assert_code(strict, "token_expired", exp=now - 1)

    def test_the_longest_life(self):
        now = int(time.time())
        gateway = self.start("lifetime_max 1h;")
        self.assert_code(gateway, None, iat=now - 60, exp=now + 3540)
        self.assert_code(gateway, "token_lifetime", iat=now - 60, exp=now + 3541)
        self.assert_code(gateway, "token_claims", iat=None)

    def test_the_longest_token(self):
        gateway = self.start(limits="access_token 2k;")
        now = int(time.time())

        def token(count):
            return self.provider.token(iat=now, exp=now + 60, pad="x" * count)

        base = len(token(0))
        fitting = next(token(count) for count in range((2048 - base) * 3 // 4, 0, -1) if len(token(count)) <= 2048)
        self.assertGreater(len(fitting), 2040)
        self.assertEqual(ask(gateway, fitting).status, 200)
        self.assertEqual(ask(gateway, token(1600)).json["code"], "token_too_large")
        large = self.start(limits="access_token 16k; request_header 32k;")
        self.assertEqual(ask(large, token(9000)).status, 200)


class Forwarding(WithProvider):
    """Who sees which token."""

    def sent(self, gateway, path="/", **options):
        self.assertEqual(ask(gateway, path=path, **options).status, 200)
        request = upstream.last()
        return request.all("authorization"), request.all("cookie")

    def test_theirs_goes_on_and_ours_does_not_unless_told_otherwise(self):
        for lines, access, theirs_goes, ours_goes in (
            ((), "", True, False), (("forward off;",), "", False, False),
            ((), "forward on;", True, True), (("forward off;",), "forward on;", False, True),
        ):
            gateway = self.start(*lines, access=access)
            theirs = self.provider.token()
            ours = curl(gateway.control + "/sessions", as_json={"subject": "bob"}).json["access_token"]
            for token, goes in ((theirs, theirs_goes), (ours, ours_goes)):
                with self.subTest((lines, access)):
                    self.assertEqual(self.sent(gateway, token=token), ([f"Bearer {token}"] if goes else [], []))

    def test_a_token_in_our_cookie_becomes_a_bearer_token(self):
        gateway = self.start(access="forward on;")
        theirs = self.provider.token()
        ours = curl(gateway.control + "/sessions", as_json={"subject": "bob"}).json["access_token"]
        for token in (ours, theirs):
            cookies = {"access": token, "theme": "dark"}
            self.assertEqual(self.sent(gateway, cookies=cookies), ([f"Bearer {token}"], ["theme=dark"]))
        stale = Key("ES256", "main").sign({"alg": "ES256", "kid": "main"}, self.provider.claims())
        for header in (f"Cookie: access={stale}; access={ours}", f"Cookie: access={ours}; access={stale}"):
            self.assertEqual(self.sent(gateway, headers=[header]), ([f"Bearer {ours}"], []))
        # What is no bearer token is somebody else's business, and stays.
        basic = ["Authorization: Basic YTpi"]
        self.assertEqual(self.sent(gateway, headers=basic, cookies={"access": ours}), (["Basic YTpi"], []))
        silent = self.start("forward off;")
        self.assertEqual(self.sent(silent, cookies={"access": theirs}), ([], []))

    def test_where_nobody_judges_ours_stops_and_theirs_goes_on(self):
        gateway = self.start()
        theirs = self.provider.token()
        ours = curl(gateway.control + "/sessions", as_json={"subject": "bob"}).json["access_token"]
        self.assertEqual(self.sent(gateway, "/open", token=theirs), ([f"Bearer {theirs}"], []))
        self.assertEqual(self.sent(gateway, "/open", token=ours), ([], []))
