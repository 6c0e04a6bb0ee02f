# Load by wrk: nothing fails, nothing is refused that has a token, and the log has one line for each request,
# no more and no less. WRK_SECONDS sets the length of each run.

import os
import re
import subprocess
import time
import unittest

from clients import curl, login
from harness import Demo, Gateway, wait_until

SECONDS = int(os.environ.get("WRK_SECONDS", "10"))


class Load(unittest.TestCase):
    def setUp(self):
        self.demo = Demo()
        self.gateway = Gateway(self.demo.port)

    def tearDown(self):
        self.gateway.stop()
        self.demo.stop()

    def wrk(self, path, token=None):
        command = ["wrk", "-t2", "-c32", f"-d{SECONDS}s", "--latency"]
        if token:
            command += ["-H", "Authorization: Bearer " + token]
        text = subprocess.run(
            command + [self.gateway.base + path], capture_output=True, text=True, check=True
        ).stdout
        requests = int(re.search(r"(\d+) requests in", text).group(1))
        rate = re.search(r"Requests/sec:\s*([\d.]+)", text).group(1)
        slowest = re.search(r"\n\s+99%\s+(\S+)", text).group(1)
        print(f"\n    {path}: {rate}/s, p99 {slowest}", flush=True)
        self.assertNotIn("Socket errors", text)
        return requests, text

    def assert_lines(self, path, requests, status):
        # wrk cuts its last requests off, one for each of its connections: lines, but no requests.
        def count():
            with open(self.gateway.access_path) as log:
                return sum(1 for _ in log)

        # The end of the log is where its length no longer changes.
        seen = -1
        while seen != (now := count()):
            seen = now
            time.sleep(0.3)
        lines = [line for line in self.gateway.access_log() if line["url.path"] == path]
        whole = [line for line in lines if line.get("gateway.reason") != "client_closed"]
        self.assertGreaterEqual(len(lines), requests)
        self.assertLessEqual(len(lines), requests + 32)
        self.assertEqual({line["http.response.status_code"] for line in whole}, {status})

    def test_with_a_token(self):
        pair = login(self.gateway)
        requests, text = self.wrk("/items", pair["access_token"])
        self.assertNotIn("Non-2xx", text)
        self.assert_lines("/items", requests, 200)
        self.assertEqual(curl(self.gateway.base + "/whoami", token=pair["access_token"]).status, 200)

    def test_without_a_token(self):
        requests, text = self.wrk("/items")
        self.assertIn(f"Non-2xx or 3xx responses: {requests}", text)
        self.assert_lines("/items", requests, 401)

    def test_lines_equal_requests_exactly(self):
        # With a client that ends each exchange there is nothing to round.
        token, count = login(self.gateway)["access_token"], 400
        subprocess.run(
            [
                "curl",
                "-s",
                "-S",
                "--no-progress-meter",
                "-o",
                "/dev/null",
                "-H",
                "Authorization: Bearer " + token,
                "--parallel",
                f"{self.gateway.base}/public/exact?[1-{count}]",
            ],
            check=True,
            timeout=60,
        )
        wait_until(lambda: len(self.gateway.access_log()) >= count, what="the lines")
        self.assertEqual(len(self.gateway.lines_for("/public/exact", count)), count)
