# How connections by TLS end, and how they are taken up again, as Python's ssl sees it: close_notify in front of
# each orderly end and of no other one, and sessions over a reload.

import os
import re
import signal
import socket
import ssl
import threading
import time
import unittest

from certificates import Authority, tls_block
from harness import Gateway, directory, free_port, wait_until
from upstreams import OK, Upstream

CUT = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n4\r\nhalf\r\n"
VERSIONS = (ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3)
SECONDS = 5


def setUpModule():
    global authority, pair, client, upstream
    authority = Authority(directory())
    pair = authority.issue("localhost")
    client = authority.issue("client", usage="clientAuth")

    def answer(request, connection):
        if request.target != "/cut":
            return OK
        connection.send(CUT)
        connection.close()

    upstream = Upstream(answer)


def tearDownModule():
    upstream.stop()


class Case(unittest.TestCase):
    def start(self, more="", **options):
        self.port = free_port()
        main = f"listen 127.0.0.1:{self.port} tls;\n" + tls_block(pair, more=more)
        routes = "route / { upstream api; access anonymous; }"
        self.gateway = Gateway(upstream.port, routes=routes, main=main, scheme="https", **options)
        self.addCleanup(self.gateway.stop)

    def settings(self, version=ssl.TLSVersion.TLSv1_3, certificate=None):
        settings = ssl.create_default_context(cafile=authority.file)
        settings.minimum_version = settings.maximum_version = version
        if certificate:
            settings.load_cert_chain(*certificate)
        return settings

    def connect(self, settings=None, session=None):
        plain = socket.create_connection(("127.0.0.1", self.port), timeout=SECONDS)
        connection = (settings or self.settings()).wrap_socket(
            plain, server_hostname="localhost", session=session, suppress_ragged_eofs=False)
        self.addCleanup(connection.close)
        return connection

    def exchange(self, connection, target="/", fields="", version="1.1"):
        """Sends a request and reads what there is of a response."""
        connection.sendall(f"GET {target} HTTP/{version}\r\nHost: localhost\r\n{fields}\r\n".encode())
        return connection.recv(65536)

    def rest(self, connection):
        """Everything up to close_notify; fails where there is none."""
        text = b""
        while piece := connection.recv(65536):
            text += piece
        return text


class Ends(Case):
    # RFC 9112 section 9.8: "Servers MUST attempt to initiate an exchange of closure alerts with the client before
    # closing the connection."
    def test_an_answer_that_is_the_last_is_followed_by_close_notify(self):
        self.start()
        for version in VERSIONS:
            settings = self.settings(version)
            for options in ({"fields": "Connection: close\r\n"}, {"version": "1.0"}):
                with self.subTest(f"{version} {options}"):
                    connection = self.connect(settings)
                    self.assertIn(b"200 OK", self.exchange(connection, **options) + self.rest(connection))

    def test_a_refusal_is_followed_by_close_notify(self):
        self.start()
        connection = self.connect()
        connection.sendall(b"GET / HTTP/1.1\r\nHost: a\r\nHost: b\r\n\r\n")
        self.assertIn(b" 400 ", self.rest(connection))

    def test_a_client_that_says_goodbye_is_answered(self):
        self.start()
        connection = self.connect()
        self.assertIn(b"200 OK", self.exchange(connection))
        # It waits for the other side's close_notify.
        connection.unwrap().close()

    def test_an_idle_connection_ends_with_close_notify(self):
        self.start(limits="idle_timeout 1s;")
        connection = self.connect()
        self.assertIn(b"200 OK", self.exchange(connection))
        self.assertEqual(self.rest(connection), b"")

    def test_a_shutdown_ends_idle_connections_with_close_notify(self):
        self.start()
        connection = self.connect()
        self.assertIn(b"200 OK", self.exchange(connection))
        self.gateway.process.terminate()
        self.assertEqual(self.rest(connection), b"")
        self.gateway.process.wait(10)
        self.gateway.start()

    def test_an_answer_that_is_cut_off_is_not_made_to_look_whole(self):
        self.start()
        for version in ("1.0", "1.1"):
            with self.subTest(version):
                connection = self.connect()
                with self.assertRaises((ssl.SSLError, ConnectionResetError)):
                    self.exchange(connection, "/cut", version=version)
                    self.rest(connection)


def change(gateway, pattern, replacement):
    """Edits the configuration and has it read."""
    with open(gateway.config) as file:
        text = file.read()
    with open(gateway.config, "w") as file:
        file.write(re.sub(pattern, replacement, text, count=1))
    offset = len(gateway.service_log())
    gateway.process.send_signal(signal.SIGHUP)
    wait_until(lambda: " reload" in gateway.service_log()[offset:], 5, "an answer to SIGHUP")
    if "reload refused" in gateway.service_log()[offset:]:
        raise AssertionError(gateway.service_log()[offset:])


class Sessions(Case):
    def session(self, settings):
        """A session as a client has it after its first answer."""
        connection = self.connect(settings)
        self.assertIn(b"200 OK", self.exchange(connection))
        return connection.session

    def resumes(self, settings, session):
        connection = self.connect(settings, session)
        self.assertIn(b"200 OK", self.exchange(connection))
        return connection.session_reused

    def test_a_reload_leaves_them_good(self):
        self.start()
        kept = [(settings, self.session(settings)) for settings in map(self.settings, VERSIONS)]
        change(self.gateway, "tls { ", "tls { handshake_timeout 5s; ")
        for settings, session in kept:
            self.assertTrue(session.has_ticket)
            self.assertTrue(self.resumes(settings, session), settings.minimum_version)

    def test_a_new_certificate_leaves_them_good_and_new_handshakes_show_it(self):
        self.start()
        settings = self.settings()
        session, before = self.session(settings), self.connect(settings).getpeercert(True)
        other = authority.issue("localhost")
        change(self.gateway, f"certificate {pair[0]}; private_key {pair[1]}",
               f"certificate {other[0]}; private_key {other[1]}")
        self.assertTrue(self.resumes(settings, session))
        self.assertNotEqual(self.connect(settings).getpeercert(True), before)

    def test_a_reload_that_asks_for_certificates_asks_those_with_a_session_too(self):
        self.start()
        for version in VERSIONS:
            with self.subTest(version):
                settings, known = self.settings(version), self.settings(version, client)
                session, own = self.session(settings), self.session(known)
                change(self.gateway, "tls { ", f"tls {{ client_ca {authority.file} required; ")
                with self.assertRaises((ssl.SSLError, ConnectionResetError)):
                    self.resumes(settings, session)
                self.assertFalse(self.resumes(known, own))
                self.assertTrue(self.resumes(known, self.session(known)))
                change(self.gateway, f"client_ca {authority.file} required;", "")

    def test_a_reload_that_believes_others_asks_again(self):
        stranger = Authority(os.path.dirname(authority.file), "Stranger")
        self.start(more=f"client_ca {authority.file} required;")
        known = self.settings(certificate=client)
        session = self.session(known)
        self.assertTrue(self.resumes(known, session))
        session = self.session(known)
        change(self.gateway, f"client_ca {authority.file}", f"client_ca {stranger.file}")
        with self.assertRaises((ssl.SSLError, ConnectionResetError)):
            self.resumes(known, session)

    def test_where_there_are_no_tickets_nothing_is_taken_up(self):
        self.start(more="tickets off;")
        for version in VERSIONS:
            settings = self.settings(version)
            session = self.session(settings)
            self.assertFalse(session is not None and session.has_ticket)
            self.assertFalse(session is not None and self.resumes(settings, session))

    def test_nothing_is_compressed(self):
        self.start()
        settings = self.settings(ssl.TLSVersion.TLSv1_2)
        settings.options &= ~ssl.OP_NO_COMPRESSION
        self.assertIsNone(self.connect(settings).compression())


class ProcessEnd(unittest.TestCase):
    def test_it_ends_in_the_midst_of_handshakes(self):
        # The second signal waits for nobody: what the process does at its end must not free what the shards use.
        tls_lines = f"certificate {pair[0]}; private_key {pair[1]};"
        for _ in range(30):
            gateway = Gateway(upstream.port, routes="route / { upstream api; access anonymous; }", tls=tls_lines)
            is_over = threading.Event()

            def shake_hands():
                settings = ssl._create_unverified_context()
                while not is_over.is_set():
                    try:
                        with socket.create_connection(("127.0.0.1", gateway.port), 1) as plain:
                            settings.wrap_socket(plain).close()
                    except OSError:
                        pass

            threads = [threading.Thread(target=shake_hands) for _ in range(6)]
            for thread in threads:
                thread.start()
            time.sleep(0.1)
            gateway.process.terminate()
            gateway.process.terminate()
            code = gateway.process.wait(30)
            is_over.set()
            for thread in threads:
                thread.join()
            self.assertEqual(code, 0)



if __name__ == "__main__":
    unittest.main()
