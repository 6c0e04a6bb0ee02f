# Expiry without leeway: a token is refused once its time is over, also by a gateway that had nothing to do
# meanwhile, and an expired token still says whose session a login replaces. The waits are shared, because a
# lifetime is 10 s at least. And bodies that would cost much time to read are refused before they do.

import time
import unittest

from clients import Raw, curl, login
from harness import DEMO_ROUTES, Demo, Gateway
from test_session_path import claims

OURS = ["Sec-Fetch-Site: same-origin"]
SHORT = "lifetime 10s; leeway 0s;"


class Expiry(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.demo = Demo()
        cls.gateway = Gateway(cls.demo.port, access=SHORT)
        optional = DEMO_ROUTES.replace("access anonymous; login;", "access optional; login;")
        cls.optional = Gateway(cls.demo.port, routes=optional, access=SHORT)
        cls.idle = Gateway(cls.demo.port, access=SHORT, main="workers 1;")
        cls.pairs = [login(cls.gateway) for _ in range(2)]
        cls.cookies = login(cls.gateway, browser=True)
        cls.optional_cookies = login(cls.optional, browser=True)
        cls.idle_pair = login(cls.idle)
        cls.connection = Raw(cls.idle.port)
        cls.before = cls.ask(cls.connection)
        # Nothing happens in the idle gateway from here on. Lifetimes are shortened by chance: the longest counts.
        tokens = [pair["access_token"] for pair in (*cls.pairs, cls.idle_pair)]
        tokens += [cls.cookies["access"], cls.optional_cookies["access"]]
        time.sleep(max(0, max(claims(token)["exp"] for token in tokens) - time.time()) + 0.3)
        cls.after = cls.ask(cls.connection)
        cls.fresh = curl(cls.idle.base + "/whoami", token=cls.idle_pair["access_token"])

    @classmethod
    def tearDownClass(cls):
        cls.connection.close()
        for gateway in (cls.gateway, cls.optional, cls.idle):
            gateway.stop()
        cls.demo.stop()

    @classmethod
    def ask(cls, raw):
        return raw.send("GET /whoami HTTP/1.1\r\nHost: a\r\n"
                        f"Authorization: Bearer {cls.idle_pair['access_token']}\r\n\r\n").response()

    def test_good_before_refused_after_on_the_same_connection(self):
        self.assertEqual(self.before.status, 200)
        self.assertEqual((self.after.status, self.after.json["code"]), (401, "token_expired"))

    def test_refused_after_on_a_new_connection(self):
        self.assertEqual((self.fresh.status, self.fresh.json["code"]), (401, "token_expired"))

    def test_its_session_goes_on(self):
        reply = curl(self.idle.base + "/refresh", as_json={"refresh_token": self.idle_pair["refresh_token"]})
        self.assertEqual(reply.status, 200)
        self.assertEqual(curl(self.idle.base + "/whoami", token=reply.json["access_token"]).status, 200)

    def second_login(self, gateway, first, **options):
        self.assertEqual(curl(gateway.base + "/whoami", token=first).json["code"], "token_expired")
        reply = curl(gateway.base + "/login", as_json={"user": "alice", "password": "wonderland"}, **options)
        self.assertEqual(reply.status, 200)
        shown = curl(gateway.control + "/sessions/" + claims(first)["sid"]).json
        self.assertEqual((shown["state"], shown.get("end_reason")), ("ended", "replaced"))

    def test_login_over_expired_cookies_ends_their_session(self):
        self.second_login(self.gateway, self.cookies["access"], cookies={"access": self.cookies["access"]},
                          headers=OURS)

    def test_login_over_an_expired_bearer_ends_its_session_and_no_other(self):
        first, other = (pair["access_token"] for pair in self.pairs)
        self.second_login(self.gateway, first, token=first)
        shown = curl(self.gateway.control + "/sessions/" + claims(other)["sid"]).json
        self.assertEqual(shown["state"], "live")

    def test_login_on_an_optional_route_is_refused_with_an_expired_token_and_ends_nothing(self):
        # "optional" takes no credential or a good one, never a bad one; after a refresh the login replaces.
        cookies = self.optional_cookies
        form = {"user": "alice", "password": "wonderland"}
        reply = curl(self.optional.base + "/login", as_json=form, token=cookies["access"])
        self.assertEqual((reply.status, reply.json["code"]), (401, "token_expired"))
        # A browser is sent to refresh it first.
        reply = curl(self.optional.base + "/login", as_json=form, cookies=cookies, headers=OURS)
        self.assertEqual((reply.status, reply.one("location")), (307, "/refresh?return_to=/login"))
        sid = claims(cookies["access"])["sid"]
        self.assertEqual(curl(self.optional.control + "/sessions/" + sid).json["state"], "live")
        child = curl(self.optional.base + "/refresh", method="POST", cookies=cookies, headers=OURS).cookies()
        reply = curl(self.optional.base + "/login", as_json={"user": "alice", "password": "wonderland"},
                     cookies={name: value for name, (value, _) in child.items()}, headers=OURS)
        self.assertEqual(reply.status, 200)
        self.assertEqual(curl(self.optional.control + "/sessions/" + sid).json["end_reason"], "replaced")


class CostlyBodies(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.demo = Demo()
        cls.gateway = Gateway(cls.demo.port)

    @classmethod
    def tearDownClass(cls):
        cls.gateway.stop()
        cls.demo.stop()

    def post(self, body, path="/refresh"):
        began = time.monotonic()
        reply = curl(self.gateway.base + path, data=body, headers=["Content-Type: application/json"])
        self.assertLess(time.monotonic() - began, 1)
        return reply

    def members(self, count, first=""):
        text = "{" + first + ",".join(f'"m{number:03x}":1' for number in range(count)) + "}"
        self.assertLess(len(text), 16_384)
        return text

    def test_body_of_very_many_members_is_refused_quickly(self):
        token = login(self.gateway)["refresh_token"]
        first = f'"refresh_token":"{token}",'
        for body in (self.members(1800), self.members(1700, first), "[" * 16_000, '{"a":' * 3_000):
            reply = self.post(body)
            self.assertEqual((reply.status, reply.json["error"]), (400, "invalid_request"))
        self.assertEqual(self.post(self.members(20, first)).status, 200)

    def test_many_bodies_one_after_another_keep_nobody_waiting(self):
        body = self.members(1800).encode()
        raw = Raw(self.gateway.port)
        head = "POST /refresh HTTP/1.1\r\nHost: a\r\nContent-Type: application/json\r\n"
        one = f"{head}Content-Length: {len(body)}\r\n\r\n".encode() + body
        began = time.monotonic()
        for _ in range(100):
            self.assertEqual(raw.send(one).response().status, 400)
        self.assertLess(time.monotonic() - began, 2)
        raw.close()

    def test_long_body_of_few_members_is_taken(self):
        token = login(self.gateway)["refresh_token"]
        body = f'{{"refresh_token":"{token}","padding":"{"x" * 16_000}"}}'
        self.assertEqual(self.post(body).status, 200)
