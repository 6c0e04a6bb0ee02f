# What may befall the session database: another process at the file, a file system that cannot be written. Nobody is
# logged out by it. Clocks that step are in Tests/SessionsTests: libfaketime hides a Swift program's arguments from it.

import contextlib
import os
import sqlite3
import subprocess
import tempfile
import unittest

from clients import curl, login
from harness import Demo, Gateway, StartFailed


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
