# The control API, every call of it; who may not call it; and the delivery of tokens as configured.

import datetime
import re
import socket
import time
import unittest

from clients import curl, login
from harness import CONTROL_SECRET, DEMO_ROUTES, Demo, Gateway, wait_until


def setUpModule():
    global demo, gateway
    demo = Demo()
    gateway = Gateway(demo.port)


def tearDownModule():
    demo.stop()
    gateway.stop()


def status(pair, path="/whoami"):
    return curl(gateway.base + path, token=pair["access_token"]).status


def refreshes(pair):
    return curl(gateway.base + "/refresh", as_json={"refresh_token": pair["refresh_token"]}).status == 200


def begin(subject, **more):
    return curl(gateway.control + "/sessions", as_json={"subject": subject, **more})


class Calls(unittest.TestCase):
    def test_health(self):
        for path in ("/healthz", "/readyz"):
            self.assertEqual(curl(gateway.control + path).status, 200)
            self.assertEqual(curl(gateway.base + path).status, 401, "the public side has no such page")

    def test_begin_gives_a_pair_that_works(self):
        reply = begin(
            "carl", claims={"role": "user", "team": ["a", "b"], "scope": "items:read"}, label="phone"
        )
        self.assertEqual(reply.status, 201)
        who = curl(gateway.base + "/whoami", token=reply.json["access_token"]).json
        self.assertEqual((who["subject"], who["role"], who["scope"]), ("carl", "user", "items:read"))
        self.assertTrue(refreshes(reply.json))

    def test_begin_refuses_what_it_cannot_use(self):
        cases = [
            ({}, "subject"),
            ({"subject": ""}, "subject"),
            ({"subject": "a\r\nX: y"}, "subject"),
            ({"subject": 7}, "subject"),
            ({"subject": "x" * 256}, "subject"),
            ({"subject": "a", "claims": []}, "claims"),
            ({"subject": "a", "claims": {"sub": "root"}}, "claims"),
            ({"subject": "a", "claims": {"exp": 1}}, "claims"),
            ({"subject": "a", "claims": {"x": "y" * 4000}}, "claims"),
        ]
        for body, code in cases:
            reply = curl(gateway.control + "/sessions", as_json=body)
            self.assertEqual((reply.status, reply.json["code"]), (400, code), str(body)[:60])
        form = curl(gateway.control + "/sessions", form={"subject": "a"})
        self.assertEqual(form.status, 415)

    def test_list_and_find(self):
        begin("dora", label="one")
        begin("dora", label="two")
        sessions = curl(gateway.control + "/sessions?subject=dora").json["sessions"]
        self.assertEqual({session["label"] for session in sessions}, {"one", "two"})
        found = curl(gateway.control + "/sessions/" + sessions[0]["sid"])
        self.assertEqual(found.status, 200)
        self.assertEqual(
            (found.json["subject"], found.json["state"], found.json["generation"]), ("dora", "live", 0)
        )
        self.assertEqual(curl(gateway.control + "/sessions?subject=nobody").json["sessions"], [])
        for sid in ("A" * 22, "x", "%00"):
            self.assertIn(curl(gateway.control + "/sessions/" + sid).status, (404, 400), sid)

    def test_end_one(self):
        pair = begin("emil").json
        self.assertEqual(status(pair), 200)
        sid = curl(gateway.control + "/sessions?subject=emil").json["sessions"][0]["sid"]
        self.assertEqual(curl(gateway.control + "/sessions/" + sid, method="DELETE").status, 204)
        self.assertEqual(status(pair), 401)
        self.assertFalse(refreshes(pair))
        self.assertEqual(curl(gateway.control + "/sessions/" + sid, method="DELETE").status, 404)
        ended = curl(gateway.control + "/sessions/" + sid).json
        self.assertEqual((ended["state"], ended["end_reason"]), ("ended", "control"))

    def end_by_encoded_name(self, subject, encoded):
        pair = begin(subject).json
        self.assertEqual(len(curl(gateway.control + "/sessions?subject=" + encoded).json["sessions"]), 1)
        reply = curl(gateway.control + f"/subjects/{encoded}/sessions", method="DELETE")
        self.assertEqual((reply.status, status(pair)), (204, 401))

    def test_subjects_are_percent_encoded(self):
        self.end_by_encoded_name("f ä|1+2", "f%20%C3%A4%7C1%2B2")

    # A session can begin for a subject with a slash in its name, so calls must be able to name the subject.
    def test_subjects_with_slashes_too(self):
        self.end_by_encoded_name("corp/fred", "corp%2Ffred")

    def test_end_all_of_a_subject(self):
        pairs = [begin("gus", label=str(number)).json for number in range(3)]
        sid = next(
            s["sid"]
            for s in curl(gateway.control + "/sessions?subject=gus").json["sessions"]
            if s["label"] == "1"
        )
        bad = curl(gateway.control + "/subjects/gus/sessions?except=x", method="DELETE")
        self.assertEqual(bad.status, 400)
        self.assertEqual([status(pair) for pair in pairs], [200, 200, 200])
        self.assertEqual(
            curl(gateway.control + f"/subjects/gus/sessions?except={sid}", method="DELETE").status, 204
        )
        self.assertEqual([status(pair) for pair in pairs], [401, 200, 401])
        self.assertTrue(refreshes(pairs[1]))
        self.assertEqual(curl(gateway.control + "/subjects/gus/sessions", method="DELETE").status, 204)
        self.assertEqual([status(pair) for pair in pairs], [401, 401, 401])
        self.assertEqual([refreshes(pair) for pair in pairs], [False] * 3)
        fresh = begin("gus").json
        self.assertEqual(status(fresh), 200, "a later login is not touched")

    def test_expire_access_keeps_the_session(self):
        pair = begin("hugo").json
        self.assertEqual(status(pair), 200)
        self.assertEqual(curl(gateway.control + "/subjects/hugo/expire-access", method="POST").status, 204)
        self.assertEqual(status(pair), 401)
        child = curl(gateway.base + "/refresh", as_json={"refresh_token": pair["refresh_token"]})
        self.assertEqual(child.status, 200)
        self.assertEqual(status(child.json), 200)

    def test_wait_tells_where_it_is_in_force(self):
        pairs = [begin("jutta").json for _ in range(4)]
        sid = curl(gateway.control + "/introspect", form={"token": pairs[0]["access_token"]}).json["sid"]
        calls = [
            (f"/sessions/{sid}", "DELETE", [401, 200, 200, 200]),
            ("/subjects/jutta/expire-access", "POST", [401, 401, 401, 401]),
            ("/subjects/jutta/sessions", "DELETE", [401, 401, 401, 401]),
        ]
        for path, method, statuses in calls:
            reply = curl(gateway.control + path + "?wait=1", method=method)
            self.assertEqual([status(pair) for pair in pairs], statuses, path)
            self.assertEqual(reply.status, 200)
            (one,) = reply.json["in_force"]
            self.assertEqual(one["gateway"], socket.gethostname())
            at = datetime.datetime.fromisoformat(one["at"].replace("Z", "+00:00"))
            self.assertLess(abs(at.timestamp() - time.time()), 5)
        gone = curl(gateway.control + f"/sessions/{sid}?wait=1", method="DELETE")
        self.assertEqual(gone.status, 404)
        plain = curl(gateway.control + "/subjects/jutta/sessions?wait=0", method="DELETE")
        self.assertEqual((plain.status, plain.body), (204, b""))

    def test_metrics_tell_how_old_the_newest_revocation_is(self):
        def metric(name):
            text = curl(gateway.control + "/metrics").body.decode()
            return float(re.search(rf"^auth_gateway_{name} (\S+)$", text, re.M).group(1))

        begin("klara")
        curl(gateway.control + "/subjects/klara/sessions", method="DELETE")
        count, age = metric("revocations"), metric("newest_revocation_age_seconds")
        self.assertGreaterEqual(count, 1)
        self.assertLess(age, 5)
        time.sleep(0.2)
        self.assertGreaterEqual(metric("newest_revocation_age_seconds"), age + 0.2)

    def test_audit_log_tells_the_story(self):
        begin("ida")
        curl(gateway.control + "/subjects/ida/sessions", method="DELETE")
        told = lambda: [line["event.action"] for line in gateway.audit_log() if line.get("user.id") == "ida"]
        wait_until(lambda: len(told()) >= 2, what="both events")
        self.assertEqual(told(), ["session_started", "subject_sessions_ended"])

    def test_introspect(self):
        pair = begin("jo").json
        reply = curl(gateway.control + "/introspect", form={"token": pair["access_token"]})
        self.assertEqual(reply.status, 200)
        self.assertEqual((reply.json["active"], reply.json["sub"]), (True, "jo"))


class Callers(unittest.TestCase):
    def test_no_page_of_a_browser_may_call(self):
        cases = [
            ["Origin: http://localhost"],
            ["Origin: null"],
            ["Sec-Fetch-Site: same-origin"],
            ["Sec-Fetch-Site: none"],
            ["Host: evil.example"],
            ["Host: localhost.evil.example"],
        ]
        for headers in cases:
            reply = curl(gateway.control + "/sessions", headers=headers)
            self.assertEqual(reply.status, 403, headers)
            self.assertEqual(
                curl(gateway.control + "/sessions", headers=headers, as_json={"subject": "x"}).status, 403
            )
            self.assertEqual(curl(gateway.control + "/healthz", headers=headers).status, 200)

    # DNS rebinding: browsers send neither Sec-Fetch-Site to a plain http name nor Origin with a GET, so the
    # Host is all there is to tell, and a name that begins with "127." need not be an address.
    def test_no_name_that_begins_like_loopback(self):
        reply = curl(gateway.control + "/sessions", headers=["Host: 127.0.0.1.evil.example"])
        self.assertEqual(reply.status, 403)

    def test_public_side_has_no_control_calls(self):
        for path in ("/sessions", "/subjects/alice/sessions"):
            self.assertEqual(curl(gateway.base + path).status, 401)

    def test_secret_is_asked_for_once_it_is_given(self):
        locked = Gateway(demo.port, control=f"secret {CONTROL_SECRET};")
        try:
            self.assertEqual(curl(locked.control + "/healthz").status, 200)
            for token in (None, "x", CONTROL_SECRET[:-1], CONTROL_SECRET + "x", CONTROL_SECRET.upper()):
                self.assertEqual(curl(locked.control + "/sessions", token=token).status, 401, token)
            self.assertEqual(curl(locked.control + "/sessions", token=CONTROL_SECRET).status, 200)
            made = curl(locked.control + "/sessions", token=CONTROL_SECRET, as_json={"subject": "a"})
            self.assertEqual(made.status, 201)
        finally:
            locked.stop()


class Delivery(unittest.TestCase):
    def cookies_and_tokens(self, delivery, headers):
        one = Gateway(demo.port, refresh=f"delivery {delivery};")
        try:
            reply = curl(one.base + "/login", as_json={"user": "bob", "password": "builder"}, headers=headers)
            self.assertEqual(reply.status, 200)
            return set(reply.cookies()), b"access_token" in reply.body
        finally:
            one.stop()

    def test_auto_goes_by_sec_fetch_site(self):
        self.assertEqual(set(login(gateway, browser=True)), {"access", "refresh"})
        self.assertIn("access_token", login(gateway))

    def test_cookie_and_body_are_what_they_say(self):
        self.assertEqual(self.cookies_and_tokens("cookie", []), ({"access", "refresh"}, False))
        self.assertEqual(self.cookies_and_tokens("body", ["Sec-Fetch-Site: same-origin"]), (set(), True))

    def test_https_names_are_prefixed_and_secure(self):
        secure = Gateway(demo.port, scheme="https", routes=DEMO_ROUTES)
        try:
            reply = curl(
                secure.base + "/login",
                as_json={"user": "bob", "password": "builder"},
                headers=["Sec-Fetch-Site: same-origin"],
            )
            cookies = reply.cookies()
            self.assertEqual(set(cookies), {"__Host-access", "__Secure-refresh"})
            for value, attributes in cookies.values():
                self.assertIn("secure", attributes)
                self.assertNotIn("domain", " ".join(attributes))
                self.assertLess(len(value), 4000)
            self.assertIn("path=/", cookies["__Host-access"][1])
            plain = {"access": cookies["__Host-access"][0]}
            self.assertEqual(curl(secure.base + "/whoami", cookies=plain).status, 401)
            ours = {"__Host-access": cookies["__Host-access"][0]}
            self.assertEqual(curl(secure.base + "/whoami", cookies=ours).json["cookie"], [])
        finally:
            secure.stop()
