# Clients that take too little or ask for too much: who reads nothing of an answer is let go, who reads slowly
# is not, and neither a huge download nor a flood of pipelined requests keeps the others waiting.

import subprocess
import threading
import time
import unittest

from clients import Raw
from harness import DEMO_ROUTES, Demo, Gateway, launch, wait_until
from upstreams import OK, Upstream

ROUTES = "route / { upstream api; access anonymous; }"
MEGABYTE = 1 << 20
PIECE = b"x" * MEGABYTE


class Sender:
    """An upstream that answers /big/N with N MB, and knows how each of these answers ended."""

    def __init__(self):
        self.ends = {}
        self.upstream = Upstream(self.answer)

    def answer(self, request, connection):
        if not request.target.startswith("/big/"):
            return OK
        count = int(request.target.split("/")[2])
        try:
            connection.send(b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n" % (count * MEGABYTE))
            for _ in range(count):
                connection.send(PIECE)
        except OSError:
            self.ends[request.target] = "cut"
            raise
        self.ends[request.target] = "whole"
        return None


class SlowReaders(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.sender = Sender()
        cls.gateway = Gateway(cls.sender.upstream.port, routes=ROUTES, limits="body_timeout 1s;")

    @classmethod
    def tearDownClass(cls):
        cls.gateway.stop()
        cls.sender.upstream.stop()

    def begin(self, path):
        raw = Raw(self.gateway.port, receive_buffer=4096)
        return raw.send(f"GET {path} HTTP/1.1\r\nHost: a\r\n\r\n")

    def test_who_reads_nothing_is_let_go_and_the_upstream_too(self):
        raw = self.begin("/big/50/nothing")
        began = time.monotonic()
        wait_until(lambda: self.sender.ends.get("/big/50/nothing"), 6, "the upstream's connection ends")
        self.assertEqual(self.sender.ends["/big/50/nothing"], "cut")
        self.assertGreater(time.monotonic() - began, 0.8, "not before the timeout")
        (line,) = self.gateway.lines_for("/big/50/nothing", 1)
        self.assertLess(line["http.response.body.bytes"], 50 * MEGABYTE)
        # What lay in the socket may still be read; then comes the end, long before the whole.
        self.assertLess(len(raw.rest()), 20 * MEGABYTE)
        raw.close()

    def test_who_stops_in_the_middle_is_let_go(self):
        raw = self.begin("/big/50/middle")
        count = 0
        while count < MEGABYTE:
            count += len(raw.socket.recv(65536))
        wait_until(lambda: self.sender.ends.get("/big/50/middle"), 6, "the upstream's connection ends")
        self.assertEqual(self.sender.ends["/big/50/middle"], "cut")
        raw.close()

    def reads_steadily(self, path, size, pause, seconds):
        raw = self.begin(path)
        end = time.monotonic() + seconds
        count = 0
        while time.monotonic() < end:
            data = raw.socket.recv(size)
            self.assertTrue(data, f"cut after {count} bytes")
            count += len(data)
            time.sleep(pause)
        cut = path in self.sender.ends
        raw.reset()
        self.assertFalse(cut, f"cut after the client had read {count} bytes without a pause of {2 * pause} s")

    def test_who_reads_slowly_but_steadily_stays(self):
        self.reads_steadily("/big/50/steady", 65536, 0.02, 4)

    def test_who_reads_very_slowly_but_steadily_stays(self):
        self.reads_steadily("/big/50/slow", 4096, 0.05, 5)

    def test_who_reads_2_megabytes_a_second_stays(self):
        raw = Raw(self.gateway.port)
        raw.send("GET /big/50/brisk HTTP/1.1\r\nHost: a\r\n\r\n")
        began, count = time.monotonic(), 0
        while time.monotonic() < began + 4:
            while count < (time.monotonic() - began) * 2 * MEGABYTE:
                data = raw.socket.recv(65536)
                self.assertTrue(data, f"cut after {count} bytes")
                count += len(data)
            time.sleep(0.01)
        self.assertNotIn("/big/50/brisk", self.sender.ends)
        raw.reset()

    def test_who_reads_all_gets_all(self):
        raw = Raw(self.gateway.port)
        raw.send("GET /big/50/all HTTP/1.1\r\nHost: a\r\n\r\n")
        raw.line_end(b"\r\n\r\n")
        count = len(raw.input)
        while count < 50 * MEGABYTE:
            data = raw.socket.recv(MEGABYTE)
            self.assertTrue(data)
            count += len(data)
        self.assertEqual(raw.send("GET /x HTTP/1.1\r\nHost: a\r\n\r\n").response().status, 200)
        raw.close()


class Fairness(unittest.TestCase):
    """One worker, so that all of them share it."""

    def setUp(self):
        self.sender = Sender()
        self.addCleanup(self.sender.upstream.stop)
        self.gateway = Gateway(self.sender.upstream.port, routes=ROUTES, main="workers 1;")
        self.addCleanup(self.gateway.stop)

    def small_requests(self, gateway, head, status, goes_on):
        """The latencies of small requests while something goes on, the least first."""
        raw, times = Raw(gateway.port), []
        while goes_on() or len(times) < 20:
            began = time.monotonic()
            self.assertEqual(raw.send(head).response().status, status)
            times.append(time.monotonic() - began)
            self.assertLess(times[-1], 2)
            time.sleep(0.002)
        raw.close()
        return sorted(times)

    def report(self, what, times):
        print(f"\n    {len(times)} requests beside {what}: worst {times[-1] * 1000:.1f} ms, "
              f"median {times[len(times) // 2] * 1000:.1f} ms", flush=True)

    def test_beside_a_large_download(self):
        download = launch(["curl", "-sS", "-o", "/dev/null", "-w", "%{size_download}",
                           self.gateway.base + "/big/500"], stdout=subprocess.PIPE, text=True)
        times = self.small_requests(self.gateway, "GET /x HTTP/1.1\r\nHost: a\r\n\r\n", 200,
                                    lambda: download.poll() is None)
        self.report("a download of 500 MB", times)
        self.assertEqual(download.communicate()[0], str(500 * MEGABYTE))

    def flood(self, gateway, one, status):
        """A client that pipelines 20,000 requests; true in the list when all of them are answered."""
        raw, answered = Raw(gateway.port), []
        raw.socket.settimeout(60)

        def write():
            raw.send(one.encode() * 20_000)

        def read():
            mark, tail, count = b"HTTP/1.1 %d " % status, b"", 0
            while count < 20_000:
                data = raw.socket.recv(MEGABYTE)
                if not data:
                    break
                count += (tail + data).count(mark)
                tail = (tail + data)[-(len(mark) - 1):]
            answered.append(count)
        threads = [threading.Thread(target=action, daemon=True) for action in (write, read)]
        for thread in threads:
            thread.start()
        return raw, threads, answered

    def beside_a_flood(self, gateway, one, status, what):
        raw, threads, answered = self.flood(gateway, one, status)
        times = self.small_requests(gateway, one, status, lambda: threads[1].is_alive())
        self.report(what, times)
        for thread in threads:
            thread.join(60)
        self.assertEqual(answered, [20_000])
        raw.close()

    def test_beside_a_flood_of_refused_requests(self):
        demo = Demo()
        self.addCleanup(demo.stop)
        gateway = Gateway(demo.port, routes=DEMO_ROUTES, main="workers 1;")
        self.addCleanup(gateway.stop)
        self.beside_a_flood(gateway, "GET /whoami HTTP/1.1\r\nHost: a\r\n\r\n", 401, "20,000 refusals")

    def test_beside_a_flood_of_forwarded_requests(self):
        demo = Demo()
        self.addCleanup(demo.stop)
        gateway = Gateway(demo.port, routes=DEMO_ROUTES, main="workers 1;")
        self.addCleanup(gateway.stop)
        self.beside_a_flood(gateway, "GET /login.html HTTP/1.1\r\nHost: a\r\n\r\n", 200, "20,000 pages")
