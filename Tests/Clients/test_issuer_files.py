# Issuers and reloads: blocks come, go and change while requests wait; key files are read again when they change; and
# `check` says of each kind of file what is wrong with it.

import json
import os
import re
import signal
import subprocess
import threading
import time
import unittest

from certificates import openssl
from clients import Raw
from harness import GATEWAY, Gateway, directory, free_port, wait_until
from identity_provider import Key, Provider, ask
from upstreams import Upstream

ROUTES = "route / { upstream api; }"


def setUpModule():
    global upstream
    upstream = Upstream()


def tearDownModule():
    upstream.stop()


def replace(path, content):
    """As a careful operator does: at once."""
    with open(path + ".new", "wb") as file:
        file.write(content if isinstance(content, bytes) else content.encode())
    os.rename(path + ".new", path)


class Reload(unittest.TestCase):
    def setUp(self):
        self.provider = Provider("ES256", kid="first")
        self.addCleanup(self.provider.stop)

    def start(self, blocks=""):
        self.gateway = Gateway(upstream.port, routes=ROUTES, main=f"# begin\n{blocks}\n# end")
        self.addCleanup(self.gateway.stop)

    def reload(self, blocks, word="reloaded"):
        with open(self.gateway.config) as file:
            text = file.read()
        with open(self.gateway.config, "w") as file:
            file.write(re.sub(r"# begin\n.*?\n# end", lambda _: f"# begin\n{blocks}\n# end", text, flags=re.S))
        count = self.gateway.service_log().count(word)
        os.kill(self.gateway.process.pid, signal.SIGHUP)
        wait_until(lambda: self.gateway.service_log().count(word) > count, what=word)

    def code(self, token):
        reply = ask(self.gateway, token)
        return reply.json["code"] if reply.status != 200 else None

    def parked(self, count=12):
        """Requests with a key that the provider is being asked for, and what lets it answer."""
        gate = threading.Event()
        self.provider.fault = lambda provider, path, connection: (gate.wait(5), provider.answer(path, connection))
        self.provider.rotate("second")
        fetches = self.provider.fetches()
        head = f"GET / HTTP/1.1\r\nHost: a\r\nAuthorization: Bearer {self.provider.token()}\r\n\r\n"
        waiting = [Raw(self.gateway.port).send(head) for _ in range(count)]
        wait_until(lambda: self.provider.fetches() > fetches, what="the provider is asked")
        return waiting, gate

    def test_an_issuer_comes_changes_and_goes(self):
        other = Provider("ES256")
        self.addCleanup(other.stop)
        self.start()
        token = self.provider.token()
        # Where all tokens are ours, their type alone says that this is none.
        self.assertEqual(self.code(token), "token_type")
        self.reload(self.provider.block())
        self.assertEqual([self.code(token) for _ in range(4)], [None] * 4)
        self.reload(self.provider.block(audience="other"))
        self.assertEqual([self.code(token) for _ in range(4)], ["token_audience"] * 4)
        self.reload(self.provider.block("type at+jwt;"))
        self.assertEqual(self.code(token), "token_type")
        self.reload(self.provider.block())
        self.assertIsNone(self.code(token))
        self.reload(other.block())
        self.assertEqual([self.code(token) for _ in range(4)], ["token_issuer"] * 4)

    def test_keys_outlive_a_reload_while_the_provider_is_down(self):
        self.start(self.provider.block())
        token = self.provider.token()
        self.assertIsNone(self.code(token))
        self.provider.go_away()
        self.reload(self.provider.block("leeway 10s;"))
        self.assertIsNone(self.code(token))
        # From another place come other keys.
        self.reload(self.provider.block(keys=f"jwks http://127.0.0.1:{free_port()}/keys;"))
        self.assertEqual(self.code(token), "keys_unavailable")

    def test_requests_that_wait_are_judged_by_what_is_in_force_then(self):
        other = Provider("ES256")
        self.addCleanup(other.stop)
        for change, status in (
            (lambda: self.provider.block(), 200), (lambda: self.provider.block(audience="other"), 401),
            (lambda: "", 401), (lambda: self.provider.block() + other.block(), 200),
        ):
            self.provider.fault = None
            self.provider.keys = self.provider.keys[-1:]
            self.start(self.provider.block())
            self.assertIsNone(self.code(self.provider.token()))
            waiting, gate = self.parked()
            self.reload(change())
            gate.set()
            with self.subTest(change()):
                self.assertEqual([raw.response().status for raw in waiting], [status] * len(waiting))
            for raw in waiting:
                raw.close()

    def test_a_reload_with_a_bad_key_changes_nothing(self):
        path = os.path.join(directory(), "key.pem")
        replace(path, self.provider.key.pem)
        block = self.provider.block(keys=f"public_key ES256 {path};")
        self.start(block)
        token = self.provider.token()
        self.assertIsNone(self.code(token))
        replace(path, "nonsense")
        self.reload(block, "reload refused")
        wait_until(lambda: path in self.gateway.service_log(), what="a word on the file")
        self.assertIsNone(self.code(token))

    def test_a_hangup_reads_the_files_at_once(self):
        path = os.path.join(directory(), "keys.jwks")
        replace(path, json.dumps(self.provider.jwks))
        block = self.provider.block(keys=f"jwks_file {path};")
        self.start(block)
        old = self.provider.token()
        self.assertIsNone(self.code(old))
        self.provider.rotate("second", keeps=False)
        self.assertEqual(self.code(self.provider.token()), "token_key_unknown")
        replace(path, json.dumps(self.provider.jwks))
        self.reload(block)
        self.assertIsNone(self.code(self.provider.token()))
        self.assertEqual(self.code(old), "token_key_unknown")

    def test_changed_files_are_found_within_ten_seconds_and_broken_ones_change_nothing(self):
        home = directory()
        pem, jwks, broken = (os.path.join(home, name) for name in ("key.pem", "keys.jwks", "broken.jwks"))
        other, third = Provider("ES256", kid="first"), Provider("ES256", kid="first")
        self.addCleanup(other.stop)
        self.addCleanup(third.stop)
        replace(pem, self.provider.key.pem)
        replace(jwks, json.dumps(other.jwks))
        replace(broken, json.dumps(third.jwks))
        self.start(
            self.provider.block(keys=f"public_key ES256 {pem};") + other.block(keys=f"jwks_file {jwks};")
            + third.block(keys=f"jwks_file {broken};"))
        old = [self.provider.token(), other.token(), third.token()]
        self.assertEqual([self.code(token) for token in old], [None] * 3)
        self.provider.rotate("second", keeps=False)
        other.rotate("second", keeps=False)
        replace(pem, self.provider.key.pem)
        replace(jwks, json.dumps(other.jwks))
        replace(broken, json.dumps(third.jwks)[:-5])
        began = time.monotonic()
        fresh = (self.provider.token(), other.token())
        wait_until(lambda: all(self.code(token) is None for token in fresh), 12, "both files are read again")
        self.assertLess(time.monotonic() - began, 11)
        self.assertEqual([self.code(token) for token in old], ["token_signature", "token_key_unknown", None])
        (remark,) = self.gateway.remarks("the old keys stay", 1)
        self.assertIn(broken, remark)


class Check(unittest.TestCase):
    """What `check` says; it needs no network."""

    @classmethod
    def setUpClass(cls):
        cls.home = directory()
        cls.keys = {alg: Key(alg, "k") for alg in ("ES256", "ES384", "RS256", "EdDSA", "HS256")}

    def file(self, name, content):
        path = os.path.join(self.home, name)
        replace(path, content)
        return path

    def check(self, lines):
        path = self.file("gateway.conf", f"""
listen 127.0.0.1:{free_port()};
public_url http://localhost;
state_directory {self.home}/state;
issuer https://login.example.org {{ audience api; {lines} }}
upstream api {{ server http://127.0.0.1:1; }}
route / {{ upstream api; }}
""")
        done = subprocess.run([GATEWAY, "check", "-c", path], capture_output=True, text=True, timeout=10)
        return done.returncode, done.stdout + done.stderr

    def assert_fault(self, lines, *words):
        code, text = self.check(lines)
        with self.subTest(lines):
            self.assertEqual(code, 78, text)
            self.assertIn("gateway.conf:5", text)
            for word in words:
                self.assertIn(word, text)
            self.assertNotIn("Fatal", text)

    def assert_good(self, lines):
        self.assertEqual(self.check(lines)[0], 0, self.check(lines)[1])

    def test_public_keys(self):
        pem = {alg: self.file(f"{alg}.pem", key.pem) for alg, key in self.keys.items() if alg != "HS256"}
        for alg, path in pem.items():
            self.assert_good(f"public_key {alg} {path};")
        self.assert_fault(f"public_key ES256 {self.home}/gone.pem;", "gone.pem", "cannot be read")
        self.assert_fault(f"public_key ES256 {self.home};", "cannot be read")
        for name, content in (("empty", ""), ("text", "hello"), ("half", self.keys["RS256"].pem[:200]),
                              ("large", b"#" * 100_000 + self.keys["ES256"].pem)):
            path = self.file(f"{name}.pem", content)
            self.assert_fault(f"public_key ES256 {path};", path, "no public key or certificate in PEM")
        private = self.file("private.pem", self.keys["ES256"].key.as_pem(private=True))
        self.assert_fault(f"public_key ES256 {private};", "no public key or certificate in PEM")
        self.assert_fault(f"public_key ES256 {pem['ES384']};", "does not fit ES256")
        self.assert_fault(f"public_key RS256 {pem['ES256']};", "does not fit RS256")
        self.assert_fault(f"public_key EdDSA {pem['RS256']};", "does not fit EdDSA")
        small = os.path.join(self.home, "small.pem")
        openssl("genrsa", "-out", small + ".key", "1024")
        openssl("rsa", "-in", small + ".key", "-pubout", "-out", small)
        self.assert_fault(f"public_key RS256 {small};", "too short")
        for curve, name in (("secp256k1", "k1"), ("brainpoolP256r1", "brainpool")):
            other = os.path.join(self.home, name + ".pem")
            openssl("ecparam", "-name", curve, "-genkey", "-noout", "-out", other + ".key")
            openssl("ec", "-in", other + ".key", "-pubout", "-out", other)
            self.assert_fault(f"public_key ES256 {other};", other)
        self.assert_fault(f"public_key HS256 {pem['ES256']};", "no algorithm for a public key")
        self.assert_fault(f"public_key none {pem['ES256']};", "none")
        two = f"public_key ES256 {pem['ES256']} kid=a; public_key ES384 {pem['ES384']} kid=a;"
        self.assert_fault(two, "another key has this ID")
        self.assert_good(two.replace("kid=a", "kid=b", 1))

    def test_key_sets(self):
        good = {"keys": [self.keys["ES256"].jwk, self.keys["RS256"].jwk | {"kid": "r"}]}
        self.assert_good(f"jwks_file {self.file('good.jwks', json.dumps(good))};")
        self.assert_fault(f"jwks_file {self.home}/gone.jwks;", "gone.jwks", "cannot be read")
        for name, content, words in (
            ("text", "hello", ["this is not JSON"]), ("cut", json.dumps(good)[:-2], ["this is not JSON"]),
            ("array", "[]", ["no JWK set"]), ("one", json.dumps(self.keys["ES256"].jwk), ["no JWK set"]),
            ("empty", '{"keys":[]}', ["there is no key in it"]),
            ("twins", json.dumps({"keys": [self.keys["ES256"].jwk, self.keys["RS256"].jwk]}), ["one name"]),
            ("secret", json.dumps({"keys": [{"kty": "oct", "k": "eA" * 32, "alg": "HS256"}]}), ["none of its 1 keys"]),
            ("private", json.dumps({"keys": [self.keys["ES256"].key.as_dict(private=True)]}), ["none of its 1 keys"]),
        ):
            path = self.file(f"{name}.jwks", content)
            self.assert_fault(f"jwks_file {path};", path, *words)

    def test_secrets(self):
        self.assert_good(f"secret HS256 {'s' * 32};")
        self.assert_good(f"secret HS512 file:{self.file('secret', 's' * 64)};")
        for alg, size in (("HS256", 31), ("HS384", 47), ("HS512", 63)):
            code, text = self.check(f"secret {alg} {'s' * size};")
            self.assertEqual(code, 78)
            self.assertIn("too short", text)
            self.assertNotIn("s" * size, text)
        self.assert_fault("secret HS256 env:NOT_THERE_AT_ALL;", "not set")
        self.assert_fault(f"secret HS256 file:{self.home}/gone;", "cannot be read")
        self.assert_fault(f"secret ES256 {'s' * 32};", "one of HS256, HS384, HS512")

    def test_fetched_keys_are_not_fetched(self):
        self.assert_good("")
        self.assert_good("jwks https://login.example.org/keys;")
        self.assert_fault("jwks login.example.org/keys;", "login.example.org/keys")
        self.assert_fault("jwks https://login.example.org/keys; discovery { every 1h; }", "does not go with")
        code, text = self.check("jwks http://login.example.org/keys;")
        self.assertEqual(code, 0)
        self.assertIn("plain http", text)
