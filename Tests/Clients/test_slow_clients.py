# Clients that take their time on purpose, and those that vanish: heads and bodies that drip, answers that are
# hardly read, two thousand resets. Each is ended by the limit that is meant for it, just above which nobody
# is, and nothing of any of them is left.

import os
import random
import threading
import time
import unittest

from clients import Raw
from harness import Gateway, wait_until
from upstreams import OK, Upstream

ROUTES = "route / { upstream api; access anonymous; }"
MEGABYTE = 1 << 20
PIECE = b"x" * MEGABYTE
GET = "GET {path} HTTP/1.1\r\nHost: a\r\n\r\n"


def answer(request, connection):
    if not request.target.startswith("/big"):
        return OK
    connection.send(b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n" % (3 * MEGABYTE))
    for _ in range(3):
        connection.send(PIECE)
    return None


def setUpModule():
    global upstream
    upstream = Upstream(answer)


def tearDownModule():
    upstream.stop()


class Slow(unittest.TestCase):
    def gateway(self, limits, **more):
        gateway = Gateway(
            upstream.port, routes=ROUTES, limits=limits + " connections_per_address 4000;", **more
        )
        self.addCleanup(gateway.stop)
        return gateway

    def latencies(self, raw, count):
        """Of a good client's requests, the least first."""
        times = []
        for _ in range(count):
            began = time.monotonic()
            self.assertEqual(raw.send(GET.format(path="/good")).response().status, 200)
            times.append(time.monotonic() - began)
        return sorted(times)


class Requests(Slow):
    def test_heads_that_drip_until_they_are_ended(self):
        gateway = self.gateway("header_timeout 1500ms;")
        good = Raw(gateway.port)
        descriptors = f"/proc/{gateway.process.pid}/fd"
        before = len(os.listdir(descriptors))
        crowd = [Raw(gateway.port) for _ in range(300)]
        times, began, live = [], time.monotonic(), list(crowd)
        head = b"GET /drip HTTP/1.1\r\nHost: a\r\nX-Long: "
        for step in range(60):
            for raw in live:
                raw.send(head[step : step + 1] or b"x")
            times += self.latencies(good, 10)
            time.sleep(0.1)
            # Their time runs from the first byte, and no later one renews it.
            if time.monotonic() - began > 1.3:
                break
        worst = sorted(times)[int(len(times) * 0.99)]
        print(f"\n    p99 beside 300 dripping heads: {worst * 1000:.1f} ms", flush=True)
        self.assertLess(worst, 0.1)
        for raw in crowd:
            raw.socket.settimeout(3)
            self.assertEqual(raw.response().status, 408)
            raw.close()
        self.assertLess(time.monotonic() - began, 4)
        wait_until(lambda: len(os.listdir(descriptors)) <= before + 2, 5, "no descriptor")
        self.latencies(good, 1)

    def drip(self, gateway, path, piece, pause, pieces, framing="Content-Length: 100000"):
        """Sends a body piece by piece; the answer's status, or None while there is none, and the time."""
        raw = Raw(gateway.port)
        self.addCleanup(raw.close)
        raw.send(f"POST {path} HTTP/1.1\r\nHost: a\r\n{framing}\r\n\r\n")
        began = time.monotonic()
        for number in range(pieces):
            try:
                raw.socket.settimeout(10)
                raw.send(piece)
                # Until the next one is due: what is late makes none of those behind it later.
                raw.socket.settimeout(max(0.001, began + (number + 1) * pause - time.monotonic()))
                raw.receive()
            except TimeoutError:
                continue
            except OSError:
                pass
            break
        return (raw.response() if raw.input else None), time.monotonic() - began

    def test_a_body_below_the_rate_is_408_and_one_above_it_is_not(self):
        gateway = self.gateway("body_timeout 800ms; minimum_rate 1k/s;")
        chunked = "Transfer-Encoding: chunked"
        results = {}

        def run(name, *arguments):
            results[name] = self.drip(gateway, "/" + name, *arguments)

        cases = {
            "slow": (b"x" * 40, 0.1, 60),
            "slow-chunked": (b"28\r\n" + b"x" * 40 + b"\r\n", 0.1, 60, chunked),
            "byte-chunks": (b"1\r\nx\r\n", 0.1, 60, chunked),
            "above": (b"x" * 130, 0.1, 30),
            "above-chunked": (b"82\r\n" + b"x" * 130 + b"\r\n", 0.1, 30, chunked),
        }
        threads = [threading.Thread(target=run, args=(name, *case)) for name, case in cases.items()]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        for name in ("slow", "slow-chunked", "byte-chunks"):
            reply, seconds = results[name]
            self.assertIsNotNone(reply, name)
            self.assertEqual(reply.status, 408, name)
            self.assertGreater(seconds, 0.7, name)
            self.assertLess(seconds, 2.5, name)
            (line,) = gateway.lines_for("/" + name, 1)
            self.assertEqual(line["http.response.status_code"], 408)
            self.assertIn("gateway.reason", line)
        for name in ("above", "above-chunked"):
            self.assertIsNone(results[name][0], f"{name}: {results[name]}")
            self.assertGreater(results[name][1], 2.9)

    def test_off_ends_nobody_who_keeps_moving(self):
        gateway = self.gateway("body_timeout 500ms; minimum_rate off;")
        reply, seconds = self.drip(gateway, "/off", b"x", 0.1, 20)
        self.assertIsNone(reply)
        self.assertGreater(seconds, 1.9)

    def test_small_bodies_for_the_gateway_itself_too(self):
        gateway = self.gateway("body_timeout 800ms; minimum_rate 1k/s;")
        reply, seconds = self.drip(gateway, "/refresh", b"x" * 20, 0.1, 60, "Content-Length: 4000")
        self.assertEqual(reply.status, 408)
        self.assertLess(seconds, 2.5)


class Readers(Slow):
    def test_a_crowd_that_hardly_reads_ends_and_costs_little(self):
        gateway = self.gateway("body_timeout 2s; minimum_rate 128k/s;")
        good = Raw(gateway.port)
        self.latencies(good, 1)
        before = gateway.memory_kilobytes()
        paths = [f"/big/{number}" for number in range(100)]
        crowd = [Raw(gateway.port, receive_buffer=4096).send(GET.format(path=path)) for path in paths]
        times, growth, ended, end = [], 0, [], time.monotonic() + 12
        while len(ended) < len(paths) and time.monotonic() < end:
            for raw in crowd:
                # About 40 kB a second: never silent for long, and too slow all the same.
                try:
                    raw.socket.recv(4096)
                except OSError:
                    pass
            times += self.latencies(good, 5)
            growth = max(growth, gateway.memory_kilobytes() - before)
            time.sleep(0.05)
            ended = [line for line in gateway.access_log() if line["url.path"] in paths]
        times.sort()
        print(
            f"\n    100 slow readers of 3 MB: {growth / 1024:.1f} MB more; a good client's p99 "
            f"{times[int(len(times) * 0.99)] * 1000:.1f} ms",
            flush=True,
        )
        self.assertEqual(len(ended), len(paths))
        for line in ended:
            self.assertIn(line["gateway.reason"], ("client_too_slow", "client_stalled"))
            self.assertLess(line["http.response.body.bytes"], 2 * MEGABYTE)
        self.assertLess(growth, 100 * 256)
        self.assertLess(times[int(len(times) * 0.99)], 0.1)
        for raw in crowd:
            raw.close()

    def test_who_reads_above_the_rate_gets_all(self):
        gateway = self.gateway("body_timeout 1s; minimum_rate 128k/s;")
        raw = Raw(gateway.port, receive_buffer=16384)
        raw.send(GET.format(path="/big/above"))
        raw.line_end(b"\r\n\r\n")
        began, count = time.monotonic(), len(raw.input)
        while count < 3 * MEGABYTE:
            data = raw.socket.recv(16384)
            self.assertTrue(data, f"cut after {count} bytes and {time.monotonic() - began:.1f} s")
            count += len(data)
            time.sleep(max(0, began + count / (700 * 1024) - time.monotonic()))
        self.assertGreater(time.monotonic() - began, 3)
        raw.close()


class Resets(Slow):
    def test_two_thousand_resets_leave_nothing(self):
        gateway = self.gateway("", main="workers 2;", upstream="keepalive 2 timeout=60s;")
        self.latencies(Raw(gateway.port), 3)
        descriptors = f"/proc/{gateway.process.pid}/fd"
        before = len(os.listdir(descriptors))
        chance = random.Random(7)
        messages = [
            GET.format(path="/x").encode(),
            GET.format(path="/big/reset").encode(),
            b"POST /x HTTP/1.1\r\nHost: a\r\nContent-Length: 3000\r\n\r\n" + b"x" * 3000,
            b"POST /x HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n0\r\n\r\n",
            b"POST /refresh HTTP/1.1\r\nHost: a\r\nContent-Length: 20\r\n\r\nrefresh_token=rt_abc",
            GET.format(path="/x").encode() * 5,
        ]

        def storm(count):
            for _ in range(count):
                message = chance.choice(messages)
                raw = Raw(gateway.port)
                try:
                    raw.send(message[: chance.choice((0, chance.randrange(len(message)), len(message)))])
                    if chance.random() < 0.3:
                        raw.socket.settimeout(0.01)
                        raw.receive()
                except OSError:
                    pass
                raw.reset()

        threads = [threading.Thread(target=storm, args=(500,)) for _ in range(4)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        # Each worker may keep two idle connections to the upstream.
        wait_until(lambda: len(os.listdir(descriptors)) <= before + 4, 8, "no descriptor is left")
        self.assertLess(self.latencies(Raw(gateway.port), 50)[-1], 0.5)


if __name__ == "__main__":
    unittest.main()
