# Chromium and the gateway's own TLS: what the browser does by http it does by https, with cookies that plain
# http neither sees nor sets; plain http leads to https, with method and body; and a name that has said so
# (HSTS) is never called by plain http again. The browser checks certificates as ever.

import http.server
import json
import threading
import unittest

import test_browser
import test_streams_browser
from certificates import Authority
from clients import curl
from devtools import Browser
from harness import Demo, Gateway, directory, free_port, wait_until
from upstreams import Upstream

HOST = "gateway.test"


def setUpModule():
    global authority, pair
    authority = Authority(directory())
    pair = authority.issue("localhost", "127.0.0.1", HOST, "*." + HOST)


def tls(more=""):
    return f"certificate {pair[0]}; private_key {pair[1]}; {more}"


class InTheBrowserByTLS(test_browser.InTheBrowser):
    is_secure = True
    access, refresh = "__Host-access", "__Secure-refresh"

    @classmethod
    def make_gateway(cls, **options):
        return Gateway(cls.demo.port, tls=tls(), **options)

    @classmethod
    def make_browser(cls):
        return Browser(authority.file)

    def test_certificate_for_another_name_is_not_taken(self):
        # Which shows that the browser does look.
        browser = Browser(authority.file, hosts=[("elsewhere.test", "127.0.0.1")])
        self.addCleanup(browser.stop)
        failure = browser.failure(f"https://elsewhere.test:{self.gateway.port}/login.html")
        self.assertEqual(failure, "net::ERR_CERT_COMMON_NAME_INVALID")
        self.assertIsNone(browser.failure(self.gateway.origin + "/login.html"))


class StreamsOfAPageByTLS(test_streams_browser.StreamsOfAPage):
    refresh = "__Secure-refresh"

    @classmethod
    def make_gateway(cls, **options):
        return Gateway(cls.upstream.port, tls=tls(), **options)

    @classmethod
    def make_browser(cls):
        return Browser(authority.file)


class FromPlainHTTP(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.upstream, cls.plain_port = Upstream(cls.answer), free_port()
        cls.gateway = Gateway(
            cls.upstream.port,
            routes="route /public/ { upstream api; access anonymous; }\n",
            main=f"listen 127.0.0.1:{cls.plain_port} redirect_to_https;",
            tls=tls(),
        )
        cls.plain = f"http://localhost:{cls.plain_port}"
        cls.browser = Browser(authority.file)

    @classmethod
    def tearDownClass(cls):
        cls.browser.stop()
        cls.gateway.stop()
        cls.upstream.stop()

    @staticmethod
    def answer(request, connection):
        body = b'<!doctype html><link rel="icon" href="data:,"><p>page</p>'
        return (
            b"HTTP/1.1 200 OK\r\nContent-Type: text/html\r\nContent-Length: %d\r\n\r\n%s" % (len(body), body)
        )

    def setUp(self):
        self.upstream.forget()

    def arrived(self, target):
        (request,) = [request for request in self.upstream.requests if request.target == target]
        return request

    def test_address_without_the_s_leads_to_https(self):
        self.assertIsNone(self.browser.failure(self.plain + "/public/page?a=b%20c"))
        self.browser.wait("document.readyState == 'complete'")
        self.assertEqual(
            self.browser.script("location.href"), self.gateway.origin + "/public/page?a=b%20c"
        )
        self.assertEqual(self.arrived("/public/page?a=b%20c").one("x-forwarded-proto"), "https")

    def test_form_arrives_with_its_method_and_body(self):
        page = PlainPage()
        self.addCleanup(page.stop)
        self.browser.open(page.url)
        # Large enough that the answer is there before the body has left.
        self.browser.script(
            f"""document.body.innerHTML = '<form method="post" action="{self.plain}/public/form">'
                + '<input name="user" value="alice"><input name="text" value="' + 'x'.repeat(500000) + '">';
            document.forms[0].submit()"""
        )
        self.browser.wait(f"location.href == '{self.gateway.origin}/public/form'")
        request = self.arrived("/public/form")
        self.assertEqual((request.method, len(request.body)), ("POST", 500016))
        self.assertEqual(request.body[:16], b"user=alice&text=")
        self.assertEqual(request.one("content-type"), "application/x-www-form-urlencoded")

    def test_request_of_a_script_arrives_with_its_method_and_body(self):
        self.browser.open(self.gateway.origin + "/public/page")
        self.assertEqual(self.browser.script(post_blindly(self.plain + "/public/script")), "opaque")
        request = self.arrived("/public/script")
        self.assertEqual((request.method, request.body), ("POST", b"a body"))

    def test_localhost_is_not_held_to_https(self):
        # The policy would hold for every port, and so for everything else that is developed on this machine.
        self.browser.open(self.gateway.origin + "/public/page")
        self.assertIsNotNone(self.browser.failure(f"http://localhost:{self.gateway.port}/public/page"))


class ByName(unittest.TestCase):
    """Another name than localhost, which browsers take for safe by plain http as well."""

    def start(self, more=""):
        demo = Demo()
        self.addCleanup(demo.stop)
        self.gateway = Gateway(demo.port, host=HOST, tls=tls(more))
        self.addCleanup(self.gateway.stop)
        self.browser = Browser(authority.file, hosts=[(HOST, "127.0.0.1"), ("*." + HOST, "127.0.0.1")])
        self.addCleanup(self.browser.stop)

    def log_in(self):
        self.browser.open(self.gateway.origin + "/login.html")
        self.browser.script("document.getElementById('submit').click()")
        self.browser.wait("location.pathname == '/app'")
        self.browser.wait("Number(document.getElementById('polls').textContent) >= 1")
        self.assertEqual(self.browser.script("document.getElementById('errors').textContent"), "0")
        self.assertEqual({cookie["domain"] for cookie in self.browser.cookies().values()}, {HOST})

    def test_name_is_held_to_https_from_the_first_answer_on(self):
        self.start()
        # Only TLS is spoken here: who comes by plain http gets nothing, until the browser knows better.
        page, port = "/login.html", self.gateway.port
        plain = f"http://{HOST}:{port}{page}"
        self.assertIsNotNone(self.browser.failure(plain))
        # A refusal tells it as well.
        self.browser.open(self.gateway.origin + "/items")
        self.assertIsNone(self.browser.failure(plain))
        self.browser.wait("document.readyState == 'complete'")
        self.assertEqual(self.browser.script("location.href"), self.gateway.origin + page)
        # Those below it are not, unless they have said so themselves.
        self.assertIsNotNone(self.browser.failure(f"http://api.{HOST}:{port}{page}"))
        self.browser.open(f"https://api.{HOST}:{port}{page}")
        self.assertIsNone(self.browser.failure(f"http://api.{HOST}:{port}{page}"))
        self.log_in()

    def test_page_of_plain_http_on_the_same_host_changes_nothing(self):
        self.start("hsts off;")
        ours = {"__Host-access", "__Secure-refresh"}
        self.log_in()
        before = self.browser.cookies()
        page = PlainPage(HOST)
        self.addCleanup(page.stop)
        # Cookies know no ports: such a page may set some beside ours, but it sees and sets none of ours.
        self.browser.open(page.url)
        for name in (*ours, "access", "refresh"):
            for more in ("", "; Secure"):
                self.browser.script(f"document.cookie = '{name}=forged; path=/{more}'")
        self.browser.script("fetch('/')")
        self.assertEqual(page.cookies_seen, {"access", "refresh"})
        for path in ("/refresh", "/refresh/logout", "/account/delete"):
            self.assertEqual(self.browser.script(post_blindly(self.gateway.origin + path)), "opaque")
            posts = wait_until(
                lambda: [
                    line
                    for line in self.gateway.access_log()
                    if (line["http.request.method"], line["url.path"]) == ("POST", path)
                ]
            )
            # A log-out without any cookie finds nothing to do.
            expected = (204,) if path == "/refresh/logout" else (400, 401)
            self.assertIn(posts[0]["http.response.status_code"], expected)
            self.assertNotIn("session.id", posts[0])

        self.browser.open(self.gateway.origin + "/app")
        self.browser.wait("Number(document.getElementById('polls').textContent) >= 1")
        after = self.browser.cookies()
        self.assertEqual(set(after), ours | {"access", "refresh"})
        self.assertEqual([after[name]["value"] for name in ours], [before[name]["value"] for name in ours])
        (session,) = curl(self.gateway.control + "/sessions?subject=alice").json["sessions"]
        self.assertEqual(session["state"], "live")


def post_blindly(url):
    """A script's POST to anywhere, with the cookies that the browser cares to send; the answer's kind."""
    return (
        f"fetch({json.dumps(url)}, {{ method: 'POST', mode: 'no-cors', credentials: 'include', "
        "body: 'a body' }).then((answer) => answer.type)"
    )


class PlainPage:
    """An empty page by plain http, at a port of its own, and the names of the cookies that it was sent."""

    def __init__(self, host="localhost"):
        seen = self.cookies_seen = set()

        class Page(http.server.BaseHTTPRequestHandler):
            def do_GET(self):
                pairs = (self.headers["Cookie"] or "").split(";")
                seen.update(pair.split("=")[0].strip() for pair in pairs if pair)
                self.send_response(200)
                self.send_header("Content-Type", "text/html")
                self.end_headers()
                self.wfile.write(b'<!doctype html><link rel="icon" href="data:,"><p>page</p>')

            def log_message(self, *arguments):
                pass

        self.server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Page)
        threading.Thread(target=self.server.serve_forever, daemon=True).start()
        self.url = f"http://{host}:{self.server.server_port}/"

    def stop(self):
        self.server.shutdown()
        self.server.server_close()


if __name__ == "__main__":
    unittest.main()
