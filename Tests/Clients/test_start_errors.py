# What the gateway says when it cannot start: plain lines that name the thing, the right exit code, and
# nothing served.

import os
import shutil
import socket
import sqlite3
import subprocess
import unittest

from clients import curl
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
upstream api { server ftp://api.example.com:80; }
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
            file.write(
                f"listen 127.0.0.1:{port or free_port()};\npublic_url http://localhost;\n"
                f"state_directory {self.state};\naccess_token {{ audience a; }}\n{more}\n"
                f"upstream api {{ server http://127.0.0.1:1; }}\nroute / {{ upstream api; }}\n"
            )
        return path

    def give_up(self, path, code, as_nobody=False):
        """Runs until it gives up; what it said."""
        command = [GATEWAY, "run", "-c", path]
        done = subprocess.run(
            nobody(command) if as_nobody else command, capture_output=True, text=True, timeout=10
        )
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

    def test_check_names_exchanges_that_are_over(self):
        def exchange(day):
            return f"exchange token {{ until {day}; secret HS256 {'s' * 32}; }}\n"

        path = self.config("refresh_token {\n" + exchange("2020-02-29") + exchange("9999-12-31") + "}")
        done = subprocess.run([GATEWAY, "check", "-c", path], capture_output=True, text=True, timeout=10)
        self.assertEqual(done.returncode, 0, done.stderr)
        warnings = [line for line in done.stderr.splitlines() if "exchanged" in line]
        self.assertEqual(len(warnings), 1, done.stderr)
        self.assertIn(f"{path}:6: ", warnings[0])
        self.assertIn("2020-02-29", warnings[0])

    def test_usage(self):
        for arguments in (["fly"], ["run", "-x"], ["run", "-c"]):
            done = subprocess.run([GATEWAY, *arguments], capture_output=True, text=True, timeout=10)
            self.assertEqual(done.returncode, 2, arguments)
        missing = subprocess.run(
            [GATEWAY, "run", "-c", "/nowhere/x.conf"], capture_output=True, text=True, timeout=10
        )
        self.assertEqual(missing.returncode, 78)
        self.assertIn("/nowhere/x.conf", missing.stderr)

    def test_port_in_use(self):
        with socket.socket() as taken:
            taken.bind(("127.0.0.1", 0))
            taken.listen()
            port = taken.getsockname()[1]
            self.assert_one_line(self.last_line(self.give_up(self.config(port=port), 1)), str(port))

    def last_line(self, text):
        return text.splitlines()[-1] if text else ""

    def test_state_directory_that_cannot_be_made(self):
        os.chmod(self.home, 0o555)
        path = os.path.join(directory(), "gateway.conf")
        shutil.copy(self.config_readable(), path)
        os.chmod(os.path.dirname(path), 0o755)
        self.assert_one_line(self.give_up(path, 1, as_nobody=True), self.state)

    def config_readable(self):
        os.chmod(self.home, 0o755)
        path = self.config()
        os.chmod(path, 0o644)
        return path

    def test_state_directory_that_cannot_be_read(self):
        os.mkdir(self.state, 0o700)
        self.assert_one_line(self.give_up(self.config_readable(), 1, as_nobody=os.geteuid() == 0), self.state)

    def test_state_directory_that_cannot_be_written(self):
        os.mkdir(self.state, 0o555)
        os.chmod(self.state, 0o555)
        self.assert_one_line(self.give_up(self.config_readable(), 1, as_nobody=True), self.state)

    def test_state_directory_that_is_a_file(self):
        with open(self.state, "w"):
            pass
        self.assert_one_line(self.give_up(self.config(), 1), self.state)

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
        self.assert_one_line(self.give_up(self.config(), 1), "sessions.db")

    def test_newer_database(self):
        self.made_state()
        database = sqlite3.connect(os.path.join(self.state, "sessions.db"))
        database.execute("PRAGMA user_version=99")
        database.commit()
        database.close()
        self.assert_one_line(self.give_up(self.config(), 1), "sessions.db", "99")

    def test_garbage_signing_key(self):
        self.made_state()
        for content in (b"garbage", b"", b"-----BEGIN PRIVATE KEY-----\nAAAA\n-----END PRIVATE KEY-----\n"):
            with open(os.path.join(self.state, "signing-key.pem"), "wb") as file:
                file.write(content)
            self.assert_one_line(self.give_up(self.config(), 1), "signing-key.pem")

    def test_garbage_refresh_key(self):
        self.made_state()
        for content in (b"garbage", b""):
            with open(os.path.join(self.state, "refresh.key"), "wb") as file:
                file.write(content)
            self.assert_one_line(self.give_up(self.config(), 1), "refresh.key")

    def test_log_that_cannot_be_opened(self):
        for kind in ("access", "audit"):
            text = self.give_up(self.config(f"logs {{ {kind} /nowhere/x.log; }}"), 1)
            self.assert_one_line(text, "/nowhere/x.log")

    def test_secret_file_that_is_not_there(self):
        more = "control { listen 127.0.0.1:0; secret file:/nowhere/secret; }"
        text = self.give_up(self.config(more), 78)
        self.assertIn("/nowhere/secret", text)

    def test_second_gateway_on_the_same_state_directory(self):
        demo = Demo()
        first = Gateway(demo.port)
        self.state = first.state
        try:
            self.assert_one_line(self.give_up(self.config(), 1), first.state)
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
