# What the gateway says when it cannot start: plain lines that name the thing, the right exit code, and nothing served.

import os
import shutil
import socket
import sqlite3
import subprocess
import tempfile
import time
import unittest

from clients import Raw, curl
from harness import GATEWAY, Demo, Gateway, directory, free_port

MISTAKES = """
listen 127.0.0.1;
listne 127.0.0.1:8080;
workers many;
state_directory;
public_url ftp://x;
limits { request_header 5x; header_count 3; }
access_token { lifetime 1s; algorithm none; }
refresh_token { delivery pigeon; }
upstream api { server http://api.example.com:80; }
route /x { upstream nobody; }
"""


def nobody(command):
    """A command without root's power to open everything."""
    if os.geteuid() != 0:
        return command
    return ["setpriv", "--reuid=65534", "--regid=65534", "--clear-groups"] + command


class StartErrors(unittest.TestCase):
    def setUp(self):
        self.home = directory()
        self.state = os.path.join(self.home, "state")
        os.chmod(self.home, 0o755)

    def config(self, more="", port=None):
        path = os.path.join(self.home, "gateway.conf")
        with open(path, "w") as file:
            file.write(f"listen 127.0.0.1:{port or free_port()};\npublic_url http://localhost;\n"
                       f"state_directory {self.state};\naccess_token {{ audience a; }}\n{more}\n"
                       f"upstream api {{ server http://127.0.0.1:1; }}\nroute / {{ upstream api; }}\n")
        return path

    def fail(self, path, code, as_nobody=False):
        """Runs until it gives up; what it said."""
        command = [GATEWAY, "run", "-c", path]
        done = subprocess.run(nobody(command) if as_nobody else command, capture_output=True, text=True, timeout=10)
        self.assertEqual(done.returncode, code, done.stderr)
        self.assertNotIn("Fatal error", done.stderr)
        self.assertNotIn("serving", done.stderr)
        return done.stderr.strip()

    def assert_one_line(self, text, *words):
        lines = text.splitlines()
        self.assertEqual(len(lines), 1, text)
        self.assertTrue(lines[0].startswith("auth-gateway: "), text)
        for word in words:
            self.assertIn(word, lines[0])

    def test_ten_mistakes_are_ten_errors(self):
        path = os.path.join(self.home, "bad.conf")
        with open(path, "w") as file:
            file.write(MISTAKES)
        for command in ("run", "check"):
            done = subprocess.run([GATEWAY, command, "-c", path], capture_output=True, text=True, timeout=10)
            text = done.stdout + done.stderr
            self.assertEqual(done.returncode, 78, text)
            errors = [line for line in text.splitlines() if ": error: " in line]
            self.assertGreaterEqual(len(errors), 10, text)
            at = {int(line.split(":")[1]) for line in errors}
            self.assertEqual(at, set(range(2, 12)), text)

    def test_usage(self):
        for arguments in (["fly"], ["run", "-x"], ["run", "-c"]):
            done = subprocess.run([GATEWAY, *arguments], capture_output=True, text=True, timeout=10)
            self.assertEqual(done.returncode, 2, arguments)
        missing = subprocess.run([GATEWAY, "run", "-c", "/nowhere/x.conf"], capture_output=True, text=True, timeout=10)
        self.assertEqual(missing.returncode, 78)
        self.assertIn("/nowhere/x.conf", missing.stderr)

    def test_port_in_use(self):
        with socket.socket() as taken:
            taken.bind(("127.0.0.1", 0))
            taken.listen()
            port = taken.getsockname()[1]
            self.assert_one_line(self.last_line(self.fail(self.config(port=port), 1)), str(port))

    def last_line(self, text):
        return text.splitlines()[-1] if text else ""

    def test_state_directory_that_cannot_be_made(self):
        os.chmod(self.home, 0o555)
        path = os.path.join(directory(), "gateway.conf")
        shutil.copy(self.config_readable(), path)
        os.chmod(os.path.dirname(path), 0o755)
        self.assert_one_line(self.fail(path, 1, as_nobody=True), self.state)

    def config_readable(self):
        os.chmod(self.home, 0o755)
        path = self.config()
        os.chmod(path, 0o644)
        return path

    def test_state_directory_that_cannot_be_read(self):
        os.mkdir(self.state, 0o700)
        self.assert_one_line(self.fail(self.config_readable(), 1, as_nobody=os.geteuid() == 0), self.state)

    def test_state_directory_that_cannot_be_written(self):
        os.mkdir(self.state, 0o555)
        os.chmod(self.state, 0o555)
        self.assert_one_line(self.fail(self.config_readable(), 1, as_nobody=True), self.state)

    def test_state_directory_that_is_a_file(self):
        with open(self.state, "w"):
            pass
        self.assert_one_line(self.fail(self.config(), 1), self.state)

    def made_state(self):
        """A state directory that a gateway has used."""
        demo = Demo()
        gateway = Gateway(demo.port)
        gateway.stop()
        demo.stop()
        shutil.copytree(gateway.state, self.state)

    def test_corrupt_database(self):
        self.made_state()
        for name in ("sessions.db-wal", "sessions.db-shm"):
            if os.path.exists(os.path.join(self.state, name)):
                os.remove(os.path.join(self.state, name))
        with open(os.path.join(self.state, "sessions.db"), "wb") as file:
            file.write(b"this is no database" * 1000)
        self.assert_one_line(self.fail(self.config(), 1), "sessions.db")

    def test_newer_database(self):
        self.made_state()
        database = sqlite3.connect(os.path.join(self.state, "sessions.db"))
        database.execute("PRAGMA user_version=99")
        database.commit()
        database.close()
        self.assert_one_line(self.fail(self.config(), 1), "sessions.db", "99")

    def test_garbage_signing_key(self):
        self.made_state()
        for content in (b"garbage", b"", b"-----BEGIN PRIVATE KEY-----\nAAAA\n-----END PRIVATE KEY-----\n"):
            with open(os.path.join(self.state, "signing-key.pem"), "wb") as file:
                file.write(content)
            self.assert_one_line(self.fail(self.config(), 1), "signing-key.pem")

    def test_garbage_refresh_key(self):
        self.made_state()
        for content in (b"garbage", b""):
            with open(os.path.join(self.state, "refresh.key"), "wb") as file:
                file.write(content)
            self.assert_one_line(self.fail(self.config(), 1), "refresh.key")

    def test_log_that_cannot_be_opened(self):
        for kind in ("access", "audit"):
            text = self.fail(self.config(f"logs {{ {kind} /nowhere/x.log; }}"), 1)
            self.assert_one_line(text, "/nowhere/x.log")

    def test_secret_file_that_is_not_there(self):
        more = "control { listen 127.0.0.1:0; secret file:/nowhere/secret; }"
        text = self.fail(self.config(more), 78)
        self.assertIn("/nowhere/secret", text)

    def test_second_gateway_on_the_same_state_directory(self):
        demo = Demo()
        first = Gateway(demo.port)
        self.state = first.state
        try:
            self.assert_one_line(self.fail(self.config(), 1), first.state)
            self.assertEqual(curl(first.base + "/public/x").status, 200)
        finally:
            first.stop()
            demo.stop()
        # A killed gateway must not keep its successor out.
        demo = Demo()
        first = Gateway(demo.port)
        first.kill()
        first.start()
        first.stop()
        demo.stop()


class Figures(unittest.TestCase):
    def test_print_start_time_and_idle_memory(self):
        demo = Demo()
        gateway = Gateway(demo.port)
        gateway.stop()
        seconds = min(self.restart(gateway) for _ in range(3))
        gateway.start()
        time.sleep(1)
        megabytes = gateway.memory_kilobytes() / 1024
        gateway.stop()
        demo.stop()
        print(f"\n    serving after {seconds * 1000:.0f} ms (bar: 100), idle RSS {megabytes:.1f} MB (bar: 25)", flush=True)

    @staticmethod
    def restart(gateway):
        seconds = gateway.start()
        # Signals are not handled yet at the very moment when it says that it serves: see Ending.
        time.sleep(0.1)
        gateway.stop()
        return seconds


class Ending(unittest.TestCase):
    def test_sigterm_at_once_is_an_orderly_end(self):
        demo = Demo()
        codes = set()
        for _ in range(100):
            gateway = Gateway(demo.port)
            gateway.process.terminate()
            codes.add(gateway.process.wait(10))
            if codes != {0}:
                break
        demo.stop()
        self.assertEqual(codes, {0})

    def test_sigterm_lets_exchanges_end_and_refuses_new_ones(self):
        demo = Demo()
        gateway = Gateway(demo.port, routes="route / { upstream api; access anonymous; }")
        raw, idle = Raw(gateway.port), Raw(gateway.port)
        idle.send("GET /public/x HTTP/1.1\r\nHost: a\r\n\r\n").response()
        raw.send("GET /slow?ms=700 HTTP/1.1\r\nHost: a\r\n\r\n")
        time.sleep(0.2)
        gateway.process.terminate()
        self.assertTrue(idle.is_closed(2))
        self.assertRaises(OSError, lambda: Raw(gateway.port))
        reply = raw.response()
        self.assertEqual((reply.status, reply.json["waited_ms"]), (200, 700))
        self.assertTrue(raw.is_closed())
        self.assertEqual(gateway.process.wait(5), 0)
        self.assertEqual(len(gateway.access_log()), 2)
        demo.stop()


class FullDisk(unittest.TestCase):
    """Commits fail for want of room: nobody is logged out by it, and the service comes back by itself."""

    def setUp(self):
        self.mount = tempfile.mkdtemp(prefix="auth-gateway-clients-")
        done = subprocess.run(["mount", "-t", "tmpfs", "-o", "size=1m,mode=755", "none", self.mount], capture_output=True)
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
        pairs = [curl(gateway.base + "/login", as_json={"user": "alice", "password": "wonderland"}).json
                 for _ in range(3)]
        self.fill()
        answers = []
        for _ in range(200):
            # The log of the database may have room left in it for a while.
            answers = [curl(gateway.base + "/refresh", as_json={"refresh_token": pair["refresh_token"]})
                       for pair in pairs]
            if any(answer.status == 503 for answer in answers):
                break
            pairs = [answer.json for answer in answers]
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
        self.assertEqual(curl(gateway.base + "/login", as_json={"user": "bob", "password": "builder"}).status, 200)
