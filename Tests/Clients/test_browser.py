# A real browser on the demo's pages: log-in, the application, an access token that expires under it, the
# session as the control API lists it, and log-out.

import time
import unittest

from clients import curl
from devtools import Browser
from harness import Demo, Gateway, wait_until

ACCESS_SECONDS = 10


class InTheBrowser(unittest.TestCase):
    is_secure = False
    access, refresh = "access", "refresh"

    @classmethod
    def setUpClass(cls):
        cls.demo = Demo()
        cls.gateway = cls.make_gateway(access=f"lifetime {ACCESS_SECONDS}s; leeway 0s;")
        cls.browser = cls.make_browser()

    @classmethod
    def make_gateway(cls, **options):
        return Gateway(cls.demo.port, **options)

    @classmethod
    def make_browser(cls):
        return Browser()

    @classmethod
    def tearDownClass(cls):
        cls.browser.stop()
        cls.gateway.stop()
        cls.demo.stop()

    def setUp(self):
        self.browser.call("Network.clearBrowserCookies")

    def log_in(self):
        self.browser.open(self.gateway.origin + "/login.html")
        self.browser.script("document.getElementById('submit').click()")
        self.browser.wait("location.pathname == '/app'")
        self.browser.wait("Number(document.getElementById('polls').textContent) >= 1")

    def number(self, element):
        return int(self.browser.script(f"document.getElementById('{element}').textContent"))

    def sessions(self):
        return curl(self.gateway.control + "/sessions?subject=alice").json["sessions"]

    def test_a_day_in_the_application(self):
        self.log_in()
        cookies = self.browser.cookies()
        self.assertEqual(set(cookies), {self.access, self.refresh})
        for cookie in cookies.values():
            self.assertTrue(cookie["httpOnly"])
            self.assertEqual(cookie["secure"], self.is_secure)
            self.assertEqual(cookie["sameSite"], "Lax")
            # Without a dot in front: for this host alone.
            self.assertEqual(cookie["domain"], "localhost")
            self.assertGreater(cookie["expires"] - time.time(), 6 * 86400)
        self.assertEqual((cookies[self.access]["path"], cookies[self.refresh]["path"]), ("/", "/refresh"))
        self.assertEqual(self.browser.script("document.cookie"), "")
        self.assertIn(
            '"subject": "alice"', self.browser.script("document.getElementById('whoami').textContent")
        )
        self.browser.wait("document.getElementById('items').textContent.includes('twine')")
        self.browser.wait("document.getElementById('event').textContent.includes('alice')")

        live = [session for session in self.sessions() if session["state"] == "live"]
        self.assertEqual(len(live), 1)
        self.assertIn("HeadlessChrome", live[0]["user_agent"])
        self.assertEqual(live[0]["generation"], 0)

        # The token expires under the page, and neither the page nor its user notices anything.
        wait_until(
            lambda: self.browser.cookies()[self.refresh]["value"] != cookies[self.refresh]["value"],
            ACCESS_SECONDS + 5,
            "a new refresh token",
        )
        polls = self.number("polls")
        self.browser.wait(f"Number(document.getElementById('polls').textContent) > {polls + 1}")
        self.assertEqual(self.number("errors"), 0)
        self.assertEqual(self.number("refreshes"), 0)
        (after,) = [session for session in self.sessions() if session["state"] == "live"]
        self.assertEqual((after["sid"], after["confirmed"]), (live[0]["sid"], True))
        self.assertGreaterEqual(after["generation"], 1)

        self.browser.script("document.getElementById('logout').click()")
        self.browser.wait("location.pathname == '/login.html'")
        self.assertEqual(self.browser.cookies(), {})
        ended = curl(self.gateway.control + "/sessions/" + live[0]["sid"]).json
        self.assertEqual((ended["state"], ended["end_reason"]), ("ended", "logout"))
        self.assertEqual(self.browser.script("fetch('/whoami').then((answer) => answer.status)"), 401)

    def test_parallel_refreshes_of_tabs_cost_nobody_the_session(self):
        self.log_in()
        # As many as the browser sends at once: a request that waits for a connection goes out with the new
        # cookie, and each of those is a rotation of its own.
        statuses = self.browser.script(
            "Promise.all(Array.from({ length: 5 }, () => fetch('/refresh', { method: 'POST' })"
            ".then((answer) => answer.status)))"
        )
        self.assertEqual(set(statuses), {200})
        self.assertEqual(self.browser.script("fetch('/whoami').then((answer) => answer.status)"), 200)
        self.assertEqual(
            self.browser.script("fetch('/refresh', {method: 'POST'}).then((a) => a.status)"), 200
        )

    def test_page_of_another_origin_changes_nothing(self):
        self.log_in()
        # 127.0.0.1 is another site than localhost, to the browser.
        self.browser.open(self.gateway.base + "/login.html")
        for path in ("/refresh", "/refresh/logout", "/account/delete"):
            self.browser.script(
                f"fetch('{self.gateway.origin}{path}', {{ method: 'POST', mode: 'no-cors', "
                "credentials: 'include' }).then(() => 1, () => 0)"
            )
        live = [session for session in self.sessions() if session["state"] == "live"]
        self.assertTrue(live)
        self.browser.open(self.gateway.origin + "/app")
        self.browser.wait("Number(document.getElementById('polls').textContent) >= 1")
        self.assertEqual(self.number("errors"), 0)

    def test_session_that_ends_elsewhere_ends_the_page(self):
        self.log_in()
        self.assertEqual(curl(self.gateway.control + "/subjects/alice/sessions", method="DELETE").status, 204)
        self.browser.wait("!document.getElementById('over').hidden")
        self.assertEqual(self.browser.cookies(), {})
