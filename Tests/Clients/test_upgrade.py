# A new binary in place of a running one, and what clients notice of it: nothing. By a hand-over of the sockets
# (SIGUSR2, or a second process with --take-over), and by sockets that systemd keeps over a restart. Under wrk, and
# with sessions that are refreshed all the while.

import os
import re
import signal
import socket
import subprocess
import threading
import unittest

from clients import Raw, curl, login
from harness import GATEWAY, Demo, Gateway, Orphan, StartFailed, adopt_orphans, directory, free_port, launch, wait_until

SECONDS = 4


def setUpModule():
    adopt_orphans()


class Load:
    """wrk on a path, in the background."""

    def __init__(self, gateway, path="/public/", token=None):
        command = ["wrk", "-t1", "-c16", f"-d{SECONDS}s", gateway.base + path]
        if token:
            command += ["-H", "Authorization: Bearer " + token]
        self.process = launch(command, stdout=subprocess.PIPE, text=True)

    def judge(self, case):
        text = self.process.communicate(timeout=30)[0]
        case.assertNotIn("Socket errors", text)
        case.assertNotIn("Non-2xx", text)
        case.assertGreater(int(re.search(r"(\d+) requests in", text).group(1)), 500, text)


class Client(threading.Thread):
    """An app that refreshes again and again, each time by a new connection."""

    def __init__(self, gateway):
        super().__init__(daemon=True)
        self.gateway, self.statuses, self.is_over = gateway, [], threading.Event()
        self.pair = login(gateway)

    def run(self):
        # Below the pace that one session may have.
        while not self.is_over.wait(0.12):
            answer = curl(
                self.gateway.base + "/refresh", "-d", "grant_type=refresh_token",
                "-d", "refresh_token=" + self.pair["refresh_token"])
            self.statuses.append(answer.status)
            if answer.status == 200:
                self.pair = answer.json
            elif answer.status != 503:
                return

    def judge(self, case):
        self.is_over.set()
        self.join()
        # A refresh that falls between the two processes is put off: it costs nobody the session.
        case.assertLessEqual(set(self.statuses), {200, 503})
        case.assertLessEqual(self.statuses.count(503), 2)
        case.assertEqual(self.statuses[-1], 200)
        case.assertGreater(len(self.statuses), 8)


def take_successor(gateway):
    """The process that has taken over, in place of the one that has ended."""
    found = lambda: re.findall(r"handing over to process (\d+)", gateway.service_log())
    wait_until(lambda: gateway.process.poll() is not None, 10, "the end of the older process")
    code = gateway.process.returncode
    gateway.process = Orphan(int(found()[-1]))
    return code


class HandOver(unittest.TestCase):
    def setUp(self):
        self.demo = Demo()
        self.addCleanup(self.demo.stop)
        self.gateway = Gateway(self.demo.port, refresh="rate 1000/s burst=1000;")
        self.addCleanup(lambda: self.gateway.stop())

    def test_sigusr2_under_load_fails_nothing(self):
        client = Client(self.gateway)
        load = Load(self.gateway, "/items", token=client.pair["access_token"])
        client.start()
        first = self.gateway.process.pid
        wait_until(lambda: len(client.statuses) > 3, 5, "some refreshes")
        for _ in range(2):
            self.gateway.process.send_signal(signal.SIGUSR2)
            self.assertEqual(take_successor(self.gateway), 0)
        load.judge(self)
        client.judge(self)
        self.assertNotEqual(self.gateway.process.pid, first)

    def test_what_one_revoked_the_next_knows(self):
        pair = login(self.gateway)
        ask = lambda: curl(self.gateway.base + "/items", "-H", "Authorization: Bearer " + pair["access_token"]).status
        self.assertEqual(ask(), 200)
        curl(self.gateway.base + "/refresh/logout", "-d", "refresh_token=" + pair["refresh_token"])
        self.gateway.process.send_signal(signal.SIGUSR2)
        take_successor(self.gateway)
        self.assertEqual(ask(), 401)

    def test_an_answer_that_has_begun_is_ended_by_who_began_it(self):
        raw = Raw(self.gateway.port)
        raw.send("POST /public/echo HTTP/1.1\r\nHost: h\r\nContent-Length: 10\r\n\r\n01234")
        older = self.gateway.process
        older.send_signal(signal.SIGUSR2)
        wait_until(lambda: "handed over" in self.gateway.service_log(), 5, "a hand-over")
        self.assertIsNone(older.poll())
        raw.send("56789")
        self.assertIn(raw.response().status, (200, 404, 405))
        self.assertEqual(take_successor(self.gateway), 0)
        self.assertEqual(curl(self.gateway.base + "/public/").status, 200)

    def test_a_listener_that_is_no_more_refuses_at_once_though_the_older_one_is_still_about(self):
        self.gateway.stop()
        with open(self.gateway.config) as file:
            text = file.read()
        spare = free_port()
        with open(self.gateway.config, "w") as file:
            file.write(text + f"listen 127.0.0.1:{spare};\n")
        self.gateway.start()
        Raw(spare).close()
        raw = Raw(self.gateway.port)
        raw.send("POST /public/echo HTTP/1.1\r\nHost: h\r\nContent-Length: 10\r\n\r\n01234")
        with open(self.gateway.config, "w") as file:
            file.write(text)
        older = self.gateway.process
        older.send_signal(signal.SIGUSR2)
        wait_until(lambda: "no 'listen' names it" in self.gateway.service_log(), 5, "a hand-over")
        with self.assertRaises(ConnectionRefusedError):
            Raw(spare)
        self.assertEqual(curl(self.gateway.base + "/public/").status, 200)
        self.assertIsNone(older.poll())
        raw.send("56789").response()
        take_successor(self.gateway)

    def test_a_second_process_takes_over(self):
        older = self.gateway.process
        self.gateway.start("--take-over")
        self.assertEqual(older.wait(10), 0)
        self.assertEqual(curl(self.gateway.base + "/public/").status, 200)

    def test_where_nobody_runs_it_starts_as_ever(self):
        self.gateway.stop()
        self.gateway.start("--take-over")
        self.assertEqual(curl(self.gateway.base + "/public/").status, 200)

    def test_without_being_asked_nobody_takes_over(self):
        older = self.gateway.process
        with self.assertRaises(StartFailed):
            self.gateway.start()
        self.gateway.process = older
        self.assertEqual(curl(self.gateway.base + "/public/").status, 200)


class FailedHandOver(unittest.TestCase):
    """The successor fails after it has been given everything: the older one goes on."""

    def setUp(self):
        self.demo = Demo()
        self.addCleanup(self.demo.stop)
        self.gateway = Gateway(self.demo.port)
        self.addCleanup(self.gateway.stop)

    def test_a_successor_that_cannot_listen(self):
        client = Client(self.gateway)
        load = Load(self.gateway)
        client.start()
        with socket.create_server(("127.0.0.1", 0)) as taken:
            with open(self.gateway.config, "a") as file:
                file.write(f"listen 127.0.0.1:{taken.getsockname()[1]};\n")
            older = self.gateway.process
            with self.assertRaises(StartFailed) as failure:
                self.gateway.start("--take-over")
            self.gateway.process = older
        self.assertIn("cannot listen on", failure.exception.text)
        wait_until(lambda: "this gateway goes on" in self.gateway.service_log(), 5, "the older one")
        load.judge(self)
        client.judge(self)

    def test_a_successor_that_is_killed(self):
        # It stops where it has what it asked for: a debugger would do the same.
        older = self.gateway.process
        path = os.path.join(self.gateway.state, "gateway.sock")
        with socket.socket(socket.AF_UNIX) as successor:
            successor.connect(path)
            successor.sendall(b"take over\n")
            self.assertEqual(successor.recv(100), b"listeners\n")
            successor.sendall(b"release\n")
            self.assertEqual(successor.recv(100), b"released\n")
        wait_until(lambda: "this gateway goes on" in self.gateway.service_log(), 5, "the older one")
        self.assertIsNone(older.poll())
        Client(self.gateway)
        self.assertEqual(curl(self.gateway.base + "/public/").status, 200)

    def test_what_makes_no_sense_is_not_answered(self):
        for words in (b"release\n", b"serving\n", b"hello\n", b"\n", b"x" * 70000, b"reload"):
            with socket.socket(socket.AF_UNIX) as other:
                other.settimeout(5)
                other.connect(os.path.join(self.gateway.state, "gateway.sock"))
                try:
                    other.sendall(words)
                    other.shutdown(socket.SHUT_WR)
                    self.assertEqual(other.recv(100), b"")
                except ConnectionError:
                    pass
        self.assertEqual(curl(self.gateway.base + "/public/").status, 200)

    def test_nobody_else_may_speak_to_it(self):
        self.assertEqual(os.stat(os.path.join(self.gateway.state, "gateway.sock")).st_mode & 0o777, 0o600)
        self.assertEqual(os.stat(self.gateway.state).st_mode & 0o777, 0o700)


class Reload(unittest.TestCase):
    def test_reloads_under_load_fail_nothing(self):
        demo = Demo()
        self.addCleanup(demo.stop)
        gateway = Gateway(demo.port)
        self.addCleanup(gateway.stop)
        with open(gateway.config) as file:
            text = file.read()
        client, load = Client(gateway), Load(gateway)
        client.start()
        reload = [GATEWAY, "reload", "-c", gateway.config]
        for number in range(12):
            port = free_port()
            with open(gateway.config, "w") as file:
                file.write(text + f"listen 127.0.0.1:{port};\nroute /n{number} {{ upstream api; }}\n")
            self.assertEqual(subprocess.run(reload, capture_output=True).returncode, 0)
            # A listener comes with each, and goes with the next.
            self.assertEqual(curl(f"http://127.0.0.1:{port}/public/").status, 200)
            with open(gateway.config, "a") as file:
                file.write("nonsense;\n")
            self.assertEqual(subprocess.run(reload, capture_output=True).returncode, 78)
        load.judge(self)
        client.judge(self)


class Activation(unittest.TestCase):
    """Sockets that are passed as systemd does it: from descriptor 3 on, with the process' own number."""

    def setUp(self):
        self.demo = Demo()
        self.addCleanup(self.demo.stop)
        self.gateway = Gateway(self.demo.port, start=False)
        self.socket = socket.create_server(("127.0.0.1", self.gateway.port), backlog=1024)
        self.addCleanup(self.socket.close)

    def activate(self):
        number = self.socket.fileno()
        self.gateway.options = {
            # Not sh: dash knows descriptors of one digit only.
            "command": ["/bin/bash", "-c", f'LISTEN_PID=$$ exec "$@" 3<&{number}', "sh"],
            "env": {**os.environ, "LISTEN_FDS": "1", "LISTEN_FDNAMES": "http"}, "pass_fds": (number,)}
        self.gateway.start()

    def test_a_restart_under_load_fails_nothing(self):
        self.activate()
        load = Load(self.gateway)
        for _ in range(2):
            self.gateway.stop()
            self.activate()
        load.judge(self)
        self.gateway.stop()

    def test_the_file_of_a_unix_socket_stays_whoever_has_gone_on_with_it(self):
        home = directory()
        lent, own = os.path.join(home, "lent.sock"), os.path.join(home, "own.sock")
        with open(self.gateway.config, "a") as file:
            file.write(f"listen unix:{lent}; listen unix:{own};\n")
        self.socket.close()
        self.socket = socket.socket(socket.AF_UNIX)
        self.socket.bind(lent)
        self.socket.listen()
        self.activate()
        for _ in range(2):
            self.gateway.process.send_signal(signal.SIGUSR2)
            take_successor(self.gateway)
            for path in (lent, own):
                self.assertEqual(curl("http://h/public/", "--unix-socket", path).status, 200)
        self.gateway.stop()
        # The supervisor listens on; nobody else does.
        self.assertEqual([os.path.exists(path) for path in (lent, own)], [True, False])

    def test_they_are_another_process_s_where_the_number_is(self):
        # The port is taken by the socket that it was not given.
        with self.assertRaises(StartFailed) as failure:
            self.gateway.options = {"env": {**os.environ, "LISTEN_FDS": "1", "LISTEN_PID": "1"}}
            self.gateway.start()
        self.assertIn("cannot listen on", failure.exception.text)

    def test_one_that_no_line_names_is_closed_and_said(self):
        spare = socket.create_server(("127.0.0.1", 0))
        self.socket.close()
        self.socket = spare
        self.activate()
        self.assertIn("no 'listen' names it", self.gateway.service_log())
        self.assertEqual(curl(self.gateway.base + "/public/").status, 200)
        self.gateway.stop()


if __name__ == "__main__":
    unittest.main()
