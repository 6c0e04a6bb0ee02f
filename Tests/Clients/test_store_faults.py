# What may befall the session database: another process at the file, a file system that cannot be written, from the
# start or all at once, a write-ahead log that was torn. Nobody is logged out by it.

import contextlib
import errno
import fcntl
import os
import random
import sqlite3
import subprocess
import tempfile
import unittest

from clients import curl, login
from faults import FaultyGateway
from harness import Demo, Gateway, StartFailed, wait_until
from test_session_path import claims


class StoreCase(unittest.TestCase):
    def setUp(self):
        self.demo = Demo()
        self.addCleanup(self.demo.stop)

    def refresh(self, gateway, token):
        return curl(gateway.base + "/refresh", as_json={"refresh_token": token})

    def refreshed(self, gateway, token):
        reply = self.refresh(gateway, token)
        self.assertEqual(reply.status, 200, reply.body)
        return reply.json


class OtherProcesses(StoreCase):
    def test_nobody_else_opens_the_database_while_a_gateway_runs(self):
        gateway = Gateway(self.demo.port)
        self.addCleanup(gateway.stop)
        pair = login(gateway)
        with contextlib.closing(sqlite3.connect(f"{gateway.state}/sessions.db", timeout=0.1)) as other:
            for sql in ("SELECT count(*) FROM sessions", "DELETE FROM sessions", "PRAGMA wal_checkpoint"):
                with self.assertRaisesRegex(sqlite3.OperationalError, "locked"):
                    other.execute(sql)
        # Nor can anybody take a lock of the file away, so that the gateway would have to wait for it.
        with open(f"{gateway.state}/sessions.db", "r+b") as other:
            with self.assertRaises(BlockingIOError):
                fcntl.lockf(other, fcntl.LOCK_EX | fcntl.LOCK_NB)
        second = Gateway(self.demo.port, start=False)
        os.symlink(gateway.state, second.state)
        with self.assertRaises(StartFailed) as failure:
            second.start()
        self.assertIn("is in use by another process", failure.exception.text)
        pair = self.refreshed(gateway, pair["refresh_token"])
        self.assertEqual(curl(gateway.base + "/whoami", token=pair["access_token"]).status, 200)

    def test_start_while_somebody_writes_is_refused_and_the_next_one_is_not(self):
        gateway = Gateway(self.demo.port)
        pair = login(gateway)
        gateway.stop()
        with contextlib.closing(sqlite3.connect(f"{gateway.state}/sessions.db", isolation_level=None)) as other:
            other.execute("BEGIN IMMEDIATE")
            with self.assertRaises(StartFailed) as failure:
                gateway.start()
            self.assertIn("is in use by another process", failure.exception.text)
            other.execute("ROLLBACK")
        gateway.start()
        self.addCleanup(gateway.stop)
        self.refreshed(gateway, pair["refresh_token"])


class ReadOnly(StoreCase):
    def test_start_on_a_file_system_that_cannot_be_written_is_refused_in_a_line(self):
        mount = tempfile.mkdtemp(prefix="auth-gateway-clients-")
        self.addCleanup(os.rmdir, mount)
        if subprocess.run(["mount", "-t", "tmpfs", "none", mount], capture_output=True).returncode != 0:
            self.skipTest("a file system cannot be mounted here")
        self.addCleanup(subprocess.run, ["umount", "-l", mount], check=True)
        gateway = Gateway(self.demo.port, start=False)
        os.symlink(mount, gateway.state)
        gateway.start()
        pair = login(gateway)
        gateway.stop()
        subprocess.run(["mount", "-o", "remount,ro", mount], check=True)
        with self.assertRaises(StartFailed) as failure:
            gateway.start()
        self.assertEqual(failure.exception.code, 1)
        self.assertIn("Read-only file system", failure.exception.text)
        subprocess.run(["mount", "-o", "remount,rw", mount], check=True)
        gateway.start()
        self.refreshed(gateway, pair["refresh_token"])
        gateway.stop()


class BreaksWhileItRuns(StoreCase):
    """The database can all at once not be written, and later it can."""

    def test_refresh_is_503_while_it_lasts_and_goes_on_by_itself(self):
        gateway = FaultyGateway(self.demo.port)
        self.addCleanup(gateway.stop)
        pair, leaver = login(gateway), login(gateway, "bob", "builder")
        cookies = login(gateway, browser=True)
        page = ["Sec-Fetch-Site: same-origin"]
        faults = {"made read-only": lambda: gateway.break_disk(errno.EROFS),
                  "bad blocks": lambda: gateway.break_disk(errno.EIO), "never on disk": gateway.break_sync}
        for name, happen in faults.items():
            with self.subTest(name):
                happen()
                for _ in range(2):
                    answers = [
                        self.refresh(gateway, pair["refresh_token"]),
                        curl(gateway.base + "/refresh", method="POST", cookies=cookies, headers=page),
                        curl(gateway.base + "/refresh/logout", as_json={"refresh_token": leaver["refresh_token"]}),
                        curl(gateway.base + "/login", as_json={"user": "bob", "password": "builder"}),
                        curl(gateway.control + "/subjects/alice/sessions", method="DELETE"),
                    ]
                    self.assertEqual([answer.status for answer in answers], [503] * 5)
                    for answer in answers:
                        self.assertGreaterEqual(int(answer.one("retry-after")), 1)
                        self.assertEqual(answer.all("set-cookie"), [])
                    self.assertEqual(curl(gateway.base + "/whoami", token=pair["access_token"]).status, 200)
                gateway.mend_disk()
                old, pair = pair, self.refreshed(gateway, pair["refresh_token"])
                # What has been answered 503 has not happened: the child is the first one.
                self.assertEqual(claims(pair["access_token"])["gen"], claims(old["access_token"])["gen"] + 1)
                reply = curl(gateway.base + "/refresh", method="POST", cookies=cookies, headers=page)
                self.assertEqual(reply.status, 200)
                cookies = {name: value for name, (value, _) in reply.cookies().items()}
                leaver = self.refreshed(gateway, leaver["refresh_token"])
        reply = curl(gateway.base + "/refresh/logout", as_json={"refresh_token": leaver["refresh_token"]})
        self.assertEqual(reply.status, 204)
        self.assertEqual(self.refresh(gateway, leaver["refresh_token"]).json["code"], "session_ended")
        # A kill tells what is really on disk.
        gateway.kill()
        gateway.start()
        self.refreshed(gateway, pair["refresh_token"])
        self.assertEqual(self.refresh(gateway, leaver["refresh_token"]).json["code"], "session_ended")
        events = {line["event.action"] for line in gateway.audit_log()}
        self.assertFalse(events & {"store_behind", "refresh_token_reused"}, events)


class TornLog(StoreCase):
    def test_clients_that_are_ahead_of_what_is_left_go_on(self):
        gateway = Gateway(self.demo.port)
        log = f"{gateway.state}/sessions.db-wal"
        pairs = [login(gateway) for _ in range(5)]
        chosen = random.Random(7)
        # Each on a log that has its sessions whole, and only what was refreshed since in the part that is torn.
        for name in ("cut", "garbage behind it", "garbage at its end", "nothing at its end"):
            with self.subTest(name):
                gateway.stop()
                gateway.start()
                for _ in range(4):
                    pairs = [self.refreshed(gateway, pair["refresh_token"]) for pair in pairs]
                gateway.kill()
                size, garbage = os.path.getsize(log), chosen.randbytes(9000)
                with open(log, "r+b") as file:
                    if name == "cut":
                        file.truncate(size - 30_000)
                    elif name == "garbage behind it":
                        file.seek(size)
                        file.write(garbage)
                    else:
                        file.seek(size - 30_000)
                        file.write(garbage if name == "garbage at its end" else bytes(30_000))
                noted = len(self.behind(gateway))
                gateway.start()
                for pair in pairs:
                    self.assertEqual(curl(gateway.base + "/whoami", token=pair["access_token"]).status, 200)
                pairs = [self.refreshed(gateway, pair["refresh_token"]) for pair in pairs]
                if name != "garbage behind it":
                    wait_until(lambda: len(self.behind(gateway)) > noted, what="an event")
                self.assertEqual(len(self.behind(gateway)) > noted, name != "garbage behind it")
                pairs = [self.refreshed(gateway, pair["refresh_token"]) for pair in pairs]
        gateway.stop()

    def behind(self, gateway):
        return [line for line in gateway.audit_log() if line["event.action"] == "store_behind"]
