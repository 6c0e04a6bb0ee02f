# What the gateway tells its supervisor, by the protocol of sd_notify(3), and what it does when it is told to reload
# or to stop: `auth-gateway reload`, drain_delay, drain_timeout.

import json
import os
import re
import signal
import socket
import subprocess
import time
import unittest

from clients import Raw, curl
from harness import GATEWAY, ROOT, Gateway, Orphan, adopt_orphans, directory, wait_until
from upstreams import OK, Upstream

ROUTES = "route / { upstream api; access anonymous; }"


class Case(unittest.TestCase):
    main, environment = "", {}

    def setUp(self):
        self.upstream = Upstream(lambda request, connection: self.answer(request, connection))
        self.addCleanup(self.upstream.stop)
        self.gateway = Gateway(
            self.upstream.port, routes=ROUTES, main=self.main, env={**os.environ, **self.environment})
        self.addCleanup(self.end)

    def end(self):
        if self.gateway.process.poll() is None:
            self.gateway.stop()

    def answer(self, request, connection):
        return OK

    def edit(self, pattern, replacement):
        with open(self.gateway.config) as file:
            text = file.read()
        with open(self.gateway.config, "w") as file:
            file.write(re.sub(pattern, replacement, text, count=1))


class Supervisor(Case):
    def setUp(self):
        self.socket = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        self.addCleanup(self.socket.close)
        self.socket.settimeout(5)
        name = self.name()
        self.socket.bind(name.replace("@", "\0", 1))
        self.environment = {"NOTIFY_SOCKET": name, "WATCHDOG_USEC": "100000", **self.more()}
        super().setUp()

    def name(self):
        return os.path.join(directory(), "notify")

    def more(self):
        return {}

    def hear(self, word):
        """The next message that begins with a word, as its assignments."""
        while True:
            text = self.socket.recv(4096).decode()
            if text.startswith(word):
                return dict(line.split("=", 1) for line in text.split("\n"))


class Told(Supervisor):
    def test_when_it_serves_reloads_and_stops(self):
        ready = self.hear("READY=1")
        self.assertIn(f"serving on 127.0.0.1:{self.gateway.port}", ready["STATUS"])
        self.assertEqual(curl(self.gateway.base + "/").status, 200)
        before = time.monotonic_ns() // 1000
        self.gateway.process.send_signal(signal.SIGHUP)
        reloading = self.hear("RELOADING=1")
        # systemd takes a READY as the reload's own by this.
        self.assertTrue(before <= int(reloading["MONOTONIC_USEC"]) <= time.monotonic_ns() // 1000)
        self.hear("READY=1")
        self.edit("route / ", "nonsense;\nroute / ")
        self.gateway.process.send_signal(signal.SIGHUP)
        self.hear("RELOADING=1")
        self.hear("READY=1")
        self.gateway.process.terminate()
        self.hear("STOPPING=1")

    def test_that_it_lives_for_as_long_as_every_shard_does(self):
        for _ in range(3):
            self.hear("WATCHDOG=1")
        self.gateway.process.send_signal(signal.SIGSTOP)
        self.socket.settimeout(0.3)
        with self.assertRaises(TimeoutError):
            for _ in range(20):
                self.hear("WATCHDOG=1")
        self.gateway.process.send_signal(signal.SIGCONT)
        self.hear("WATCHDOG=1")

    def test_who_takes_over(self):
        adopt_orphans()
        self.gateway.process.send_signal(signal.SIGUSR2)
        successor = int(self.hear("MAINPID=")["MAINPID"])
        self.assertNotEqual(successor, self.gateway.process.pid)
        self.assertEqual(self.gateway.process.wait(10), 0)
        self.gateway.process = Orphan(successor)
        # Its own sign of life, though the environment was made for the other one.
        self.hear("WATCHDOG=1")


class ToldOfAbstractName(Supervisor):
    def name(self):
        return f"@auth-gateway-test-{os.getpid()}"

    def more(self):
        return {"WATCHDOG_PID": "1"}

    def test_it_is_told_but_another_process_is_watched(self):
        self.hear("READY=1")
        self.socket.settimeout(0.3)
        with self.assertRaises(TimeoutError):
            self.hear("WATCHDOG=1")


class Credentials(Case):
    """LoadCredential= of a unit: a folder that only the service can read, and that the environment names."""

    def setUp(self):
        folder = directory()
        with open(os.path.join(folder, "control.secret"), "w") as file:
            file.write("a-credential-of-the-control-listener\n")
        self.environment = {"CREDENTIALS_DIRECTORY": folder}
        super().setUp()
        self.gateway.stop()
        with open(os.path.join(ROOT, "deploy/systemd/auth-gateway.service")) as file:
            line = re.search(r"(?m)^# (secret .*;)$", file.read()).group(1)
        self.edit("control {", f"control {{ {line}".replace("\\", "\\\\"))
        self.gateway.start()

    def test_a_secret_comes_as_the_unit_says(self):
        self.assertEqual(curl(self.gateway.control + "/sessions").status, 401)
        answer = curl(self.gateway.control + "/sessions", token="a-credential-of-the-control-listener")
        self.assertEqual(answer.status, 200)
        done = subprocess.run(
            [GATEWAY, "check", "--strict", "-c", self.gateway.config], capture_output=True, text=True,
            env={**os.environ, **self.environment})
        self.assertNotIn("a secret stands in", done.stderr)


class ReloadCommand(Case):
    def reload(self, *arguments):
        return subprocess.run(
            [GATEWAY, "reload", "-c", self.gateway.config, *arguments], capture_output=True, text=True, timeout=20)

    def test_it_is_in_force_when_the_command_ends(self):
        for number in range(20):
            self.edit(r"route / .*", f"route / {{ respond 200 \"{number}\"; access anonymous; }}")
            done = self.reload()
            self.assertEqual((done.returncode, done.stdout), (0, "reloaded\n"), done.stderr)
            self.assertEqual(curl(self.gateway.base + "/").body, str(number).encode())

    def test_what_is_refused_by_the_running_gateway_is_told(self):
        with socket.create_server(("127.0.0.1", 0)) as taken:
            self.edit("route / ", f"listen 127.0.0.1:{taken.getsockname()[1]};\nroute / ")
            done = self.reload()
            self.assertEqual(done.returncode, 1)
            self.assertIn("refused, the old configuration stays: cannot listen on", done.stderr)
            self.assertIn("cannot listen on", json.loads(self.reload("--json").stdout)["reason"])
        self.assertEqual(curl(self.gateway.base + "/").status, 200)

    def test_a_mistake_is_told_with_its_place_here_and_by_the_gateway(self):
        self.edit("route / ", "nonsense;\nroute / ")
        done = self.reload()
        self.assertEqual(done.returncode, 78)
        self.assertIn("unknown directive 'nonsense'", done.stderr)
        told = self.reload("--json")
        self.assertEqual(told.returncode, 78)
        self.assertIn("unknown directive 'nonsense'", json.loads(told.stdout)["findings"][0])
        # Whoever watches the gateway learns of it, too.
        self.gateway.events("config_reload_refused", 2)
        metrics = curl(self.gateway.control + "/metrics").body.decode()
        self.assertIn('auth_gateway_config_reloads_total{result="failure"} 2', metrics)
        self.gateway.stop()
        alone = self.reload("--json")
        self.assertEqual(alone.returncode, 78)
        self.assertIn("no gateway runs on", json.loads(alone.stdout)["reason"])

    def test_what_is_edited_says_nothing_of_the_health_of_what_runs(self):
        ask = lambda *arguments: subprocess.run(
            [GATEWAY, "healthcheck", "-c", self.gateway.config, *arguments], capture_output=True, text=True)
        self.edit("route / ", "nonsense;\nroute / ")
        self.assertEqual((ask().returncode, ask("--live").returncode), (0, 0))
        # Not even where the control listener is to be another one.
        self.edit(f"listen 127.0.0.1:{self.gateway.control_port}", "listen 127.0.0.1:1")
        self.assertEqual((ask().returncode, ask("--live").returncode), (1, 0))
        self.gateway.stop()
        self.assertEqual((ask().returncode, ask("--live").returncode), (1, 1))

    def test_where_no_gateway_runs_it_says_so(self):
        self.gateway.stop()
        done = self.reload()
        self.assertEqual(done.returncode, 1)
        self.assertIn("no gateway runs on", done.stderr)


class Stopping(Case):
    main = "drain_delay 1s; drain_timeout 1s;"

    def answer(self, request, connection):
        if request.target == "/never":
            time.sleep(4)
        return OK

    def ready(self):
        return curl(self.gateway.control + "/readyz").status

    def test_it_serves_on_while_it_says_that_it_is_not_ready(self):
        self.assertEqual(self.ready(), 200)
        began = time.monotonic()
        self.gateway.process.terminate()
        wait_until(lambda: self.ready() == 503, 1, "that it is not ready")
        self.assertEqual(curl(self.gateway.base + "/").status, 200)
        self.assertEqual(self.gateway.process.wait(10), 0)
        self.assertGreater(time.monotonic() - began, 0.9)

    def test_what_takes_longer_than_the_timeout_is_cut_off(self):
        raw = Raw(self.gateway.port).send("GET /never HTTP/1.1\r\nHost: h\r\n\r\n")
        time.sleep(0.1)
        began = time.monotonic()
        self.gateway.process.terminate()
        self.assertEqual(self.gateway.process.wait(10), 0)
        self.assertTrue(1.9 < time.monotonic() - began < 3.5)
        raw.close()

    def test_a_client_that_sends_without_a_pause_is_told_in_time(self):
        raw, statuses = Raw(self.gateway.port), []
        ask = lambda: raw.send("GET / HTTP/1.1\r\nHost: h\r\n\r\n").response()
        ask()
        self.gateway.process.terminate()
        while True:
            answer = ask()
            statuses.append(answer.status)
            if answer.one("connection") == "close":
                break
            time.sleep(0.01)
        self.assertEqual(set(statuses), {200})
        self.assertEqual(self.gateway.process.wait(10), 0)


if __name__ == "__main__":
    unittest.main()
