# A wall clock that is set while clients are at work, and a backup of an hour ago that is put back under them: nobody
# is logged out by either. The real process, with a clock of its own (faults.py).

import os
import subprocess
import unittest

from clients import curl, login
from faults import FaultyGateway
from harness import GATEWAY, Demo
from test_session_path import claims

HOUR, DAY = 3600, 86_400
PAGE = ["Sec-Fetch-Site: same-origin", "Sec-Fetch-Mode: cors"]


class ClockCase(unittest.TestCase):
    def setUp(self):
        self.demo = Demo()
        self.addCleanup(self.demo.stop)
        self.gateway = FaultyGateway(self.demo.port)
        self.addCleanup(self.gateway.stop)

    def refresh(self, pair):
        return curl(self.gateway.base + "/refresh", as_json={"refresh_token": pair["refresh_token"]})

    def refreshed(self, pair):
        reply = self.refresh(pair)
        self.assertEqual(reply.status, 200, reply.body)
        return reply.json

    def whoami(self, pair):
        return curl(self.gateway.base + "/whoami", token=pair["access_token"])

    def events(self, action):
        return [line for line in self.gateway.audit_log() if line["event.action"] == action]


class Steps(ClockCase):
    def browse(self, cookies):
        """A script's request, followed by the way round: its status, and the cookies that the browser then has."""
        for _ in range(3):
            reply = curl(self.gateway.base + "/whoami", cookies=cookies, headers=PAGE)
            if reply.status != 307:
                return reply.status, cookies
            arrived = curl(self.gateway.base + reply.one("location"), cookies=cookies, headers=PAGE)
            self.assertEqual(arrived.status, 307, arrived.body)
            cookies = cookies | {name: value for name, (value, _) in arrived.cookies().items()}
            # It lasts for seconds, as a browser counts them.
            cookies.pop("refreshed", None)
        raise AssertionError("round and round")

    def check(self, refusal):
        """After a step: what old access tokens meet, and that nobody is logged out."""
        for pair in self.unseen:
            reply = self.whoami(pair)
            self.assertEqual((reply.status, reply.json["code"]), (401, refusal))
        self.unseen = [self.refreshed(pair) for pair in self.unseen]
        self.lost = self.lost_answer(self.refreshed(self.lost))
        status, self.cookies = self.browse(self.cookies)
        self.assertEqual(status, 200)
        self.pair = self.refreshed(self.pair)
        self.assertEqual(self.whoami(self.pair).status, 200)

    def lost_answer(self, pair):
        """A client whose answer is lost: it has the parent still."""
        self.refreshed(pair)
        return pair

    def test_back_an_hour_ahead_a_day_and_to_and_fro(self):
        self.pair, self.lost, self.cookies = login(self.gateway), login(self.gateway), login(self.gateway, browser=True)
        self.unseen = [login(self.gateway), login(self.gateway)]
        self.lost = self.lost_answer(self.lost)
        self.assertEqual(self.whoami(self.pair).status, 200)
        sids = {claims(token)["sid"] for token in
                [pair["access_token"] for pair in [self.pair, self.lost, *self.unseen]] + [self.cookies["access"]]}
        for clock, refusal in ((-HOUR, "token_issued_in_future"), (DAY, "token_expired"),
                               (0, "token_issued_in_future"), (6 * DAY, "token_expired")):
            with self.subTest(clock):
                self.gateway.clock = clock
                self.check(refusal)
        # Every one is alive, and nothing has been taken for theft or for the end of a session.
        listed = curl(self.gateway.control + "/sessions").json["sessions"]
        self.assertEqual({session["sid"] for session in listed if session["state"] == "live"}, sids)
        self.assertEqual([self.events(name) for name in ("session_ended", "refresh_token_reused")], [[], []])
        # The neighbour: a week without a refresh is over, whatever made it a week.
        self.gateway.clock = 14 * DAY
        reply = self.refresh(self.pair)
        self.assertEqual((reply.status, reply.json["code"]), (400, "session_expired"))

    def test_a_token_that_was_let_in_before_is_good_over_a_step_back_and_ends_with_its_session(self):
        # Each shard knows what it has let in.
        gateway = FaultyGateway(self.demo.port, main="workers 1;")
        self.addCleanup(gateway.stop)
        pair = login(gateway)
        sid = claims(pair["access_token"])["sid"]
        for clock in (0, -HOUR):
            gateway.clock = clock
            self.assertEqual(curl(gateway.base + "/whoami", token=pair["access_token"]).status, 200)
        self.assertEqual(curl(gateway.control + "/sessions/" + sid, method="DELETE").status, 204)
        # Whatever the clock does then: set ahead, it has no shard forget what it would miss when it is set back.
        for clock, code in ((-HOUR, "session_ended"), (DAY, "token_expired"), (0, "session_ended")):
            gateway.clock = clock
            self.assertEqual(curl(gateway.base + "/whoami", token=pair["access_token"]).json["code"], code)
            reply = curl(gateway.base + "/refresh", as_json={"refresh_token": pair["refresh_token"]})
            self.assertEqual(reply.json["code"], "session_ended")


class OldBackup(ClockCase):
    def test_backup_of_an_hour_ago_logs_nobody_out_that_it_knows(self):
        pairs = [login(self.gateway) for _ in range(6)]
        browser = login(self.gateway, browser=True)
        leaver = login(self.gateway, "bob", "builder")
        file = os.path.join(self.gateway.home, "backup")
        subprocess.run([GATEWAY, "sessions", "backup", file, "-c", self.gateway.config], check=True,
                       stdout=subprocess.DEVNULL)
        for minutes in (20, 40, 60):
            self.gateway.clock = minutes * 60
            pairs = [self.refreshed(pair) for pair in pairs]
            browser = self.rotated(browser)
        later, late_browser = login(self.gateway), login(self.gateway, browser=True)
        reply = curl(self.gateway.base + "/refresh/logout", as_json={"refresh_token": leaver["refresh_token"]})
        self.assertEqual(reply.status, 204)
        self.gateway.stop()
        database = os.path.join(self.gateway.state, "sessions.db")
        os.replace(file, database)
        for suffix in ("-wal", "-shm"):
            if os.path.exists(database + suffix):
                os.remove(database + suffix)
        self.gateway.start()
        # Whom it knows: ahead of it, and honoured; each is noted once.
        for _ in range(2):
            for pair in pairs:
                self.assertEqual(self.whoami(pair).status, 200)
            pairs = [self.refreshed(pair) for pair in pairs]
            browser = self.rotated(browser)
        behind = self.gateway.events("store_behind", 7)
        self.assertEqual(len({line["session.id"] for line in behind}), 7)
        self.assertEqual(self.events("refresh_token_reused"), [])
        # Who came since: access as long as the token lasts, then a login. Nothing says that the session is over.
        self.assertEqual(self.whoami(later).status, 200)
        self.assertEqual(self.refresh(later).json["code"], "refresh_token_invalid")
        reply = self.post(late_browser)
        self.assertEqual((reply.status, reply.json["code"], reply.all("set-cookie")),
                         (401, "refresh_token_invalid", []))
        # What ended since is as alive as the backup has it.
        self.refreshed(leaver)

    def post(self, cookies):
        return curl(self.gateway.base + "/refresh", method="POST", cookies=cookies, headers=PAGE[:1])

    def rotated(self, cookies):
        reply = self.post(cookies)
        self.assertEqual(reply.status, 200, reply.body)
        return {name: value for name, (value, _) in reply.cookies().items()}


if __name__ == "__main__":
    unittest.main()
