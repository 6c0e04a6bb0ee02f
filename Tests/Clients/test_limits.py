# One client cannot stop the others: connection limits, crowds of slow clients and slow readers, and a process
# that runs out of descriptors.

import os
import subprocess
import time
import unittest

from clients import Raw, curl
from harness import Gateway, wait_until
from upstreams import Upstream

ROUTES = "route / { upstream api; access anonymous; request_body 4k; }"
MEGABYTE = 1 << 20


def answer(request, connection):
    if request.target.startswith("/big"):
        connection.send(b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n" % (3 * MEGABYTE))
        for _ in range(3):
            connection.send(b"x" * MEGABYTE)
        return None
    return b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok"


class Limits(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.upstream = Upstream(answer)

    @classmethod
    def tearDownClass(cls):
        cls.upstream.stop()

    def gateway(self, limits, **more):
        gateway = Gateway(self.upstream.port, routes=ROUTES, limits=limits, **more)
        self.addCleanup(gateway.stop)
        return gateway

    def serves(self, gateway):
        try:
            raw = Raw(gateway.port)
            raw.socket.settimeout(1)
            status = raw.send("GET /x HTTP/1.1\r\nHost: a\r\n\r\n").response().status
            raw.close()
            return status == 200
        except (OSError, AssertionError):
            return False

    def test_an_idle_connection_is_kept_for_its_time_on_both_sides(self):
        gateway = self.gateway("idle_timeout 3s;", main="workers 1;")
        opened = self.upstream.opened
        raw = Raw(gateway.port)
        for _ in range(2):
            self.assertEqual(raw.send("GET /x HTTP/1.1\r\nHost: a\r\n\r\n").response().status, 200)
            # Longer than it keeps its buffers.
            time.sleep(1.7)
        self.assertEqual(raw.send("GET /x HTTP/1.1\r\nHost: a\r\n\r\n").response().status, 200)
        self.assertEqual(self.upstream.opened - opened, 1)
        began = time.monotonic()
        self.assertEqual(raw.rest(6), b"")
        self.assertGreater(time.monotonic() - began, 2.5)

    def test_connections_of_one_address(self):
        for limit in ("connections_per_address 5;", "connections 5;"):
            gateway = self.gateway(limit)
            held = [Raw(gateway.port) for _ in range(5)]
            for raw in held:
                raw.send("GET /x HTTP/1.1\r\nHost: a\r\n\r\n").response()
            self.assertFalse(self.serves(gateway), limit)
            held.pop().close()
            wait_until(lambda: self.serves(gateway), 3, "a place becomes free")
            for raw in held:
                self.assertEqual(raw.send("GET /x HTTP/1.1\r\nHost: a\r\n\r\n").response().status, 200)
                raw.close()

    def test_crowd_of_dripping_clients_harms_nobody(self):
        gateway = self.gateway("header_timeout 2s; connections_per_address 2000;")
        crowd = [Raw(gateway.port) for _ in range(500)]
        times = []
        for step in range(4):
            for raw in crowd:
                raw.send("GET "[step])
            for _ in range(50):
                began = time.monotonic()
                self.assertTrue(self.serves(gateway))
                times.append(time.monotonic() - began)
            time.sleep(0.2)
        times.sort()
        print(
            f"\n    a good client's p99 beside 500 dripping ones: {times[-2] * 1000:.1f} ms (bar: 50)",
            flush=True,
        )
        # Twice the bar, so that a busy machine does not fail the run.
        self.assertLess(times[-2], 0.1)
        for raw in crowd:
            raw.socket.settimeout(5)
            self.assertEqual(raw.response().status, 408)
            raw.close()
        lines = lambda: [line for line in gateway.access_log() if line["http.response.status_code"] == 408]
        wait_until(lambda: len(lines()) >= 500, 3, "a line for each")
        self.assertEqual(len(lines()), 500)

    def test_crowd_of_slow_readers_is_bounded(self):
        gateway = self.gateway("connections_per_address 2000;")
        before = gateway.memory_kilobytes()
        crowd = [Raw(gateway.port, receive_buffer=4096) for _ in range(200)]
        for raw in crowd:
            raw.send("GET /big HTTP/1.1\r\nHost: a\r\n\r\n")
        time.sleep(1)
        growth = gateway.memory_kilobytes() - before
        print(f"\n    200 slow readers of 3 MB: {growth / 1024:.1f} MB more", flush=True)
        # Two buffers of 64 kB a connection, and as much again.
        self.assertLess(growth, 200 * 256)
        self.assertTrue(self.serves(gateway))
        for raw in crowd:
            raw.reset()

    # What resumes accepting must not need a descriptor of its own: Dispatch makes that of its first timer
    # only when the timer is set, and then there is none to be had.
    def test_running_out_of_descriptors(self):
        gateway = self.gateway("connections_per_address 2000;", main="workers 1;")
        subprocess.run(["prlimit", "--pid", str(gateway.process.pid), "--nofile=64:64"], check=True)
        crowd = [Raw(gateway.port) for _ in range(200)]
        time.sleep(0.5)
        self.assertIsNone(gateway.process.poll())
        began = gateway.processor_seconds()
        time.sleep(0.5)
        self.assertLess(gateway.processor_seconds() - began, 0.3, "it waits, and does not spin")
        for raw in crowd:
            raw.close()
        wait_until(lambda: self.serves(gateway), 5, "service returns")
        self.assertEqual(curl(gateway.control + "/healthz").status, 200)

    def test_body_limit_in_both_framings(self):
        gateway = self.gateway("")
        reply = curl(gateway.base + "/x", data="x" * 5000)
        self.assertEqual((reply.status, reply.json["code"]), (413, "body_too_large"))
        seen = len(self.upstream.requests)
        raw = Raw(gateway.port)
        raw.send("POST /x HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n")
        try:
            for _ in range(10):
                raw.send("400\r\n" + "x" * 1024 + "\r\n")
        except OSError:
            pass
        self.assertEqual(raw.response().status, 413)
        self.assertTrue(raw.is_closed())
        self.assertEqual(len(self.upstream.requests), seen, "no whole request has reached the upstream")
        self.assertEqual(curl(gateway.base + "/x", data="x" * 4096).status, 200)
        self.assertEqual(curl(gateway.base + "/refresh", data="x" * 20000).status, 413)


class Logs(unittest.TestCase):
    def test_combined_format_and_off(self):
        upstream = Upstream(answer)
        gateway = Gateway(upstream.port, routes=ROUTES, start=False)
        with open(gateway.config) as file:
            text = file.read()
        with open(gateway.config, "w") as file:
            file.write(
                text.replace("access.log json", "access.log combined").replace(
                    f"audit {gateway.audit_path}", "audit off"
                )
            )
        gateway.start()
        curl(gateway.base + '/a"b?token=secret', headers=['User-Agent: x" y\\'])
        time.sleep(0.2)
        gateway.process.terminate()
        self.assertEqual(gateway.process.wait(10), 0)
        with open(gateway.access_path) as file:
            (line,) = file.read().splitlines()
        self.assertRegex(line, r'^127\.0\.0\.1 - - \[[^\]]+\] "GET [^ "]+ HTTP/1\.1" 200 2 "-" "[^"]*"$')
        self.assertNotIn("secret", line)
        self.assertFalse(os.path.exists(gateway.audit_path))
        upstream.stop()
