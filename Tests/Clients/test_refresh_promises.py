# What clients of the refresh service may rely on, whatever happens at once: all parallel answers to one refresh token
# carry the same child, only a genuine token ends a session, and an outage never looks like the end of one.

import base64
import json
import signal
import socket
import unittest

from clients import Raw, curl, login
from faults import FaultyGateway
from harness import Demo, free_port, wait_until
from test_session_path import claims
from upstreams import Upstream

PAGE = ["Sec-Fetch-Site: same-origin"]
SHARDS = 2


class Judge:
    """The upstream of the access check: says yes, or nothing at all."""

    def __init__(self):
        self.is_up = True
        self.upstream = Upstream(self.answer)

    def answer(self, request, connection):
        if self.is_up:
            return b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n"
        connection.reset()
        return None


def setUpModule():
    global demo, judge, gateway
    demo, judge = Demo(), Judge()
    gateway = FaultyGateway(
        demo.port, main=f"workers {SHARDS}; upstream judge {{ server http://127.0.0.1:{judge.upstream.port}; }}",
        refresh="access_check judge /internal/access { timeout 5s; }")


def tearDownModule():
    demo.stop()
    gateway.stop()
    judge.upstream.stop()


def refresh(token):
    return curl(gateway.base + "/refresh", as_json={"refresh_token": token})


def session(sid):
    return curl(gateway.control + "/sessions/" + sid).json


class SameChild(unittest.TestCase):
    # As many as the pace of a session lets through, which counts what is examined and what is exchanged.
    COUNT, ROUNDS = 8, 3

    def at_once(self, fields, body):
        """The same request on many connections: whole but for its last byte on each, then that on all of them."""
        request = (f"POST /refresh HTTP/1.1\r\nHost: localhost:{gateway.port}\r\n{fields}"
                   f"Content-Length: {len(body)}\r\n\r\n{body}").encode()
        connections = [Raw(gateway.port) for _ in range(self.COUNT)]
        for connection in connections:
            connection.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            connection.send(request[:-1])
        for connection in connections:
            connection.send(request[-1:])
        answers = [connection.response() for connection in connections]
        for connection in connections:
            connection.close()
        self.assertEqual([answer.status for answer in answers], [200] * self.COUNT)
        return answers

    def test_in_bodies(self):
        pair = login(gateway)
        for round in range(self.ROUNDS):
            body = json.dumps({"refresh_token": pair["refresh_token"]})
            answers = self.at_once("Content-Type: application/json\r\n", body)
            self.assertEqual(len({answer.json["refresh_token"] for answer in answers}), 1)
            for answer in answers:
                granted = claims(answer.json["access_token"])
                self.assertEqual(granted["gen"], round + 1)
            pair = answers[-1].json
        self.assert_one_session(pair["access_token"], self.ROUNDS)

    def test_in_cookies(self):
        cookies = login(gateway, browser=True)
        for _ in range(self.ROUNDS):
            field = "; ".join(f"{name}={value}" for name, value in cookies.items())
            # The body is of no interest to a cookie's refresh, and lets all of them be let off at once.
            answers = self.at_once(
                f"Cookie: {field}\r\nSec-Fetch-Site: same-origin\r\n"
                "Content-Type: application/x-www-form-urlencoded\r\n", "grant_type=refresh_token")
            self.assertEqual(len({answer.cookies()["refresh"][0] for answer in answers}), 1)
            cookies = {name: value for name, (value, _) in answers[0].cookies().items()}
        self.assert_one_session(cookies["access"], self.ROUNDS)

    def assert_one_session(self, token, generation):
        self.assertEqual(curl(gateway.base + "/whoami", token=token).status, 200)
        shown = session(claims(token)["sid"])
        self.assertEqual((shown["state"], shown["generation"]), ("live", generation))


class OnlyGenuineTokens(unittest.TestCase):
    def forgeries(self, token, other):
        """What looks like an old token of the session, and is none. Each by its name."""
        # key number 1 | sid 16 | generation 4 | secret 32 | tag 16
        raw, strange = decoded(token), decoded(other)
        yield "another tag", encoded(raw[:53] + bytes(16))
        for name, place in (("key", 0), ("sid", 5), ("generation", 20), ("secret", 30), ("tag", 60)):
            yield f"a bit of the {name}", encoded(raw[:place] + bytes([raw[place] ^ 1]) + raw[place + 1:])
        if any(raw[17:21]):
            yield "an older generation", encoded(raw[:17] + bytes(4) + raw[21:])
        yield "a newer generation", encoded(raw[:17] + b"\xff\xff\xff\xfe" + raw[21:])
        yield "the session in a genuine token of another", encoded(strange[:1] + raw[1:17] + strange[17:])
        yield "the secret in a genuine token of another", encoded(strange[:21] + raw[21:53] + strange[53:])
        yield "random", encoded(raw[:17] + bytes(4) + b"\x5a" * 48)
        yield "cut", token[:-4]
        yield "longer", token + "AAAA"
        yield "padded", token + "="
        yield "of another case", token.upper()
        yield "the id alone", claims(self.access)["sid"]
        head, payload, signature = self.access.split(".")
        bent = "B" if signature[20] == "A" else "A"
        yield "an access token that is not ours", f"{head}.{payload}.{signature[:20]}{bent}{signature[21:]}"
        yield "a uuid, as others have them", "7f3c1a52-9c0e-4b6e-8f55-4f1f0a8e3c11"
        yield "a signed one, as others have them", "eyJhbGciOiJub25lIn0.eyJzdWIiOiJhbGljZSJ9."

    def post(self, path, token, by_cookie=False):
        """All on one connection: there are many."""
        body = "" if by_cookie else f"token={token}" if path.endswith("revoke") else f"refresh_token={token}"
        fields = f"Cookie: refresh={token}\r\nSec-Fetch-Site: same-origin\r\n" if by_cookie else (
            "Content-Type: application/x-www-form-urlencoded\r\n")
        self.connection.send(f"POST {path} HTTP/1.1\r\nHost: localhost:{gateway.port}\r\n{fields}"
                             f"Content-Length: {len(body)}\r\n\r\n{body}")
        return self.connection.response()

    def test_nothing_but_a_genuine_token_ends_a_session(self):
        self.connection = Raw(gateway.port)
        self.addCleanup(self.connection.close)
        first, other = login(gateway), login(gateway, "bob", "builder")
        second = refresh(first["refresh_token"]).json
        third = refresh(second["refresh_token"]).json
        self.access = third["access_token"]
        sid, bobs = claims(self.access)["sid"], claims(other["access_token"])["sid"]
        for kind in (first, third):
            for name, forged in self.forgeries(kind["refresh_token"], other["refresh_token"]):
                with self.subTest(name, of="the first" if kind is first else "the current"):
                    reply = self.post("/refresh", forged)
                    self.assertEqual(reply.status, 400)
                    self.assertIn(reply.json["error"], ("invalid_grant", "invalid_request"))
                    reply = self.post("/refresh", forged, by_cookie=True)
                    self.assertEqual((reply.status, reply.all("set-cookie")), (401, []))
                    for by_cookie in (False, True):
                        self.post("/refresh/logout", forged, by_cookie)
                    self.post("/refresh/revoke", forged)
                    shown = session(sid)
                    self.assertEqual((shown["state"], shown["generation"]), ("live", 2))
        self.assertEqual(session(bobs)["state"], "live")
        self.assertEqual(curl(gateway.base + "/whoami", token=self.access).status, 200)
        # Another session's genuine one ends that one.
        reply = curl(gateway.base + "/refresh/revoke", form={"token": other["refresh_token"]})
        self.assertEqual((reply.status, session(bobs)["state"], session(sid)["state"]), (200, "ended", "live"))
        # And the neighbour: the same old token as it was issued.
        reply = refresh(first["refresh_token"])
        self.assertEqual((reply.status, reply.json["code"]), (400, "refresh_token_reused"))
        self.assertEqual(session(sid)["end_reason"], "replay")
        self.assertEqual(refresh(third["refresh_token"]).json["code"], "session_ended")


class Outages(unittest.TestCase):
    def setUp(self):
        self.pair, self.cookies = login(gateway), login(gateway, browser=True)
        self.addCleanup(gateway.mend_disk)

    def by_cookie(self, path, **options):
        return curl(gateway.base + path, cookies=self.cookies, headers=PAGE + ["Sec-Fetch-Mode: cors"], **options)

    def assert_outage(self, *answers):
        """No answer says or does what only the end of a session may."""
        for answer in answers:
            self.assertEqual(answer.status, 503, answer.body)
            self.assertGreaterEqual(int(answer.one("retry-after")), 1)
            self.assertEqual(answer.all("set-cookie"), [])
            self.assertIsNone(answer.one("www-authenticate"))

    def assert_good(self):
        """Both tokens are good afterwards, and so is what they are exchanged for."""
        answer = refresh(self.pair["refresh_token"])
        self.assertEqual((answer.status, session(claims(self.pair["access_token"])["sid"])["state"]), (200, "live"))
        self.assertEqual(curl(gateway.base + "/whoami", token=answer.json["access_token"]).status, 200)
        answer = self.by_cookie("/refresh", method="POST")
        self.assertEqual((answer.status, set(answer.cookies())), (200, {"access", "refresh"}))

    def test_store_is_broken(self):
        gateway.break_disk()
        self.assert_outage(
            refresh(self.pair["refresh_token"]), self.by_cookie("/refresh", method="POST"),
            self.by_cookie("/refresh?return_to=/whoami"), self.by_cookie("/refresh/logout", method="POST"),
            self.by_cookie("/account/logout", method="POST"),
            curl(gateway.base + "/refresh/revoke", form={"token": self.pair["refresh_token"]}))
        self.assertEqual(self.by_cookie("/whoami").status, 200)
        gateway.mend_disk()
        self.assert_good()

    def test_access_check_is_down(self):
        judge.is_up = False
        try:
            # A rotation is what it is asked about; a bounce of so young a token is none.
            answers = [refresh(self.pair["refresh_token"]), self.by_cookie("/refresh", method="POST")]
        finally:
            judge.is_up = True
        self.assert_outage(*answers)
        self.assert_good()

    def test_upstream_is_down(self):
        path = gateway.config
        with open(path) as file:
            right = file.read()
        down = right.replace(f"127.0.0.1:{demo.port}", f"127.0.0.1:{free_port()}")
        self.assertNotEqual(down, right)
        reload(down)
        try:
            for answer in (self.by_cookie("/whoami"), self.by_cookie("/account/logout", method="POST"),
                           curl(gateway.base + "/whoami", token=self.pair["access_token"])):
                self.assertIn(answer.status, (502, 503, 504))
                self.assertEqual((answer.all("set-cookie"), answer.one("www-authenticate")), ([], None))
            # Sessions go on meanwhile.
            answer = refresh(self.pair["refresh_token"])
            self.assertEqual(answer.status, 200)
            self.pair = answer.json
        finally:
            reload(right)
        self.assert_good()


def reload(text):
    """Has the gateway take another configuration up."""
    with open(gateway.config, "w") as file:
        file.write(text)
    done = len([line for line in gateway.audit_log() if line["event.action"] == "config_reloaded"])
    gateway.process.send_signal(signal.SIGHUP)
    wait_until(lambda: len([line for line in gateway.audit_log() if line["event.action"] == "config_reloaded"]) > done)


def decoded(token):
    return base64.urlsafe_b64decode(token[3:] + "=" * (-len(token[3:]) % 4))


def encoded(raw):
    return "rt_" + base64.urlsafe_b64encode(raw).decode().rstrip("=")


if __name__ == "__main__":
    unittest.main()
