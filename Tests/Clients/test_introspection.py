# `POST /introspect` (RFC 7662): what it says of every kind of token, that it says nothing of one that is not
# good, and that a token which is asked about is not used by it.

import json
import os
import time
import unittest

from joserfc import jwk, jwt

from clients import curl, login
from harness import CONTROL_SECRET, Demo, Gateway, directory, wait_until
from upstreams import Upstream

ISSUER = "https://id.example"


def setUpModule():
    global demo, gateway, foreign_key
    demo = Demo()
    foreign_key = jwk.ECKey.generate_key("P-256")
    path = os.path.join(directory(), "key.pem")
    with open(path, "wb") as file:
        file.write(foreign_key.as_pem(private=False))
    issuer = f"issuer {ISSUER} {{ public_key ES256 {path}; audience clients; }}"
    gateway = Gateway(demo.port, main=issuer, access="lifetime 1h;")


def tearDownModule():
    demo.stop()
    gateway.stop()


def begin(subject, **more):
    return curl(gateway.control + "/sessions", as_json={"subject": subject, **more}).json


def refresh(token):
    return curl(gateway.base + "/refresh", as_json={"refresh_token": token})


def ask(token, **options):
    return curl(gateway.control + "/introspect", form={"token": token}, **options)


def foreign(**claims):
    now = int(time.time())
    payload = {"iss": ISSUER, "aud": "clients", "sub": "zoe", "iat": now, "exp": now + 600} | claims
    return jwt.encode({"alg": "ES256", "typ": "at+jwt"}, payload, foreign_key)


class Introspection(unittest.TestCase):
    def assert_inactive(self, token):
        reply = ask(token)
        self.assertEqual((reply.status, reply.json), (200, {"active": False}), token)

    def test_an_access_token(self):
        pair = begin("anna", claims={"role": "admin", "scope": "items:read items:write"})
        reply = ask(pair["access_token"])
        self.assertEqual((reply.status, reply.one("cache-control")), (200, "no-store"))
        said = reply.json
        self.assertEqual(
            [said[name] for name in ("active", "token_type", "token_use", "sub", "aud", "role", "scope")],
            [True, "Bearer", "access_token", "anna", "clients", "admin", "items:read items:write"],
        )
        self.assertEqual(said["iss"], gateway.origin)
        # Shortened by up to a twentieth, by chance.
        self.assertTrue(0.95 * 3600 - 10 <= said["exp"] - time.time() <= 3600 + 10, said["exp"])
        self.assertEqual(len(said["sid"]), 22)
        self.assertTrue(said["jti"])

    def test_a_refresh_token_and_its_retry_without_a_trace(self):
        pair = begin("bert")
        wait_until(lambda: "bert" in str(gateway.audit_log()), what="the event of its beginning")
        audited = len(gateway.audit_log())
        for _ in range(3):
            said = ask(pair["refresh_token"], ).json
            self.assertEqual((said["active"], said["token_use"], said["sub"]), (True, "refresh_token", "bert"))
        self.assertAlmostEqual(said["exp"], time.time() + 7 * 86400, delta=10)
        self.assertEqual(set(said), {"active", "token_use", "iss", "sub", "sid", "iat", "exp"})
        child = refresh(pair["refresh_token"]).json
        self.assertTrue(ask(pair["refresh_token"]).json["active"], "it is good for a retry")
        grandchild = refresh(child["refresh_token"]).json
        self.assert_inactive(pair["refresh_token"])
        self.assertTrue(ask(grandchild["refresh_token"]).json["active"], "no theft, no end")
        self.assertEqual(len(gateway.audit_log()), audited)

    def test_an_access_token_that_is_asked_about_confirms_nothing(self):
        pair = begin("cora")
        child = refresh(pair["refresh_token"]).json
        ask(child["access_token"])
        sid = ask(child["access_token"]).json["sid"]
        self.assertFalse(curl(gateway.control + "/sessions/" + sid).json["confirmed"])

    def test_what_is_not_good_is_inactive_and_nothing_more(self):
        pair = login(gateway)
        now = int(time.time())
        for token in (
            "x",
            "rt_x",
            "rt_" + "A" * 92,
            pair["access_token"][:-2] + "AA",
            pair["refresh_token"][:-2] + "AA",
            foreign(exp=now - 100),
            foreign(aud="others"),
            foreign(iss="https://nobody.example"),
        ):
            self.assert_inactive(token)
        curl(gateway.base + "/refresh/logout", as_json={"refresh_token": pair["refresh_token"]})
        self.assert_inactive(pair["access_token"])
        self.assert_inactive(pair["refresh_token"])

    def test_revoked_access_is_inactive_and_its_session_lives(self):
        pair = begin("dirk")
        curl(gateway.control + "/subjects/dirk/expire-access", method="POST")
        self.assert_inactive(pair["access_token"])
        self.assertTrue(ask(pair["refresh_token"]).json["active"])

    def test_a_token_of_another_issuer(self):
        said = ask(foreign(active=False, token_type="evil", rt="kept", scope="a b")).json
        self.assertEqual(
            [said[name] for name in ("active", "token_type", "iss", "sub", "rt", "scope")],
            [True, "Bearer", ISSUER, "zoe", "kept", "a b"],
        )

    # Its key is not known yet: the issuer is asked before anything is said.
    def test_a_token_whose_key_has_to_be_fetched(self):
        published = []

        def answer(request, connection):
            body = json.dumps({"keys": published}).encode()
            return b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n%s" % (len(body), body)

        provider = Upstream(answer)
        published.append(jwk.ECKey.generate_key("P-256", {"kid": "old", "alg": "ES256"}).as_dict(private=False))
        issuer = f"issuer {ISSUER} {{ jwks http://127.0.0.1:{provider.port}/keys; audience clients; }}"
        asking = Gateway(demo.port, main=issuer)
        try:
            wait_until(lambda: provider.requests, what="the first fetch")
            published.append(foreign_key.as_dict(private=False) | {"kid": "new", "alg": "ES256"})
            now = int(time.time())
            payload = {"iss": ISSUER, "aud": "clients", "sub": "zoe", "iat": now, "exp": now + 600}
            token = jwt.encode({"alg": "ES256", "typ": "at+jwt", "kid": "new"}, payload, foreign_key)

            def said():
                reply = curl(asking.control + "/introspect", form={"token": token})
                # Asked a moment ago, and not to be asked again yet: nobody can tell.
                self.assertIn(reply.status, (200, 503))
                return reply.status == 200 and reply.json

            self.assertEqual(wait_until(said, 40, "a key that is known")["sub"], "zoe")
        finally:
            asking.stop()
            provider.stop()

    def test_what_is_no_such_request(self):
        reply = curl(gateway.control + "/introspect", form={"tokn": "x"})
        self.assertEqual((reply.status, reply.json["error"]), (400, "invalid_request"))
        twice = curl(gateway.control + "/introspect", data="token=a&token=b")
        self.assertEqual(twice.status, 400)
        self.assertEqual(curl(gateway.control + "/introspect?token=x").status, 404, "only by POST")
        self.assertEqual(ask("x", headers=["Origin: https://evil.example"]).status, 403)
        self.assertEqual(curl(gateway.base + "/introspect", form={"token": "x"}).status, 401)

    def test_who_may_not_ask(self):
        locked = Gateway(demo.port, control=f"secret {CONTROL_SECRET};")
        try:
            url = locked.control + "/introspect"
            for token in (None, "x"):
                reply = curl(url, form={"token": "x"}, token=token)
                self.assertEqual((reply.status, reply.one("www-authenticate")), (401, "Bearer"))
            self.assertEqual(curl(url, form={"token": "x"}, token=CONTROL_SECRET).json, {"active": False})
        finally:
            locked.stop()

    def test_signed_refresh_tokens(self):
        signed = Gateway(demo.port, refresh="format jwt;")
        try:
            pair = curl(signed.control + "/sessions", as_json={"subject": "emma"}).json
            said = curl(signed.control + "/introspect", form={"token": pair["refresh_token"]}).json
            self.assertEqual((said["active"], said["token_use"]), (True, "refresh_token"))
        finally:
            signed.stop()
