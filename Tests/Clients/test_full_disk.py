# A full disk under the session database, on a small file system of its own. Skipped where none can be
# mounted.

import os
import subprocess
import tempfile
import unittest

from clients import curl
from harness import Demo, Gateway


class FullDisk(unittest.TestCase):
    """Commits fail for want of room: nobody is logged out by it, and the service comes back by itself."""

    def setUp(self):
        self.mount = tempfile.mkdtemp(prefix="auth-gateway-clients-")
        done = subprocess.run(
            ["mount", "-t", "tmpfs", "-o", "size=1m,mode=755", "none", self.mount], capture_output=True
        )
        if done.returncode != 0:
            os.rmdir(self.mount)
            self.skipTest("a file system cannot be mounted here")
        self.addCleanup(self.unmount)
        self.demo = Demo()
        self.addCleanup(self.demo.stop)

    def unmount(self):
        subprocess.run(["umount", "-l", self.mount], check=True)
        os.rmdir(self.mount)

    def fill(self):
        with open(os.path.join(self.mount, "filler"), "wb", buffering=0) as file:
            for size in (65536, 4096, 1):
                try:
                    while True:
                        file.write(b"x" * size)
                except OSError:
                    pass

    def test_refresh_is_503_until_there_is_room_and_the_token_stays_good(self):
        gateway = Gateway(self.demo.port, start=False)
        os.symlink(self.mount, gateway.state)
        gateway.start()
        self.addCleanup(gateway.stop)
        pairs = [
            curl(gateway.base + "/login", as_json={"user": "alice", "password": "wonderland"}).json
            for _ in range(3)
        ]
        self.fill()
        answers = []
        for _ in range(200):
            # The log of the database may have room left in it for a while.
            answers = [
                curl(gateway.base + "/refresh", as_json={"refresh_token": pair["refresh_token"]})
                for pair in pairs
            ]
            pairs = [answer.json if answer.status == 200 else pair for answer, pair in zip(answers, pairs)]
            if all(answer.status == 503 for answer in answers):
                break
        self.assertEqual([answer.status for answer in answers], [503] * 3)
        for answer, pair in zip(answers, pairs):
            self.assertTrue(int(answer.one("retry-after")) >= 1)
            self.assertEqual(curl(gateway.base + "/whoami", token=pair["access_token"]).status, 200)
        login = curl(gateway.base + "/login", as_json={"user": "alice", "password": "wonderland"})
        self.assertEqual(login.status, 503)
        out = curl(gateway.base + "/refresh/logout", as_json={"refresh_token": pairs[0]["refresh_token"]})
        self.assertEqual(out.status, 503)
        os.remove(os.path.join(self.mount, "filler"))
        for pair in pairs:
            answer = curl(gateway.base + "/refresh", as_json={"refresh_token": pair["refresh_token"]})
            self.assertEqual(answer.status, 200)
        self.assertEqual(
            curl(gateway.base + "/login", as_json={"user": "bob", "password": "builder"}).status, 200
        )
