# `/refresh/client.js`: how it is served, what it does against a fake gateway (in Node), and in a real browser
# with two tabs and tokens of ten seconds.

import os
import shutil
import subprocess
import time
import unittest

from clients import curl
from devtools import Browser
from harness import ROOT, Demo, Gateway, directory, wait_until

ACCESS_SECONDS = 10
HERE = os.path.dirname(os.path.abspath(__file__))


def setUpModule():
    global demo, gateway
    demo = Demo()
    gateway = start()


def tearDownModule():
    demo.stop()
    gateway.stop()


def start():
    return Gateway(demo.port, access=f"lifetime {ACCESS_SECONDS}s; leeway 0s;")


class Served(unittest.TestCase):
    def test_as_a_script_that_may_be_kept_for_a_while(self):
        reply = curl(gateway.base + "/refresh/client.js")
        self.assertEqual(reply.status, 200)
        with open(os.path.join(ROOT, "Sources/Proxy/Endpoints/client.js"), "rb") as file:
            self.assertEqual(reply.body, file.read())
        self.assertEqual(reply.one("content-type"), "text/javascript; charset=utf-8")
        self.assertEqual(reply.one("cache-control"), "public, max-age=300")
        self.assertEqual(reply.one("x-content-type-options"), "nosniff")
        self.assertIsNone(reply.one("access-control-allow-origin"))
        known = curl(gateway.base + "/refresh/client.js", headers=["If-None-Match: " + reply.one("etag")])
        self.assertEqual((known.status, known.body), (304, b""))
        head = curl(gateway.base + "/refresh/client.js", method="HEAD")
        self.assertEqual((head.status, head.one("content-length")), (200, str(len(reply.body))))
        self.assertEqual(curl(gateway.base + "/refresh/client.js", method="POST").status, 405)

    def test_where_the_refresh_path_is_another(self):
        other = Gateway(demo.port, refresh="path /auth/tokens;")
        try:
            self.assertEqual(curl(other.base + "/auth/tokens/client.js").status, 200)
        finally:
            other.stop()

    def test_against_a_fake_gateway(self):
        script = os.path.join(directory(), "client.mjs")
        shutil.copy(os.path.join(ROOT, "Sources/Proxy/Endpoints/client.js"), script)
        done = subprocess.run(
            ["node", os.path.join(HERE, "client_script.mjs"), script], capture_output=True, text=True, timeout=30
        )
        self.assertEqual(done.returncode, 0, done.stdout + done.stderr)
        self.assertRegex(done.stdout, r"^\d+ cases\n$")


class InTheBrowser(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.browser = Browser()
        cls.tabs = [cls.browser, cls.browser.new_tab()]

    @classmethod
    def tearDownClass(cls):
        cls.browser.stop()

    def setUp(self):
        # One of its own: no line of its log is another test's, and the browser knows nothing of its origin.
        self.gateway = start()
        self.addCleanup(self.gateway.stop)
        self.browser.call("Network.clearBrowserCookies")
        for tab in self.tabs:
            tab.open(self.gateway.origin + "/login.html")

    def log_in(self):
        body = "JSON.stringify({ user: 'alice', password: 'wonderland' })"
        self.assertEqual(
            self.browser.script(
                "window.fetch('/login', { method: 'POST', headers: { 'content-type': 'application/json' }, "
                f"body: {body} }}).then((answer) => answer.status)"
            ),
            200,
        )

    def load_script(self, tab):
        tab.script(
            "import('/refresh/client.js').then((client) => {"
            "  Object.assign(window, { client, over: [], statuses: [], asked: [] });"
            "  client.session.addEventListener('over', () => over.push('over'));"
            "  const fetched = () => client.fetch('/whoami').then((answer) => statuses.push(answer.status));"
            "  window.ask = () => asked[asked.push(fetched()) - 1];"
            "})"
        )

    def lines(self, path):
        return [line for line in self.gateway.access_log() if line["url.path"] == path]

    def test_two_tabs_cross_an_expiry_with_one_refresh(self):
        self.log_in()
        for tab in self.tabs:
            self.load_script(tab)
        # What each knows at first it learns from one refresh; the next comes a second before the expiry.
        self.browser.script("ask()")
        self.tabs[1].wait("localStorage.length == 1")
        for tab in self.tabs:
            tab.script("void (window.timer = setInterval(ask, 100))")
        wait_until(lambda: len(self.lines("/refresh/")) == 2, ACCESS_SECONDS + 5, "a refresh ahead of expiry")
        time.sleep(2)
        count = 0
        for tab in self.tabs:
            tab.script("clearInterval(timer), Promise.all(asked)")
            statuses = tab.script("statuses")
            count += len(statuses)
            # A browser lets a tab that nobody sees do something once a second.
            self.assertGreater(len(statuses), 5)
            self.assertEqual((set(statuses), tab.script("over")), ({200}, []))
        codes = lambda: [line["http.response.status_code"] for line in self.lines("/whoami")]
        wait_until(lambda: codes().count(200) >= count, what="a line for each")
        self.assertEqual(len(self.lines("/refresh/")), 2, "one for both tabs")
        # On a busy machine a timer misses its second, and one request takes the detour that is there for that.
        detours = len(self.lines("/refresh"))
        self.assertLessEqual(detours, 1)
        self.assertEqual((codes().count(200), codes().count(307), len(codes())), (count, detours, count + detours))

    def test_the_end_of_the_session_is_told(self):
        self.log_in()
        for tab in self.tabs:
            self.load_script(tab)
            tab.script("ask()")
        self.assertEqual(curl(self.gateway.control + "/subjects/alice/sessions", method="DELETE").status, 204)
        self.browser.script("ask()")
        self.assertEqual(self.browser.script("[statuses, over]"), [[200, 401], ["over"]])
        self.assertEqual(self.browser.cookies(), {})
        self.tabs[1].script("ask()")
        self.assertEqual(self.tabs[1].script("statuses"), [200, 401])

    def test_a_visitor_is_left_alone_until_there_is_a_session(self):
        self.load_script(self.browser)
        self.browser.script("Promise.all([ask(), ask()]).then(ask)")
        self.assertEqual(self.browser.script("[statuses, over]"), [[401, 401, 401], []])
        self.gateway.lines_for("/whoami", 3)
        self.gateway.lines_for("/refresh/", 1)
        self.log_in()
        self.browser.script("ask()")
        self.assertEqual(self.browser.script("statuses.at(-1)"), 200)
