# What can go wrong while one process takes over from another: signals, deaths and nonsense in every phase. The
# successor is played by hand (`Sources/auth-gateway/Process/HandOver.swift` has the words), so that each phase lasts
# for as long as a test wants.

import array
import os
import re
import shutil
import signal
import socket
import ssl
import subprocess
import sys
import threading
import time
import unittest

from certificates import Authority
from clients import Raw, curl, login
from faults import FaultyGateway
from harness import Demo, Gateway, Orphan, adopt_orphans, directory, launch, wait_until
from test_upgrade import take_successor
from upstreams import OK, Upstream

STANDS_STILL = """
import socket, sys, time
stream = socket.socket(socket.AF_UNIX)
stream.connect(sys.argv[1])
for word in (b"take over", b"release"):
    stream.sendall(word + b"\\n")
    answer = stream.recv(1000)
print(answer.decode().strip(), flush=True)
time.sleep(600)
"""
REQUEST = "GET /public/ HTTP/1.1\r\nHost: h\r\nConnection: close\r\n\r\n"


def setUpModule():
    adopt_orphans()


class Successor:
    """The other side of a hand-over."""

    def __init__(self, gateway):
        self.socket = socket.socket(socket.AF_UNIX)
        self.socket.settimeout(10)
        self.socket.connect(os.path.join(gateway.state, "gateway.sock"))
        self.listeners = []

    def say(self, word):
        self.socket.sendall(word.encode() + b"\n")
        return self

    def hear(self):
        """The next line; None when the gateway has ended the conversation."""
        try:
            data, ancillary, _, _ = self.socket.recvmsg(1000, socket.CMSG_SPACE(400))
        except ConnectionResetError:
            return None
        for _, _, numbers in ancillary:
            found = array.array("i")
            found.frombytes(numbers)
            self.listeners += found
        return data.decode().strip() if data else None

    def ask(self, word):
        return self.say(word).hear()

    def go(self):
        while self.listeners:
            os.close(self.listeners.pop())
        self.socket.close()


class Case(unittest.TestCase):
    def setUp(self):
        self.demo = Demo()
        self.addCleanup(self.demo.stop)

    def gateway(self, **options):
        gateway = Gateway(self.demo.port, **options)
        self.addCleanup(lambda: gateway.process and gateway.process.poll() is None and gateway.stop())
        return gateway

    def successor(self, gateway, *words):
        """One that has got as far as these words; with its answers."""
        successor = Successor(gateway)
        self.addCleanup(successor.go)
        for word, answer in zip(words, ("listeners", "released")):
            self.assertEqual(successor.ask(word), answer)
        return successor

    def goes_on(self, gateway):
        wait_until(lambda: "this gateway goes on" in gateway.service_log(), 5, "the older one")
        pair = login(gateway)
        form = ("-d", "grant_type=refresh_token", "-d", "refresh_token=" + pair["refresh_token"])
        self.assertEqual(curl(gateway.base + "/refresh", *form).status, 200)


class Nonsense(Case):
    def test_a_successor_that_makes_no_sense_is_none_in_any_phase(self):
        for words in ((), ("take over",), ("take over", "release")):
            for nonsense in ("take over", "reload", "release", "hello"):
                if (words, nonsense) in (((), "take over"), ((), "reload"), (("take over",), "release")):
                    continue
                with self.subTest(words=words, nonsense=nonsense):
                    gateway = self.gateway()
                    successor = self.successor(gateway, *words)
                    self.assertIsNone(successor.ask(nonsense))
                    if words:
                        self.goes_on(gateway)
                    self.assertEqual(curl(gateway.base + "/public/").status, 200)
                    # And the next one is heard.
                    self.successor(gateway, "take over")
                    gateway.stop()

    def test_who_serves_before_the_release_does_not(self):
        gateway = self.gateway()
        self.assertIsNone(self.successor(gateway, "take over").ask("serving"))
        self.goes_on(gateway)

    def test_there_is_one_successor_at_a_time(self):
        gateway = self.gateway()
        first = self.successor(gateway, "take over")
        self.assertIsNone(Successor(gateway).ask("take over"))
        self.assertEqual(first.ask("release"), "released")

    def test_the_release_of_one_that_has_gone_is_not_the_next_one_s(self):
        gateway = self.gateway()
        self.successor(gateway, "take over").say("release").socket.close()
        wait_until(lambda: "this gateway goes on" in gateway.service_log(), 5, "the older one")
        second = self.successor(gateway, "take over")
        time.sleep(0.7)
        self.assertEqual(curl(gateway.base + "/public/").status, 200)
        self.assertEqual(second.ask("release"), "released")


class Signals(Case):
    def test_a_stop_before_the_release_is_a_stop(self):
        for words in (("take over",), ("take over", "release")):
            with self.subTest(words=words):
                gateway = self.gateway()
                successor = self.successor(gateway, "take over")
                if len(words) > 1:
                    successor.say("release")
                    time.sleep(0.1)
                gateway.process.terminate()
                self.assertEqual(successor.hear(), "stopping")
                self.assertEqual(gateway.process.wait(10), 0)

    def test_a_stop_after_the_release_leaves_the_successor_what_it_was_given(self):
        path = os.path.join(directory(), "http.sock")
        gateway = self.gateway(main=f"listen unix:{path};")
        successor = self.successor(gateway, "take over", "release")
        gateway.process.terminate()
        self.assertEqual(gateway.process.wait(10), 0)
        # Whoever comes now comes to it.
        self.assertTrue(os.path.exists(path))
        with socket.socket(socket.AF_UNIX) as client:
            client.connect(path)
        self.assertEqual(len(successor.listeners), 3)

    def test_who_is_stopping_does_not_begin_anew_when_the_successor_goes(self):
        gateway = self.gateway(main="drain_timeout 3s;")
        raw = Raw(gateway.port)
        raw.send("POST /public/echo HTTP/1.1\r\nHost: h\r\nContent-Length: 10\r\n\r\n01234")
        successor = self.successor(gateway, "take over", "release")
        gateway.process.terminate()
        wait_until(lambda: "stopping: no new connections" in gateway.service_log(), 5, "the drain")
        successor.go()
        time.sleep(0.3)
        self.assertNotIn("goes on", gateway.service_log())
        raw.send("56789")
        raw.response()
        self.assertEqual(gateway.process.wait(10), 0)

    def test_a_successor_that_is_stopped_before_it_serves_takes_nothing_with_it(self):
        gateway = self.gateway()
        older = gateway.process
        for number, signals in enumerate(((signal.SIGTERM,), (signal.SIGINT, signal.SIGHUP))):
            older.send_signal(signal.SIGUSR2)
            found = lambda: re.findall(r"handing over to process (\d+)", gateway.service_log())
            wait_until(lambda: len(found()) > number, 5, "a successor")
            for each in signals:
                os.kill(int(found()[-1]), each)
            wait_until(lambda: gateway.service_log().count("told to stop before") > number, 5, "its end")
            wait_until(lambda: gateway.service_log().count("this gateway goes on") > number, 5, "the older one")
        self.goes_on(gateway)
        self.assertIsNone(older.poll())

    @unittest.skipUnless(os.geteuid() == 0, "only root can make a container's first process")
    def test_the_first_process_of_a_container_does_not_hand_over_and_says_why(self):
        gateway = self.gateway(command=["unshare", "-p", "-f", "--kill-child"])
        with open(f"/proc/{gateway.process.pid}/task/{gateway.process.pid}/children") as file:
            first = int(file.read())
        os.kill(first, signal.SIGUSR2)
        words = "no hand-over: the container ends with this process, so start another one"
        wait_until(lambda: gateway.service_log().count(words) == 1, 5, "the refusal")
        self.assertIsNone(Successor(gateway).ask("take over"))
        self.assertEqual(gateway.service_log().count(words), 2)
        self.assertEqual(curl(gateway.base + "/public/").status, 200)
        os.kill(first, signal.SIGTERM)
        self.assertEqual(gateway.process.wait(10), 0)

    def test_a_reload_meanwhile_is_refused_aloud_and_works_afterwards(self):
        gateway = self.gateway()
        successor = self.successor(gateway, "take over")
        gateway.process.send_signal(signal.SIGHUP)
        wait_until(lambda: "no reload: a successor" in gateway.service_log(), 5, "a word")
        self.assertIn("a successor is taking over", gateway.service_log())
        self.assertIn("a successor is taking over", Successor(gateway).ask("reload"))
        successor.go()
        self.goes_on(gateway)
        gateway.process.send_signal(signal.SIGHUP)
        wait_until(lambda: " reloaded " in gateway.service_log(), 5, "a reload")


class Standstill(Case):
    def test_a_successor_that_stands_still_is_ended_before_clients_give_up(self):
        gateway = self.gateway()
        process = launch([sys.executable, "-c", STANDS_STILL, os.path.join(gateway.state, "gateway.sock")],
                         stdout=subprocess.PIPE, text=True)
        self.assertEqual(process.stdout.readline(), "released\n")
        raw = Raw(gateway.port)
        raw.socket.settimeout(30)
        raw.send(REQUEST)
        self.assertEqual(raw.response().status, 200)
        self.assertEqual(process.wait(5), -signal.SIGKILL)
        process.stdout.close()
        gateway.remarks(f"the successor stands still: process {process.pid} is ended", 1)
        self.goes_on(gateway)


class Deaths(Case):
    def test_a_store_that_cannot_be_had_back_is_told_and_everything_else_is_served(self):
        gateway = self.gateway()
        pair = login(gateway)
        successor = self.successor(gateway, "take over", "release")
        # A later release would have brought it to a form that this one does not know.
        database = os.path.join(gateway.state, "sessions.db")
        os.rename(database, database + ".away")
        os.mkdir(database)
        successor.go()
        wait_until(lambda: "goes on without its sessions: " in gateway.service_log(), 5, "a word")
        self.assertEqual(curl(gateway.base + "/items", token=pair["access_token"]).status, 200)
        form = ("-d", "grant_type=refresh_token", "-d", "refresh_token=" + pair["refresh_token"])
        self.assertEqual(curl(gateway.base + "/refresh", *form).status, 503)
        # Another successor may try; when it is gone, too, and the store is back, all is well.
        second = self.successor(gateway, "take over", "release")
        os.rmdir(database)
        os.rename(database + ".away", database)
        second.go()
        wait_until(lambda: "served: this gateway goes on\n" in gateway.service_log(), 5, "the older one")
        self.assertEqual(curl(gateway.base + "/refresh", *form).status, 200)

    def test_a_backup_that_is_about_to_be_taken_is_there_after_a_hand_over_and_not_after_a_start(self):
        gateway = self.gateway()
        path = os.path.join(gateway.state, "sessions.backup-of-a-test")
        with open(path, "w"):
            pass
        gateway.process.send_signal(signal.SIGUSR2)
        take_successor(gateway)
        self.assertTrue(os.path.exists(path))
        gateway.stop()
        gateway.start()
        self.assertFalse(os.path.exists(path))

    def test_what_was_revoked_meanwhile_is_revoked(self):
        gateway = self.gateway()
        pair = login(gateway)
        ask = lambda: curl(gateway.base + "/items", token=pair["access_token"]).status
        self.assertEqual(ask(), 200)
        successor = self.successor(gateway, "take over", "release")
        # As a successor does that is killed when it has begun to serve.
        other = Gateway(self.demo.port, start=False)
        with open(other.config) as file:
            text = file.read().replace(other.state, gateway.state)
        with open(other.config, "w") as file:
            file.write(text)
        other.start()
        curl(other.base + "/refresh/logout", "-d", "refresh_token=" + pair["refresh_token"])
        other.kill()
        successor.go()
        self.goes_on(gateway)
        self.assertEqual(ask(), 401)

    def test_an_older_one_that_is_killed_leaves_everything_to_its_successor(self):
        # The successor waits for the release when the older one dies: its sockets and its store are free.
        gateway = self.gateway()
        pair = login(gateway)
        older = gateway.process
        older.send_signal(signal.SIGUSR2)
        wait_until(lambda: "handing over to process" in gateway.service_log(), 5, "a successor")
        successor = int(gateway.service_log().split("handing over to process ")[1].split()[0])
        # Half a second passes between the question and the release.
        gateway.kill()
        gateway.process = Orphan(successor)
        wait_until(lambda: gateway.service_log().count(" serving on ") == 2, 10, "the successor serves")
        self.assertEqual(curl(gateway.base + "/items", token=pair["access_token"]).status, 200)


class Waiting(Case):
    """How long a client waits at the most: for the store to change hands, and for nothing else."""

    def longest(self, gateway):
        gateway.process.send_signal(signal.SIGUSR2)
        longest = 0
        while gateway.service_log().count(" serving on ") < 2:
            began = time.monotonic()
            Raw(gateway.port).send(REQUEST).response()
            longest = max(longest, time.monotonic() - began)
        take_successor(gateway)
        return longest

    def test_names_that_are_slow_to_find_are_looked_for_before(self):
        gateway = FaultyGateway(
            self.demo.port, main="upstream named { server http://api.invalid; }")
        self.addCleanup(lambda: gateway.stop())
        gateway.slow_names(2000)
        self.assertLess(self.longest(gateway), 1)


    def test_a_new_certificate_does_not_open_what_has_been_handed_over(self):
        authority = Authority(directory())
        pair = authority.issue("localhost")
        gateway = self.gateway(tls=f"certificate {pair[0]}; private_key {pair[1]};")
        successor = self.successor(gateway, "take over", "release")
        for source, target in zip(authority.issue("localhost"), pair):
            shutil.copy(source, target)
        wait_until(lambda: "have been read anew" in gateway.service_log(), 15, "the new certificate")
        client = socket.create_connection(("127.0.0.1", gateway.port))
        # Its connection waits for the successor, which takes it.
        listeners = [socket.socket(fileno=os.dup(number)) for number in successor.listeners]
        self.addCleanup(lambda: [listener.close() for listener in listeners])
        public = next(each for each in listeners if each.getsockname()[1] == gateway.port)
        public.settimeout(2)
        taken, address = public.accept()
        self.assertEqual(address, client.getsockname())
        taken.close()
        client.close()
        successor.go()
        self.assertEqual(curl(gateway.base + "/public/", "-k").status, 200)


class Clients(Case):
    def test_who_was_told_that_the_connection_goes_on_may_use_it_once_more(self):
        go_on = threading.Event()

        def answer(request, connection):
            if request.target == "/second":
                return OK
            connection.send(OK[:-1])
            go_on.wait(10)
            return OK[-1:]

        upstream = Upstream(answer)
        self.addCleanup(upstream.stop)
        gateway = Gateway(upstream.port, routes="route / { upstream api; access anonymous; }", main="drain_timeout 5s;")
        raw = Raw(gateway.port).send("GET /first HTTP/1.1\r\nHost: h\r\n\r\n")
        while b"\r\n\r\n" not in raw.input:
            raw.receive()
        gateway.process.terminate()
        wait_until(lambda: "stopping: no new connections" in gateway.service_log(), 5, "the drain")
        time.sleep(0.1)
        go_on.set()
        self.assertIsNone(raw.response().one("connection"))
        reply = raw.send("GET /second HTTP/1.1\r\nHost: h\r\n\r\n").response()
        self.assertEqual((reply.status, reply.one("connection")), (200, "close"))
        raw.close()
        # Nobody waits for longer than for that one.
        began = time.monotonic()
        self.assertEqual(gateway.process.wait(10), 0)
        self.assertLess(time.monotonic() - began, 2)

    def test_a_handshake_that_has_begun_is_not_cut(self):
        authority = Authority(directory())
        chain, key = authority.issue("localhost")
        gateway = self.gateway(tls=f"certificate {chain}; private_key {key};")
        client = socket.create_connection(("127.0.0.1", gateway.port))
        context = ssl.create_default_context()
        context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
        incoming, outgoing = ssl.MemoryBIO(), ssl.MemoryBIO()
        tls = context.wrap_bio(incoming, outgoing, server_hostname="localhost")
        with self.assertRaises(ssl.SSLWantReadError):
            tls.do_handshake()
        client.sendall(outgoing.read())
        incoming.write(client.recv(20000))
        gateway.process.terminate()
        # Further away than half a second.
        time.sleep(0.8)
        tls.do_handshake()
        tls.write(b"GET /public/ HTTP/1.1\r\nHost: localhost\r\n\r\n")
        client.sendall(outgoing.read())
        incoming.write(client.recv(20000))
        self.assertEqual(gateway.process.poll(), None)


if __name__ == "__main__":
    unittest.main()
