# Session cookies of the system before this one, which an upstream vouches for: whatever that upstream answers,
# whoever asks, and in a real browser, whose pages must not notice.

import json
import re
import threading
import time
import unittest

from clients import Raw, curl
from devtools import Browser
from harness import Gateway, wait_until
from upstreams import Upstream

ROUTES = """
route /login { upstream api; access anonymous; login; }
route = /login.html { upstream api; access anonymous; }
route /start { upstream api; access anonymous; }
route /optional { upstream api; access optional; }
route /page { upstream api; login_page /login.html; }
route / { upstream api; }
"""
FETCH = ["Sec-Fetch-Site: same-origin", "Sec-Fetch-Mode: cors", "Sec-Fetch-Dest: empty"]
NAVIGATION = ["Sec-Fetch-Site: none", "Sec-Fetch-Mode: navigate", "Sec-Fetch-Dest: document"]
EXCHANGE = "exchange cookie old_session { until 2030-01-31; upstream api /whoami?of=old; timeout 500ms; } "
PAGE = b"<!doctype html><title>page</title><link rel=icon href=data:,><p id=got>%s</p>"
VALUE = "the-session-of-alice-in-the-old-system"


def http(status, body=b"", fields=b""):
    return b"HTTP/1.1 %s\r\n%sContent-Length: %d\r\n\r\n%s" % (status.encode(), fields, len(body), body)


def said(**members):
    return http("200 OK", json.dumps(members).encode(), b"Content-Type: application/json\r\n")


class Old(Upstream):
    """The API behind the gateway; `whoami` answers for the old cookies."""

    def __init__(self):
        super().__init__(self.serve)
        self.whoami = lambda request, connection: said(subject="alice")

    def serve(self, request, connection):
        if request.target == "/whoami?of=old":
            return self.whoami(request, connection)
        if request.target == "/login":
            return http("200 OK", b"", b"Session-Start: alice\r\n")
        if request.target == "/start":
            return http("200 OK", PAGE % b"start", b"Content-Type: text/html\r\nSet-Cookie: old_session=%s; Path=/\r\n" % VALUE.encode())
        text = json.dumps(
            {
                "method": request.method,
                "body": request.body.decode(),
                "subject": request.one("x-auth-subject"),
            }
        ).encode()
        if request.target.startswith(("/page", "/login.html")):
            return http("200 OK", PAGE % text, b"Content-Type: text/html\r\nCache-Control: no-store\r\n")
        return http("200 OK", text, b"Content-Type: application/json\r\n")

    def asked(self):
        return [request for request in self.requests if request.target == "/whoami?of=old"]


class CookieCase(unittest.TestCase):
    refresh = EXCHANGE
    main = ""

    def setUp(self):
        self.upstream = Old()
        self.gateway = Gateway(self.upstream.port, routes=ROUTES, refresh=self.refresh, main=self.main)
        self.addCleanup(self.stop)

    def stop(self):
        self.gateway.stop()
        self.stop_upstream()
        for path in (self.gateway.service_path, self.gateway.access_path, self.gateway.audit_path):
            with open(path) as file:
                self.assertNotIn(VALUE, file.read())

    def stop_upstream(self):
        if self.upstream.listener.fileno() >= 0:
            self.upstream.stop()

    def post(self, value=VALUE, headers=FETCH, **more):
        return curl(
            self.gateway.base + "/refresh", method="POST", cookies={"old_session": value}, headers=headers, **more
        )

    def round(self, path="/page", headers=NAVIGATION, cookies=None, **more):
        """A browser's request, followed by the way round; the answers on the way."""
        cookies = dict({"old_session": VALUE} if cookies is None else cookies)
        url, replies = path, []
        while len(replies) < 5:
            reply = curl(self.gateway.base + url, cookies=cookies, headers=headers, **more)
            replies.append(reply)
            cookies |= {name: value for name, (value, _) in reply.cookies().items() if value}
            if reply.status != 307:
                break
            url = reply.one("location")
        self.cookies = cookies
        return replies

    def sessions(self, state="live"):
        listed = curl(self.gateway.control + "/sessions").json["sessions"]
        return [session for session in listed if session["state"] == state]


class Answers(CookieCase):
    def test_what_is_asked_and_what_it_gives(self):
        self.upstream.whoami = lambda *_: said(
            subject="älice", claims={"role": "admin", "scope": "a b"}, label="a\u0007\u001b[31mphone\n", more=[1]
        )
        reply = self.post()
        self.assertEqual(reply.status, 200)
        (question,) = self.upstream.asked()
        self.assertEqual((question.method, question.one("cookie")), ("GET", f"old_session={VALUE}"))
        # Nothing else of the client's goes along.
        self.assertEqual(set(question.names), {"host", "user-agent", "accept", "accept-encoding", "cookie", "connection"})
        (session,) = self.sessions()
        self.assertEqual((session["subject"], session["label"]), ("älice", "a[31mphone"))
        # The old cookie stays: another part of the site may live by it.
        self.assertEqual(set(reply.cookies()), {"access", "refresh"})

    def test_refusals_lead_to_the_login_page_and_spend_nothing(self):
        for status in ("401 No", "403 No", "404 No", "410 Gone"):
            self.upstream.whoami = lambda *_, status=status: http(status)
            reply = self.post()
            self.assertEqual((reply.status, reply.json["code"]), (401, "refresh_token_invalid"))
            self.assertEqual([r.status for r in self.round()], [307, 303])
            self.assertEqual(self.round()[-1].one("location"), "/login.html")
            self.assertEqual([r.status for r in self.round("/data", FETCH)], [307, 401])
            # Where nobody needs a session nobody is asked for one.
            self.assertEqual([r.status for r in self.round("/optional", FETCH)], [200])
        self.upstream.whoami = lambda *_: said(subject="alice")
        self.assertEqual(self.post().status, 200)

    def test_an_outage_is_no_refusal_and_loses_nothing(self):
        def hang(request, connection):
            time.sleep(1)

        def drip(request, connection):
            connection.send(b"HTTP/1.1 200 OK\r\nContent-Length: 1000\r\n\r\n")
            for _ in range(20):
                time.sleep(0.1)
                connection.send(b" ")

        def fails(request, connection):
            connection.reset()

        answers = {
            "500": lambda *_: http("500 Oops"),
            "302": lambda *_: http("302 Found", b"", b"Location: /login\r\n"),
            "204": lambda *_: http("204 No Content"),
            "hangs": hang,
            "drips": drip,
            "resets": fails,
            "garbage": lambda *_: b"\x00\x01\x02 no http at all\r\n\r\n",
            "huge": lambda *_: http("200 OK", b'{"subject":"alice","x":"' + b"x" * 70_000 + b'"}'),
            "huge head": lambda *_: http("200 OK", b"{}", b"X: " + b"x" * 200_000 + b"\r\n"),
            "smuggled": lambda *_: b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\nTransfer-Encoding: chunked\r\n\r\n{}",
            "cut": lambda r, c: c.send(b"HTTP/1.1 200 OK\r\nContent-Length: 99\r\n\r\n{\"subject\":") or c.close(),
        }
        for name, answer in answers.items():
            with self.subTest(name):
                self.upstream.whoami = answer
                began = time.monotonic()
                reply = self.post()
                self.assertEqual((reply.status, reply.json["code"]), (503, "sessions_unavailable"))
                self.assertEqual(reply.all("set-cookie"), [])
                self.assertLess(time.monotonic() - began, 1.2)
                self.assertEqual([r.status for r in self.round()], [307, 503])
        self.assertEqual(self.sessions(), [])
        self.upstream.whoami = lambda *_: said(subject="alice")
        self.assertEqual([r.status for r in self.round()], [307, 307, 200])

    def test_an_upstream_that_is_gone(self):
        self.upstream.stop()
        for _ in range(3):
            self.assertEqual(self.post().status, 503)
        # It is said once in a second, not for each request of a stranger.
        said = [line for line in self.gateway.service_log().splitlines() if "exchange cookie" in line]
        self.assertLessEqual(len(said), 2)

    def test_bad_values_are_no_session(self):
        bad = [
            b"", b"null", b"[]", b'"alice"', b"{", b'{"subject":1}', b'{"subject":null}', b'{"subject":""}',
            b'{"subject":" alice"}', b'{"subject":"a\\r\\nX-Auth-Role: admin"}', b'{"subject":"a\\u0000"}',
            b'{"subject":"' + b"a" * 256 + b'"}', b'{"subject":"\xff"}', b'{"subject":"a","subject":"b"}',
            b'{"sub":"alice"}', b"[" * 5000, b'{"subject":"\\ud800"}',
        ]
        for body in bad:
            self.upstream.whoami = lambda *_, body=body: http("200 OK", body)
            self.assertEqual(self.post().status, 503, body[:40])
        # Claims that cannot be: refused, so that there is another way in.
        for claims in ([], "x", {"sub": "root"}, {"rt": "x"}, {"exp": 1}, {"scope": 1}, {"x": "y" * 3000}):
            self.upstream.whoami = lambda *_, claims=claims: said(subject="alice", claims=claims)
            self.assertEqual(self.post().status, 401, claims)
        self.assertEqual(self.sessions(), [])
        self.upstream.whoami = lambda *_: said(subject="a" * 255, label=7)
        self.assertEqual(self.post().status, 200)


class Askers(CookieCase):
    def test_no_page_of_another_site_and_no_prefetch_has_it_asked(self):
        for headers in (
            [], ["Sec-Fetch-Site: cross-site"], ["Sec-Fetch-Site: same-site"], ["Origin: http://evil.example"],
        ):
            self.assertEqual(self.post(headers=headers).status, 403)
        for headers in (
            ["Sec-Fetch-Site: cross-site", "Sec-Fetch-Mode: no-cors", "Sec-Fetch-Dest: image"],
            ["Sec-Fetch-Site: cross-site", "Sec-Fetch-Mode: navigate", "Sec-Fetch-Dest: iframe"],
            NAVIGATION + ["Sec-Purpose: prefetch"], NAVIGATION + ["Purpose: prefetch"], FETCH + ["Sec-Purpose: prefetch;prerender"],
        ):
            (reply,) = self.round("/data", headers)
            self.assertEqual(reply.status, 401, headers)
            direct = curl(
                self.gateway.base + "/refresh?return_to=/data", cookies={"old_session": VALUE}, headers=headers
            )
            self.assertEqual(direct.status, 403, headers)
        posted = curl(
            self.gateway.base + "/data", method="POST", cookies={"old_session": VALUE}, data="x",
            headers=["Sec-Fetch-Site: cross-site", "Sec-Fetch-Mode: navigate", "Sec-Fetch-Dest: document"],
        )
        self.assertEqual(posted.status, 401)
        self.assertEqual(self.upstream.asked(), [])

    def test_a_value_breaks_out_of_nothing(self):
        for value in ('a"b', "a=b==", "a,b", "%0d%0aX:y", "a\\b", "ü", "' OR 1=1", "a b"):
            self.upstream.forget()
            self.post(value)
            (question,) = self.upstream.asked()
            self.assertEqual(question.one("cookie"), f"old_session={value}".encode().decode("latin-1"))
        raw = Raw(self.gateway.port)
        raw.send(b"POST /refresh HTTP/1.1\r\nHost: x\r\nSec-Fetch-Site: same-origin\r\nContent-Length: 0\r\n"
                 b"Cookie: old_session=a\rX-Injected: b\r\n\r\n")
        self.assertEqual(raw.response().status, 400)
        raw.close()

    def test_a_planted_cookie_makes_nobody_somebody_else(self):
        self.upstream.whoami = lambda request, _: said(subject=request.one("cookie").split("=")[1])
        for cookies in ("old_session=mallory; old_session=alice", "old_session=alice; a=b; old_session="):
            reply = curl(
                self.gateway.base + "/refresh", method="POST", headers=FETCH + ["Cookie: " + cookies]
            )
            self.assertEqual((reply.status, self.upstream.asked()), (400, []))
        # The same twice says one thing.
        reply = curl(
            self.gateway.base + "/refresh",
            method="POST",
            headers=FETCH + ["Cookie: old_session=alice; old_session=alice"],
        )
        self.assertEqual((reply.status, self.sessions()[0]["subject"]), (200, "alice"))

    def test_a_client_that_leaves_while_it_is_asked_harms_nobody(self):
        self.upstream.whoami = lambda *_: time.sleep(0.2) or said(subject="alice")
        for _ in range(20):
            raw = Raw(self.gateway.port)
            raw.send(f"POST /refresh HTTP/1.1\r\nHost: x\r\nSec-Fetch-Site: same-origin\r\nContent-Length: 0\r\n"
                     f"Cookie: old_session={VALUE}\r\n\r\n")
            time.sleep(0.01)
            raw.reset()
        self.assertEqual(self.post().status, 200)
        self.assertEqual(len(self.sessions()), 1)


class Strangers(CookieCase):
    main = "workers 1;"
    # As long as the test wants.
    refresh = EXCHANGE.replace("500ms", "20s")

    def setUp(self):
        super().setUp()
        self.go = threading.Event()
        self.addCleanup(self.go.set)

    def in_flight(self):
        """How many requests the gateway has under way beside the one that asks."""
        page = curl(self.gateway.control + "/metrics").body.decode()
        return int(re.search(r"(?m)^auth_gateway_http_requests_in_flight (\d+)", page).group(1)) - 1

    def test_they_cannot_have_it_asked_without_limit(self):
        self.upstream.whoami = lambda *_: self.go.wait(20) and http("401 No")
        raws = []
        for number in range(200):
            raws.append(Raw(self.gateway.port))
            raws[-1].send(
                "POST /refresh HTTP/1.1\r\nHost: x\r\nSec-Fetch-Site: same-origin\r\nContent-Length: 0\r\n"
                f"Cookie: old_session=guess{number}\r\n\r\n"
            )
        # Who comes beyond the limit is answered at once, and the others wait.
        wait_until(lambda: len(self.upstream.asked()) == 128 and self.in_flight() == 128, 10, "as many as may be asked")
        self.go.set()
        statuses = [raw.response().status for raw in raws]
        for raw in raws:
            raw.close()
        self.assertEqual((statuses.count(401), statuses.count(503)), (128, 200 - 128))
        self.assertEqual(self.upstream.opened, 128)
        # What was under way has ended, and makes room.
        self.upstream.whoami = lambda *_: said(subject="alice")
        self.assertEqual(self.post().status, 200)

    def test_one_page_has_it_asked_once(self):
        self.upstream.whoami = lambda *_: self.go.wait(20) and said(subject="alice")
        raws = []
        for number in range(40):
            raws.append(Raw(self.gateway.port))
            raws[-1].send(
                "POST /refresh HTTP/1.1\r\nHost: x\r\nSec-Fetch-Site: same-origin\r\nContent-Length: 0\r\n"
                f"Cookie: old_session={VALUE}{number % 2}\r\n\r\n"
            )
        wait_until(lambda: self.in_flight() == 40, 10, "all of them")
        # Some do not wait for it.
        for raw in raws[::5]:
            raw.reset()
        wait_until(lambda: self.in_flight() == 32, 10, "those that wait")
        self.go.set()
        replies = [raw.response() for index, raw in enumerate(raws) if index % 5]
        for raw in raws:
            raw.close()
        self.assertEqual({reply.status for reply in replies}, {200})
        self.assertEqual(len({reply.cookies()["refresh"][0] for reply in replies}), 2)
        self.assertEqual((len(self.upstream.asked()), len(self.sessions())), (2, 2))


class Rate(CookieCase):
    refresh = "rate 1/m burst=5; " + EXCHANGE

    def test_strangers_are_held_to_it(self):
        self.upstream.whoami = lambda *_: http("401 No")
        self.assertEqual([self.post(f"guess{n}").status for n in range(8)], [401] * 5 + [429] * 3)
        self.assertEqual(len(self.upstream.asked()), 5)


class Once(CookieCase):
    def test_one_session_however_many_ask(self):
        results = []

        def go():
            reply = curl(
                self.gateway.base + "/refresh?return_to=/page", cookies={"old_session": VALUE}, headers=FETCH
            )
            results.append((reply.status, reply.cookies().get("refresh", ("none",))[0]))

        threads = [threading.Thread(target=go) for _ in range(20)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        self.assertEqual((len(set(results)), results[0][0], len(self.sessions())), (1, 307, 1))

    def test_log_out_does_not_log_in_again(self):
        self.assertEqual([r.status for r in self.round()], [307, 307, 200])
        out = curl(self.gateway.base + "/refresh/logout", method="POST", cookies=self.cookies, headers=FETCH)
        self.assertEqual(out.status, 204)
        self.assertIn("max-age=0", out.cookies()["old_session"][1])
        # The old system may not know of it: its cookie is still there, and still vouched for.
        replies = self.round(cookies={"old_session": VALUE})
        self.assertEqual([r.status for r in replies], [307, 303])
        self.assertEqual(replies[-1].one("location"), "/login.html")
        self.assertEqual(self.sessions(), [])
        # Who logs in by the page has a session again.
        reply = curl(
            self.gateway.base + "/login", method="POST", cookies={"old_session": VALUE}, headers=FETCH
        )
        self.assertEqual((reply.status, len(self.sessions())), (200, 1))

    def test_log_out_of_a_session_that_began_otherwise_takes_the_old_cookie_along(self):
        # An API that names its user by Session-Start may go on setting its own cookie.
        login = curl(self.gateway.base + "/login", method="POST", headers=FETCH)
        cookies = {name: value for name, (value, _) in login.cookies().items()} | {"old_session": VALUE}
        out = curl(self.gateway.base + "/refresh/logout", method="POST", cookies=cookies, headers=FETCH)
        self.assertIn("max-age=0", out.cookies()["old_session"][1])
        # Not for a page of another site, nor where it is not there.
        cross = curl(
            self.gateway.base + "/refresh/logout", method="POST", cookies=cookies, headers=["Sec-Fetch-Site: cross-site"]
        )
        self.assertEqual(cross.all("set-cookie"), [])
        del cookies["old_session"]
        again = curl(self.gateway.base + "/refresh/logout", method="POST", cookies=cookies, headers=FETCH)
        self.assertNotIn("old_session", again.cookies())

    def test_two_people_have_two_sessions(self):
        self.upstream.whoami = lambda request, _: said(subject=request.one("cookie").split("=")[1])
        threads = []
        seen = {}

        def go(name):
            reply = self.post(name)
            cookies = {"access": reply.cookies()["access"][0]}
            seen[name] = curl(self.gateway.base + "/data", cookies=cookies).json["subject"]

        for number in range(20):
            threads.append(threading.Thread(target=go, args=(f"person{number}",)))
            threads[-1].start()
        for thread in threads:
            thread.join()
        self.assertEqual(seen, {name: name for name in seen})
        self.assertEqual(len(self.sessions()), 20)


class InTheBrowser(CookieCase):
    def test_pages_scripts_and_forms_do_not_notice(self):
        browser = Browser()
        self.addCleanup(browser.stop)
        origin = self.gateway.origin
        for first in ("navigation", "scripts"):
            browser.call("Network.clearBrowserCookies")
            value = VALUE + first
            browser.open(origin + "/start")
            browser.script(f"document.cookie = 'old_session={value}; path=/'")
            if first == "navigation":
                browser.open(origin + "/page")
                self.assertIn('"subject": "alice"', browser.script("document.getElementById('got').textContent"))
            answers = json.loads(browser.script("""
                (async () => {
                  const posts = Array.from({ length: 20 }, (_, n) =>
                    fetch('/post?n=' + n, { method: 'POST', body: 'body ' + n }).then((a) => a.json()));
                  const image = fetch('/data').then((a) => a.json());
                  return JSON.stringify(await Promise.all([...posts, image]));
                })()"""))
            self.assertEqual(
                [(a["method"], a["body"], a["subject"]) for a in answers],
                [("POST", f"body {n}", "alice") for n in range(20)] + [("GET", "", "alice")],
            )
            self.assertEqual(set(browser.cookies()) - {"refreshed"}, {"access", "refresh", "old_session"})
        self.assertEqual(len(self.sessions()), 2)
        # Logged out is logged out: the old cookie goes as well.
        browser.open(origin + "/page")
        self.assertEqual(
            browser.script("fetch('/refresh/logout', {method: 'POST'}).then((a) => a.status)"), 204
        )
        self.assertEqual(set(browser.cookies()) & {"access", "refresh", "old_session"}, set())
        wait_until(lambda: "refreshed" not in browser.cookies(), 8, "the mark goes")
        browser.call("Page.navigate", url=origin + "/page")
        browser.wait("location.pathname == '/login.html'")
        self.assertEqual(len(self.sessions()), 1)
        # A page of another site: 127.0.0.1 is one to the browser.
        browser.call("Network.clearBrowserCookies")
        browser.open(origin + "/start")
        self.upstream.forget()
        browser.open(self.gateway.base + "/start")
        browser.script(
            f"fetch('{origin}/data', {{ method: 'POST', mode: 'no-cors', credentials: 'include', body: 'x' }})"
            ".then(() => 1, () => 0)"
        )
        browser.script(f"""new Promise((done) => {{ const frame = document.createElement('iframe');
            frame.onload = () => done(1); frame.src = '{origin}/page'; document.body.append(frame); }})""")
        self.assertEqual(self.upstream.asked(), [])
