# Browsers with no client code: an access token that has expired sends the browser to /refresh and back, with
# method and body, and neither pages nor scripts notice. By Chromium as it really behaves, and by curl for
# everything that must not be sent round.

import json
import time
import unittest

from clients import curl
from devtools import Browser
from harness import Gateway, wait_until
from upstreams import Upstream

ACCESS_SECONDS = 10
ROUTES = """
route /login { upstream api; access anonymous; login; }
route /login.html { upstream api; access anonymous; }
route /pages/ { upstream api; login_page /login.html; }
route /maybe { upstream api; access optional; }
route / { upstream api; }
"""
PAGE = b"""<!doctype html><title>page</title><link rel="icon" href="data:,">
<form id="form" method="post" action="/pages/form" target="frame"><input name="word" value="by form"></form>
<iframe name="frame"></iframe><p>page</p>"""


def page(body, kind=b"text/html", fields=b""):
    return (
        b"HTTP/1.1 200 OK\r\nContent-Type: %s\r\nCache-Control: no-store\r\n%sContent-Length: %d\r\n\r\n%s"
        % (kind, fields, len(body), body)
    )


def answer(request, connection):
    path = request.target.split("?")[0]
    if path == "/login":
        return page(b"{}", b"application/json", b"Session-Start: alice\r\n")
    if path == "/pages/form":
        return page(b"<p id=got>%s</p>" % request.body)
    if path.endswith(".png"):
        return page(b"\x89PNG", b"image/png")
    if path == "/events":
        connection.send(b"HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\n\r\n")
        connection.send(b"data: %s\n\n" % (request.one("x-auth-subject") or "nobody").encode())
        time.sleep(1)
        connection.close()
        return None
    if path in ("/pages/home", "/login.html"):
        return page(PAGE)
    seen = {
        "method": request.method,
        "target": request.target,
        "body": request.body.decode(),
        "subject": request.one("x-auth-subject"),
    }
    return page(json.dumps(seen).encode(), b"application/json")


def setUpModule():
    global upstream, gateway
    upstream = Upstream(answer)
    gateway = Gateway(
        upstream.port, routes=ROUTES, access=f"lifetime {ACCESS_SECONDS}s; leeway 0s;", refresh="bounce_body 64k;"
    )


def tearDownModule():
    gateway.stop()
    upstream.stop()


def expire_access():
    """Every access token of alice answers 401 from here on; her session goes on."""
    reply = curl(gateway.control + "/subjects/alice/expire-access", method="POST")
    assert reply.status == 204, reply.status


class InTheBrowser(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.browser = Browser()

    @classmethod
    def tearDownClass(cls):
        cls.browser.stop()

    def setUp(self):
        self.browser.call("Network.clearBrowserCookies")
        self.browser.open(gateway.origin + "/login.html")
        self.assertEqual(self.browser.script("fetch('/login', {method: 'POST'}).then((a) => a.status)"), 200)
        self.browser.open(gateway.origin + "/pages/home")

    def generation(self):
        """Of the newest session, which must live."""
        newest = curl(gateway.control + "/sessions?subject=alice").json["sessions"][0]
        self.assertEqual(newest["state"], "live", gateway.audit_log()[-3:])
        return newest["generation"]

    def everything_at_once(self):
        """Twenty parallel POSTs, a form, an event stream, an image and a DELETE; what each came to."""
        return json.loads(self.browser.script("""
            (async () => {
              const json = (answer) => answer.ok ? answer.json() : { status: answer.status };
              const posts = Array.from({ length: 20 }, (_, n) =>
                fetch('/post?n=' + n, { method: 'POST', body: 'body ' + n }).then(json));
              const frame = document.querySelector('iframe');
              const form = new Promise((done) => { frame.onload = () =>
                done(frame.contentDocument.getElementById('got')?.textContent ?? 'refused'); });
              document.getElementById('form').submit();
              const source = new EventSource('/events');
              const event = new Promise((done) => {
                source.onmessage = (message) => { source.close(); done(message.data); };
                source.onerror = () => { if (source.readyState === 2) done('closed'); };
              });
              const image = fetch('/dot.png').then((answer) => answer.status);
              const erase = new Promise((done) => {
                const request = new XMLHttpRequest();
                request.onloadend = () => done(request.status);
                request.open('DELETE', '/thing');
                request.send();
              });
              return JSON.stringify(await Promise.all([Promise.all(posts), form, event, image, erase]));
            })()"""))

    def judge(self, results):
        posts, form, event, image, erase = results
        for number, post in enumerate(posts):
            expected = {
                "method": "POST",
                "target": f"/post?n={number}",
                "body": f"body {number}",
                "subject": "alice",
            }
            self.assertEqual(post, expected)
        self.assertEqual((form, event, image, erase), ("word=by+form", "alice", 200, 200))
        self.generation()

    def test_a_page_crosses_an_expiry_with_everything_at_once(self):
        time.sleep(ACCESS_SECONDS + 0.5)
        self.judge(self.everything_at_once())
        self.assertGreaterEqual(self.generation(), 1)

    def test_a_page_crosses_a_change_of_rights_again_and_again(self):
        for _ in range(5):
            expire_access()
            self.judge(self.everything_at_once())

    def test_a_navigation_comes_back_to_where_it_went(self):
        expire_access()
        self.browser.open(gateway.origin + "/pages/home?tab=2")
        self.assertEqual(self.browser.script("location.pathname + location.search"), "/pages/home?tab=2")
        self.assertEqual(self.browser.script("document.querySelector('p').textContent"), "page")

    def test_a_link_on_another_site_comes_through(self):
        expire_access()
        self.browser.open(f"http://127.0.0.1:{gateway.port}/login.html")
        self.browser.script(f"location.assign('{gateway.origin}/pages/home?from=afar')")
        self.browser.wait("location.search == '?from=afar' && !!document.querySelector('p')")

    def test_a_session_that_is_over_leads_pages_to_the_login_and_scripts_to_401(self):
        cookies = self.browser.cookies()
        self.assertEqual(set(cookies), {"access", "refresh"})
        curl(gateway.control + "/subjects/alice/sessions", method="DELETE")
        self.assertEqual(self.browser.script("fetch('/post', {method: 'POST'}).then((a) => a.status)"), 401)
        time.sleep(ACCESS_SECONDS)
        self.assertEqual(self.browser.script("fetch('/post', {method: 'POST'}).then((a) => a.status)"), 401)
        self.browser.call("Page.navigate", url=gateway.origin + "/pages/home?x=1")
        self.browser.wait("location.pathname == '/login.html'")
        self.assertNotIn("access", self.browser.cookies())


def browser_request(path, *more, method="GET", cookies=None, site="same-origin", mode="cors", dest="empty", **options):
    headers = [f"Sec-Fetch-Site: {site}", f"Sec-Fetch-Mode: {mode}", f"Sec-Fetch-Dest: {dest}", *more]
    return curl(gateway.base + path, method=method, headers=headers, cookies=cookies, **options)


class WhoIsSentRound(unittest.TestCase):
    """The refusals, and beside each the nearest request that is sent round."""

    @classmethod
    def setUpClass(cls):
        reply = curl(gateway.base + "/login", method="POST", headers=["Sec-Fetch-Site: same-origin"])
        cls.cookies = {name: value for name, (value, _) in reply.cookies().items()}
        cls.access = {"access": cls.cookies["access"]}
        expire_access()

    def sent(self, *more, **options):
        reply = browser_request("/x?y=1&z=%20", *more, cookies=self.access, **options)
        if reply.status == 307:
            self.assertEqual(reply.one("location"), "/refresh?return_to=/x%3Fy%3D1%26z%3D%2520")
            self.assertEqual(reply.one("cache-control"), "no-store")
        return reply.status

    def test_requests_of_our_own_pages(self):
        self.assertEqual(self.sent(), 307)
        self.assertEqual(self.sent(method="POST", data="x"), 307)
        self.assertEqual(self.sent(mode="navigate", dest="iframe"), 307)

    def test_a_person_who_opens_a_page(self):
        for site in ("none", "cross-site", "same-site"):
            self.assertEqual(self.sent(site=site, mode="navigate", dest="document"), 307)
            self.assertEqual(self.sent(site=site), 401)
            self.assertEqual(self.sent(site=site, mode="navigate", dest="iframe"), 401)
            self.assertIn(self.sent(site=site, mode="navigate", dest="document", method="POST"), (401, 403))

    def test_no_prefetch(self):
        self.assertEqual(self.sent("Sec-Purpose: prefetch;prerender"), 401)
        self.assertEqual(self.sent("Purpose: prefetch"), 401)

    def test_no_websocket(self):
        upgrade = ("Connection: Upgrade", "Upgrade: websocket", "Origin: " + gateway.origin)
        self.assertEqual(self.sent(*upgrade, mode="websocket", dest="websocket"), 401)

    def test_no_large_body_and_none_of_unknown_length(self):
        self.assertEqual(self.sent(method="POST", data="x" * 65536), 307)
        self.assertEqual(self.sent(method="POST", data="x" * 65537), 401)
        self.assertEqual(self.sent("Transfer-Encoding: chunked", method="POST", data="x"), 401)

    def test_no_bearer_and_no_stranger(self):
        headers = ["Sec-Fetch-Site: same-origin", "Sec-Fetch-Mode: cors"]
        self.assertEqual(curl(gateway.base + "/x", token=self.access["access"], headers=headers).status, 401)
        self.assertEqual(curl(gateway.base + "/x", cookies=self.access).status, 401)
        self.assertEqual(browser_request("/x", cookies={"access": "junk"}).status, 401)

    def test_the_connection_lives_on_behind_a_body(self):
        done = curl(
            gateway.base + "/x", "--next", "-s", "-i", "-w", "%{num_connects}", gateway.base + "/login.html",
            headers=["Sec-Fetch-Site: same-origin", "Sec-Fetch-Mode: cors"], cookies=self.access, data="x" * 60000,
        )
        self.assertTrue(done.body.endswith(b"0"), done.body[-20:])


class TheWayBack(unittest.TestCase):
    def setUp(self):
        reply = curl(gateway.base + "/login", method="POST", headers=["Sec-Fetch-Site: same-origin"])
        self.cookies = {name: value for name, (value, _) in reply.cookies().items()}

    def visit(self, target, cookies=None, **options):
        return browser_request("/refresh?return_to=" + target, cookies=cookies or self.cookies, **options)

    def test_every_method_rotates_and_leads_back(self):
        for method in ("GET", "POST", "DELETE", "PATCH"):
            reply = self.visit("/x%3Fy%3D1", method=method)
            self.assertEqual((reply.status, reply.one("location")), (307, "/x?y=1"))
            self.cookies = {name: value for name, (value, _) in reply.cookies().items()}
            self.assertEqual(set(self.cookies), {"access", "refresh", "refreshed"})
            self.assertEqual(browser_request("/x", cookies=self.cookies).status, 200)

    def test_our_mark_is_for_nobody_else(self):
        reply = self.visit("/x")
        cookies = {name: value for name, (value, _) in reply.cookies().items()} | {"theirs": "1"}
        browser_request("/x", cookies=cookies)
        self.assertEqual(upstream.last().one("cookie"), "theirs=1")

    def test_a_browser_that_just_came_back_is_not_sent_round_again(self):
        with_mark = dict(self.cookies, refreshed="1")
        expired = Gateway(upstream.port, routes=ROUTES, access="lifetime 10s; leeway 0s;")
        self.addCleanup(expired.stop)
        reply = curl(expired.base + "/login", method="POST", headers=["Sec-Fetch-Site: same-origin"])
        old = {name: value for name, (value, _) in reply.cookies().items()}
        time.sleep(10.5)
        headers = ["Sec-Fetch-Site: same-origin", "Sec-Fetch-Mode: cors"]
        self.assertEqual(curl(expired.base + "/x", headers=headers, cookies=old).status, 307)
        old["refreshed"] = with_mark["refreshed"]
        self.assertEqual(curl(expired.base + "/x", headers=headers, cookies=old).status, 401)

    def test_no_way_out_of_the_origin(self):
        for target in (
            "//evil.example", "/%5Cevil.example", "https://evil.example/", "/%09/evil.example", "evil",
            "%2F%2Fevil.example", "/x%0D%0ASet-Cookie:%20a=b", "/refresh", "/refresh/logout", "/a/../refresh",
            "/%2572efresh", "/" + "x" * 5000, "",
        ):  # fmt: skip
            reply = self.visit(target)
            self.assertIn(reply.status, (400, 405), target)
            self.assertIsNone(reply.one("location"), target)
        self.assertEqual(self.visit("/refreshments").status, 307)

    def test_a_page_of_another_origin_cannot_have_it_rotated(self):
        self.assertEqual(self.visit("/x", site="cross-site", mode="no-cors", dest="image").status, 403)
        self.assertEqual(self.visit("/x", site="same-site", method="POST").status, 403)

    def test_without_a_refresh_token_pages_log_in_and_scripts_get_401(self):
        alone = {"access": self.cookies["access"]}
        reply = self.visit("/pages/home", cookies=alone, mode="navigate", dest="document")
        self.assertEqual((reply.status, reply.one("location")), (303, "/login.html"))
        self.assertEqual(self.visit("/pages/home", cookies=alone).status, 401)

    def test_where_no_session_is_needed_its_end_is_not_noticed(self):
        curl(gateway.control + "/subjects/alice/sessions", method="DELETE")
        reply = self.visit("/maybe", mode="navigate", dest="document")
        self.assertEqual((reply.status, reply.one("location")), (307, "/maybe"))
        self.assertEqual(reply.cookies()["access"][0], "")
        reply = self.visit("/x")
        self.assertEqual((reply.status, reply.json["code"]), (401, "session_ended"))

    def test_duplicates_are_tried_and_the_stale_ones_expired(self):
        stale = curl(gateway.base + "/login", method="POST", headers=["Sec-Fetch-Site: same-origin"])
        old = stale.cookies()["refresh"][0]
        line = f"Cookie: refresh={old[:-2]}xx; refresh={self.cookies['refresh']}; access=old; access={self.cookies['access']}"
        reply = browser_request("/refresh?return_to=/x", line)
        self.assertEqual(reply.status, 307)
        values = [value for value in reply.all("set-cookie") if value.startswith("refresh=")]
        self.assertTrue(any("Path=/;" in value and "Max-Age=0" in value for value in values), values)
        self.assertNotIn("Max-Age=0", values[-1])

    def test_a_login_page_is_for_navigations_only(self):
        reply = browser_request("/pages/a?b=c", mode="navigate", dest="document", site="none")
        self.assertEqual((reply.status, reply.one("location")), (303, "/login.html?return_to=/pages/a%3Fb%3Dc"))
        self.assertEqual(browser_request("/pages/a").status, 401)
        self.assertEqual(browser_request("/x", mode="navigate", dest="document").status, 401)
        wait_until(lambda: gateway.access_log()[-1].get("gateway.reason") == "token_missing", 2)


if __name__ == "__main__":
    unittest.main()
