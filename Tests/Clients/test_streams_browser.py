# Chromium with an EventSource and a WebSocket on one page: both are the same ones before and behind the end
# of the token that opened them, because requests of the page have been sent round by the refresh endpoint.

import threading
import time
import unittest

from websockets.exceptions import ConnectionClosed
from websockets.sync.server import serve

from clients import curl
from devtools import Browser
from harness import Demo, Gateway, wait_until
from upstreams import Upstream

LIFETIME, GRACE = 10, 2
ROUTES = """
upstream sockets {{ server http://127.0.0.1:{sockets}; }}
upstream demo {{ server http://127.0.0.1:{demo}; }}
route /login {{ upstream demo; access anonymous; login; }}
route /login.html {{ upstream demo; access anonymous; }}
route /app {{ upstream demo; }}
route /page {{ upstream api; }}
route /socket {{ upstream sockets; }}
route / {{ upstream api; }}
"""
PAGE = b"""<!doctype html><title>streams</title><script>
const seen = { events: 0, opens: 0, errors: 0, messages: 0, closed: 0, polls: [] }
const events = new EventSource('/stream')
events.onopen = () => seen.opens++
events.onmessage = () => seen.events++
events.onerror = () => seen.errors++
const socket = new WebSocket(`${location.protocol.replace('http', 'ws')}//${location.host}/socket`)
socket.onmessage = () => seen.messages++
socket.onclose = () => seen.closed++
const poll = () => fetch('/poll').then((answer) => seen.polls.push(answer.status))
const ask = () => new Promise((resolve) => {
  const request = new XMLHttpRequest()
  request.onloadend = () => resolve(request.status)
  request.open('POST', '/ask')
  request.send('a body')
})
const listen = () => new Promise((resolve, reject) => {
  const more = new EventSource('/events/more')
  more.onerror = reject
  more.onmessage = () => { more.close(); resolve('an event') }
})
</script>"""


def answer(request, connection):
    if request.target.startswith(("/stream", "/events")):
        connection.send(
            b"HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\nTransfer-Encoding: chunked\r\n\r\n"
        )
        while True:
            connection.send(b"9\r\ndata: x\n\n\r\n")
            time.sleep(0.1)
    body = PAGE if request.target == "/page" else b"ok"
    return b"HTTP/1.1 200 OK\r\nContent-Type: text/html\r\nContent-Length: %d\r\n\r\n%s" % (len(body), body)


def chat(socket):
    try:
        while True:
            socket.send("x")
            time.sleep(0.1)
    except ConnectionClosed:
        pass


class StreamsOfAPage(unittest.TestCase):
    refresh = "refresh"
    make_browser = Browser

    @classmethod
    def setUpClass(cls):
        cls.upstream, cls.demo = Upstream(answer), Demo()
        cls.sockets = serve(chat, "127.0.0.1", 0)
        threading.Thread(target=cls.sockets.serve_forever, daemon=True).start()
        port = cls.sockets.socket.getsockname()[1]
        cls.gateway = cls.make_gateway(
            routes=ROUTES.format(sockets=port, demo=cls.demo.port),
            access=f"lifetime {LIFETIME}s; leeway 0s; stream_grace {GRACE}s;",
        )
        cls.browser = cls.make_browser()

    @classmethod
    def make_gateway(cls, **options):
        return Gateway(cls.upstream.port, **options)

    @classmethod
    def tearDownClass(cls):
        cls.browser.stop()
        cls.gateway.stop()
        cls.sockets.shutdown()
        cls.demo.stop()
        cls.upstream.stop()

    def count(self, name):
        return self.browser.script("seen." + name)

    def test_both_outlive_the_token_and_neither_the_session(self):
        self.browser.open(self.gateway.origin + "/login.html")
        began = time.monotonic()
        self.browser.script("document.getElementById('submit').click()")
        self.browser.wait("location.pathname == '/app'")
        self.browser.open(self.gateway.origin + "/page")
        self.browser.wait("seen.events > 2 && seen.messages > 2")
        refresh = self.browser.cookies()[self.refresh]["value"]

        # The first requests behind the end of the token go round by /refresh, in time for the streams.
        time.sleep(max(0, began + LIFETIME + 0.7 - time.monotonic()))
        came = self.browser.script("Promise.all([ask(), listen(), poll()])")
        self.assertNotEqual(self.browser.cookies()[self.refresh]["value"], refresh)
        self.assertEqual((came[:2], self.count("polls")), ([200, "an event"], [200]))
        crossed = [line["http.response.status_code"] for line in self.gateway.lines_for("/ask", 2)]
        self.assertEqual(sorted(crossed), [200, 307])
        (asked,) = [request for request in self.upstream.requests if request.target == "/ask"]
        self.assertEqual((asked.method, asked.body), ("POST", b"a body"))

        time.sleep(max(0, began + LIFETIME + GRACE + 1 - time.monotonic()))
        events, messages = self.count("events"), self.count("messages")
        self.browser.wait(f"seen.events > {events + 2} && seen.messages > {messages + 2}")
        self.assertEqual((self.count("opens"), self.count("errors"), self.count("closed")), (1, 0, 0))
        opened = [request.target for request in self.upstream.requests]
        self.assertEqual(opened.count("/stream"), 1)

        # The end of the session is the end of both; what the browser tries then is refused.
        self.assertEqual(curl(self.gateway.control + "/subjects/alice/sessions", method="DELETE").status, 204)
        self.browser.wait("seen.closed == 1 && seen.errors >= 1", 3)
        self.browser.wait("events.readyState == EventSource.CLOSED", 8)
        # Each is the line of another shard.
        reasons = lambda: [
            line.get("gateway.reason")
            for line in self.gateway.access_log()
            if line["url.path"] in ("/stream", "/socket") and line["http.response.status_code"] != 401
        ]
        wait_until(lambda: len(reasons()) >= 2, what="the lines of both streams")
        self.assertEqual(reasons(), ["stream_revoked"] * 2)
        self.assertEqual([request.target for request in self.upstream.requests].count("/stream"), 1)


if __name__ == "__main__":
    unittest.main()
