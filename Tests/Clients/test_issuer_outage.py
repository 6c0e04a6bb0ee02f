# New keys, withdrawn keys, and providers that are down or answer nonsense: a token whose key is not known has its
# provider asked once, whoever it is good for is let in without a 401, and an outage is never one.

import threading
import time
import unittest

from certificates import Authority
from clients import Raw, curl
from harness import Gateway, directory, wait_until
from identity_provider import Faults, Key, Provider, Trap, ask, ask_at_once
from upstreams import Upstream

ROUTES = """
route / { upstream api; }
route /open { upstream api; access anonymous; }
route /maybe { upstream api; access optional; }
"""


def setUpModule():
    global upstream
    upstream = Upstream()


def tearDownModule():
    upstream.stop()


class WithProvider(unittest.TestCase):
    def setUp(self):
        self.provider = Provider("ES256", kid="first")
        self.addCleanup(self.provider.stop)

    def start(self, block=None, **options):
        self.gateway = Gateway(upstream.port, routes=ROUTES, main=block or self.provider.block(), **options)
        self.addCleanup(self.gateway.stop)

    def status(self, token, path="/"):
        return ask(self.gateway, token, path).status

    def assert_unavailable(self, reply):
        self.assertEqual((reply.status, reply.json["code"]), (503, "keys_unavailable"))
        self.assertTrue(1 <= int(reply.one("retry-after")) <= 30, reply.one("retry-after"))
        self.assertIsNone(reply.one("www-authenticate"))
        self.assertEqual(reply.all("set-cookie"), [])


class Rotation(WithProvider):
    def setUp(self):
        super().setUp()
        self.start()
        self.old = self.provider.token()
        self.assertEqual(self.status(self.old), 200)

    def test_however_many_come_with_a_new_key_its_provider_is_asked_once(self):
        self.provider.rotate("second")
        tokens = [self.provider.token(sub=f"user-{number}") for number in range(60)]
        self.assertEqual(set(ask_at_once(self.gateway, tokens)), {200})
        self.assertEqual(self.provider.fetches(), 2)

    def test_it_is_not_asked_again_for_half_a_minute(self):
        self.provider.rotate("second")
        self.assertEqual(self.status(self.provider.token()), 200)
        self.provider.rotate("third")
        reply = ask(self.gateway, self.provider.token())
        self.assertEqual((reply.status, reply.json["code"]), (401, "token_key_unknown"))
        self.assertEqual(self.status(self.old), 200)
        self.assertEqual(self.provider.fetches(), 2)

    def test_strangers_with_made_up_keys_have_it_asked_once(self):
        forger = Key("ES256", "x")
        tokens = [forger.sign({"alg": "ES256", "kid": f"k{n}"}, self.provider.claims()) for n in range(100)]
        self.assertEqual(set(ask_at_once(self.gateway, tokens)), {401})
        self.assertEqual(self.provider.fetches(), 2)

    def test_an_answer_that_must_not_be_kept_is_kept_for_half_a_minute(self):
        provider = Provider("ES256", kid="first")
        self.addCleanup(provider.stop)
        provider.fields = ["Cache-Control: no-store, max-age=0"]
        self.start(provider.block())
        for _ in range(20):
            self.assertEqual(self.status(provider.token()), 200)
            time.sleep(0.1)
        self.assertEqual(provider.fetches(), 1)

    def test_nobody_is_asked_for_the_key_of_what_is_refused_anyway(self):
        stranger = Key("ES256", "x")
        for header, claims in (
            ({"alg": "ES256", "kid": "x", "typ": "dpop+jwt"}, {}),
            ({"alg": "ES256", "kid": "x"}, {"iss": "https://login.example.org"}),
            ({"alg": "ES256", "kid": "x" * 300}, {}),
            ({"alg": "ES256", "kid": "x", "crit": ["exp"]}, {}),
        ):
            token = stranger.sign(header, self.provider.claims(**claims))
            self.assertEqual(self.status(token), 401, header)
        self.assertEqual(self.provider.fetches(), 1)

    def test_a_withdrawn_key_is_good_until_the_next_fetch_and_no_longer(self):
        connections = [Raw(self.gateway.port) for _ in range(4)]
        ask_old = f"GET / HTTP/1.1\r\nHost: a\r\nAuthorization: Bearer {self.old}\r\n\r\n"
        # Each shard, and each connection, remembers it.
        self.assertEqual([raw.send(ask_old).response().status for raw in connections], [200] * 4)
        self.provider.rotate("second", keeps=False)
        self.assertEqual(self.status(self.old), 200)
        self.assertEqual(self.status(self.provider.token()), 200)
        self.assertEqual([raw.send(ask_old).response().status for raw in connections], [401] * 4)
        self.assertEqual(self.status(self.provider.token()), 200)
        for raw in connections:
            raw.close()

    def test_an_answer_that_was_under_way_does_not_speak_for_newer_keys(self):
        provider = Provider("ES256", kid="first")
        self.addCleanup(provider.stop)
        gate = threading.Event()

        def stale(provider, path, connection):
            body = provider.jwks
            gate.wait(3)
            provider.fault = None
            provider.reply(connection, body)

        provider.fault = stale
        self.start(provider.block())
        wait_until(lambda: provider.fetches() == 1, what="the first fetch")
        provider.rotate("second")
        raw = Raw(self.gateway.port)
        raw.send(f"GET / HTTP/1.1\r\nHost: a\r\nAuthorization: Bearer {provider.token()}\r\n\r\n")
        time.sleep(0.2)
        gate.set()
        self.assertEqual(raw.response().status, 200)
        self.assertEqual(provider.fetches(), 2)
        raw.close()

    def test_an_answer_without_keys_withdraws_none(self):
        self.provider.rotate("second")
        self.provider.fault = Faults.no_keys
        self.assert_unavailable(ask(self.gateway, self.provider.token()))
        self.assertEqual(self.status(self.old), 200)

    def test_a_request_that_waits_keeps_its_body_and_its_place(self):
        gate = threading.Event()

        def slowly(provider, path, connection):
            gate.wait(3)
            provider.answer(path, connection)

        self.provider.fault = slowly
        self.provider.rotate("second")
        body = b"z" * 100_000
        head = f"Host: a\r\nAuthorization: Bearer {self.provider.token()}\r\n"
        raw = Raw(self.gateway.port)
        raw.send(f"POST /first HTTP/1.1\r\n{head}Content-Length: {len(body)}\r\n\r\n")
        raw.send(body[:50_000])
        upstream.forget()
        time.sleep(0.3)
        self.assertEqual(upstream.requests, [])
        raw.send(body[50_000:]).send(f"GET /second HTTP/1.1\r\n{head}\r\n")
        gate.set()
        self.assertEqual([raw.response().status, raw.response().status], [200, 200])
        self.assertEqual([request.target for request in upstream.requests], ["/first", "/second"])
        self.assertEqual(upstream.requests[0].body, body)
        raw.close()

    def test_whoever_hangs_up_while_waiting_harms_nobody(self):
        gate = threading.Event()
        self.provider.fault = lambda provider, path, connection: (gate.wait(3), provider.answer(path, connection))
        self.provider.rotate("second")
        token = self.provider.token()
        head = f"GET /gone HTTP/1.1\r\nHost: a\r\nAuthorization: Bearer {token}\r\n\r\n"
        leaving = [Raw(self.gateway.port).send(head) for _ in range(20)]
        staying = Raw(self.gateway.port).send(head.replace("/gone", "/here"))
        time.sleep(0.2)
        upstream.forget()
        for raw in leaving:
            raw.reset()
        time.sleep(0.2)
        gate.set()
        self.assertEqual(staying.response().status, 200)
        self.assertEqual([request.target for request in upstream.requests], ["/here"])
        self.assertEqual(self.provider.fetches(), 2)
        staying.close()

    def test_where_no_token_is_needed_none_is_judged(self):
        self.provider.rotate("second")
        self.assertEqual(self.status(self.provider.token(), "/open"), 200)
        self.assertEqual(self.provider.fetches(), 1)
        self.assertEqual(self.status(self.provider.token(), "/maybe"), 200)
        self.assertEqual(self.provider.fetches(), 2)
        self.assertEqual(upstream.last().one("x-auth-subject"), "alice")


class Down(WithProvider):
    def test_what_is_known_goes_on_and_what_is_not_is_no_401(self):
        self.start()
        old = self.provider.token()
        self.assertEqual(self.status(old), 200)
        self.provider.go_away()
        self.provider.rotate("second")
        token = self.provider.token()
        self.assert_unavailable(ask(self.gateway, token))
        self.assert_unavailable(ask(self.gateway, token, "/maybe"))
        self.assertEqual(self.status(old), 200)
        # Not even a bad token beside it in the cookies makes a refusal of an outage.
        for cookies in (f"access={token}; access=nonsense", f"access=nonsense; access={token}"):
            self.assert_unavailable(curl(self.gateway.base + "/", headers=[f"Cookie: {cookies}"]))
        self.provider.come_back()
        # It tries again after five seconds, unasked.
        wait_until(lambda: self.status(token) == 200, 8, "the keys come by themselves")
        self.assertEqual(self.status(old), 200)
        self.gateway.remarks("cannot be fetched", 1)
        self.gateway.remarks("can be fetched again", 1)

    def test_a_gateway_that_starts_without_it_serves_the_others(self):
        self.provider.go_away()
        self.start()
        self.assert_unavailable(ask(self.gateway, self.provider.token()))
        own = curl(self.gateway.control + "/sessions", as_json={"subject": "bob"}).json["access_token"]
        self.assertEqual(self.status(own), 200)
        wait_until(lambda: "there are none yet" in self.gateway.service_log(), what="a word")
        self.provider.come_back()
        wait_until(lambda: self.status(self.provider.token()) == 200, 12, "the keys come by themselves")

    def test_one_that_hangs_keeps_nobody_elses_token_waiting(self):
        other = Provider("ES256")
        self.addCleanup(other.stop)
        self.provider.fault = Faults.hangs
        keys = f"jwks {self.provider.origin}/keys {{ timeout 2s; }}"
        self.start(self.provider.block(keys=keys) + other.block())
        began = time.monotonic()
        raw = Raw(self.gateway.port)
        raw.send(f"GET / HTTP/1.1\r\nHost: a\r\nAuthorization: Bearer {self.provider.token()}\r\n\r\n")
        self.assertEqual(self.status(other.token()), 200)
        self.assertLess(time.monotonic() - began, 1.5)
        self.assert_unavailable(raw.response())
        self.assertLess(time.monotonic() - began, 4)
        raw.close()


class Nonsense(unittest.TestCase):
    """Every fault at once, each at an issuer of its own, behind one gateway: known keys stay, new ones are waited
    for, nothing grows, and when the fault is over the new keys are there."""

    def test_each(self):
        trap = Trap()
        self.addCleanup(trap.stop)
        authority = Authority(directory())
        names = ["hangs", "server_error", "no_http", "no_json", "no_keys", "not_found", "endless", "endless_head",
                 "truncated"]
        faults = {name: getattr(Faults, name) for name in names}
        faults["redirect"] = Faults.redirects_to(f"http://127.0.0.1:{trap.port}/keys")
        faults["twins"] = lambda provider, path, connection: provider.reply(
            connection, {"keys": [key.jwk | {"kid": "twin"} for key in (Key("ES256"), Key("ES256"))]})
        providers = {name: Provider("ES256", kid="first") for name in faults}
        pair = authority.issue("localhost")
        for name in ("truncated", "broken_off"):
            faults["https " + name] = getattr(Faults, name)
            providers["https " + name] = Provider("ES256", kid="first", pair=pair, host="localhost")
        described = {}
        for name in ("hangs", "no_json", "truncated", "endless"):
            described["discovery " + name] = Provider("ES256", kid="first")
            faults["discovery " + name] = getattr(Faults, name)
        blocks = ""
        for name, provider in providers.items():
            more = f"tls_ca {authority.file};" if provider.tls else ""
            blocks += provider.block(keys=f"jwks {provider.origin}/keys {{ timeout 1s; {more} }}")
        for provider in described.values():
            blocks += provider.block(keys="discovery { timeout 1s; }")
        providers |= described
        gateway = Gateway(upstream.port, routes=ROUTES, main=blocks)
        self.addCleanup(gateway.stop)
        old, new = {}, {}
        for name, provider in providers.items():
            self.addCleanup(provider.stop)
            old[name] = provider.token()
            self.assertEqual(ask(gateway, old[name]).status, 200, name)
            provider.fault = faults[name]
            provider.rotate("second", keeps=False)
            new[name] = provider.token()
        before = gateway.memory_kilobytes()
        for name in providers:
            with self.subTest(name):
                reply = ask(gateway, new[name])
                self.assertEqual((reply.status, reply.json["code"]), (503, "keys_unavailable"))
                self.assertEqual(ask(gateway, old[name]).status, 200)
        self.assertLess(gateway.memory_kilobytes() - before, 8_000)
        self.assertEqual(trap.visits, 0)
        for provider in providers.values():
            provider.fault = None

        def recovered():
            return all(ask(gateway, token).status == 200 for token in new.values())

        wait_until(recovered, 12, "all of them recover")
        for name in providers:
            self.assertEqual(ask(gateway, old[name]).status, 401, name)
