# Limits that nobody can turn against somebody else: a client in a loop is slowed down and keeps its session;
# forged tokens and wrong passwords cost their sender, and never the user whose name they bear.

import json
import time
import unittest

from clients import Raw, curl, login
from harness import Demo, Gateway

# As many as a session may refresh at once (SessionPace).
BURST = 50


def setUpModule():
    global demo, gateway
    demo = Demo()
    gateway = Gateway(demo.port)


def tearDownModule():
    demo.stop()
    gateway.stop()


def begin(subject):
    return curl(gateway.control + "/sessions", as_json={"subject": subject}).json


class Connection:
    """Refreshes as fast as one connection can."""

    def __init__(self):
        self.raw = Raw(gateway.port)

    def refresh(self, token):
        body = json.dumps({"refresh_token": token})
        self.raw.send(
            "POST /refresh HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\n"
            f"Content-Length: {len(body)}\r\n\r\n{body}"
        )
        return self.raw.response()

    def bounce(self, cookies):
        fields = "; ".join(f"{name}={value}" for name, value in cookies.items())
        self.raw.send(
            "GET /refresh?return_to=/whoami HTTP/1.1\r\nHost: localhost\r\nSec-Fetch-Site: same-origin\r\n"
            f"Cookie: {fields}\r\n\r\n"
        )
        return self.raw.response()


class Pace(unittest.TestCase):
    def test_a_client_in_a_loop_is_slowed_down_and_keeps_its_session(self):
        connection, pair, other = Connection(), begin("anna"), begin("anna")
        count = 0
        while (reply := connection.refresh(pair["refresh_token"])).status == 200:
            pair, count = reply.json, count + 1
            self.assertLess(count, BURST * 4)
        self.assertGreaterEqual(count, BURST)
        self.assertEqual((reply.status, reply.json["code"]), (429, "rate_limited"))
        wait = int(reply.one("retry-after"))
        self.assertEqual(wait, 1)
        # Its other session, and whoever shares its address, notice nothing.
        self.assertEqual(connection.refresh(other["refresh_token"]).status, 200)
        self.assertEqual(connection.refresh(begin("bert")["refresh_token"]).status, 200)
        # Requests are no refreshes.
        self.assertEqual(curl(gateway.base + "/whoami", token=pair["access_token"]).status, 200)
        time.sleep(wait)
        self.assertEqual(connection.refresh(pair["refresh_token"]).status, 200)

    def test_a_page_with_two_hundred_pictures_bounces_unhindered(self):
        connection, pair = Connection(), begin("cora")
        cookies = {"access": pair["access_token"], "refresh": pair["refresh_token"]}
        self.assertEqual({connection.bounce(cookies).status for _ in range(200)}, {307})

    def test_forged_tokens_never_count_against_the_session_they_name(self):
        connection, pair = Connection(), begin("dirk")
        token = pair["refresh_token"]
        forged = token[:-1] + ("E" if token[-1] == "A" else "A")
        for _ in range(BURST * 3):
            self.assertEqual(connection.refresh(forged).json["code"], "refresh_token_invalid")
        self.assertEqual(connection.refresh(token).status, 200)

    def test_wrong_passwords_lock_nobody_out(self):
        for _ in range(BURST):
            reply = curl(gateway.base + "/login", as_json={"user": "alice", "password": "guess"})
            self.assertNotEqual(reply.status, 429)
        self.assertIn("access_token", login(gateway))

    def test_the_rate_of_an_address_is_for_whoever_guesses(self):
        limited = Gateway(demo.port, refresh="rate 3/m burst=3;", main="trusted_proxies 127.0.0.0/8;")
        try:
            pair = curl(limited.control + "/sessions", as_json={"subject": "emma"}).json
            token = pair["refresh_token"]

            def refresh(token, address):
                return curl(
                    limited.base + "/refresh", as_json={"refresh_token": token}, headers=["X-Forwarded-For: " + address]
                ).status

            self.assertEqual([refresh("rt_x" + token[4:], "192.0.2.1") for _ in range(4)], [400, 400, 400, 429])
            self.assertEqual(refresh(token, "192.0.2.2"), 200, "the user has another address")
        finally:
            limited.stop()
