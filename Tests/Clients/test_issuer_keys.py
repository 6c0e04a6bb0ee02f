# Foreign issuers' keys: every algorithm, each bound to its key, and every way for a key to reach the gateway.

import json
import os
import unittest

from certificates import Authority, openssl
from harness import Gateway, directory, wait_until
from identity_provider import ALGORITHMS, PUBLIC_ALGORITHMS, Key, Provider, Secret, ask, base64url
from upstreams import Upstream

EVERYTHING = "route / { upstream api; }"


def setUpModule():
    global upstream, home
    upstream, home = Upstream(), directory()


def tearDownModule():
    upstream.stop()


def write(name, content):
    path = os.path.join(home, name)
    with open(path, "wb") as file:
        file.write(content if isinstance(content, bytes) else content.encode())
    return path


class WithProvider(unittest.TestCase):
    """A provider and a gateway that knows it."""

    def provider(self, *algorithms, **options):
        provider = Provider(*algorithms, **options)
        self.addCleanup(provider.stop)
        return provider

    def gateway(self, *blocks, **options):
        gateway = Gateway(upstream.port, routes=EVERYTHING, main="".join(blocks), **options)
        self.addCleanup(gateway.stop)
        return gateway

    def assert_status(self, gateway, token, status, code=None):
        reply = ask(gateway, token)
        self.assertEqual((reply.status, reply.json["code"] if code else None), (status, code), reply.body)

    def assert_said(self, gateway, words):
        wait_until(lambda: words in gateway.service_log(), what=words)


class Algorithms(WithProvider):
    """All algorithms at once, in one set."""

    @classmethod
    def setUpClass(cls):
        cls.all = Provider(*ALGORITHMS)
        secrets = [key for key in cls.all.keys if key.alg.startswith("HS")]
        blocks = cls.all.block(*[f"secret {key.alg} {key.secret} kid={key.kid};" for key in secrets])
        cls.common = Gateway(upstream.port, routes=EVERYTHING, main=blocks)

    @classmethod
    def tearDownClass(cls):
        cls.common.stop()
        cls.all.stop()

    def test_every_algorithm_is_accepted(self):
        for key in self.all.keys:
            with self.subTest(key.alg):
                self.assert_status(self.common, self.all.token(key), 200)
                self.assertEqual(upstream.last().one("x-auth-issuer"), self.all.issuer)

    def test_a_changed_payload_is_not(self):
        for key in self.all.keys:
            head, _, tail = self.all.token(key).split(".")
            other = self.all.token(key, sub="mallory").split(".")[1]
            with self.subTest(key.alg):
                self.assert_status(self.common, f"{head}.{other}.{tail}", 401, "token_signature")

    def test_a_key_verifies_by_its_own_algorithm_only(self):
        families = (("RS256", "RS384", "RS512", "PS256", "PS384", "PS512"), ("HS256", "HS384", "HS512"))
        keys = {key.alg: key for key in self.all.keys}
        for family in families:
            for alg in family:
                for other in family:
                    if other == alg:
                        continue
                    header = {"alg": other, "kid": alg, "typ": "JWT"}
                    token = keys[alg].sign(header, self.all.claims(), alg=other)
                    with self.subTest(f"{other} by the key of {alg}"):
                        self.assert_status(self.common, token, 401, "token_algorithm")

    def test_the_name_of_another_key_does_not_help(self):
        for alg in ("RS256", "ES256", "EdDSA", "HS256"):
            key = next(key for key in self.all.keys if key.alg == alg)
            for other in self.all.keys:
                if other is key:
                    continue
                token = self.all.token(key, {"kid": other.kid})
                with self.subTest(f"{alg} under the name of {other.kid}"):
                    self.assert_status(self.common, token, 401, "token_algorithm")

    def test_a_published_key_is_no_secret(self):
        """CVE-2016-5431: the text of a public key, which everybody has, as the secret of an HMAC."""
        for key in self.all.keys:
            if key.alg.startswith("HS"):
                continue
            forger = Key("HS256", key.kid)
            for secret in (key.pem, json.dumps(key.jwk).encode(), key.key.as_der(private=False)):
                forger.key = Secret(secret)
                for kid in (key.kid, "HS256", "nobody"):
                    token = forger.sign({"alg": "HS256", "kid": kid}, self.all.claims())
                    self.assertEqual(ask(self.common, token).status, 401, (key.alg, kid))


class Sources(WithProvider):
    """Where keys come from."""

    def test_jwks_by_https_from_a_name_and_an_address(self):
        authority = Authority(home)
        for host in ("localhost", "127.0.0.1"):
            provider = self.provider(pair=authority.issue(host), host=host)
            gateway = self.gateway(
                provider.block(keys=f"jwks {provider.origin}/keys {{ tls_ca {authority.file}; }}"))
            self.assert_status(gateway, provider.token(), 200)

    def test_a_server_whose_certificate_does_not_hold_brings_no_keys(self):
        authority, other = Authority(home, "One"), Authority(home, "Other")
        for pair, trusted in (
            (authority.issue("localhost"), other.file),
            (authority.issue("elsewhere.test"), authority.file),
        ):
            provider = self.provider(pair=pair, host="localhost")
            gateway = self.gateway(provider.block(keys=f"jwks {provider.origin}/keys {{ tls_ca {trusted}; }}"))
            self.assert_status(gateway, provider.token(), 503, "keys_unavailable")
            self.assertEqual(provider.paths, [])
            self.assert_said(gateway, "its keys cannot be fetched")

    def test_discovery_is_meant_where_there_is_no_key(self):
        for path in ("", "/", "/realms/a%20b", "/tenant/v2.0/"):
            provider = self.provider(path=path)
            gateway = self.gateway(provider.block(keys=""))
            with self.subTest(path):
                self.assert_status(gateway, provider.token(), 200)
                asked = path.removesuffix("/") + "/.well-known/openid-configuration"
                self.assertEqual(provider.paths, [asked, "/keys"])

    def test_discovery_by_https(self):
        authority = Authority(home, "Discovery")
        provider = self.provider(pair=authority.issue("localhost"), host="localhost")
        block = provider.block(keys=f"discovery {{ every 1h; timeout 2s; tls_ca {authority.file}; }}")
        self.assert_status(self.gateway(block), provider.token(), 200)

    def test_a_description_of_another_issuer_is_not_believed(self):
        provider = self.provider()
        for issuer in (provider.issuer + "/", "https://login.example.org", None, 7):
            provider.description = {"issuer": issuer}
            gateway = self.gateway(provider.block(keys="discovery { timeout 1s; }"))
            with self.subTest(issuer):
                self.assert_status(gateway, provider.token(), 503, "keys_unavailable")
                self.assert_said(gateway, "another issuer")
        self.assertEqual(provider.fetches("/keys"), 0)

    def test_keys_by_http_are_not_taken_on_the_word_of_https(self):
        authority = Authority(home, "Downgrade")
        plain = self.provider()
        provider = self.provider(pair=authority.issue("localhost"), host="localhost")
        block = provider.block(keys=f"discovery {{ tls_ca {authority.file}; }}")
        for address in (plain.origin + "/keys", "file:///etc/passwd", "//localhost/keys", "", None):
            provider.description = {"jwks_uri": address}
            gateway = self.gateway(block)
            with self.subTest(address):
                self.assert_status(gateway, provider.token(), 503, "keys_unavailable")
        self.assertEqual(plain.paths, [])

    def test_jwks_files(self):
        provider = self.provider("RS256", "ES384", "HS256")
        one = write("one.jwks", json.dumps({"keys": [provider.keys[0].jwk]}))
        two = write("two.jwks", json.dumps({"keys": [provider.keys[1].jwk]}))
        gateway = self.gateway(provider.block(keys=f"jwks_file {one}; jwks_file {two};"))
        for key in provider.keys[:2]:
            self.assert_status(gateway, provider.token(key), 200)
        self.assert_status(gateway, provider.token(provider.keys[2]), 401, "token_key_unknown")
        self.assertEqual(provider.paths, [])

    def test_public_keys_as_pem_of_every_kind(self):
        provider = self.provider(*PUBLIC_ALGORITHMS)
        lines = [
            f"public_key {key.alg} {write(key.alg + '.pem', key.pem)} kid={key.kid};" for key in provider.keys
        ]
        gateway = self.gateway(provider.block(keys=" ".join(lines)))
        for key in provider.keys:
            with self.subTest(key.alg):
                self.assert_status(gateway, provider.token(key), 200)

    def test_the_key_of_a_certificate(self):
        for alg in ("RS256", "ES256", "EdDSA"):
            provider = self.provider(alg)
            private = write(f"{alg}.key", provider.key.key.as_pem(private=True))
            certificate = os.path.join(home, f"{alg}.crt")
            openssl("req", "-x509", "-key", private, "-out", certificate, "-subj", "/CN=signer", "-days", "1")
            gateway = self.gateway(provider.block(keys=f"public_key {alg} {certificate};"))
            with self.subTest(alg):
                self.assert_status(gateway, provider.token(), 200)

    def test_a_key_without_a_name_is_good_for_tokens_of_any_name(self):
        provider = self.provider("ES256")
        pem = write("nameless.pem", provider.key.pem)
        gateway = self.gateway(provider.block(keys=f"public_key ES256 {pem};"))
        for kid in ("2026", None):
            key = provider.key
            key.kid = kid
            self.assert_status(gateway, provider.token(key), 200)
        self.assert_status(gateway, provider.token(Key("ES256")), 401, "token_signature")

    def test_secrets_of_exactly_the_size_of_the_hash(self):
        for alg, size in (("HS256", 32), ("HS384", 48), ("HS512", 64)):
            provider = self.provider(alg)
            key = provider.key
            key.secret = "s" * size
            key.key = Secret(key.secret.encode())
            gateway = self.gateway(provider.block(keys=f"secret {alg} {key.secret};"))
            with self.subTest(alg):
                self.assert_status(gateway, provider.token(), 200)

    def test_keys_of_no_use_leave_the_others_alone(self):
        """RFC 7517 §5: what is not understood, not for signatures, secret or private is left out."""
        provider = self.provider("ES256")
        rsa = Key("RS256", "rsa")
        odd = [
            {"kty": "XYZ", "kid": "odd"}, {"kty": "OKP", "crv": "X25519", "x": base64url(b"x" * 32), "kid": "x"},
            rsa.jwk | {"use": "enc", "alg": "RSA-OAEP", "kid": "main"}, rsa.jwk | {"key_ops": ["sign"], "kid": "s"},
            {"kty": "oct", "k": base64url(b"k" * 64), "alg": "HS256", "kid": "published"},
            rsa.key.as_dict(private=True) | {"kid": "leaked"}, {"kid": "nothing"}, 7, None,
        ]
        provider.keys[0].kid = "main"
        provider.fault = lambda provider, path, connection: provider.reply(
            connection, {"keys": odd[:4] + [provider.key.jwk] + odd[4:]})
        gateway = self.gateway(provider.block())
        self.assert_status(gateway, provider.token(), 200)
        published = Key("HS256", "published")
        published.key = Secret(b"k" * 64)
        self.assert_status(gateway, provider.token(published), 401, "token_key_unknown")
        rsa.kid = "leaked"
        self.assert_status(gateway, provider.token(rsa), 401, "token_key_unknown")

    def test_keys_of_files_stand_beside_those_that_are_fetched(self):
        provider = self.provider("ES256")
        partner = Key("ES256", "partner")
        shadowed = Key("ES256", provider.key.kid)
        own = write("partner.pem", partner.pem)
        gateway = self.gateway(provider.block(f"public_key ES256 {own} kid=partner;"))
        self.assert_status(gateway, provider.token(), 200)
        self.assert_status(gateway, provider.token(partner), 200)
        file = write("shadowed.pem", shadowed.pem)
        gateway = self.gateway(provider.block(f"public_key ES256 {file} kid={shadowed.kid};"))
        self.assert_status(gateway, provider.token(shadowed), 200)
        self.assert_status(gateway, provider.token(), 401, "token_signature")

    def test_a_key_without_a_name_does_not_hide_new_keys(self):
        """A token that names a key is not the nameless key's alone: it may be the provider's newest."""
        provider = self.provider("ES256")
        nameless = Key("ES256", None)
        gateway = self.gateway(provider.block(f"public_key ES256 {write('any.pem', nameless.pem)};"))
        self.assert_status(gateway, provider.token(nameless), 200)
        self.assert_status(gateway, provider.token(), 200)
        provider.rotate("newer")
        self.assert_status(gateway, provider.token(), 200)
        self.assert_status(gateway, provider.token(nameless), 200)

    def test_a_provider_that_names_no_key_may_change_it(self):
        provider = self.provider("RS256")
        provider.key.kid = None
        gateway = self.gateway(provider.block())
        self.assert_status(gateway, provider.token(), 200)
        provider.rotate(None, keeps=False)
        self.assert_status(gateway, provider.token(), 200)

    def test_algorithms_narrow_what_is_taken(self):
        provider = self.provider("RS256", "ES256")
        gateway = self.gateway(provider.block("algorithms ES256;"))
        self.assert_status(gateway, provider.token(provider.keys[1]), 200)
        self.assert_status(gateway, provider.token(provider.keys[0]), 401, "token_algorithm")

    def test_an_rsa_key_that_names_no_algorithm_is_for_the_one_that_is_configured(self):
        for configured, alg in (("", "RS256"), ("algorithms PS384;", "PS384"), ("algorithms ES256 RS512;", "RS512")):
            provider = self.provider()
            provider.keys = [Key(alg, "k", published={"use": "sig"})]
            gateway = self.gateway(provider.block(configured))
            with self.subTest(alg):
                self.assert_status(gateway, provider.token(), 200)
                other = "PS512" if alg != "PS512" else "RS256"
                token = provider.key.sign({"alg": other, "kid": "k"}, provider.claims(), alg=other)
                self.assert_status(gateway, token, 401, "token_algorithm")
