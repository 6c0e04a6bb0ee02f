# Every algorithm, held against joserfc, authlib and openssl; keys of the operator's own in every form; and what is
# published of them.

import json
import os
import subprocess
import unittest

import keys
from clients import curl, login
from harness import GATEWAY, Demo, Gateway, StartFailed, directory, wait_until

PUBLIC = ["RS256", "RS384", "RS512", "PS256", "PS384", "PS512", "ES256", "ES384", "ES512", "EdDSA"]
SECRET = ["HS256", "HS384", "HS512"]


def setUpModule():
    global demo
    demo = Demo()


def tearDownModule():
    demo.stop()


def whoami(gateway, token):
    return curl(gateway.base + "/whoami", token=token)


class Algorithms(unittest.TestCase):
    def token(self, algorithm):
        gateway = Gateway(demo.port, access=f"algorithm {algorithm};")
        self.addCleanup(gateway.stop)
        token = login(gateway)["access_token"]
        self.assertEqual(keys.header(token)["alg"], algorithm)
        self.assertEqual(keys.header(token)["typ"], "at+jwt")
        self.assertEqual(whoami(gateway, token).status, 200)
        broken = token[:-8] + ("A" if token[-8] != "A" else "B") + token[-7:]
        self.assertEqual(whoami(gateway, broken).status, 401)
        return gateway, token

    def test_libraries_verify_them_by_the_published_set(self):
        from authlib.jose import JsonWebKey, JsonWebToken
        from joserfc import jwt
        from joserfc.jwk import KeySet

        for algorithm in PUBLIC:
            with self.subTest(algorithm):
                gateway, token = self.token(algorithm)
                document = keys.published(gateway)
                claims = jwt.decode(token, KeySet.import_key_set(document), algorithms=[algorithm]).claims
                self.assertEqual((claims["iss"], claims["aud"]), (gateway.origin, "clients"))
                found = JsonWebToken([algorithm]).decode(token, JsonWebKey.import_key_set(document))
                self.assertEqual(found["sub"], claims["sub"])
                for key in document["keys"]:
                    self.assertEqual((key["use"], key["alg"]), ("sig", algorithm))
                    self.assertFalse(set(key) & {"d", "p", "q", "dp", "dq", "qi", "k"})
                    # The names are thumbprints (RFC 7638).
                    (one,) = KeySet.import_key_set({"keys": [key]}).keys
                    self.assertEqual(one.thumbprint(), key["kid"])
                    if key["kty"] == "RSA":
                        self.assertEqual(len(keys.decoded(key["n"])), 384)

    def test_secrets_verify_and_are_not_published(self):
        from joserfc import jwt
        from joserfc.jwk import OctKey

        for algorithm in SECRET:
            with self.subTest(algorithm):
                gateway, token = self.token(algorithm)
                self.assertEqual(keys.published(gateway), {"keys": []})
                kid = keys.header(token)["kid"]
                with open(os.path.join(gateway.state, "keys", kid + ".secret")) as file:
                    secret = keys.decoded(file.read().strip())
                self.assertEqual(len(secret) * 8, int(algorithm[2:]))
                jwt.decode(token, OctKey.import_key(secret), algorithms=[algorithm])

    def test_openssl_verifies_what_the_key_of_the_state_directory_has_signed(self):
        for algorithm, options in (
            ("RS384", ["-sha384"]),
            ("PS256", ["-sha256", "-sigopt", "rsa_padding_mode:pss", "-sigopt", "rsa_pss_saltlen:digest"]),
            ("EdDSA", None),
        ):
            with self.subTest(algorithm):
                gateway, token = self.token(algorithm)
                folder = directory()
                head, _, signature = token.rpartition(".")
                private = os.path.join(gateway.state, "keys", keys.header(token)["kid"] + ".pem")
                public, text, mark = (os.path.join(folder, name) for name in ("public", "text", "signature"))
                keys.openssl("pkey", "-in", private, "-pubout", "-out", public)
                for path, content in ((text, head.encode()), (mark, keys.decoded(signature))):
                    with open(path, "wb") as file:
                        file.write(content)
                if options:
                    keys.openssl("dgst", *options, "-verify", public, "-signature", mark, text)
                else:
                    verify = ["pkeyutl", "-verify", "-pubin", "-inkey", public, "-rawin"]
                    keys.openssl(*verify, "-in", text, "-sigfile", mark)


class Files(unittest.TestCase):
    def setUp(self):
        self.folder = directory()

    def path(self, name):
        return os.path.join(self.folder, name)

    def write(self, name, content):
        # In one step, as who changes a key should: the gateway may look at any moment.
        with open(self.path(name) + ".new", "wb") as file:
            file.write(content)
        os.rename(self.path(name) + ".new", self.path(name))
        return self.path(name)

    def gateway(self, access, **options):
        gateway = Gateway(demo.port, access=access, **options)
        self.addCleanup(lambda: gateway.process and gateway.process.poll() is None and gateway.stop())
        return gateway

    def make(self, name, *arguments):
        return self.write(name, keys.openssl(*arguments))

    def test_every_form_of_a_key_that_openssl_writes(self):
        ec = ("genpkey", "-algorithm", "EC", "-pkeyopt")
        forms = [
            ("ES256", ("ecparam", "-name", "prime256v1", "-genkey")),
            ("ES256", (*ec, "ec_paramgen_curve:P-256")),
            ("ES384", (*ec, "ec_paramgen_curve:P-384")),
            ("ES512", (*ec, "ec_paramgen_curve:P-521")),
            ("RS256", ("genrsa", "-traditional", "2048")),
            ("PS384", ("genrsa", "2048")),
            ("RS512", ("genrsa", "-3", "2048")),
            ("EdDSA", ("genpkey", "-algorithm", "ed25519")),
        ]
        for algorithm, arguments in forms:
            with self.subTest(f"{algorithm} {arguments}"):
                gateway = self.gateway(f"signing_key {algorithm} {self.make('key.pem', *arguments)};")
                token = login(gateway)["access_token"]
                self.assertEqual(keys.header(token)["alg"], algorithm)
                self.assertEqual(whoami(gateway, token).status, 200)
                (key,) = keys.published(gateway)["keys"]
                self.assertEqual(key["kid"], keys.header(token)["kid"])
                # Nothing is made beside it.
                names = os.listdir(os.path.join(gateway.state, "keys"))
                self.assertFalse([name for name in names if name not in ("lock", "running")])

    def test_what_cannot_sign_stops_the_start_in_one_line(self):
        locked = ("genpkey", "-algorithm", "ed25519", "-aes256", "-pass", "pass:secret")
        secret = self.write("secret", b"0123456789abcdef0123456789abcdef")
        ed25519 = self.make("ed25519.pem", "genpkey", "-algorithm", "ed25519")
        for access, sentence in (
            (f"signing_key EdDSA {self.make('locked.pem', *locked)};", "asks for a passphrase"),
            (f"signing_key ES256 {ed25519};", "of a kind that cannot sign ES256"),
            (f"signing_key RS256 {self.make('short.pem', 'genrsa', '1024')};", "too short for RS256"),
            (f"signing_key ES256 {secret};", "no private key in PEM"),
            (f"signing_key HS256 {secret};", "add kid=NAME"),
            (f"signing_key HS512 {secret} kid=a;", "too short for HS512"),
            (f"signing_key HS256 {ed25519} kid=a;", "no key for HS256"),
            (f"signing_key ES256 {self.path('nothing.pem')};", "is not there"),
            (f"signing_key EdDSA {ed25519}; signing_key EdDSA {ed25519};", "the same name"),
        ):
            with self.subTest(sentence):
                gateway = self.gateway(access, start=False)
                with self.assertRaises(StartFailed) as caught:
                    gateway.start()
                self.assertEqual(caught.exception.code, 1, caught.exception.text)
                lines = [line for line in caught.exception.text.splitlines() if "warning" not in line]
                self.assertIn(sentence, caught.exception.text)
                self.assertNotIn("PRIVATE", caught.exception.text)
                self.assertIn("gateway.conf:", "".join(lines))
                check = [GATEWAY, "check", "-c", gateway.config]
                done = subprocess.run(check, capture_output=True, text=True, timeout=20)
                self.assertEqual(done.returncode, 78)
                self.assertIn(sentence, done.stderr)

    def test_the_first_signs_the_others_verify_and_nothing_is_made(self):
        new = self.make("new.pem", "genpkey", "-algorithm", "ed25519")
        old = self.make("old.pem", "ecparam", "-name", "prime256v1", "-genkey")
        gateway = self.gateway(f"signing_key ES256 {old} kid=old;")
        before = login(gateway)["access_token"]
        text = open(gateway.config).read()
        with open(gateway.config, "w") as file:
            file.write(text.replace("signing_key", f"signing_key EdDSA {new} kid=new; signing_key", 1))
        keys.hang_up(gateway)
        wait_until(lambda: keys.header(login(gateway)["access_token"])["kid"] == "new", 5, "the new key")
        after = login(gateway)["access_token"]
        self.assertEqual((whoami(gateway, before).status, whoami(gateway, after).status), (200, 200))
        self.assertEqual(keys.published_names(gateway), {"new", "old"})
        for arguments in (("rotate",), ("rotate", "--force"), ("retire", "old", "--now")):
            code, said = keys.command(gateway, *arguments)
            self.assertEqual(code, 1)
            self.assertIn("those of 'signing_key'", said)
        states = [key["state"] for key in json.loads(keys.command(gateway, "list", "--json")[1])["signing_keys"]]
        self.assertEqual(states, ["active", "verifies"])
        # Without its line the old key verifies no more.
        text = open(gateway.config).read()
        with open(gateway.config, "w") as file:
            file.write(text.replace(f"signing_key ES256 {old} kid=old;", ""))
        keys.hang_up(gateway)
        wait_until(lambda: whoami(gateway, before).status == 401, 5, "the old key goes")
        self.assertEqual(whoami(gateway, after).status, 200)

    def test_files_that_are_replaced_on_disk(self):
        path = self.make("key.pem", "genpkey", "-algorithm", "ed25519")
        gateway = self.gateway(f"signing_key EdDSA {path};")
        before = login(gateway)["access_token"]
        self.assertEqual(whoami(gateway, before).status, 200)
        # A file that is no key changes nothing, and is said.
        self.write("key.pem", b"nothing")
        keys.hang_up_refused(gateway)
        self.assertEqual(whoami(gateway, before).status, 200)
        self.make("key.pem", "genpkey", "-algorithm", "ed25519")
        # Within ten seconds, without a signal.
        wait_until(lambda: whoami(gateway, before).status == 401, 12, "the new key is read")
        after = login(gateway)["access_token"]
        self.assertNotEqual(keys.header(after)["kid"], keys.header(before)["kid"])
        self.assertEqual(whoami(gateway, after).status, 200)

    def test_another_key_of_the_same_name_does_not_inherit_what_the_first_has_let_in(self):
        path = self.make("key.pem", "genpkey", "-algorithm", "ed25519")
        gateway = self.gateway(f"signing_key EdDSA {path} kid=main;")
        before = login(gateway)["access_token"]
        self.assertEqual(whoami(gateway, before).status, 200)
        self.make("key.pem", "genpkey", "-algorithm", "ed25519")
        keys.hang_up(gateway)
        wait_until(lambda: whoami(gateway, before).status == 401, 5, "the new key is read")
        self.assertEqual(whoami(gateway, login(gateway)["access_token"]).status, 200)

    def test_from_the_keys_of_the_state_directory_to_files_and_back(self):
        gateway = self.gateway("")
        cookies = login(gateway, browser=True)
        path = self.make("key.pem", "genpkey", "-algorithm", "ed25519")
        text = open(gateway.config).read()
        for access in (f"signing_key EdDSA {path};", ""):
            with open(gateway.config, "w") as file:
                file.write(text.replace("audience clients;", "audience clients; " + access))
            old = login(gateway)["access_token"]
            keys.hang_up(gateway)
            kid = keys.header(old)["kid"]
            wait_until(lambda: keys.header(login(gateway)["access_token"])["kid"] != kid, 5, "other keys")
            self.assertEqual(whoami(gateway, login(gateway)["access_token"]).status, 200)
            # Browsers with tokens of the keys before are sent to refresh, and notice nothing.
            headers = ["Sec-Fetch-Site: same-origin"]
            status = curl(gateway.base + "/whoami", cookies=cookies, headers=headers).status
            self.assertEqual(status, 307 if access else 200)

    def test_a_shared_secret_that_another_program_signs_with(self):
        from joserfc import jwt
        from joserfc.jwk import OctKey

        secret = os.urandom(32)
        text = keys.base64.urlsafe_b64encode(secret).rstrip(b"=")
        gateway = self.gateway(f"signing_key HS256 {self.write('secret', text + bytes([10]))} kid=shared;")
        token = login(gateway)["access_token"]
        self.assertEqual(keys.published(gateway), {"keys": []})
        key = OctKey.import_key(secret)
        claims = jwt.decode(token, key, algorithms=["HS256"]).claims
        head = {"alg": "HS256", "typ": "at+jwt", "kid": "shared"}
        own = jwt.encode(head, {**claims, "jti": "mine"}, key)
        self.assertEqual(whoami(gateway, own).status, 200)
        other = jwt.encode(head, claims, OctKey.import_key(os.urandom(32)))
        self.assertEqual(whoami(gateway, other).status, 401)


class Publication(unittest.TestCase):
    def test_metadata_and_validators(self):
        gateway = Gateway(demo.port, access="issuer https://id.example.com/tenant;")
        self.addCleanup(gateway.stop)
        plain = "/.well-known/oauth-authorization-server"
        for path in (plain, plain + "/tenant", "/.well-known/jwks.json"):
            url = gateway.base + path
            reply = curl(url)
            self.assertEqual((reply.status, len(reply.all("etag"))), (200, 1), path)
            self.assertIn("public", reply.one("cache-control"))
            self.assertEqual(curl(url, method="HEAD").one("content-length"), reply.one("content-length"))
            for method in ("POST", "PUT", "DELETE", "OPTIONS"):
                refused = curl(url, method=method)
                self.assertEqual((refused.status, refused.one("allow")), (405, "GET, HEAD"), method)
            tag = reply.one("etag")
            for known in (tag, f'"x", W/{tag}', "*"):
                again = curl(url, headers=["If-None-Match: " + known])
                self.assertEqual((again.status, again.body, again.one("etag")), (304, b"", tag))
                self.assertIsNone(again.one("content-length"))
            self.assertEqual(curl(url, headers=['If-None-Match: "x"']).status, 200)
        self.assertEqual(curl(gateway.base + plain + "/other").status, 401)
        # Less than the two minutes for which a key is published before it signs.
        reply = curl(gateway.base + "/.well-known/jwks.json")
        self.assertEqual(reply.one("content-type"), "application/jwk-set+json")
        self.assertLess(int(reply.one("cache-control").split("max-age=")[1]), 110)
        metadata = curl(gateway.base + plain).json
        self.assertEqual(metadata["issuer"], "https://id.example.com/tenant")
        self.assertEqual(metadata["grant_types_supported"], ["refresh_token"])

    def test_the_endpoints_that_it_names_work(self):
        gateway = Gateway(demo.port)
        self.addCleanup(gateway.stop)
        metadata = curl(gateway.base + "/.well-known/oauth-authorization-server").json
        reach = lambda url: gateway.base + url.removeprefix(gateway.origin)
        self.assertEqual(metadata["issuer"], gateway.origin)
        self.assertEqual(len(curl(reach(metadata["jwks_uri"])).json["keys"]), 2)
        pair = login(gateway)
        form = {"grant_type": "refresh_token", "refresh_token": pair["refresh_token"]}
        pair = curl(reach(metadata["token_endpoint"]), form=form).json
        self.assertEqual(whoami(gateway, pair["access_token"]).status, 200)
        revoked = curl(reach(metadata["revocation_endpoint"]), form={"token": pair["refresh_token"]})
        self.assertEqual(revoked.status, 200)
        self.assertEqual(whoami(gateway, pair["access_token"]).status, 401)


if __name__ == "__main__":
    unittest.main()
