# The audit log: every event of sessions and of single requests, with its reason and whom it concerns; and no
# token in any of them (the harness looks through all logs).

import unittest

from clients import curl
from harness import Gateway, wait_until
from upstreams import OK, Upstream

ROUTES = """
route /login { upstream api; access anonymous; login; }
route /account/ { upstream api; session_control; }
route / { upstream api; }
"""
PAGE = ["Sec-Fetch-Site: same-origin"]


def answer(request, connection):
    """A login says what its own request says; the account's pages end what their name says."""
    said = ""
    for name in ("Session-Start", "Session-Claims"):
        if value := request.one("x-say-" + name.lower()):
            said += f"{name}: {value}\r\n"
    if request.target.startswith("/account/"):
        said += f"Session-End: {request.target.rsplit('/', 1)[1]}\r\n"
    return f"HTTP/1.1 200 OK\r\n{said}Content-Length: 2\r\n\r\nok".encode() if said else OK


def setUpModule():
    global upstream, gateway
    upstream = Upstream(answer)
    gateway = Gateway(upstream.port, routes=ROUTES, refresh="race_window 0s;")


def tearDownModule():
    gateway.stop()
    upstream.stop()


def log_in(subject, claims=None, *headers, **options):
    said = ["X-Say-Session-Start: " + subject] if subject else []
    said += ["X-Say-Session-Claims: " + claims] if claims else []
    return curl(gateway.base + "/login", method="POST", headers=[*said, *headers], **options)


def refresh(pair):
    return curl(gateway.base + "/refresh", as_json={"refresh_token": pair["refresh_token"]})


class Events(unittest.TestCase):
    def setUp(self):
        self.offset = len(gateway.audit_log())

    def event(self, action):
        """The one event of that name since the test began, without its time."""

        def found():
            return [line for line in gateway.audit_log()[self.offset :] if line["event.action"] == action]

        wait_until(found, what=action)
        (line,) = found()
        self.assertIn("@timestamp", line)
        return {name: value for name, value in line.items() if name not in ("@timestamp", "event.action")}

    def test_session_started(self):
        log_in("anna")
        event = self.event("session_started")
        self.assertEqual((event["user.id"], event["source.ip"]), ("anna", "127.0.0.1"))
        self.assertEqual(len(event["session.id"]), 22)

    def assert_ended(self, reason, subject):
        event = self.event("session_ended")
        self.assertEqual((event["user.id"], event["event.reason"]), (subject, reason))

    def test_session_ended_by_its_user(self):
        pair = log_in("bert").json
        curl(gateway.base + "/refresh/logout", as_json={"refresh_token": pair["refresh_token"]})
        self.assert_ended("logout", "bert")

    def test_session_ended_in_the_users_list(self):
        pair = log_in("bella").json
        url = gateway.base + "/refresh/sessions"
        sid = curl(url, token=pair["access_token"]).json["sessions"][0]["sid"]
        curl(f"{url}/{sid}", method="DELETE", token=pair["access_token"])
        self.assert_ended("logout", "bella")

    def test_session_ended_by_a_new_login(self):
        cookies = {name: value for name, (value, _) in log_in("cora", None, *PAGE).cookies().items()}
        log_in("cora", None, *PAGE, cookies=cookies)
        self.assert_ended("replaced", "cora")

    def test_session_ended_by_the_upstream(self):
        pair = log_in("dirk").json
        curl(gateway.base + "/account/session", token=pair["access_token"])
        self.assert_ended("upstream", "dirk")

    def test_session_ended_by_the_control_api(self):
        log_in("emma")
        sid = curl(gateway.control + "/sessions?subject=emma").json["sessions"][0]["sid"]
        curl(gateway.control + "/sessions/" + sid, method="DELETE")
        self.assert_ended("control", "emma")

    def test_refresh_token_reused(self):
        pair = log_in("fritz").json
        grandchild = refresh(refresh(pair).json).json
        self.assertEqual(refresh(pair).json["code"], "refresh_token_reused")
        event = self.event("refresh_token_reused")
        self.assertEqual(
            (event["user.id"], event["generation"], event["event.reason"], event["source.ip"]),
            ("fritz", "0", "stored generation 2", "127.0.0.1"),
        )
        self.assert_ended("replay", "fritz")
        refresh(grandchild)
        self.assertEqual(self.event("refresh_rejected")["event.reason"], "session_ended")

    def test_all_of_a_subject(self):
        pair = log_in("gina").json
        curl(gateway.base + "/account/access", token=pair["access_token"])
        self.assertEqual(
            self.event("subject_access_expired"), {"user.id": "gina", "event.reason": "access"}
        )
        curl(gateway.control + "/subjects/gina/sessions", method="DELETE")
        self.assertEqual(
            self.event("subject_sessions_ended"), {"user.id": "gina", "event.reason": "control"}
        )

    def test_login_refused(self):
        cases = [
            ("hans", '{"sub":"root"}', "hans", "holds a name that belongs to the gateway"),
            ("hans", "[]", "hans", "not an object"),
            ("hans", '{"x":"' + "y" * 3000 + '"}', "hans", "do not fit into a cookie"),
            ("x" * 300, None, None, "Session-Start is not a name"),
        ]
        for subject, claims, told, why in cases:
            self.setUp()
            self.assertEqual(log_in(subject, claims).status, 502)
            event = self.event("login_refused")
            self.assertEqual(
                (event.get("user.id"), event["source.ip"], event["gateway.route"]),
                (told, "127.0.0.1", "/login"),
            )
            self.assertIn(why, event["event.reason"])
            self.assertNotIn("yyy", str(event))

    def test_a_login_without_a_session_is_the_upstreams_business(self):
        log_in(None)
        log_in("inge")
        self.event("session_started")
        self.assertNotIn("login_refused", [line["event.action"] for line in gateway.audit_log()[self.offset :]])

    def test_refresh_token_misplaced(self):
        pair = log_in("jan").json
        curl(gateway.base + "/x?t=" + pair["refresh_token"])
        self.assertEqual(
            self.event("refresh_token_misplaced"),
            {"event.reason": "query", "source.ip": "127.0.0.1", "gateway.route": "/"},
        )
