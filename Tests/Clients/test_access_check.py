# The access check at refresh: an upstream's yes, with other claims or without, its no, and every way of not
# answering.

import json
import threading
import unittest

from clients import Raw, curl, login
from harness import Demo, Gateway, wait_until
from upstreams import OK, Upstream


class Judge:
    """The upstream that is asked."""

    def __init__(self):
        self.reply = (200, "")
        # Whoever waits for it is answered when it is set.
        self.go = threading.Event()
        self.upstream = Upstream(self.answer)

    def answer(self, request, connection):
        self.go.wait(20)
        if self.reply == "reset":
            connection.reset()
            return None
        status, body = self.reply
        return f"HTTP/1.1 {status} X\r\nContent-Length: {len(body)}\r\n\r\n{body}".encode()


def setUpModule():
    global demo, judge, gateway
    demo, judge = Demo(), Judge()
    gateway = Gateway(
        demo.port,
        main=f"upstream judge {{ server http://127.0.0.1:{judge.upstream.port}; }}",
        refresh="access_check judge /internal/access?why=refresh { timeout 2s; } race_window 1s;")


def tearDownModule():
    demo.stop()
    gateway.stop()
    judge.upstream.stop()


def begin(subject="alice", **more):
    return curl(gateway.control + "/sessions", as_json={"subject": subject, **more}).json


def refresh(pair):
    return curl(gateway.base + "/refresh", as_json={"refresh_token": pair["refresh_token"]})


def role(pair):
    return curl(gateway.base + "/whoami", token=pair["access_token"]).json["role"]


class Checks(unittest.TestCase):
    def setUp(self):
        judge.reply = (200, "")
        judge.go.set()
        judge.upstream.requests.clear()

    def test_who_it_is_about_is_told_and_nothing_of_the_token(self):
        pair = begin("Jürgen Müller")
        self.assertEqual(refresh(pair).status, 200)
        (request,) = judge.upstream.requests
        self.assertEqual((request.method, request.target), ("GET", "/internal/access?why=refresh"))
        self.assertEqual(request.one("x-auth-subject").encode("latin-1").decode(), "Jürgen Müller")
        sid = curl(gateway.control + "/sessions").json["sessions"][0]["sid"]
        self.assertEqual(request.one("x-auth-session"), sid)
        self.assertNotIn("rt_", request.head.decode("latin-1"))
        self.assertIsNone(request.one("authorization"))

    def test_a_plain_yes_leaves_the_claims(self):
        pair = begin(claims={"role": "user"})
        for body in ("", "ok", "[]", '"x"', "{broken"):
            judge.reply = (200, body)
            pair = refresh(pair).json
            self.assertEqual(role(pair), "user", body)

    def test_an_object_takes_the_place_of_the_claims(self):
        pair = begin(claims={"role": "user", "team": "a"})
        judge.reply = (200, '{"role":"admin"}')
        pair = refresh(pair).json
        self.assertEqual(role(pair), "admin")
        judge.reply = (200, "")
        pair = refresh(pair).json
        self.assertEqual(role(pair), "admin")
        judge.reply = (200, "{}")
        self.assertIsNone(role(refresh(pair).json))

    def test_each_no_ends_the_session_with_its_reason(self):
        for status in (401, 403, 404, 410):
            pair = begin(f"s{status}")
            judge.reply = (status, "")
            reply = refresh(pair)
            self.assertEqual((reply.status, reply.json["error"], reply.json["code"]), (400, "invalid_grant", "session_ended"))
            self.assertEqual(curl(gateway.base + "/whoami", token=pair["access_token"]).status, 401)
            (session,) = curl(gateway.control + f"/sessions?subject=s{status}").json["sessions"]
            self.assertEqual((session["state"], session["end_reason"]), ("ended", "access_check"))
            judge.reply = (200, "")
            self.assertEqual(refresh(pair).status, 400)

    def test_an_outage_costs_nothing_but_time(self):
        pair = begin("outage")
        for reply in ((500, ""), (503, ""), (204, ""), (301, ""), (400, ""), (429, ""), "reset",
                      (200, '{"sub":"root"}'), (200, json.dumps({"x": "y" * 4000}))):
            judge.reply = reply
            answer = refresh(pair)
            self.assertEqual(answer.status, 503, reply)
            self.assertTrue(answer.one("retry-after"))
            self.assertEqual(curl(gateway.base + "/whoami", token=pair["access_token"]).status, 200)
        judge.reply = (200, "")
        self.assertEqual(refresh(pair).status, 200)

    def test_who_is_slow_is_not_waited_for(self):
        pair = begin("slow")
        judge.go.clear()
        self.assertEqual(refresh(pair).status, 503)
        judge.go.set()
        self.assertEqual(refresh(pair).status, 200)

    def test_a_slow_check_holds_nobody_else_up(self):
        go = threading.Event()
        slow = Upstream(lambda request, connection: go.wait(20) and OK)
        self.addCleanup(slow.stop)
        self.addCleanup(go.set)
        patient = Gateway(
            demo.port, main=f"upstream judge {{ server http://127.0.0.1:{slow.port}; }}",
            refresh="access_check judge /internal/access { timeout 20s; }")
        self.addCleanup(patient.stop)
        waits, passes = login(patient), login(patient)
        body = json.dumps({"refresh_token": waits["refresh_token"]})
        raw = Raw(patient.port).send(
            "POST /refresh HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\n"
            f"Content-Length: {len(body)}\r\n\r\n{body}")
        wait_until(lambda: slow.requests, what="a check that lasts")
        self.assertEqual(curl(patient.base + "/whoami", token=passes["access_token"]).status, 200)
        out = curl(patient.base + "/refresh/logout", as_json={"refresh_token": passes["refresh_token"]})
        self.assertEqual(out.status, 204)
        # All that while nobody has answered it.
        go.set()
        self.assertEqual(raw.response().status, 200)
        raw.close()

    def test_browsers_are_judged_on_their_way_round(self):
        pair = begin("browser", claims={"role": "user"})
        cookies = {"access": pair["access_token"], "refresh": pair["refresh_token"]}
        fetch = ["Sec-Fetch-Site: same-origin", "Sec-Fetch-Mode: cors"]
        # Older than what a bounce would keep.
        pair = refresh(pair).json
        judge.reply = (403, "")
        reply = curl(
            gateway.base + "/refresh?return_to=/whoami", headers=fetch,
            cookies={"access": pair["access_token"], "refresh": cookies["refresh"]})
        self.assertEqual((reply.status, reply.json["code"]), (401, "session_ended"))
        self.assertTrue(all("Max-Age=0" in value for value in reply.all("set-cookie")))

    def test_what_would_be_refused_anyway_is_not_asked_about(self):
        pair = begin("gone")
        curl(gateway.base + "/refresh/logout", as_json={"refresh_token": pair["refresh_token"]})
        self.assertEqual(refresh(pair).status, 400)
        self.assertEqual(refresh({"refresh_token": "rt_" + "A" * 92}).status, 400)
        self.assertEqual(judge.upstream.requests, [])


if __name__ == "__main__":
    unittest.main()
