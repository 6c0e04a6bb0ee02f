# Session-End in an upstream's answer, in each of its four scopes, and where it must have no effect.

import unittest

from clients import curl, login
from harness import Demo, Gateway


def setUpModule():
    global demo, gateway
    demo = Demo()
    gateway = Gateway(demo.port)


def tearDownModule():
    demo.stop()
    gateway.stop()


SAME_ORIGIN = ["Sec-Fetch-Site: same-origin"]


class SessionEnd(unittest.TestCase):
    def alive(self, pair):
        return curl(gateway.base + "/whoami", token=pair["access_token"]).status == 200

    def refreshes(self, pair):
        return curl(gateway.base + "/refresh", as_json={"refresh_token": pair["refresh_token"]}).status == 200

    def post(self, path, pair):
        reply = curl(gateway.base + path, method="POST", token=pair["access_token"])
        self.assertEqual([name for name, _ in reply.fields if name.startswith("session-")], [])
        return reply

    def test_session_ends_the_one_that_asks(self):
        asking, other = login(gateway), login(gateway)
        self.assertEqual(self.post("/account/logout", asking).status, 204)
        self.assertFalse(self.alive(asking) or self.refreshes(asking))
        self.assertTrue(self.alive(other) and self.refreshes(other))

    def test_session_by_cookies_clears_them_in_that_answer(self):
        cookies = login(gateway, browser=True)
        reply = curl(gateway.base + "/account/logout", method="POST", cookies=cookies, headers=SAME_ORIGIN)
        self.assertEqual(reply.status, 204)
        self.assertEqual(
            {name: value for name, (value, _) in reply.cookies().items()}, {"access": "", "refresh": ""}
        )
        self.assertEqual(curl(gateway.base + "/whoami", cookies=cookies).json["code"], "session_ended")

    def test_others_spares_the_one_that_asks(self):
        asking, other = login(gateway), login(gateway)
        bob = login(gateway, "bob", "builder")
        reply = self.post("/account/password", asking)
        self.assertEqual((reply.status, reply.json["ended"]), (200, "others"))
        self.assertTrue(self.alive(asking) and self.refreshes(asking))
        self.assertFalse(self.alive(other) or self.refreshes(other))
        self.assertTrue(self.alive(bob))

    def test_subject_ends_all_of_them(self):
        pairs = [login(gateway) for _ in range(3)]
        bob = login(gateway, "bob", "builder")
        self.assertEqual(self.post("/account/delete", pairs[1]).status, 200)
        for pair in pairs:
            self.assertFalse(self.alive(pair) or self.refreshes(pair))
        self.assertTrue(self.alive(bob) and self.refreshes(bob))
        self.assertTrue(self.alive(login(gateway)), "a login after it is a new one")

    def test_access_expires_tokens_and_keeps_sessions(self):
        asking, other = login(gateway, "bob", "builder"), login(gateway, "bob", "builder")
        self.assertEqual(self.post("/account/role", asking).status, 200)
        for pair in (asking, other):
            self.assertFalse(self.alive(pair))
            self.assertTrue(self.refreshes(pair))

    def test_elsewhere_it_means_nothing(self):
        plain = Gateway(
            demo.port,
            routes="""
            route /login { upstream api; access anonymous; login; }
            route / { upstream api; }
        """,
        )
        try:
            pair = login(plain)
            reply = curl(plain.base + "/account/delete", method="POST", token=pair["access_token"])
            self.assertEqual(reply.status, 200)
            self.assertIsNone(reply.one("session-end"))
            self.assertEqual(curl(plain.base + "/whoami", token=pair["access_token"]).status, 200)
        finally:
            plain.stop()

    def test_outage_of_the_asking_token_is_a_refusal_not_an_end(self):
        reply = curl(gateway.base + "/account/delete", method="POST", token="a.b.c")
        self.assertEqual(reply.status, 401)
