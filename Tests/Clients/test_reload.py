# SIGHUP: the new configuration whole or the old one as it was, and nothing that is under way notices.

import os
import re
import signal
import socket
import threading
import time
import unittest

from clients import Raw, curl
from harness import Gateway, free_port, wait_until
from upstreams import OK, Upstream

ROUTES = "route / { upstream api; access anonymous; }"


class Reload(unittest.TestCase):
    def setUp(self):
        self.upstream = Upstream(lambda request, connection: self.answer(request, connection))
        self.gateway = Gateway(self.upstream.port, routes=ROUTES)
        self.addCleanup(self.upstream.stop)
        self.addCleanup(self.gateway.stop)

    def answer(self, request, connection):
        return OK

    def change(self, pattern, replacement):
        """Edits the configuration and has it read; what the log said of it."""
        with open(self.gateway.config) as file:
            text = file.read()
        changed = re.sub(pattern, replacement, text)
        self.assertNotEqual(text, changed)
        with open(self.gateway.config, "w") as file:
            file.write(changed)
        return self.hang_up()

    def hang_up(self):
        offset = len(self.gateway.service_log())
        self.gateway.process.send_signal(signal.SIGHUP)
        said = lambda: self.gateway.service_log()[offset:]
        wait_until(lambda: " reloaded " in said() or "reload refused" in said(), 5, "an answer to SIGHUP")
        return said()

    def get(self, path="/", **options):
        return curl(self.gateway.base + path, **options).status

    def test_routes_come_and_go_on_connections_that_stay(self):
        raw = Raw(self.gateway.port)
        ask = lambda: raw.send("GET /new HTTP/1.1\r\nHost: h\r\n\r\n").response().status
        self.assertEqual(ask(), 200)
        self.change("route / .*", ROUTES + ' route /new { respond 410 "gone"; access anonymous; }')
        self.assertEqual(ask(), 410)
        self.change(" route /new .*", "")
        self.assertEqual(ask(), 200)

    def test_a_mistake_changes_nothing_and_is_said(self):
        said = self.change("route / .*", "route / { upstream nobody; }")
        self.assertIn("reload refused, the old configuration stays", said)
        # The finding with what would be right is one line, and no line is cut or glued.
        self.assertRegex(said, r" error \S+:\d+:\d+: there is no upstream 'nobody'; [^?\n]+\n")
        self.assertEqual(self.get(), 200)
        taken = socket.create_server(("127.0.0.1", 0))
        self.addCleanup(taken.close)
        port = taken.getsockname()[1]
        said = self.change("route / .*", f"listen 127.0.0.1:{port};\n{ROUTES} route /x {{ respond 204; }}")
        self.assertIn(f"cannot listen on 127.0.0.1:{port}", said)
        self.assertEqual(self.get("/x"), 200)

    def test_listeners_come_and_go(self):
        port = free_port()
        self.change("route / ", f"listen 127.0.0.1:{port};\nroute / ")
        self.assertEqual(curl(f"http://127.0.0.1:{port}/").status, 200)
        kept = Raw(port).send("GET / HTTP/1.1\r\nHost: h\r\n\r\n")
        self.assertEqual(kept.response().status, 200)
        self.change(f"listen 127.0.0.1:{port};\n", "")
        with self.assertRaises(ConnectionRefusedError):
            wait_until(lambda: socket.create_connection(("127.0.0.1", port)).close(), 3)
        self.assertEqual(kept.send("GET / HTTP/1.1\r\nHost: h\r\n\r\n").response().status, 200)

    def test_a_server_that_is_removed_is_drained(self):
        hold, held, closed = threading.Event(), threading.Event(), threading.Event()

        def slow(request, connection):
            if request.target == "/hold":
                held.set()
                hold.wait(10)
                connection.send(OK)
                closed.set() if not connection.receive() else None
                return None
            return OK

        self.answer = slow
        other = Upstream(lambda request, connection: b"HTTP/1.1 201 X\r\nContent-Length: 0\r\n\r\n")
        self.addCleanup(other.stop)
        raw = Raw(self.gateway.port).send("GET /hold HTTP/1.1\r\nHost: h\r\n\r\n")
        self.assertTrue(held.wait(5))
        self.change(r"server http://127.0.0.1:\d+", f"server http://127.0.0.1:{other.port}")
        for _ in range(10):
            self.assertEqual(self.get(), 201)
        hold.set()
        self.assertEqual(raw.response().status, 200)
        self.assertTrue(closed.wait(3), "its connection is not kept")

    def test_tokens_are_judged_by_the_new_rules_at_once(self):
        self.change("route / .*", "route / { upstream api; }")
        session = {"subject": "alice"}
        token = curl(self.gateway.control + "/sessions", as_json=session).json["access_token"]
        raw = Raw(self.gateway.port)
        ask = lambda: raw.send(
            f"GET / HTTP/1.1\r\nHost: h\r\nAuthorization: Bearer {token}\r\n\r\n").response()
        self.assertEqual(ask().status, 200)
        self.change("audience clients", "audience others")
        self.assertEqual(ask().status, 401)
        token = curl(self.gateway.control + "/sessions", as_json=session).json["access_token"]
        self.assertEqual(ask().status, 200)

    def test_requests_do_not_fail_while_it_is_done_again_and_again(self):
        failed, done, stop = [], [0], threading.Event()

        def client():
            raw = Raw(self.gateway.port)
            while not stop.is_set():
                status = raw.send("GET /x HTTP/1.1\r\nHost: h\r\n\r\n").response().status
                done[0] += 1
                if status != 200:
                    failed.append(status)

        clients = [threading.Thread(target=client) for _ in range(4)]
        for thread in clients:
            thread.start()
        for number in range(20):
            self.change("route / .*", ROUTES + f" route /n{number} {{ upstream api; }}")
            self.assertEqual(self.get(), 200)
        stop.set()
        for thread in clients:
            thread.join()
        self.assertEqual(failed, [])
        self.assertGreater(done[0], 100)

    def test_what_needs_a_restart_is_said(self):
        self.assertIn("'workers' changes with the next start only", self.change("route / ", "workers 1;\nroute / "))
        self.assertEqual(self.get(), 200)

    def test_the_audit_log_has_it(self):
        self.hang_up()
        self.gateway.events("config_reloaded", 1)


if __name__ == "__main__":
    unittest.main()
