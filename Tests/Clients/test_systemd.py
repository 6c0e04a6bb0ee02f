# The unit of deploy/systemd under a systemd of Debian: a manager of our own, for this user, with the unit's own lines
# but for those that only the machine's first systemd can carry out (other users, mounts). A system call that the
# unit's filter does not let pass kills the gateway here.

import os
import re
import shutil
import signal
import subprocess
import time
import unittest

from clients import curl, login
from harness import GATEWAY, ROOT, Demo, Gateway, directory, launch, wait_until

UNIT = os.path.join(ROOT, "deploy/systemd/auth-gateway.service")
# What needs another user, or mounts of its own.
LEFT_OUT = (
    "User=", "Group=", "StateDirectory", "LogsDirectory", "RuntimeDirectory", "ConfigurationDirectory", "Wants=",
    "After=", "Private", "Protect", "ProcSubset", "KeyringMode", "RestrictNamespaces",
    # Death instead of an error: nothing that is refused goes unnoticed.
    "SystemCallErrorNumber",
)
BOOTED = "/run/systemd/system"


class Manager:
    """`systemd --user`, apart from whatever else runs here."""

    def __init__(self):
        home = directory()
        os.chmod(home, 0o700)
        self.units = os.path.join(home, "config/systemd/user")
        os.makedirs(self.units)
        self.environment = {
            "PATH": os.environ["PATH"], "HOME": home, "XDG_RUNTIME_DIR": home,
            "XDG_CONFIG_HOME": os.path.join(home, "config")}
        # It asks whether the machine was booted by its like, and means nothing by it.
        made = not os.path.exists(BOOTED)
        if made:
            os.makedirs(BOOTED)
        self.log = open(os.path.join(home, "log"), "w+")
        try:
            self.process = launch(
                ["/lib/systemd/systemd", "--user", "--log-target=console"], env=self.environment, stdout=self.log,
                stderr=self.log)
            wait_until(lambda: self.ask("is-system-running").stdout.strip() in ("running", "degraded"), 10, "a systemd")
        finally:
            if made:
                os.rmdir(BOOTED)

    def ask(self, *arguments):
        return subprocess.run(
            ["systemctl", "--user", "--no-pager", *arguments], env=self.environment, capture_output=True, text=True)

    def show(self, name):
        return self.ask("show", "auth-gateway", "-p", name, "--value").stdout.strip()

    def stop(self):
        self.ask("exit")
        self.process.wait(20)
        self.log.close()


class Unit(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.manager = Manager()

    @classmethod
    def tearDownClass(cls):
        cls.manager.stop()

    def setUp(self):
        self.demo = Demo()
        self.addCleanup(self.demo.stop)
        self.gateway = Gateway(self.demo.port, start=False)

    def write(self, *more):
        with open(UNIT) as file:
            lines = [line for line in file.read().splitlines() if not line.startswith(LEFT_OUT)]
        text = "\n".join(lines).replace("/usr/bin/auth-gateway", GATEWAY)
        text = text.replace("/etc/auth-gateway/gateway.conf", self.gateway.config)
        # Root, who this manager runs as, gives its files to the owner of their directory; the unit's user does not.
        more_lines = f"SystemCallFilter=fchown\nStandardError=append:{self.gateway.service_path}\n"
        text = text.replace("[Install]", more_lines + "[Install]")
        for line in more:
            name = line.split("=")[0]
            text, count = re.subn(rf"(?m)^{name}=.*$", line, text)
            self.assertEqual(count, 1, name)
        with open(os.path.join(self.manager.units, "auth-gateway.service"), "w") as file:
            file.write(text)
        self.do("daemon-reload")
        self.addCleanup(self.manager.ask, "stop", "auth-gateway")

    def do(self, *arguments):
        done = self.manager.ask(*arguments)
        self.assertEqual(done.returncode, 0, done.stderr + self.gateway.service_log())

    def test_it_starts_reloads_upgrades_restarts_and_stops(self):
        self.write()
        self.do("start", "auth-gateway")
        # Started means that it serves.
        pair = login(self.gateway)
        self.assertIn(f"serving on 127.0.0.1:{self.gateway.port}", self.manager.show("StatusText"))
        with open(self.gateway.config) as file:
            text = file.read()

        with open(self.gateway.config, "a") as file:
            file.write('route /new { respond 410 "new"; access anonymous; }\n')
        self.do("reload", "auth-gateway")
        self.assertEqual(curl(self.gateway.base + "/new").status, 410)
        with open(self.gateway.config, "a") as file:
            file.write("nonsense;\n")
        self.assertNotEqual(self.manager.ask("reload", "auth-gateway").returncode, 0)
        with open(self.gateway.config, "w") as file:
            file.write(text)

        first = self.manager.show("MainPID")
        self.do("kill", "-s", "USR2", "auth-gateway")
        wait_until(lambda: self.manager.show("MainPID") not in (first, "0"), 10, "a successor")
        self.assertEqual(self.manager.show("ActiveState"), "active")
        wait_until(lambda: not os.path.exists(f"/proc/{first}"), 10, "the end of the older one")
        self.assertEqual(curl(self.gateway.base + "/items", token=pair["access_token"]).status, 200)

        self.do("restart", "auth-gateway")
        refreshed = curl(
            self.gateway.base + "/refresh",
            form={"grant_type": "refresh_token", "refresh_token": pair["refresh_token"]})
        self.assertEqual(refreshed.status, 200)
        self.do("stop", "auth-gateway")
        self.assertEqual(self.manager.show("Result"), "success")
        self.assertEqual(self.manager.show("NRestarts"), "0")

    def test_one_that_does_not_move_is_started_anew(self):
        self.write("WatchdogSec=1", "TimeoutStopSec=1")
        self.do("start", "auth-gateway")
        time.sleep(1.5)
        self.assertEqual(self.manager.show("NRestarts"), "0")
        os.kill(int(self.manager.show("MainPID")), signal.SIGSTOP)
        wait_until(lambda: self.manager.show("NRestarts") == "1", 10, "a restart")
        wait_until(lambda: self.manager.show("ActiveState") == "active", 10, "that it serves again")
        self.assertEqual(curl(self.gateway.base + "/public/").status, 200)

    def test_a_configuration_with_a_mistake_is_not_tried_again(self):
        with open(self.gateway.config, "a") as file:
            file.write("nonsense;\n")
        self.write()
        self.assertNotEqual(self.manager.ask("start", "auth-gateway").returncode, 0)
        time.sleep(1.5)
        self.assertEqual(self.manager.show("ActiveState"), "failed")
        self.assertEqual(self.manager.show("NRestarts"), "0")

    def test_its_sockets_may_be_systemd_s(self):
        with open(os.path.join(self.manager.units, "auth-gateway.socket"), "w") as file:
            file.write(f"[Socket]\nListenStream=127.0.0.1:{self.gateway.port}\nBacklog=4096\n")
        self.write()
        self.do("start", "auth-gateway.socket")
        self.addCleanup(self.manager.ask, "stop", "auth-gateway.socket")
        # The first client has it started, and is served.
        self.assertEqual(curl(self.gateway.base + "/public/").status, 200)
        load = launch(
            ["wrk", "-t1", "-c8", "-d3s", self.gateway.base + "/public/"], stdout=subprocess.PIPE, text=True)
        self.do("restart", "auth-gateway")
        text = load.communicate(timeout=30)[0]
        self.assertIn("requests in", text)
        self.assertNotIn("Socket errors", text)
        self.assertNotIn("Non-2xx", text)


class Hardening(unittest.TestCase):
    def test_its_exposure_is_below_two(self):
        home = directory()
        shutil.copy(UNIT, home)
        said = subprocess.run(
            ["systemd-analyze", "security", "--offline=true", os.path.join(home, os.path.basename(UNIT))],
            capture_output=True, text=True)
        exposure = float(re.search(r"Overall exposure level for \S+: ([\d.]+)", said.stdout).group(1))
        print(f"\n    exposure {exposure} (bar: 2.0)", flush=True)
        self.assertLess(exposure, 2.0)


if __name__ == "__main__":
    unittest.main()
