# RFC 6750 and RFC 9068 §4 as a client meets them: where a token may be, what one that is somewhere else is worth, and
# what each refusal says. Each stands beside its nearest neighbour that is let in.

import base64
import json
import unittest

from clients import Raw, curl
from harness import Gateway
from identity_provider import Provider
from upstreams import Upstream

ROUTES = """
route / { upstream api; }
route /optional { upstream api; access optional; }
route /kelvin { upstream api; require scope K:read; }
"""


def setUpModule():
    global upstream, gateway, provider, token
    upstream, provider = Upstream(), Provider("ES256")
    gateway = Gateway(upstream.port, routes=ROUTES, main=provider.block())
    token = curl(gateway.control + "/sessions", as_json={"subject": "alice", "claims": {"scope": "K:read"}}).json[
        "access_token"]


def tearDownModule():
    gateway.stop()
    upstream.stop()
    provider.stop()


class Bearer(unittest.TestCase):
    def ask(self, path="/", **options):
        return curl(gateway.base + path, **options)

    def assert_challenge(self, reply, status, error):
        self.assertEqual(reply.status, status, reply.body)
        challenge = reply.one("www-authenticate")
        self.assertEqual(challenge if error is None else challenge.split(",")[0],
                         "Bearer" if error is None else f'Bearer error="{error}"')

    def test_it_is_in_the_header_and_nowhere_else(self):
        """§2.1 to §2.3; RFC 9700 §4.3.2: not in a query."""
        self.assertEqual(self.ask(token=token).status, 200)
        self.assert_challenge(self.ask(f"/?access_token={token}"), 401, None)
        self.assert_challenge(self.ask(form={"access_token": token}), 401, None)
        self.assert_challenge(self.ask(headers=[f"X-Access-Token: {token}"]), 401, None)
        self.assert_challenge(self.ask(headers=[f"Proxy-Authorization: Bearer {token}"]), 401, None)

    def test_the_scheme_is_bearer_in_any_case_and_the_token_one_word(self):
        for scheme in ("Bearer ", "bearer ", "BEARER  "):
            self.assertEqual(self.ask(headers=[f"Authorization: {scheme}{token}"]).status, 200)
        for value in ("Basic " + token, token, "Bearer", "Token " + token, f"Bearer{token}", f"DPoP {token}"):
            self.assert_challenge(self.ask(headers=[f"Authorization: {value}"]), 401, None)
        for value in (f"{token} {token}", f"{token},{token}", f'"{token}"', token + ",", "token=" + token, f"{token};"):
            self.assert_challenge(self.ask(headers=[f"Authorization: Bearer {value}"]), 401, "invalid_token")

    def test_two_are_one_too_many(self):
        """§3.1: invalid_request, also where one would have been let in, and where none is needed."""
        field = f"Authorization: Bearer {token}"
        for path in ("/", "/optional"):
            for fields in ([field, field], [field, "Authorization: Basic YTpi"], ["Authorization: Basic YTpi", field]):
                self.assert_challenge(self.ask(path, headers=fields), 400, "invalid_request")
            self.assertEqual(self.ask(path, headers=[field]).status, 200)

    def test_no_token_is_not_a_bad_one(self):
        self.assertEqual(self.ask("/optional").status, 200)
        self.assert_challenge(self.ask("/optional", token="nonsense"), 401, "invalid_token")
        self.assert_challenge(self.ask("/"), 401, None)

    def test_too_little_is_403_and_says_what_is_needed(self):
        reply = self.ask("/kelvin", token=provider.token(scope="k:read"))
        self.assert_challenge(reply, 403, "insufficient_scope")
        self.assertIn('scope="K:read"', reply.one("www-authenticate"))
        self.assertEqual(self.ask("/kelvin", token=token).status, 200)
        # The Kelvin sign is no K, though Unicode calls the two equivalent.
        self.assert_challenge(self.ask("/kelvin", token=provider.token(scope="\u212a:read")), 403, "insufficient_scope")

    def test_a_refusal_repeats_nothing_of_the_token_and_is_not_kept(self):
        reply = self.ask(token=provider.token(sub="Zebra\u0000", aud="Quagga"))
        self.assert_challenge(reply, 401, "invalid_token")
        text = str(reply.fields) + reply.body.decode()
        for word in ("Zebra", "Quagga", "eyJ"):
            self.assertNotIn(word, text)
        self.assertEqual(reply.one("cache-control"), "no-store")

    def test_a_token_of_ours_has_what_the_profile_asks_for(self):
        """RFC 9068 §2.1, §2.2."""
        header, claims = (
            json.loads(base64.urlsafe_b64decode(part + "=" * (-len(part) % 4))) for part in token.split(".")[:2])
        self.assertEqual(header["typ"], "at+jwt")
        self.assertLessEqual({"iss", "exp", "aud", "sub", "client_id", "iat", "jti"}, set(claims))
        self.assertEqual((claims["iss"], claims["aud"], claims["scope"]), (gateway.origin, "clients", "K:read"))
        self.assertLessEqual(claims["exp"] - claims["iat"], 3600)

    def test_a_field_that_a_trailer_or_another_request_brings_is_no_credential(self):
        raw = Raw(gateway.port)
        raw.send("POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\nTrailer: Authorization\r\n\r\n"
                 f"2\r\nhi\r\n0\r\nAuthorization: Bearer {token}\r\n\r\n")
        self.assertEqual(raw.response().status, 401)
        raw.close()
        raw = Raw(gateway.port)
        raw.send(f"GET / HTTP/1.1\r\nHost: a\r\nAuthorization: Bearer {token}\r\n\r\nGET / HTTP/1.1\r\nHost: a\r\n\r\n")
        self.assertEqual([raw.response().status, raw.response().status], [200, 401])
        raw.close()
