# The tokens of well-known identity providers, each with the block that an operator would write for it: its access token
# is let in and told to the upstream as it should be, and what else the provider issues is refused.

import unittest

from clients import curl
from harness import Gateway, wait_until
from identity_provider import Key, Provider, ask
from upstreams import Upstream
from vendor_tokens import SHAPES, THUMBPRINT


def setUpModule():
    global upstream, gateway, issued
    upstream, issued = Upstream(), {}
    blocks, routes = "", "route / { upstream api; }\n"
    for number, shape in enumerate(SHAPES):
        provider = Provider("RS256", path=shape.path)
        provider.keys = [
            Key("RS256", THUMBPRINT, published=shape.jwk),
            Key("RS256", "next", published=shape.jwk),
            # A realm publishes its key for encryption beside the others.
            Key("RS256", "encryption", published={"use": "enc", "alg": "RSA-OAEP"}),
        ]
        provider.description = shape.description
        blocks += provider.block(shape.block, audience=None, keys="")
        routes += f"route /{number}/claim {{ upstream api; {shape.route} }}\n"
        if shape.scope:
            routes += f"route /{number}/scope {{ upstream api; require scope {shape.scope}; }}\n"
        issued[shape.name] = provider
    gateway = Gateway(upstream.port, routes=routes, main=blocks)
    wait_until(lambda: all(provider.fetches() for provider in issued.values()), what="all keys are fetched")


def tearDownModule():
    gateway.stop()
    upstream.stop()
    for provider in issued.values():
        provider.stop()


def token(shape, header, claims, key=None):
    provider = issued[shape.name]
    key = key or provider.key
    claims = provider.claims(sub=None, aud=None, nbf=None) | claims
    return key.sign({"alg": "RS256", "kid": key.kid} | shape.header | header, claims)


class Vendors(unittest.TestCase):
    def test_the_access_token_is_let_in_and_told(self):
        for number, shape in enumerate(SHAPES):
            with self.subTest(shape.name):
                access = token(shape, {}, shape.access)
                reply = ask(gateway, access, f"/{number}/claim")
                self.assertEqual(reply.status, 200, reply.body)
                request = upstream.last()
                self.assertEqual(request.one("x-auth-issuer"), issued[shape.name].issuer)
                self.assertEqual(request.one("authorization"), f"Bearer {access}")
                for name, value in shape.told.items():
                    self.assertEqual(request.one(name), value, name)
                if shape.scope:
                    self.assertEqual(ask(gateway, access, f"/{number}/scope").status, 200)

    def test_its_other_key_is_as_good_and_the_one_for_encryption_is_none(self):
        for number, shape in enumerate(SHAPES):
            with self.subTest(shape.name):
                _, other, encryption = issued[shape.name].keys
                self.assertEqual(ask(gateway, token(shape, {}, shape.access, other)).status, 200)
                reply = ask(gateway, token(shape, {}, shape.access, encryption))
                self.assertEqual((reply.status, reply.json["code"]), (401, "token_key_unknown"))

    def test_what_else_it_issues_is_refused(self):
        for number, shape in enumerate(SHAPES):
            with self.subTest(shape.name):
                for what, code, header, claims in shape.others:
                    reply = ask(gateway, token(shape, header, claims))
                    self.assertEqual((reply.status, reply.json["code"]), (401, code), what)

    def test_less_than_a_route_demands_is_403(self):
        for number, shape in enumerate(SHAPES):
            with self.subTest(shape.name):
                demanded = shape.route.split()[2]
                if f"require claim {demanded} " in shape.block:
                    continue
                name = demanded if "://" in demanded else demanded.split(".")[0]
                less = {other: value for other, value in shape.access.items() if other != name}
                reply = ask(gateway, token(shape, {}, less), f"/{number}/claim")
                self.assertEqual((reply.status, reply.json["code"]), (403, "insufficient_claim"))

    def test_nobody_is_taken_for_another_provider(self):
        """One provider's token, claims and all, under each other's name."""
        for number, shape in enumerate(SHAPES):
            with self.subTest(shape.name):
                for other in SHAPES:
                    if other is not shape:
                        claims = shape.access | {"iss": issued[other.name].issuer}
                        self.assertEqual(ask(gateway, token(shape, {}, claims)).status, 401, other.name)

    def test_each_was_asked_for_its_description_and_then_for_its_keys(self):
        for number, shape in enumerate(SHAPES):
            with self.subTest(shape.name):
                path = shape.path.removesuffix("/") + "/.well-known/openid-configuration"
                self.assertEqual(issued[shape.name].paths[:2], [path, "/keys"])

    def test_no_such_token_fits_our_own_endpoints(self):
        for number, shape in enumerate(SHAPES):
            with self.subTest(shape.name):
                reply = curl(gateway.base + "/refresh", as_json={"refresh_token": token(shape, {}, shape.access)})
                self.assertEqual((reply.status, reply.json["error"]), (400, "invalid_grant"))
