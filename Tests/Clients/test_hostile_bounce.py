# The bounce with everything that a hostile or a strange client can do to it: targets in every spelling,
# clients that vanish in the middle of a body that nobody reads, requests behind it, old versions, and
# credentials in pairs.

import base64
import json
import os
import unittest

from clients import Raw, curl
from harness import Gateway, wait_until
from upstreams import Upstream

ROUTES = """
route /login { upstream api; access anonymous; login; }
route /anonymous { upstream api; access anonymous; }
route /observed { upstream api; observe; }
route /pages/ { upstream api; login_page /login.html; }
route / { upstream api; login_page /login.html; }
"""
SAME_ORIGIN = "Sec-Fetch-Site: same-origin\r\nSec-Fetch-Mode: cors\r\nSec-Fetch-Dest: empty\r\n"
NAVIGATION = "Sec-Fetch-Site: none\r\nSec-Fetch-Mode: navigate\r\nSec-Fetch-Dest: document\r\n"


def answer(request, connection):
    session = b"Session-Start: alice\r\n" if request.target == "/login" else b""
    return b"HTTP/1.1 200 OK\r\n%sContent-Length: 2\r\n\r\nok" % session


def setUpModule():
    global upstream, gateway, cookies
    upstream = Upstream(answer)
    gateway = Gateway(upstream.port, routes=ROUTES, main="workers 1;", refresh="bounce_body 64k;")
    reply = curl(gateway.base + "/login", method="POST", headers=["Sec-Fetch-Site: same-origin"])
    cookies = {name: value for name, (value, _) in reply.cookies().items()}
    assert curl(gateway.control + "/subjects/alice/expire-access", method="POST").status == 204


def tearDownModule():
    gateway.stop()
    upstream.stop()


def request(target, fields=SAME_ORIGIN, method="GET", version="1.1", body="", length=None, cookie=None):
    """A request whose access cookie is taken back while its session goes on."""
    cookie = f"Cookie: access={cookies['access']}\r\n" if cookie is None else cookie
    if body or length is not None:
        fields += f"Content-Length: {len(body) if length is None else length}\r\n"
    return f"{method} {target} HTTP/{version}\r\nHost: localhost\r\n{cookie}{fields}\r\n{body}"


def ask(*arguments, **options):
    raw = Raw(gateway.port).send(request(*arguments, **options))
    reply = raw.response(options.get("method", "GET"))
    raw.close()
    return reply


def refreshing(target, **options):
    """What the refresh endpoint says to a browser that is to return to a target."""
    cookie = f"Cookie: access={cookies['access']}; refresh={cookies['refresh']}\r\n"
    return ask(f"/refresh?return_to={target}", cookie=cookie, **options)


def descriptors():
    return len(os.listdir(f"/proc/{gateway.process.pid}/fd"))


class Targets(unittest.TestCase):
    def test_what_could_not_come_back_is_not_sent(self):
        reply = ask("/x?" + "y" * 4096)
        self.assertEqual((reply.status, reply.one("location")), (401, None))
        self.assertEqual(ask("/x?" + "y" * 4000).status, 307)
        # It is a path to the gateway, and comes back as the one that it was taken for.
        self.assertEqual(ask("//evil.example/x").one("location"), "/refresh?return_to=/evil.example/x")

    def test_a_backslash_in_a_query_goes_round_and_comes_back(self):
        # Browsers send it as it is; behind the question mark nobody takes it for a slash.
        reply = ask("/x?file=C:\\a")
        self.assertEqual(reply.one("location"), "/refresh?return_to=/x%3Ffile%3DC%3A%5Ca")
        self.assertEqual(reply.status, 307)
        back = refreshing("/x%3Ffile%3DC%3A%5Ca")
        self.assertEqual((back.status, back.one("location")), (307, "/x?file=C:\\a"))
        self.assertEqual(ask("/x\\y").status, 400)

    def test_the_login_page_is_not_told_of_another_host(self):
        for target, told in (
            ("/pages/a", "/login.html?return_to=/pages/a"),
            ("//evil.example/a", "/login.html?return_to=/evil.example/a"),
            ("///evil.example", "/login.html?return_to=/evil.example"),
            ("/refreshing", "/login.html?return_to=/refreshing"),
        ):
            reply = ask(target, fields=NAVIGATION, cookie="")
            self.assertEqual((reply.status, reply.one("location")), (303, told))

    def test_no_spelling_leads_out_of_the_origin_or_splits_the_answer(self):
        for target in (
            "%2f%2fevil.example", "/%2Fevil.example", "%5C%5Cevil.example", "/%5cevil.example",
            "%2F%5Cevil.example", "/%252Fevil.example", "/%255Cevil.example", "/%00", "/%0a/evil.example",
            "/%0D%0AX:%20y", "/%C3%A9", "/%EF%BC%8Fevil.example", "javascript:alert(1)", "data:,x",
            "https%3A%2F%2Fevil.example", "evil.example", "@evil.example", "/%23", "/..%2F..%2F/evil",
            "/x/../../evil", "/x/..;/refresh", "%2frefresh%2flogout", "/%72efresh",
            "/./refresh?return_to=/x", "//refresh", "/refresh%3Freturn_to=/x", "%20/x", "/x%20y", "/+",
        ):  # fmt: skip
            reply = refreshing(target)
            self.assertIn(reply.status, (400, 405), target)
            self.assertEqual((reply.one("location"), reply.one("x")), (None, None), target)
            self.assertEqual(reply.all("set-cookie"), [], target)
        self.assertEqual(refreshing("/REFRESH").one("location"), "/REFRESH")

    def test_the_first_target_counts_and_no_other(self):
        self.assertEqual(refreshing("/a&return_to=//evil.example").one("location"), "/a")
        self.assertEqual(refreshing("//evil.example&return_to=/a").status, 400)


class Bodies(unittest.TestCase):
    def test_requests_behind_a_body_that_nobody_reads(self):
        body = "GET /smuggled HTTP/1.1\r\nHost: localhost\r\n\r\n" * 100
        upstream.forget()
        raw = Raw(gateway.port)
        raw.send(request("/a", method="POST", body=body) * 2 + request("/anonymous", cookie=""))
        self.assertEqual([raw.response().status for _ in range(3)], [307, 307, 200])
        self.assertEqual([seen.target for seen in upstream.requests], ["/anonymous"])
        raw.close()

    def test_clients_that_vanish_in_the_middle(self):
        before = descriptors()
        for number in range(60):
            raw = Raw(gateway.port).send(request("/a", method="POST", body="x" * 900, length=1000))
            (raw.reset, raw.close, raw.finish_sending)[number % 3]()
            if number % 3 == 2:
                self.assertEqual(raw.rest(3), b"")
        wait_until(lambda: descriptors() <= before + 2, what="descriptors of those that vanished")
        self.assertEqual(ask("/a", method="POST", body="x").status, 307)

    def test_old_versions_heads_and_last_requests(self):
        raw = Raw(gateway.port).send(request("/a", version="1.0", method="POST", body="x" * 100))
        self.assertEqual(raw.response().status, 307)
        self.assertTrue(raw.is_closed())
        raw = Raw(gateway.port).send(request("/a", fields=SAME_ORIGIN + "Connection: close\r\n"))
        reply = raw.response()
        self.assertEqual((reply.status, reply.one("connection")), (307, "close"))
        self.assertTrue(raw.is_closed())
        raw = Raw(gateway.port).send(request("/a", method="HEAD") + request("/a"))
        self.assertEqual([raw.response("HEAD").status, raw.response().status], [307, 307])

    def test_no_body_is_asked_for(self):
        fields = SAME_ORIGIN + "Expect: 100-continue\r\n"
        raw = Raw(gateway.port).send(request("/a", fields=fields, method="POST", length=1000))
        self.assertEqual(raw.response().status, 307)
        self.assertTrue(raw.is_closed())


class Pairs(unittest.TestCase):
    """Two Authorization fields: which of them is ours is not for an upstream to find out."""

    def ask(self, path, *values):
        return ask(path, fields="".join(f"Authorization: {value}\r\n" for value in values), cookie="")

    def test_neither_reaches_an_upstream(self):
        upstream.forget()
        ours, refresh = f"Bearer {cookies['access']}", f"Bearer {cookies['refresh']}"
        for path in ("/anonymous", "/observed"):
            self.assertEqual(self.ask(path, "Basic eDp5", ours).status, 400)
            self.assertEqual(self.ask(path, "Basic eDp5", refresh).status, 401)
            self.assertEqual(self.ask(path, refresh).status, 401)
            self.assertEqual(upstream.requests, [])
            self.assertEqual(self.ask(path, "Basic eDp5").status, 200)
            self.assertEqual(upstream.last().one("authorization"), "Basic eDp5")
            self.assertEqual(self.ask(path, ours).status, 200)
            self.assertEqual(upstream.last().all("authorization"), [])
            upstream.forget()


class Planted(unittest.TestCase):
    """A neighbouring host can plant a refresh cookie of a session of its own, but no access cookie."""

    def test_a_planted_refresh_cookie_makes_nobody_somebody_else(self):
        sessions = gateway.control + "/sessions"
        mallory, alice = (curl(sessions, as_json={"subject": name}).json for name in "ma")
        planted = mallory["refresh_token"]
        for _ in range(3):
            pair = curl(gateway.base + "/refresh", as_json={"refresh_token": planted}).json
            planted = pair["refresh_token"]
        for method, target in (("GET", "/refresh?return_to=/x"), ("POST", "/refresh")):
            pair = f"refresh={planted}; refresh={alice['refresh_token']}"
            reply = ask(target, method=method, cookie=f"Cookie: access={alice['access_token']}; {pair}\r\n")
            self.assertIn(reply.status, (200, 307))
            access = [line for line in reply.all("set-cookie") if line.startswith("access=ey")][-1]
            claims = access.split(".")[1]
            claims = json.loads(base64.urlsafe_b64decode(claims + "=" * (-len(claims) % 4)))
            self.assertEqual(claims["sub"], "a")


if __name__ == "__main__":
    unittest.main()
