# What foreign issuers, and those who pose as them, must not achieve: a key is good for its own issuer, nothing in a
# token leads the gateway anywhere, and nobody's token touches a session of ours.

import base64
import json
import time
import unittest

from certificates import openssl
from clients import curl, login
from harness import DEMO_ROUTES, Demo, Gateway, directory, wait_until
from identity_provider import Key, Provider, Trap, ask, base64url, compact
from upstreams import Upstream

ROUTES = """
route / { upstream api; }
route /open { upstream api; access anonymous; }
"""


def setUpModule():
    global upstream, one, two, gateway
    upstream = Upstream()
    # Their keys have the same name.
    one, two = Provider("ES256", "RS256", kid="main"), Provider("ES256", kid="main")
    one.keys[1].kid = "rsa"
    gateway = Gateway(upstream.port, routes=ROUTES, main=one.block() + two.block())


def tearDownModule():
    gateway.stop()
    upstream.stop()
    one.stop()
    two.stop()


def begin(subject):
    """A token of ours."""
    return curl(gateway.control + "/sessions", as_json={"subject": subject}).json["access_token"]


def part(token, index):
    text = token.split(".")[index]
    return json.loads(base64.urlsafe_b64decode(text + "=" * (-len(text) % 4)))


class Case(unittest.TestCase):
    def assert_refused(self, token, code=None):
        reply = ask(gateway, token)
        self.assertEqual(reply.status, 401, reply.body)
        if code:
            self.assertEqual(reply.json["code"], code)

    def assert_let_in(self, token):
        reply = ask(gateway, token)
        self.assertEqual(reply.status, 200, reply.body)


class Issuers(Case):
    def test_a_key_is_good_for_its_own_issuer_only(self):
        for signer, claimed in ((one, two), (two, one)):
            self.assert_let_in(signer.token())
            self.assert_refused(signer.token(iss=claimed.issuer), "token_signature")

    def test_an_issuer_is_itself_letter_for_letter(self):
        address = one.issuer.removeprefix("http://")
        for issuer in (
            one.issuer + "/", one.issuer + " ", " " + one.issuer, one.issuer.upper(), "https://" + address, address,
            f"http://x@{address}", one.issuer + "\u0000", one.issuer + "?", "", [one.issuer], {"": one.issuer}, 1, None,
        ):
            self.assert_refused(one.token(iss=issuer))
        self.assert_let_in(one.token())

    def test_no_issuer_makes_tokens_of_ours(self):
        own = begin("carol")
        self.assert_let_in(own)
        claims, header = part(own, 1), part(own, 0)
        for key in one.keys:
            forged = key.sign(header | {"alg": key.alg}, claims)
            self.assert_refused(forged)
            self.assert_refused(key.sign(header | {"alg": key.alg, "kid": key.kid}, claims))
        head, payload, signature = own.split(".")
        for issuer in (one, two):
            changed = base64url(compact(claims | {"iss": issuer.issuer}))
            self.assert_refused(f"{head}.{changed}.{signature}")

    def test_a_token_of_ours_has_our_type(self):
        """RFC 9068 §4: at+jwt. A foreign issuer's may be another one, ours may not."""
        own = begin("carol")
        self.assertEqual(part(own, 0)["typ"], "at+jwt")
        self.assert_let_in(one.token(header={"typ": "at+jwt"}))
        self.assert_let_in(one.token(header={"typ": "JWT"}))


class Headers(Case):
    def test_none_in_any_spelling(self):
        for alg in ("none", "None", "NONE", "nOnE", "", "null"):
            head = base64url(compact({"alg": alg, "typ": "JWT"})) + "." + base64url(compact(one.claims()))
            signed = one.token().rsplit(".", 1)[1]
            for token in (head + ".", head, head + "." + signed, head + ".AA"):
                self.assert_refused(token)
            self.assert_refused(one.key.sign({"alg": alg, "kid": "main"}, one.claims(), alg="ES256"))

    def test_the_address_of_a_key_is_not_followed_and_a_key_in_the_header_is_none(self):
        trap = Trap()
        self.addCleanup(trap.stop)
        forger = Key("ES256", "main")
        home = directory()
        private = f"{home}/forger.key"
        with open(private, "wb") as file:
            file.write(forger.key.as_pem(private=True))
        openssl("req", "-x509", "-key", private, "-out", f"{home}/forger.pem", "-subj", "/CN=f", "-days", "1")
        chain = openssl("x509", "-in", f"{home}/forger.pem", "-outform", "PEM").split("-----")[2].replace("\n", "")
        address = f"http://127.0.0.1:{trap.port}/keys"
        for name, value in (
            ("jku", address), ("x5u", address), ("jwk", forger.jwk), ("x5c", [chain]), ("x5t", "AAAA"),
            ("x5t#S256", "AAAA"), ("jku", f"http://127.0.0.1:{one.port}/keys"), ("jku", "file:///etc/passwd"),
        ):
            for kid in ("main", "nobody", address):
                self.assert_refused(forger.sign({"alg": "ES256", "kid": kid, name: value}, one.claims()))
            # It takes nothing from a good token either.
            self.assert_let_in(one.token(header={name: value}))
        self.assertEqual(trap.visits, 0)

    def test_a_name_of_a_key_is_no_path_and_no_query(self):
        for kid in (
            "../../etc/passwd", "main' OR '1'='1", "main\u0000", "/dev/null", "${jndi:ldap://x}", "main;id", "",
        ):
            self.assert_refused(Key("ES256", kid).sign({"alg": "ES256", "kid": kid}, one.claims()))

    def test_what_must_be_understood_is_refused_and_what_may_be_ignored_is_not(self):
        """RFC 7515 §4.1.11."""
        for crit in (["exp"], ["b64"], ["http://example.com/x"], [], ["alg"], "exp", None):
            self.assert_refused(one.token(header={"crit": crit, "exp": 1, "b64": True}), "token_extension")
        self.assert_let_in(one.token(header={"http://example.com/x": {"a": [1]}, "cty": "JWT", "nonce": "n"}))

    def test_names_are_given_once(self):
        good = '{"alg":"ES256","kid":"main","typ":"JWT"}'
        claims = json.dumps(one.claims())
        self.assert_let_in(one.key.sign(good, claims))
        self.assert_refused(one.key.sign(good.replace("{", '{"alg":"none",', 1), claims), "token_malformed")
        self.assert_refused(one.key.sign(good, claims.replace("{", '{"sub":"mallory",', 1)), "token_malformed")
        self.assert_refused(one.key.sign(good, claims.replace("{", '{"su\\u0062":"mallory",', 1)), "token_malformed")

    def test_a_token_has_one_spelling(self):
        """RFC 7515 §2, §3.1: three parts of base64url, without padding, white space, or bits that are left over."""
        token = one.token()
        head, payload, signature = token.split(".")
        last = signature[-1]
        digits = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_"
        # 64 bytes leave four bits of the last digit unused.
        loose = signature[:-1] + digits[digits.index(last) | 1]
        for other in (
            token + "=", token + "==", token + ".", "." + token, f"{head}..{payload}.{signature}",
            f"{head}.{payload}.{loose}", f"{head}=.{payload}.{signature}", f"{head}.{payload}", head, "..", "a.b.c",
            f"{head}.{payload}.{signature}.{signature}", f"{head}.{payload}.{signature}.x.y",
        ):
            self.assert_refused(other, "token_malformed")
        self.assert_let_in(token)

    def test_a_signature_of_ecdsa_has_one_form(self):
        """RFC 7518 §3.4: R and S, 32 bytes each; not DER, not shorter, and no zeros."""
        head, payload, signature = one.token().split(".")
        raw = base64.urlsafe_b64decode(signature + "==")
        der = bytes([0x30, 0x44, 0x02, 0x20]) + raw[:32] + bytes([0x02, 0x20]) + raw[32:]
        for other in (der, raw[1:], raw + b"\0", b"\0" * 64, raw[:32] + b"\0" * 32, raw[32:] + raw[:32], b"\1"):
            self.assert_refused(f"{head}.{payload}.{base64url(other)}", "token_signature")


class Sessions(Case):
    """Nobody of theirs is anybody of ours."""

    @classmethod
    def setUpClass(cls):
        cls.demo = Demo()
        cls.gateway = Gateway(cls.demo.port, routes=DEMO_ROUTES, main=one.block())

    @classmethod
    def tearDownClass(cls):
        cls.gateway.stop()
        cls.demo.stop()

    def alive(self, pair):
        return ask(self.gateway, pair["access_token"], "/whoami").status == 200

    def test_the_end_of_our_alice_is_not_the_end_of_theirs(self):
        seen, unseen = one.token(sub="alice"), one.token(sub="alice", jti="2")
        self.assertEqual(ask(self.gateway, seen, "/whoami").status, 200)
        pair = login(self.gateway)
        curl(self.gateway.control + "/subjects/alice/sessions", method="DELETE")
        self.assertFalse(self.alive(pair))
        for token in (seen, unseen):
            self.assertEqual(ask(self.gateway, token, "/whoami").status, 200)

    def test_a_session_id_of_ours_in_their_token_means_nothing(self):
        pair = login(self.gateway)
        sid = part(pair["access_token"], 1)["sid"]
        theirs = one.token(sid=sid, gen=0, epoch=0)
        self.assertEqual(ask(self.gateway, theirs, "/account/logout", method="POST").status, 204)
        self.assertTrue(self.alive(pair))
        curl(self.gateway.control + f"/sessions/{sid}", method="DELETE")
        self.assertFalse(self.alive(pair))
        self.assertEqual(ask(self.gateway, theirs, "/whoami").status, 200)

    def test_session_end_in_an_answer_to_their_alice_ends_nobodys_session(self):
        pair = login(self.gateway)
        for path in ("logout", "password", "delete", "role"):
            reply = ask(self.gateway, one.token(sub="alice"), f"/account/{path}", method="POST")
            self.assertIn(reply.status, (200, 204), path)
            self.assertTrue(self.alive(pair), path)
        wait_until(lambda: "without a session" in self.gateway.service_log(), what="a word")
        # Its neighbour, a token of ours, does.
        self.assertEqual(ask(self.gateway, pair["access_token"], "/account/delete", method="POST").status, 200)
        self.assertFalse(self.alive(pair))

    def test_their_tokens_are_nothing_to_the_refresh_endpoint(self):
        theirs = one.token(sub="alice")
        pair = login(self.gateway)
        same_origin = ["Sec-Fetch-Site: same-origin"]
        refresh = self.gateway.base + "/refresh"
        for options in ({"as_json": {"refresh_token": theirs}}, {"form": {"refresh_token": theirs}}):
            self.assertEqual(curl(refresh, **options).json["error"], "invalid_grant")
        reply = curl(refresh, method="POST", cookies={"refresh": theirs}, headers=same_origin)
        self.assertEqual(reply.status, 401)
        self.assertEqual(curl(refresh, method="POST", token=theirs).json["error"], "invalid_request")
        self.assertEqual(curl(refresh + "/logout", method="POST", token=theirs).json["error"], "invalid_grant")
        self.assertEqual(curl(refresh + "/revoke", form={"token": theirs}).status, 200)
        self.assertTrue(self.alive(pair))
        self.assertEqual(ask(self.gateway, theirs, "/whoami").status, 200)

    def test_an_expired_token_of_theirs_in_a_cookie_is_not_refreshed(self):
        expired = one.token(iat=int(time.time()) - 900, exp=int(time.time()) - 300)
        headers = ["Sec-Fetch-Site: same-origin", "Sec-Fetch-Mode: navigate", "Sec-Fetch-Dest: document"]
        reply = curl(self.gateway.base + "/whoami", cookies={"access": expired}, headers=headers)
        self.assertEqual((reply.status, reply.json["code"]), (401, "token_expired"))


class Told(Case):
    """Who an upstream is told that it is."""

    def fields(self, token, headers=(), path="/"):
        self.assertEqual(ask(gateway, token, path, headers=headers).status, 200)
        request = upstream.last()
        return request.all("x-auth-subject"), request.all("x-auth-issuer"), request.all("x-auth-session")

    def test_their_issuer_is_told_and_ours_needs_none(self):
        self.assertEqual(self.fields(one.token(sid="s-1")), (["alice"], [one.issuer], ["s-1"]))
        self.assertEqual(self.fields(two.token()), (["alice"], [two.issuer], []))
        subjects, issuers, sessions = self.fields(begin("alice"))
        self.assertEqual((subjects, issuers, len(sessions)), (["alice"], [], 1))

    def test_no_client_says_whose_it_is(self):
        spellings = [f"{name}: {one.issuer}" for name in (
            "X-Auth-Issuer", "x-auth-issuer", "X_Auth_Issuer", "X.Auth.Issuer", "X-Auth_Issuer")]
        for token, path, issuers in (
            (begin("alice"), "/", []), (two.token(), "/", [two.issuer]), (None, "/open", []),
            (two.token(), "/open", []),
        ):
            self.fields(token, spellings, path)
            found = [value for name, value in upstream.last().fields if "issuer" in name.lower()]
            self.assertEqual(found, issuers)

    def test_a_subject_that_cannot_stand_in_a_field_is_refused(self):
        for subject in ("a\r\nX-Auth-Issuer: x", "a\u0000", " a", "a ", "a\u0085", "", "x" * 256, 7, None, ["a"]):
            self.assert_refused(one.token(sub=subject), "token_claims")
        self.assertEqual(self.fields(one.token(sub="auth0|ü@example.com"))[0], ["auth0|Ã¼@example.com"])
