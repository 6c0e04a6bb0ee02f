# Rates: who asks more often than a route allows gets a 429 and a Retry-After that is true, and nobody else
# notices. By address, by network and by subject; on observed routes it is only written down.

import time
import unittest

from clients import Raw, curl
from harness import Gateway, wait_until
from upstreams import Upstream

# Buckets of their own, so that no test pays for another one.
ROUTES = """
route = /login { upstream api; access anonymous; login; }
route /single { upstream api; access anonymous; rate 1/h burst=1; }
route /burst { upstream api; access anonymous; rate 1/h burst=5 by=address; }
route /quick { upstream api; access anonymous; rate 1/s burst=2; }
route /fast { upstream api; access anonymous; rate 4/s burst=1; }
route /local { respond 200 "pong"; access anonymous; rate 1/h burst=2; }
route /network { upstream api; access anonymous; rate 1/h burst=2; }
route /one { upstream api; access anonymous; rate 1/h burst=2; }
route /two { upstream api; access anonymous; rate 1/h burst=2; }
route /subject { upstream api; rate 1/h burst=2 by=subject; }
route /guessed { upstream api; rate 1/h burst=2 by=subject; }
route /maybe { upstream api; access optional; rate 1/h burst=2 by=subject; }
route /tokens { upstream api; rate 1/h burst=2; }
route /seen { upstream api; access anonymous; rate 1/h burst=2; observe; }
route / { upstream api; }
"""


def answer(request, connection):
    name = request.one("x-user") or "alice"
    start = b"Session-Start: %s\r\n" % name.encode() if request.target == "/login" else b""
    return b"HTTP/1.1 200 OK\r\n%sContent-Length: 2\r\n\r\n{}" % start


def setUpModule():
    global upstream, gateway
    upstream = Upstream(answer)
    # One client from many addresses, as a proxy in front would tell of them.
    gateway = Gateway(upstream.port, routes=ROUTES, main="trusted_proxies 127.0.0.1;")


def tearDownModule():
    gateway.stop()
    upstream.stop()


def log_in(name):
    return curl(gateway.base + "/login", method="POST", headers=[f"X-User: {name}"]).json


def ask(path, client=None, **options):
    headers = [f"X-Forwarded-For: {client}"] if client else []
    return curl(gateway.base + path, headers=headers, **options)


def statuses(path, count, client=None, **options):
    return [ask(path, client, **options).status for _ in range(count)]


class ByAddress(unittest.TestCase):
    def setUp(self):
        upstream.forget()

    def test_more_than_the_burst_is_429_and_goes_no_further(self):
        self.assertEqual(statuses("/burst", 5), [200] * 5)
        reply = ask("/burst")
        self.assertEqual((reply.status, reply.json["code"]), (429, "rate_limited"))
        self.assertEqual(reply.one("content-type"), "application/problem+json")
        self.assertEqual(reply.one("cache-control"), "no-store")
        self.assertEqual(len(upstream.requests), 5)
        line = wait_until(
            lambda: [line for line in gateway.access_log() if line.get("gateway.reason") == "rate_limited"],
            2, "the refusal in the log")[-1]  # fmt: skip
        self.assertEqual(line["http.response.status_code"], 429)

    def test_another_client_is_unharmed(self):
        self.assertEqual(statuses("/single", 2, "192.0.2.1"), [200, 429])
        self.assertEqual(statuses("/single", 2, "192.0.2.2"), [200, 429])
        self.assertEqual(ask("/single").status, 200)

    def test_one_route_costs_nothing_of_another(self):
        self.assertEqual(statuses("/one", 3), [200, 200, 429])
        self.assertEqual(statuses("/two", 3), [200, 200, 429])
        self.assertEqual(ask("/one/below").status, 429)

    def test_whatever_it_asks_for_counts(self):
        self.assertEqual(statuses("/local", 1, method="HEAD"), [200])
        self.assertEqual(statuses("/local/x", 1, method="DELETE"), [200])
        self.assertEqual(statuses("/local?x", 1), [429])

    def at_once(self, path, count, client):
        """The replies to requests that are sent in one go: no time passes between them."""
        raw = Raw(gateway.port)
        self.addCleanup(raw.close)
        raw.send(f"GET {path} HTTP/1.1\r\nHost: a\r\nX-Forwarded-For: {client}\r\n\r\n" * count)
        return [raw.response() for _ in range(count)]

    def test_who_obeys_retry_after_is_let_in(self):
        *first, reply = self.at_once("/quick", 3, "127.0.0.1")
        self.assertEqual([each.status for each in first], [200, 200])
        self.assertEqual((reply.status, reply.one("retry-after")), (429, "1"))
        time.sleep(int(reply.one("retry-after")))
        self.assertEqual(ask("/quick").status, 200)

    def test_retry_after_tells_of_hours_too(self):
        self.assertEqual(ask("/single", "192.0.2.3").status, 200)
        seconds = int(ask("/single", "192.0.2.3").one("retry-after"))
        self.assertIn(seconds, range(3590, 3601))

    def test_who_is_refused_does_not_wait_longer_for_asking(self):
        began = time.monotonic()
        statuses = [reply.status for reply in self.at_once("/fast", 20, "192.0.2.4")]
        self.assertEqual(statuses, [200] + [429] * 19)
        # One in a quarter of a second: twenty that counted would take five.
        while ask("/fast", "192.0.2.4").status == 429:
            self.assertLess(time.monotonic() - began, 3)

    def test_an_ipv6_network_of_64_bits_is_one_client(self):
        self.assertEqual(ask("/network", "2001:db8:0:1::1").status, 200)
        self.assertEqual(ask("/network", "2001:db8:0:1:ffff:ffff:ffff:ffff").status, 200)
        self.assertEqual(ask("/network", "2001:db8:0:1:1::").status, 429)
        self.assertEqual(ask("/network", "2001:db8:0:2::1").status, 200)

    def test_an_ipv4_address_is_one_client_in_either_spelling(self):
        self.assertEqual(ask("/network", "192.0.2.9").status, 200)
        self.assertEqual(ask("/network", "::ffff:192.0.2.9").status, 200)
        self.assertEqual(ask("/network", "192.0.2.9").status, 429)
        self.assertEqual(ask("/network", "192.0.2.10").status, 200)

    def test_it_goes_before_the_gate(self):
        self.assertEqual(statuses("/tokens", 3, "192.0.2.20"), [401, 401, 429])
        token = log_in("alice")["access_token"]
        self.assertEqual(ask("/tokens", "192.0.2.20", token=token).status, 429)
        self.assertEqual(ask("/tokens", "192.0.2.21", token=token).status, 200)


class AddressesThatAreMadeUp(unittest.TestCase):
    def test_a_strangers_word_on_its_address_buys_nothing(self):
        alone = Gateway(upstream.port, routes=ROUTES)
        self.addCleanup(alone.stop)
        for number, status in enumerate((200, 200, 429)):
            address = f"192.0.2.{number}"
            headers = [f"X-Forwarded-For: {address}", f"X-Real-IP: {address}", f"Forwarded: for={address}"]
            self.assertEqual(curl(alone.base + "/one", headers=headers).status, status)


class BySubject(unittest.TestCase):
    def test_a_subject_is_one_client_wherever_it_comes_from(self):
        alice, again, bob = log_in("alice"), log_in("alice"), log_in("bob")
        self.assertEqual(ask("/subject", "192.0.2.1", token=alice["access_token"]).status, 200)
        self.assertEqual(ask("/subject", "192.0.2.2", token=again["access_token"]).status, 200)
        self.assertEqual(ask("/subject", "192.0.2.3", token=alice["access_token"]).status, 429)
        self.assertEqual(ask("/subject", "192.0.2.1", token=bob["access_token"]).status, 200)

    def test_who_has_no_good_token_uses_nobodys_bucket_up(self):
        carol = log_in("carol")["access_token"]
        forged = carol[:-6] + "AAAAAA"
        self.assertEqual(statuses("/guessed", 4, token=forged), [401] * 4)
        self.assertEqual(statuses("/guessed", 3, token=carol), [200, 200, 429])

    def test_without_a_token_it_is_the_address(self):
        dave = log_in("dave")["access_token"]
        self.assertEqual(statuses("/maybe", 3, "192.0.2.30"), [200, 200, 429])
        self.assertEqual(statuses("/maybe", 3, "192.0.2.30", token=dave), [200, 200, 429])
        self.assertEqual(ask("/maybe", "192.0.2.31").status, 200)


class Observed(unittest.TestCase):
    def test_what_would_be_refused_is_let_through_and_logged(self):
        upstream.forget()
        self.assertEqual(statuses("/seen", 4), [200] * 4)
        self.assertEqual(len(upstream.requests), 4)
        # Each connection may be another shard's, which writes its lines when it likes.
        observed = [line.get("gateway.observed", "") for line in gateway.lines_for("/seen", 4)]
        self.assertEqual(sorted(observed), ["", "", "rate_limited", "rate_limited"])


class RefreshEndpoints(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.gateway = Gateway(
            upstream.port, routes=ROUTES, main="trusted_proxies 127.0.0.1;", refresh="rate 1/h burst=3;")

    @classmethod
    def tearDownClass(cls):
        cls.gateway.stop()

    def refresh(self, token, client, path="/refresh"):
        form = {"grant_type": "refresh_token", "refresh_token": token}
        return curl(self.gateway.base + path, form=form, headers=[f"X-Forwarded-For: {client}"])

    def test_who_guesses_is_refused_and_another_is_not(self):
        guesses = [self.refresh("rt_guess", "192.0.2.1", path).status
                   for path in ("/refresh", "/refresh/revoke", "/refresh")]  # fmt: skip
        self.assertNotIn(429, guesses)
        pair = curl(self.gateway.base + "/login", method="POST").json
        reply = self.refresh(pair["refresh_token"], "192.0.2.1")
        self.assertEqual((reply.status, reply.json["code"]), (429, "rate_limited"))
        self.assertIn(int(reply.one("retry-after")), range(3590, 3601))
        # The token that was turned away was not used.
        self.assertEqual(self.refresh(pair["refresh_token"], "192.0.2.2").status, 200)

    def test_routes_and_keys_have_nothing_to_do_with_it(self):
        for _ in range(5):
            reply = curl(self.gateway.base + "/.well-known/jwks.json", headers=["X-Forwarded-For: 192.0.2.9"])
            self.assertEqual(reply.status, 200)
        self.assertNotEqual(self.refresh("rt_guess", "192.0.2.9").status, 429)


if __name__ == "__main__":
    unittest.main()
