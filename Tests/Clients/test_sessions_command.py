# `auth-gateway sessions`, beside a running gateway and without one: lists, explains, ends, backs up and checks; and
# backups that are put back under live clients.

import contextlib
import datetime
import json
import os
import sqlite3
import subprocess
import threading
import time
import unittest

from clients import curl, login
from harness import GATEWAY, Demo, Gateway, StartFailed, wait_until
from test_session_path import claims


class SessionsCase(unittest.TestCase):
    def setUp(self):
        self.demo = Demo()
        self.addCleanup(self.demo.stop)
        self.gateway = Gateway(self.demo.port)

    def tearDown(self):
        if self.gateway.process.poll() is None:
            self.gateway.stop()

    def command(self, *arguments, code=0):
        done = subprocess.run([GATEWAY, "sessions", *arguments, "-c", self.gateway.config], capture_output=True,
                              text=True, timeout=60)
        self.assertEqual(done.returncode, code, done.stdout + done.stderr)
        return done.stdout if code == 0 else done.stdout + done.stderr

    def refresh(self, token):
        return curl(self.gateway.base + "/refresh", as_json={"refresh_token": token})

    def stolen(self):
        """A session that has ended because an old token came back."""
        first = login(self.gateway)
        second = self.refresh(first["refresh_token"]).json
        self.refresh(second["refresh_token"])
        self.assertEqual(self.refresh(first["refresh_token"]).json["code"], "refresh_token_reused")
        return claims(first["access_token"])["sid"]

    @property
    def database(self):
        return os.path.join(self.gateway.state, "sessions.db")

    def put_back(self, file):
        os.replace(file, self.database)
        for suffix in ("-wal", "-shm"):
            if os.path.exists(self.database + suffix):
                os.remove(self.database + suffix)


class Commands(SessionsCase):
    def both_ways(self):
        """With the gateway that runs, and then without one."""
        yield "running"
        self.gateway.stop()
        yield "stopped"

    def test_list_and_explain(self):
        sid, bob = self.stolen(), claims(login(self.gateway, "bob", "builder")["access_token"])["sid"]
        for way in self.both_ways():
            with self.subTest(way):
                lines = self.command("list").splitlines()
                self.assertEqual([line.split()[0] for line in lines], ["SID", bob, sid])
                self.assertIn("ended: replay", lines[2])
                self.assertEqual(len(self.command("list", "bob").splitlines()), 2)
                self.assertEqual(len(self.command("list", "b&b").splitlines()), 1)
                rows = json.loads(self.command("list", "alice", "--json"))["sessions"]
                self.assertEqual([row["sid"] for row in rows], [sid])
                story = self.command("explain", sid).splitlines()
                self.assertIn(f"session {sid} of alice", story[0])
                self.assertIn("began", story[1])
                self.assertIn("a refresh token that had been replaced (generation 0, from 127.0.0.1)", story[-3])
                self.assertIn("ended: an old refresh token came back", story[-1])
                self.assertEqual(json.loads(self.command("explain", sid, "--json"))["end_reason"], "replay")
                self.assertIn("No such session", self.command("explain", "A" * 22, code=1))

    def test_sessions_that_end_by_their_subject_tell_when_and_who_asked(self):
        def post(path, pair):
            self.assertEqual(curl(self.gateway.base + path, method="POST", token=pair["access_token"]).status, 200)

        first, second, bob = login(self.gateway), login(self.gateway), login(self.gateway, "bob", "builder")
        began = time.time()
        post("/account/role", first)
        first = self.refresh(first["refresh_token"]).json
        post("/account/password", first)
        post("/account/delete", bob)
        self.assertEqual(curl(self.gateway.control + "/subjects/alice/sessions", method="DELETE").status, 204)
        last = login(self.gateway)
        # Later ones change nothing for who is over, nor does the client that comes back.
        curl(self.gateway.control + "/subjects/alice/expire-access", method="POST")
        curl(self.gateway.control + "/subjects/alice/sessions", method="DELETE")
        self.assertEqual(self.refresh(second["refresh_token"]).json["code"], "session_ended")
        login_again = curl(self.gateway.base + "/login", token=second["access_token"],
                           as_json={"user": "alice", "password": "wonderland"})
        self.assertEqual(login_again.status, 200)
        sids = [claims(pair["access_token"])["sid"] for pair in (first, second, last, bob)]
        for way in self.both_ways():
            with self.subTest(way):
                told = [json.loads(self.command("explain", sid, "--json")) for sid in sids]
                self.assertEqual([(one["state"], one["end_reason"], one["ended_by"]) for one in told], [
                    ("ended", "subject", "control"), ("ended", "others", "upstream"),
                    ("ended", "subject", "control"), ("ended", "subject", "upstream")])
                times = [datetime.datetime.fromisoformat(one["ended"]).timestamp() for one in told]
                self.assertTrue(all(began - 1 < at < time.time() for at in times), times)
                self.assertLess(times[1], times[0])
                self.assertLess(times[0], times[2])
                story = self.command("explain", sids[1]).splitlines()
                self.assertIn("access tokens of its subject were taken back", story[2])
                self.assertIn("asked for by an upstream", story[2])
                self.assertIn("an upstream ended all sessions of its subject but another one", story[-1])
                self.assertTrue(story[-1].strip().startswith(told[1]["ended"]), story[-1])
                story = self.command("explain", sids[2]).splitlines()
                self.assertIn("asked for by the control API", story[2])
                self.assertIn("the control API ended all sessions of its subject", story[-1])
                self.assertIn("ended: others, by upstream", self.command("list", "alice"))

    def test_end(self):
        for way in self.both_ways():
            with self.subTest(way):
                if way == "stopped":
                    self.gateway.start()
                pair = login(self.gateway)
                sid = claims(pair["access_token"])["sid"]
                if way == "stopped":
                    self.gateway.stop()
                self.command("end", sid)
                self.assertIn("No such session", self.command("end", sid, code=1))
                if way == "stopped":
                    self.gateway.start()
                self.assertEqual(self.refresh(pair["refresh_token"]).json["code"], "session_ended")
                self.assertEqual(curl(self.gateway.base + "/whoami", token=pair["access_token"]).status, 401)

    def test_check_finds_damage(self):
        pairs = [login(self.gateway) for _ in range(50)]
        self.assertEqual(len(pairs), 50)
        for way in self.both_ways():
            self.assertIn("the database is whole", self.command("check"), way)
        with open(self.database, "r+b") as file:
            file.seek(os.path.getsize(self.database) // 2)
            file.write(os.urandom(4096))
        self.assertIn("damage", self.command("check", code=1))
        self.assertEqual([name for name in os.listdir(self.gateway.state) if "backup" in name], [])

    def test_usage(self):
        for arguments, words in (((), "needs a command"), (("explain",), "needs a session id"),
                                 (("explain", "x"), "is no session id"), (("backup",), "needs a file"),
                                 (("list", "a", "b"), "takes no 'b'"), (("check", "--json"), "--json")):
            self.assertIn(words, self.command(*arguments, code=2))
        self.assertIn("sessions backup FILE", self.command("--help"))


class Backups(SessionsCase):
    def test_backup_while_clients_refresh_and_its_restoration(self):
        pairs = [login(self.gateway) for _ in range(30)]
        failures, ends, refreshed = [], threading.Event(), [0] * 30

        def work(mine):
            while not ends.is_set():
                for index in mine:
                    reply = self.refresh(pairs[index]["refresh_token"])
                    if reply.status != 200:
                        failures.append(reply.body)
                    else:
                        pairs[index] = reply.json
                        refreshed[index] += 1

        workers = [threading.Thread(target=work, args=(range(start, 30, 3),)) for start in range(3)]
        for worker in workers:
            worker.start()
        files = [os.path.join(self.gateway.home, f"copy{number}") for number in range(3)]
        for file in files:
            self.assertIn(file, self.command("backup", file))
            # Each client gets ahead of it; the first of these may have been under way.
            before = list(refreshed)
            wait_until(lambda: all(now > then + 2 for now, then in zip(refreshed, before)) or failures, 30, "refreshes")
        ends.set()
        for worker in workers:
            worker.join()
        self.assertEqual(failures, [])
        for file in files:
            self.assertEqual(os.stat(file).st_mode & 0o777, 0o600)
            with contextlib.closing(sqlite3.connect(file)) as copy:
                self.assertEqual(copy.execute("PRAGMA integrity_check").fetchone(), ("ok",))
                self.assertEqual(copy.execute("SELECT count(*) FROM sessions").fetchone(), (30,))
        later = login(self.gateway)
        # The oldest one, under clients that are ahead of it: they are honoured, and nobody is logged out.
        self.gateway.stop()
        self.put_back(files[0])
        self.gateway.start()
        for index, pair in enumerate(pairs):
            self.assertEqual(curl(self.gateway.base + "/whoami", token=pair["access_token"]).status, 200)
            for _ in range(3):
                reply = self.refresh(pairs[index]["refresh_token"])
                self.assertEqual(reply.status, 200)
                pairs[index] = reply.json
        behind = self.gateway.events("store_behind", 30)
        self.assertEqual(len({line["session.id"] for line in behind}), 30)
        story = self.command("explain", behind[0]["session.id"])
        self.assertIn("the client was ahead of the database", story)
        # What began after the backup is not known; nothing says that it is over.
        self.assertEqual(self.refresh(later["refresh_token"]).json["code"], "refresh_token_invalid")

    def test_backup_without_a_gateway(self):
        pair = login(self.gateway)
        self.gateway.kill()
        file = os.path.join(self.gateway.home, "copy")
        self.command("backup", file)
        self.put_back(file)
        self.gateway.start()
        self.assertEqual(self.refresh(pair["refresh_token"]).status, 200)

    def test_backup_that_cannot_be_written(self):
        self.assertIn("cannot be written", self.command("backup", "/proc/nowhere/file", code=1))
        self.gateway.stop()
        self.assertIn("/proc/nowhere/file", self.command("backup", "/proc/nowhere/file", code=1))


class Schemas(SessionsCase):
    def test_database_of_a_newer_gateway_is_refused_in_one_line(self):
        self.gateway.stop()
        with contextlib.closing(sqlite3.connect(self.database)) as database:
            database.execute("PRAGMA user_version = 99")
        with self.assertRaises(StartFailed) as failure:
            self.gateway.start()
        lines = [line for line in failure.exception.text.splitlines() if "warning" not in line]
        self.assertEqual(failure.exception.code, 1)
        self.assertIn("has schema version 99", lines[-1])
        self.assertIn("has schema version 99", self.command("list", code=1))
