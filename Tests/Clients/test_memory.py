# Memory stays flat whatever passes: 20 MB down to a slow reader, 20 MB up in both framings, and an upstream
# that does not read at all.

import threading
import time
import unittest

from clients import Raw
from harness import Gateway
from upstreams import Upstream

ROUTES = "route / { upstream api; access anonymous; request_body 64m; }"
MEGABYTE = 1 << 20


def answer(request, connection):
    if request.target.startswith("/big"):
        connection.send(b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n" % (20 * MEGABYTE))
        for _ in range(20):
            connection.send(b"x" * MEGABYTE)
        return None
    body = b"%d" % len(request.body)
    return b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n%s" % (len(body), body)


def setUpModule():
    global upstream, gateway
    upstream = Upstream(answer)
    gateway = Gateway(upstream.port, routes=ROUTES, limits="body_timeout 3s;")


def tearDownModule():
    gateway.stop()
    upstream.stop()


class Memory(unittest.TestCase):
    # Buffers of a connection and some slack, far below the 20 MB that pass.
    GROWTH_KILOBYTES = 6_000

    def growth(self, action):
        """By how much the gateway grows at most while something goes on."""
        before = gateway.memory_kilobytes()
        peak, done = [before], threading.Event()

        def watch():
            while not done.wait(0.01):
                peak.append(gateway.memory_kilobytes())

        watcher = threading.Thread(target=watch)
        watcher.start()
        try:
            action()
        finally:
            done.set()
            watcher.join()
        return max(peak) - before

    def test_slow_reader_of_a_large_answer(self):
        def read():
            raw = Raw(gateway.port, receive_buffer=16384)
            raw.send("GET /big/down HTTP/1.1\r\nHost: a\r\n\r\n")
            raw.line_end(b"\r\n\r\n")
            count = len(raw.input)
            raw.input = b""
            time.sleep(0.7)
            while count < 20 * MEGABYTE:
                data = raw.socket.recv(65536)
                self.assertTrue(data)
                count += len(data)
                if count % 64 == 0:
                    time.sleep(0.0005)
            self.assertEqual(count, 20 * MEGABYTE)
            raw.close()

        self.assertLess(self.growth(read), self.GROWTH_KILOBYTES)
        (line,) = gateway.lines_for("/big/down", 1)
        self.assertEqual(line["http.response.body.bytes"], 20 * MEGABYTE)

    def upload(self, path, head, pieces):
        raw = Raw(gateway.port)
        raw.send(f"POST {path} HTTP/1.1\r\nHost: a\r\n{head}\r\n\r\n")
        for piece in pieces:
            raw.send(piece)
        reply = raw.response()
        self.assertEqual((reply.status, int(reply.body)), (200, 20 * MEGABYTE))
        raw.close()

    def test_large_upload_by_length_and_in_chunks(self):
        piece = b"y" * MEGABYTE
        chunk = b"%x\r\n%s\r\n" % (MEGABYTE, piece)
        self.assertLess(
            self.growth(lambda: self.upload("/up", f"Content-Length: {20 * MEGABYTE}", [piece] * 20)),
            self.GROWTH_KILOBYTES,
        )
        self.assertLess(
            self.growth(
                lambda: self.upload(
                    "/up-chunked", "Transfer-Encoding: chunked", [chunk] * 20 + [b"0\r\n\r\n"]
                )
            ),
            self.GROWTH_KILOBYTES,
        )

    def test_upstream_that_does_not_read(self):
        stuck = Upstream(reads_body=False, answer=lambda request, connection: time.sleep(1.2))
        slow = Gateway(
            stuck.port, routes=ROUTES, upstream="response_timeout 800ms;", limits="body_timeout 5s;"
        )
        try:
            before = slow.memory_kilobytes()
            raw = Raw(slow.port)
            raw.send(f"POST /x HTTP/1.1\r\nHost: a\r\nContent-Length: {20 * MEGABYTE}\r\n\r\n")
            raw.socket.settimeout(0.5)
            try:
                for _ in range(20):
                    raw.send(b"z" * MEGABYTE)
                self.fail("20 MB found room somewhere")
            except (TimeoutError, ConnectionError):
                pass
            self.assertLess(slow.memory_kilobytes() - before, self.GROWTH_KILOBYTES)
            raw.close()
        finally:
            slow.stop()
            stuck.stop()
