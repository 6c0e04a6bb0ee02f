# Pages of other origins in Chromium, which alone can say whether one really gets through: on the routes of
# test_cors.

import json
import unittest

import test_cors as cors
from devtools import Browser
from harness import wait_until


def setUpModule():
    global upstream, gateway, page
    cors.setUpModule()
    upstream, gateway, page = cors.upstream, cors.gateway, cors.page


def tearDownModule():
    cors.tearDownModule()


class InTheBrowser(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.browser = Browser()
        cls.browser.open(gateway.origin + "/pong")
        cls.browser.script("fetch('/login', {method: 'POST'}).then((a) => a.status)")

    @classmethod
    def tearDownClass(cls):
        cls.browser.stop()

    def setUp(self):
        upstream.forget()
        # Another port of localhost is another origin of the same site: the cookies come along.
        self.browser.open(f"http://localhost:{page.port}/")

    def fetch(self, path, options="credentials: 'include'"):
        return json.loads(self.browser.script(f"""
            fetch('{gateway.origin}{path}', {{ {options} }}).then(async (a) => JSON.stringify({{
                status: a.status, etag: a.headers.get('etag'), secret: a.headers.get('x-secret'),
                body: await a.json() }}), (error) => JSON.stringify(error.name))"""))

    def test_a_listed_page_reads_with_its_visitors_cookie(self):
        got = self.fetch("/app/x")
        self.assertEqual((got["status"], got["etag"], got["secret"]), (200, '"1"', None))
        self.assertEqual(got["body"]["x-auth-subject"], "alice")
        self.assertEqual(got["body"]["origin"], f"http://localhost:{page.port}")

    def test_a_listed_page_refreshes_its_visitors_cookie(self):
        before = self.browser.cookies()["access"]["value"]
        got = self.fetch("/refresh", "credentials: 'include', method: 'POST'")
        self.assertEqual((got["status"], sorted(got["body"])),
                         (200, ["expires_in", "refresh_expires_in", "token_type"]))
        self.assertNotEqual(self.browser.cookies()["access"]["value"], before)

    def test_a_put_goes_behind_its_preflight(self):
        options = "credentials: 'include', method: 'PUT', body: 'put', headers: {'X-One': '1'}"
        got = self.fetch("/app/put", options)
        seen = (got["body"]["method"], got["body"]["body"], got["body"]["x-one"])
        self.assertEqual((got["status"], *seen), (200, "PUT", "put", "1"))
        self.assertEqual([request.method for request in upstream.requests], ["PUT"])
        lines = gateway.lines_for("/app/put", 2)
        self.assertEqual({line["http.response.status_code"] for line in lines}, {204, 200})

    def test_refusals_can_be_read(self):
        got = self.fetch("/app/x", "credentials: 'omit'")
        self.assertEqual((got["status"], got["body"]["code"]), (401, "token_missing"))
        self.assertEqual(self.fetch("/admin/x")["status"], 403)
        self.assertEqual(self.fetch("/gone/x")["status"], 502)

    def test_a_page_that_is_not_listed_reads_nothing_and_changes_nothing(self):
        # 127.0.0.1 is another origin, and another site, than localhost.
        self.browser.open(f"http://127.0.0.1:{page.port}/")
        self.assertEqual(self.fetch("/app/x"), "TypeError")
        put = "credentials: 'include', method: 'PUT', body: 'put'"
        self.assertEqual(self.fetch("/app/x", put), "TypeError")
        self.assertNotIn("PUT", [request.method for request in upstream.requests])
        # What is open to all is open to it, but not with a cookie.
        self.assertEqual(self.fetch("/open/x", "credentials: 'omit'")["status"], 200)
        self.assertEqual(self.fetch("/open/x"), "TypeError")

    def test_a_listed_page_gets_nowhere_on_a_route_without_a_block(self):
        self.assertEqual(self.fetch("/x", "credentials: 'include', method: 'PUT', body: 'put'"), "TypeError")
        # A simple request has no preflight, and is sent: the gate is what stops it.
        post = "credentials: 'include', mode: 'no-cors', method: 'POST', body: 'post'"
        self.browser.script(f"fetch('{gateway.origin}/x', {{ {post} }}).then((a) => a.type)")
        self.assertEqual(upstream.requests, [])

        def refused():
            lines = [line for line in gateway.access_log() if line["url.path"] == "/x"]
            return bool(lines) and lines[-1].get("gateway.reason") == "cross_origin"

        wait_until(refused, 2, "the refusal in the log")


if __name__ == "__main__":
    unittest.main()
