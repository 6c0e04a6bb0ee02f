# The logs over years of operation: rotated, moved, full, stalled, gone. No line is lost that had room, none is
# torn, and no request ever waits for a log.

import json
import os
import re
import signal
import socket
import stat
import subprocess
import threading
import time
import unittest

from clients import Raw, curl, login
from harness import GATEWAY, Demo, Gateway, directory, launch, wait_until
from upstreams import OK, Upstream

ROUTES = "route / { upstream api; access anonymous; }"
REQUEST = "GET /{} HTTP/1.1\r\nHost: a\r\nUser-Agent: {}\r\n\r\n"


def get(raw, name, agent="test"):
    return raw.send(REQUEST.format(name, agent)).response().status


class Clients(threading.Thread):
    """Asks on and on, until it is stopped."""

    def __init__(self, port):
        super().__init__(daemon=True)
        self.raw, self.count, self.ends = Raw(port), 0, threading.Event()
        self.start()

    def run(self):
        while not self.ends.is_set():
            get(self.raw, self.count)
            self.count += 1

    def stop(self):
        self.ends.set()
        self.join(10)
        return self.count


def paths_in(*files):
    """The paths of the lines, each of which must be whole."""
    found = []
    for file in files:
        with open(file) as lines:
            for line in lines:
                json_line = line.startswith("{")
                found.append(json.loads(line)["url.path"] if json_line else re.search(r'"GET (\S+) HTTP', line)[1])
    return found


class Case(unittest.TestCase):
    def setUp(self):
        self.upstream = Upstream(lambda request, connection: OK)
        self.addCleanup(self.upstream.stop)

    def gateway(self, logs=None, **options):
        gateway = Gateway(self.upstream.port, routes=ROUTES, logs=logs, **options)
        self.addCleanup(lambda: gateway.process and gateway.process.poll() is None and gateway.stop())
        return gateway

    def reload(self, gateway, old, new):
        with open(gateway.config) as file:
            text = file.read()
        self.assertIn(old, text)
        with open(gateway.config, "w") as file:
            file.write(text.replace(old, new))
        gateway.process.send_signal(signal.SIGHUP)


class Rotation(Case):
    def test_no_line_is_lost_or_torn_however_often_files_are_rotated(self):
        gateway = self.gateway()
        clients = [Clients(gateway.port) for _ in range(3)]
        rotated = []
        for number in range(20):
            rotated.append(f"{gateway.access_path}.{number}")
            os.rename(gateway.access_path, rotated[-1])
            gateway.process.send_signal(signal.SIGUSR1)
            wait_until(
                lambda: os.path.exists(gateway.access_path) and os.path.getsize(gateway.access_path), 3, "lines in a new file")
        asked = sum(client.stop() for client in clients)
        gateway.stop()
        logged = paths_in(gateway.access_path, *rotated)
        self.assertEqual(len(logged), asked)
        self.assertTrue(all(os.path.getsize(path) > 0 for path in rotated[1:]))

    def test_a_file_that_cannot_be_opened_anew_keeps_its_place(self):
        folder = directory()
        gateway = self.gateway(f"access {folder}/here/access.log; audit off;", start=False)
        os.mkdir(f"{folder}/here")
        gateway.start()
        os.rename(f"{folder}/here", f"{folder}/there")
        gateway.process.send_signal(signal.SIGUSR1)
        wait_until(lambda: "cannot be opened anew, the old one stays open" in gateway.service_log(), 3, "a word")
        raw = Raw(gateway.port)
        get(raw, "old")
        wait_until(lambda: paths_in(f"{folder}/there/access.log") == ["/old"], 3, "the line in the old file")
        os.rename(f"{folder}/there", f"{folder}/here")
        os.remove(f"{folder}/here/access.log")
        gateway.process.send_signal(signal.SIGUSR1)
        wait_until(lambda: os.path.exists(f"{folder}/here/access.log"), 3, "a new file")
        get(raw, "new")
        wait_until(lambda: paths_in(f"{folder}/here/access.log") == ["/new"], 3, "the line")

    def test_a_signal_from_the_first_moment_on_is_no_end(self):
        gateway = self.gateway(start=False)
        process = launch([GATEWAY, "run", "-c", gateway.config], stdout=subprocess.DEVNULL, stderr=subprocess.PIPE)
        signals = 0

        def is_caught():
            with open(f"/proc/{process.pid}/status") as status:
                caught = next(line for line in status if line.startswith("SigCgt"))
            return int(caught.split()[1], 16) >> (signal.SIGUSR1 - 1) & 1

        while not is_caught():
            pass
        end = time.monotonic() + 0.3
        while time.monotonic() < end:
            process.send_signal(signal.SIGUSR1)
            signals += 1
            time.sleep(0.001)
        self.assertIsNone(process.poll())
        process.terminate()
        self.assertEqual(process.wait(10), 0)
        self.assertIn(b"serving on", process.stderr.read())
        process.stderr.close()

    def test_a_line_that_a_crash_has_torn_stays_alone(self):
        gateway = self.gateway(start=False)
        with open(gateway.access_path, "w") as file:
            file.write('{"url.path":"/whole"}\n{"url.pa')
        gateway.kills = 1
        gateway.start()
        get(Raw(gateway.port), "next")
        wait_until(lambda: len(open(gateway.access_path).read().splitlines()) == 3, 3, "the line")
        self.assertEqual(json.loads(open(gateway.access_path).read().splitlines()[2])["url.path"], "/next")


class Reload(Case):
    def test_destination_and_format_change_and_no_line_is_lost(self):
        gateway = self.gateway(main="workers 2;")
        clients = [Clients(gateway.port) for _ in range(3)]
        files = [gateway.access_path]
        for number in range(6):
            forms = ["json", "combined"] if number % 2 == 0 else ["combined", "json"]
            files.append(f"{gateway.home}/access.log-{number}")
            self.reload(gateway, f"access {files[-2]} {forms[0]}", f"access {files[-1]} {forms[1]}")
            wait_until(lambda: os.path.exists(files[-1]) and os.path.getsize(files[-1]), 3, "lines in it")
        asked = sum(client.stop() for client in clients)
        gateway.access_path = gateway.home + "/none"
        gateway.stop()
        self.assertEqual(len(paths_in(*files)), asked)

    def test_level_and_error_log_change(self):
        gateway = self.gateway()
        moved = f"{gateway.home}/moved.log"
        self.reload(gateway, "logs { ", f"logs {{ error {moved}; level error; ")
        wait_until(lambda: os.path.exists(moved), 3, "the new file")
        self.reload(gateway, "level error;", "level info;")
        wait_until(lambda: " info reloaded " in open(moved).read(), 3, "a line in it")
        self.assertEqual(open(moved).read().count("reloaded"), 1)

    def test_a_file_that_cannot_be_opened_refuses_the_whole(self):
        gateway = self.gateway()
        self.reload(gateway, f"audit {gateway.audit_path}", "audit /nowhere/audit.log")
        wait_until(
            lambda: "reload refused, the old configuration stays: the audit log /nowhere/audit.log cannot be opened"
            in gateway.service_log(), 3, "the refusal")
        gateway.events("config_reload_refused", 1)


class Trouble(Case):
    """A destination takes nothing: requests do not notice, and what is lost is told."""

    def test_a_reader_that_has_stopped(self):
        pipe = os.path.join(directory(), "pipe")
        os.mkfifo(pipe)
        reader = os.open(pipe, os.O_RDONLY | os.O_NONBLOCK)
        gateway = self.gateway(f"access {pipe}; audit {{home}}/audit.log;")
        raw, agent, asked = Raw(gateway.port), "x" * 4000, 0
        slowest = 0
        # 64 kB in the pipe, 4 MB in front of it, and then no more.
        while "lines are lost" not in gateway.service_log():
            began = time.monotonic()
            self.assertEqual(get(raw, asked, agent), 200)
            slowest = max(slowest, time.monotonic() - began)
            asked += 1
            self.assertLess(asked, 20000)
        self.assertLess(slowest, 0.5)
        self.assertIn("the access log cannot be written: its reader takes nothing", gateway.service_log())
        # The reader goes on: what has waited comes, in whole lines.
        text = b""
        end = time.monotonic() + 10
        while text.count(b"\n") < 900 and time.monotonic() < end:
            try:
                text += os.read(reader, 65536)
            except BlockingIOError:
                time.sleep(0.01)
        paths = [json.loads(line)["url.path"] for line in text.split(b"\n")[:900]]
        self.assertEqual(paths, [f"/{number}" for number in range(900)])
        # It stops again: that keeps nobody from stopping.
        for number in range(100):
            get(raw, number, agent)
        began = time.monotonic()
        gateway.process.terminate()
        self.assertEqual(gateway.process.wait(10), 0)
        self.assertLess(time.monotonic() - began, 5)
        os.close(reader)

    def test_a_pipe_that_nobody_reads_is_refused_at_the_start(self):
        pipe = os.path.join(directory(), "pipe")
        os.mkfifo(pipe)
        gateway = self.gateway(f"access {pipe};", start=False)
        done = subprocess.run([GATEWAY, "run", "-c", gateway.config], capture_output=True, timeout=10)
        self.assertEqual(done.returncode, 1)
        self.assertIn(b"cannot be opened", done.stderr)

    def test_a_full_disk(self):
        gateway = self.gateway("access /dev/full; audit /dev/full;")
        raw = Raw(gateway.port)
        for number in range(50):
            self.assertEqual(get(raw, number), 200)
        said = "the access log cannot be written: No space left on device"
        wait_until(lambda: said in gateway.service_log(), 5, "a word")
        time.sleep(0.5)
        self.assertEqual(gateway.service_log().count(said), 1)

    def test_a_disk_that_has_room_again_gets_whole_lines(self):
        mount = directory()
        if subprocess.run(["mount", "-t", "tmpfs", "-o", "size=64k", "none", mount], capture_output=True).returncode:
            self.skipTest("a file system cannot be mounted here")
        self.addCleanup(lambda: subprocess.run(["umount", "-l", mount], check=True))
        gateway = self.gateway(f"access {mount}/access.log; audit off;")
        self.addCleanup(lambda: gateway.process.poll() is None and gateway.stop())
        with open(f"{mount}/filler", "wb") as file:
            file.write(b"x" * 40_000)
        raw = Raw(gateway.port)
        for number in range(200):
            self.assertEqual(get(raw, number), 200)
        wait_until(lambda: "No space left" in gateway.service_log(), 5, "a word")
        os.remove(f"{mount}/filler")
        with open("/proc/self/mounts") as mounts:
            self.assertIn(mount, mounts.read())
        subprocess.run(["mount", "-o", "remount,size=1m", mount], check=True)
        wait_until(lambda: len(open(f"{mount}/access.log").read().splitlines()) == 200, 5, "every line")
        self.assertEqual(paths_in(f"{mount}/access.log"), [f"/{number}" for number in range(200)])

    def test_logs_that_share_a_pipe_do_not_cut_into_each_other(self):
        gateway = self.gateway("access stdout; audit stdout; error stderr; level debug;", start=False)
        process = launch([GATEWAY, "run", "-c", gateway.config], stdout=subprocess.PIPE, stderr=subprocess.STDOUT)
        while b"serving on" not in process.stdout.readline():
            pass
        raw = Raw(gateway.port)
        for number in range(150):
            get(raw, number, "x" * 4000)
            if number % 10 == 0:
                # Each is a line of the audit log and one of the error log.
                process.send_signal(signal.SIGHUP)
        time.sleep(0.2)
        process.terminate()
        text = process.stdout.read().decode()
        self.assertEqual(process.wait(10), 0)
        process.stdout.close()
        lines = text.splitlines()
        for line in lines:
            if not re.match(r"\d{4}-\d\d-\d\dT\S+ (info|warning|error|debug) ", line):
                json.loads(line)
        self.assertEqual(sum("url.path" in line for line in lines), 150)


class Syslog(Case):
    """A daemon on a datagram socket, as /dev/log is one."""

    def setUp(self):
        super().setUp()
        self.path = os.path.join(directory(), "log")
        self.received = []
        self.listen()

    def listen(self):
        self.daemon = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        self.daemon.bind(self.path)
        self.daemon.settimeout(0.05)

    def take(self):
        try:
            while True:
                self.received.append(self.daemon.recv(1 << 20).decode())
        except TimeoutError:
            return self.received

    def syslog_gateway(self, **options):
        destination = f"syslog:unix:{self.path}"
        logs = f"access {destination} facility=local1 tag=gw; audit {destination} facility=authpriv; error {destination};"
        gateway = self.gateway(logs, start=False, **options)
        gateway.other_logs.append(lambda: "\n".join(self.take()))
        with open(gateway.service_path, "ab") as errors:
            environment = dict(os.environ, TZ="XXX-3")
            gateway.process = launch(
                [GATEWAY, "run", "-c", gateway.config], stdout=errors, stderr=errors, env=environment)
        wait_until(lambda: any("serving on" in line for line in self.take()), 10, "the gateway serves")
        return gateway

    def test_each_line_is_a_message_with_facility_severity_local_time_and_tag(self):
        began = time.time()
        gateway = self.syslog_gateway()
        get(Raw(gateway.port), "asked")
        gateway.process.send_signal(signal.SIGHUP)
        wait_until(lambda: any("config_reloaded" in line for line in self.take()), 5, "the event")
        # The hour may have begun since the first line.
        hours = {time.strftime("%H", time.gmtime(at + 3 * 3600)) for at in (began, time.time())}
        for line in self.received:
            self.assertRegex(line, r"^<\d+>[A-Z][a-z]{2} [ \d]\d \d\d:\d\d:\d\d \S+\[\d+\]: [^\n]+$")
            self.assertIn(re.search(r" (\d\d):", line)[1], hours)
        pid = gateway.process.pid
        (access,) = [line for line in self.received if "url.path" in line]
        self.assertRegex(access, rf"^<{17 * 8 + 6}>.* gw\[{pid}\]: {{")
        self.assertEqual(json.loads(access.split("]: ", 1)[1])["url.path"], "/asked")
        (event,) = [line for line in self.received if "config_reloaded" in line]
        self.assertRegex(event, rf"^<{10 * 8 + 5}>.* auth-gateway\[{pid}\]: {{")
        (serving,) = [line for line in self.received if "serving on" in line]
        self.assertTrue(serving.startswith(f"<{3 * 8 + 6}>"))

    def test_a_daemon_that_is_gone_gets_the_lines_when_it_is_back(self):
        gateway = self.syslog_gateway()
        raw = Raw(gateway.port)
        self.daemon.close()
        os.remove(self.path)
        for number in range(20):
            self.assertEqual(get(raw, number), 200)
        self.listen()
        expected = [f"/{number}" for number in range(20)]
        paths = lambda: [re.search(r'"url.path":"([^"]+)', line)[1] for line in self.take() if "url.path" in line]
        wait_until(lambda: paths() == expected, 5, "every line")

    def test_a_daemon_that_takes_nothing_holds_nobody_up(self):
        gateway = self.syslog_gateway()
        raw, slowest = Raw(gateway.port), 0
        for number in range(400):
            began = time.monotonic()
            self.assertEqual(get(raw, number), 200)
            slowest = max(slowest, time.monotonic() - began)
        self.assertLess(slowest, 0.5)
        wait_until(lambda: sum("url.path" in line for line in self.take()) == 400, 5, "every line")


class Forms(Case):
    def test_the_journal_gets_severities_where_stderr_is_its_stream(self):
        gateway = self.gateway(start=False)
        for is_meant in (True, False):
            path = os.path.join(gateway.home, f"journal-{is_meant}.log")
            with open(path, "wb") as errors:
                status = os.fstat(errors.fileno())
                stream = f"{status.st_dev}:{status.st_ino if is_meant else status.st_ino + 1}"
                process = launch(
                    [GATEWAY, "run", "-c", gateway.config], stdout=subprocess.DEVNULL, stderr=errors,
                    env=dict(os.environ, JOURNAL_STREAM=stream))
            wait_until(lambda: "serving on" in open(path).read(), 10, "the gateway serves")
            process.terminate()
            process.wait(10)
            lines = open(path).read().splitlines()
            self.assertEqual({line.startswith("<6>2") for line in lines}, {is_meant})

    def test_what_monitors_ask_is_logged_when_it_fails(self):
        gateway = self.gateway(control='secret "a-secret-of-the-control-listener";')
        for path in ("/healthz", "/readyz", "/metrics", "/sessions"):
            curl(gateway.control + path)
            curl(gateway.control + path, token="a-secret-of-the-control-listener")
        # On the public side these are paths as any others.
        self.assertEqual(curl(gateway.base + "/healthz").status, 200)
        seen = lambda: [(line["url.path"], line["http.response.status_code"]) for line in gateway.access_log()]
        wait_until(lambda: len(seen()) >= 4, 3, "the lines")
        # One of what is not logged would follow soon.
        time.sleep(0.05)
        self.assertEqual(sorted(seen()), [("/healthz", 200), ("/metrics", 401), ("/sessions", 200), ("/sessions", 401)])

    def test_the_fields_of_an_exchange(self):
        # One shard, so that the lines stand in the order of the requests.
        gateway = self.gateway(main="workers 1;")
        trace = "4bf92f3577b34da6a3ce929d0e0e4736"
        curl(gateway.base + "/fields", data="12345", headers=[f"traceparent: 00-{trace}-00f067aa0ba902b7-01"])
        curl(gateway.base + "/fields", headers=[f"traceparent: 00-{trace.upper()}-00f067aa0ba902b7-01"])
        posted, plain = gateway.lines_for("/fields", 2)
        self.assertEqual(posted["http.request.body.bytes"], 5)
        self.assertEqual(posted["trace.id"], trace)
        self.assertEqual(posted["gateway.upstream_status"], 200)
        self.assertLessEqual(0, posted["gateway.upstream_duration"])
        self.assertLessEqual(posted["gateway.upstream_duration"], posted["event.duration"])
        self.assertEqual((posted["http.version"], posted["url.domain"]), ("1.1", f"127.0.0.1:{gateway.port}"))
        self.assertNotIn("http.request.body.bytes", plain)
        self.assertNotIn("trace.id", plain)


class Secrets(unittest.TestCase):
    """Tokens in every place where a client can put one, and no log at its loudest has any of them."""

    def test_no_log_holds_a_secret(self):
        demo = Demo()
        self.addCleanup(demo.stop)
        gateway = Gateway(
            demo.port, logs="access {home}/access.log; audit {home}/audit.log; error {home}/error.log; level debug;",
            start=False)
        with open(os.path.join(gateway.home, "out"), "wb") as out:
            gateway.process = launch([GATEWAY, "run", "-c", gateway.config], stdout=out, stderr=out)
        wait_until(lambda: os.path.exists(gateway.home + "/error.log")
                   and "serving on" in open(gateway.home + "/error.log").read(), 10, "the gateway serves")
        pair = login(gateway)
        spare = login(gateway, "bob", "builder")
        forged = pair["access_token"][:-8] + "AAAAAAAA"
        password = "correct-horse-battery-staple"
        secrets = [pair["access_token"], pair["refresh_token"], spare["access_token"], spare["refresh_token"], forged]
        for secret in secrets:
            for place in (
                {"token": secret}, {"headers": [f"X-Api-Key: {secret}"]}, {"headers": [f"User-Agent: a {secret} b"]},
                {"headers": [f"Referer: http://a/{secret}"]}, {"headers": [f"X-Request-Id: {secret}"]},
                {"headers": [f"Host: {secret}"]}, {"headers": [f"traceparent: {secret}"]},
                {"headers": [f"Authorization: Basic {secret}"]}, {"headers": [f"Origin: {secret}"]},
                {"cookies": {"access": secret, "refresh": secret, "other": secret}}, {"form": {"token": secret}},
                {"as_json": {"token": secret}}, {"method": secret[:40] if secret.startswith("eyJ") else "GET"},
            ):
                for path in ("/public/x", "/refresh"):
                    curl(gateway.base + path, **place)
            for path in (f"/public/{secret}", f"/{secret}/x", f"/public/x?t={secret}", f"/refresh/{secret}",
                         f"/public/%2e%2e/{secret}", f"/public/x%00{secret}", f"/refresh?return_to=/{secret}"):
                curl(gateway.base + path, cookies={"access": secret})
                curl(gateway.control + path, token=secret)
            for text in (f"GET /{secret}\r\n\r\n", f"{secret} / HTTP/1.1\r\n\r\n", f"GET / HTTP/1.1\r\nHost: a\r\n{secret}\r\n\r\n",
                         f"GET / HTTP/1.1\r\nHost: {secret}\r\nHost: {secret}\r\n\r\n", f"GET http://{secret}/ HTTP/1.1\r\nHost: a\r\n\r\n",
                         f"POST /public/x HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: {secret}\r\n\r\n",
                         f"GET / HTTP/1.1\r\nHost: a\r\nContent-Length: {secret}\r\n\r\n"):
                raw = Raw(gateway.port)
                raw.send(text)
                raw.is_closed(0.05)
                raw.close()
        curl(gateway.base + "/login", as_json={"user": "alice", "password": password})
        curl(gateway.base + f"/login?password={password}")
        secrets.append(password)
        gateway.stop()
        logs = {name: open(os.path.join(gateway.home, name), encoding="utf-8", errors="replace").read()
                for name in os.listdir(gateway.home) if name.endswith(".log") or name == "out"}
        self.assertGreater(logs["access.log"].count("\n"), 150)
        for name, text in logs.items():
            for secret in secrets:
                # What is left of a token must open nothing, also where something had cut it.
                for part in (secret, secret[-20:], secret.split(".")[-1]):
                    self.assertNotIn(part, text, name)
