# The package on a machine with a systemd of Debian as its first process: the unit as it is shipped, every line of it,
# with its user, its mounts and its credentials; the journal and rsyslog that take its logs.

import json
import os
import random
import shutil
import socket
import subprocess
import threading
import unittest

from clients import Raw, curl, login
from harness import CONTROL_SECRET, DEMO_ROUTES, GATEWAY, ROOT, Demo, directory, free_port, wait_until
from machine import Machine, can_be_made
from upstreams import OK, Upstream

UNIT = "auth-gateway.service"
DROP_IN = "/etc/systemd/system/auth-gateway.service.d"
CONFIGURATION = "/etc/auth-gateway/gateway.conf"
RSYSLOG = """
module(load="imuxsock")
template(name="test" type="string" string="%syslogfacility-text%.%syslogseverity-text% %syslogtag%%msg%\\n")
*.* action(type="omfile" file="/var/log/all" template="test")
"""


def low_port():
    """A port that only who may bind those below 1024 can have."""
    while True:
        port = random.randrange(600, 1024)
        with socket.socket() as probe:
            try:
                probe.bind(("127.0.0.1", port))
                return port
            except OSError:
                pass


class Service:
    """What the test clients need to know of the gateway in the machine."""

    def __init__(self, upstream):
        self.port, self.control_port = low_port(), free_port()
        self.base = self.origin = f"http://localhost:{self.port}"
        self.control = f"http://127.0.0.1:{self.control_port}"
        # As the unit's comment has it.
        secret = '"file:${CREDENTIALS_DIRECTORY:-/run/credentials/auth-gateway.service}/control.secret"'
        self.configuration = (
            f"listen 127.0.0.1:{self.port};\npublic_url {self.base};\naccess_token {{ audience api; }}\n"
            f"control {{ listen 127.0.0.1:{self.control_port}; secret {secret}; }}\n"
            f"upstream api {{ server http://localhost:{upstream}; }}\n{DEMO_ROUTES}")


@unittest.skipUnless(can_be_made(), "needs root, and overlays")
class Package(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.demo = Demo()
        cls.addClassCleanup(cls.demo.stop)
        cls.machine = machine = Machine()
        cls.addClassCleanup(machine.stop)
        cls.service = Service(cls.demo.port)
        home = directory()
        quick = {**os.environ, "DPKG_DEB_COMPRESSOR_TYPE": "gzip", "DPKG_DEB_COMPRESSOR_LEVEL": "1"}
        package = subprocess.run(
            [os.path.join(ROOT, "deploy/debian/build"), "--binary", GATEWAY, "--output", home], env=quick,
            capture_output=True, text=True, check=True).stdout.strip()
        shutil.copy(package, machine.path("/tmp/auth-gateway.deb"))
        machine.do("dpkg", "-i", "/tmp/auth-gateway.deb")
        machine.write("/etc/control.secret", CONTROL_SECRET + "\n", 0o600)
        os.mkdir(machine.path(DROP_IN))
        machine.write(f"{DROP_IN}/secret.conf", "[Service]\nLoadCredential=control.secret:/etc/control.secret\n")

    def setUp(self):
        # What the journal has of the tests before this one is not meant.
        shown = self.machine.do("journalctl", "-n", "0", "--show-cursor")
        self.cursor = shown.split("-- cursor: ", 1)[1].strip()
        self.configure()
        self.machine.do("systemctl", "daemon-reload")
        self.machine.do("systemctl", "start", UNIT)
        self.addCleanup(self.machine.do, "systemctl", "stop", UNIT)

    def configure(self, more=""):
        self.machine.write(CONFIGURATION, self.service.configuration + more)

    def show(self, name):
        return self.machine.do("systemctl", "show", UNIT, "-p", name, "--value").strip()

    def journal(self, name):
        """What the journal has of the unit, from programs that call themselves so, since the test began."""
        text = self.machine.do("journalctl", "-o", "json", "--after-cursor", self.cursor)
        entries = [json.loads(line) for line in text.splitlines()]
        wanted = (UNIT, name)
        return [entry for entry in entries
                if (entry.get("_SYSTEMD_UNIT"), entry.get("SYSLOG_IDENTIFIER")) == wanted]

    def test_it_serves_as_its_user_with_one_right_and_writes_nowhere_else(self):
        pair = login(self.service)
        self.assertEqual(curl(self.service.base + "/items", token=pair["access_token"]).status, 200)
        pid = self.show("MainPID")
        status = self.machine.read(f"/proc/{pid}/status")
        user = self.machine.do("id", "-u", "auth-gateway").strip()
        self.assertNotEqual(user, "0")
        self.assertIn(f"\nUid:\t{user}\t{user}\t{user}\t{user}\n", status)
        # CAP_NET_BIND_SERVICE, for its port.
        for name in ("CapEff", "CapPrm", "CapBnd", "CapAmb"):
            self.assertIn(f"\n{name}:\t{1 << 10:016x}\n", status)
        self.assertIn("\nNoNewPrivs:\t1\n", status)
        self.assertIn("\nSeccomp:\t2\n", status)
        mounts = self.machine.read(f"/proc/{pid}/mountinfo")
        modes = {line.split()[4]: line.split()[5].split(",")[0] for line in mounts.splitlines()}
        self.assertEqual((modes["/"], modes["/var/lib/auth-gateway"]), ("ro", "rw"))
        self.assertEqual(
            self.machine.do("stat", "-c", "%U %a", "/var/lib/auth-gateway/sessions.db").split(),
            ["auth-gateway", "600"])

    def test_its_secret_comes_by_a_credential_that_only_it_can_read(self):
        self.assertEqual(self.machine.do("stat", "-c", "%U %a", "/etc/control.secret").split(), ["root", "600"])
        subject = self.service.control + "/subjects/nobody/sessions"
        self.assertEqual(curl(subject, method="DELETE", token=CONTROL_SECRET).status, 204)
        self.assertEqual(curl(subject, method="DELETE", token=CONTROL_SECRET[1:]).status, 401)
        refused = self.machine.ask(
            "setpriv", "--reuid=nobody", "--regid=nogroup", "--clear-groups", "cat",
            f"/run/credentials/{UNIT}/control.secret")
        self.assertIn("Permission denied", refused.stderr)

    def test_it_reloads_hands_over_and_starts_anew_where_nothing_else_is_allowed(self):
        pair = login(self.service)
        self.configure('route /new { respond 410 "new"; access anonymous; }\n')
        self.machine.do("systemctl", "reload", UNIT)
        self.assertEqual(curl(self.service.base + "/new").status, 410)
        first = self.show("MainPID")
        self.machine.do("systemctl", "kill", "-s", "USR2", "--kill-who=main", UNIT)
        wait_until(lambda: self.show("MainPID") not in ("0", first), 10, "another process")
        self.assertEqual(self.show("ActiveState"), "active")
        self.assertEqual(curl(self.service.base + "/items", token=pair["access_token"]).status, 200)
        second = self.show("MainPID")
        self.machine.do("systemctl", "kill", "-s", "KILL", "--kill-who=main", UNIT)
        wait_until(lambda: self.show("MainPID") not in ("0", second), 10, "one more")
        wait_until(lambda: self.show("ActiveState") == "active", 10, "it serves again")
        self.assertEqual(curl(self.service.base + "/items", token=pair["access_token"]).status, 200)

    def test_what_has_begun_ends_also_when_the_process_that_is_stopped_has_taken_over(self):
        upstream = Upstream(self.slow)
        self.addCleanup(upstream.stop)
        self.configure(
            f"upstream slow {{ server http://127.0.0.1:{upstream.port}; }}\n"
            "route /slow { upstream slow; access anonymous; }\n")
        self.machine.do("systemctl", "reload", UNIT)
        for upgrades in (0, 1):
            if upgrades:
                self.machine.do("systemctl", "start", UNIT)
                first = self.show("MainPID")
                self.machine.do("systemctl", "kill", "-s", "USR2", "--kill-who=main", UNIT)
                wait_until(lambda: self.show("MainPID") not in ("0", first), 10, "another process")
            self.went, self.goes_on = threading.Event(), threading.Event()
            raw = Raw(self.service.port)
            raw.send("GET /slow HTTP/1.1\r\nHost: localhost\r\n\r\n")
            self.assertTrue(self.went.wait(10))
            stop = threading.Thread(target=self.machine.do, args=("systemctl", "stop", UNIT))
            stop.start()
            wait_until(lambda: self.show("ActiveState") == "deactivating", 5, "the stop")
            self.goes_on.set()
            self.assertEqual(raw.response().status, 200)
            stop.join(20)
            self.assertEqual((self.show("Result"), self.show("ExecMainStatus")), ("success", "0"), upgrades)

    def slow(self, request, connection):
        self.went.set()
        self.goes_on.wait(20)
        return OK

    def test_the_journal_knows_how_bad_each_line_is(self):
        self.configure("nonsense;\n")
        self.assertNotEqual(self.machine.ask("systemctl", "reload", UNIT).returncode, 0)
        curl(self.service.base + "/public/seen-by-the-journal")
        wait_until(lambda: any("seen-by-the-journal" in entry["MESSAGE"] for entry in self.journal("auth-gateway")))
        self.machine.do("systemctl", "stop", UNIT)
        self.assertNotEqual(self.machine.ask("systemctl", "start", UNIT).returncode, 0)
        priorities = {}
        for entry in self.journal("auth-gateway"):
            # Nothing comes from libraries that write to syslog by themselves.
            self.assertEqual(entry["_TRANSPORT"], "stdout", entry)
            for words in ("serving on", "unknown directive 'nonsense'", "nonsense;", "seen-by-the-journal"):
                if words in entry["MESSAGE"]:
                    priorities.setdefault(words, set()).add(entry["PRIORITY"])
        # RFC 5424 §6.2.1: 3 is an error, 6 is information. The mistake is told by the gateway that goes on as it was,
        # by the command that has asked, and by the one that did not start.
        self.assertEqual(
            priorities, {"serving on": {"6"}, "unknown directive 'nonsense'": {"3"}, "nonsense;": {"3"},
                         "seen-by-the-journal": {"6"}})
        self.machine.do("systemctl", "reset-failed", UNIT)

    def test_syslog_takes_what_is_sent_there_with_its_facility(self):
        self.machine.write("/etc/rsyslog.conf", RSYSLOG)
        self.machine.do("systemctl", "start", "rsyslog.service")
        self.addCleanup(self.machine.do, "systemctl", "stop", "rsyslog.service", "syslog.socket")
        self.configure(
            "logs { access syslog facility=local1 tag=gw; audit syslog facility=authpriv; error syslog; }\n")
        self.machine.do("systemctl", "reload", UNIT)
        curl(self.service.base + "/public/seen-by-rsyslog")

        def lines():
            return self.machine.read("/var/log/all").splitlines()

        wait_until(lambda: any("seen-by-rsyslog" in line for line in lines()), 10, "the line")
        pid = self.show("MainPID")
        (access,) = [line for line in lines() if "seen-by-rsyslog" in line]
        self.assertTrue(access.startswith(f"local1.info gw[{pid}]: {{"), access)
        self.assertEqual(json.loads(access.split("]: ", 1)[1])["url.path"], "/public/seen-by-rsyslog")
        (event,) = [line for line in lines() if '"config_reloaded"' in line]
        self.assertRegex(event, rf"^authpriv\.notice auth-gateway\[{pid}\]: {{")
        # The journal passes a line on before it has it itself.
        taken = wait_until(
            lambda: [entry for entry in self.journal("gw") if "seen-by-rsyslog" in entry["MESSAGE"]])
        self.assertEqual([(entry["SYSLOG_FACILITY"], entry["_PID"]) for entry in taken], [("17", pid)])

    def test_its_logs_are_rotated_and_no_line_is_lost(self):
        self.configure("logs { access /var/log/auth-gateway/access.log; }\n")
        self.machine.do("systemctl", "reload", UNIT)
        for number in range(30):
            if number % 10 == 5:
                # An empty file is not rotated, and lines are written behind the answers.
                last = f'"/public/{number - 1}"'
                wait_until(lambda: last in self.machine.read("/var/log/auth-gateway/access.log"), 5, "the last line")
                self.machine.do("logrotate", "-f", "/etc/logrotate.d/auth-gateway")
            self.assertEqual(curl(f"{self.service.base}/public/{number}").status, 200)

        def paths():
            files = self.machine.do("sh", "-c", "cd /var/log/auth-gateway && zcat -f $(ls -r access.log*)")
            return [json.loads(line)["url.path"] for line in files.splitlines()]

        # Each worker writes for itself: their lines stand in no order.
        asked = sorted(f"/public/{number}" for number in range(30))
        wait_until(lambda: sorted(paths()) == asked, 5, "every line")
        self.assertEqual(len(os.listdir(self.machine.path("/var/log/auth-gateway"))), 4)

    def test_a_package_that_is_installed_again_hands_over(self):
        pair = login(self.service)
        first = self.show("MainPID")
        self.machine.do("dpkg", "-i", "/tmp/auth-gateway.deb")
        self.assertNotEqual(self.show("MainPID"), first)
        self.assertEqual(curl(self.service.base + "/items", token=pair["access_token"]).status, 200)


if __name__ == "__main__":
    unittest.main()
