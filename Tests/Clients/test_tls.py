# TLS of the listeners: openssl's client, curl, Python's ssl and `websockets` against certificates by name and by
# kind of key, versions, tickets, client certificates, renewal, and hostile handshakes.

import os
import shutil
import signal
import socket
import ssl
import struct
import subprocess
import time
import unittest

from websockets.sync.client import connect

from certificates import Authority, s_client, tls_block
from clients import Raw, curl
from harness import GATEWAY, Demo, Gateway, directory, free_port, wait_until
from upstreams import Upstream

ROUTES = """
route /login { upstream api; access anonymous; login; }
route /public/ { upstream api; access anonymous; }
route / { upstream api; }
"""


def setUpModule():
    global demo, home, authority, ec, rsa, other, gateway, port
    demo, home = Demo(), directory()
    authority = Authority(home)
    ec, rsa = authority.issue("localhost", "127.0.0.1"), authority.issue("localhost", "127.0.0.1", kind="rsa")
    other = authority.issue("*.example.test")
    port = free_port()
    main = (
        f"listen 127.0.0.1:{port} tls;\n"
        + tls_block(
            ec, rsa,
            more=f"server_name *.example.test {{ certificate {other[0]}; private_key {other[1]}; }}"
            " handshake_timeout 500ms;",
        )
    )
    gateway = Gateway(demo.port, routes=ROUTES, main=main, scheme="https")


def tearDownModule():
    gateway.stop()
    demo.stop()


def fetch(path, *arguments, **options):
    return curl(f"https://localhost:{port}{path}", "--cacert", authority.file, *arguments, **options)


def python_tls(**options):
    settings = ssl.create_default_context(cafile=authority.file)
    for name, value in options.items():
        setattr(settings, name, value)
    return settings


class Serving(unittest.TestCase):
    def test_a_session_from_login_to_logout(self):
        reply = fetch("/login", as_json={"user": "alice", "password": "wonderland"})
        pair = reply.json
        seen = fetch("/whoami", token=pair["access_token"]).json
        self.assertEqual(seen["subject"], "alice")
        again = fetch("/refresh", form={"grant_type": "refresh_token", "refresh_token": pair["refresh_token"]})
        self.assertEqual(again.status, 200)
        out = fetch("/refresh/logout", form={"refresh_token": again.json["refresh_token"]})
        self.assertEqual(out.status, 204)
        self.assertEqual(fetch("/whoami", token=pair["access_token"]).status, 401)

    def test_large_bodies_both_ways(self):
        token = fetch("/login", as_json={"user": "alice", "password": "wonderland"}).json["access_token"]
        down = fetch("/bytes?n=5000000", token=token)
        self.assertEqual((down.status, len(down.body)), (200, 5_000_000))
        path = os.path.join(home, "large")
        with open(path, "wb") as file:
            # The API refuses it before it has all of it: what is left over is read to its end up to 1 MB.
            file.write(os.urandom(600_000))
        up = fetch("/items", "-T", path, method="POST", token=token)
        self.assertIn(up.status, (400, 413, 415), up.body[:200])

    def test_browsers_get_secure_cookies_with_their_prefixes(self):
        reply = fetch(
            "/login", as_json={"user": "alice", "password": "wonderland"}, headers=["Sec-Fetch-Site: same-origin"])
        cookies = reply.cookies()
        self.assertEqual(set(cookies), {"__Host-access", "__Secure-refresh"})
        self.assertTrue(all("secure" in attributes for _, attributes in cookies.values()))

    def test_an_address_changes_over_to_tls_by_reload(self):
        pair = authority.issue("localhost", "127.0.0.1")
        gateway = Gateway(demo.port, routes=ROUTES, scheme="https")
        self.addCleanup(gateway.stop)
        self.assertFalse(os.path.exists(os.path.join(gateway.state, "ticket.keys")), "nobody needs them yet")
        self.assertEqual(curl(gateway.base + "/public/x").status, 200)
        with open(gateway.config) as file:
            text = file.read()
        with open(gateway.config, "w") as file:
            file.write(text.replace(f":{gateway.port};", f":{gateway.port} tls;\n" + tls_block(pair), 1))
        gateway.process.send_signal(signal.SIGHUP)
        wait_until(lambda: " reloaded " in gateway.service_log(), 5, gateway.service_log())
        url = f"https://localhost:{gateway.port}/public/x"
        self.assertEqual(curl(url, "--cacert", authority.file).status, 200)

    def test_websockets(self):
        # The handshake is refused by the gate, which is all that is asked here: it is HTTP that has come through.
        with self.assertRaises(Exception) as refused:
            connect(f"wss://localhost:{port}/events", ssl=python_tls())
        self.assertIn("401", str(refused.exception))

    def test_many_requests_on_one_connection(self):
        raw = python_tls().wrap_socket(socket.create_connection(("127.0.0.1", port)), server_hostname="localhost")
        for number in range(50):
            raw.sendall(f"GET /public/{number} HTTP/1.1\r\nHost: localhost\r\n\r\n".encode())
            self.assertIn(b"200 OK", raw.recv(65536))
        raw.close()


class Certificates(unittest.TestCase):
    def test_names_choose_them(self):
        self.assertIn("CN = localhost", s_client(port, "-servername", "localhost"))
        self.assertIn("CN = *.example.test", s_client(port, "-servername", "a.example.test"))
        self.assertIn("CN = localhost", s_client(port, "-servername", "a.b.example.test"))
        self.assertIn("CN = localhost", s_client(port, "-noservername"))

    def test_the_client_chooses_the_kind_of_key(self):
        self.assertIn("ECDSA", s_client(port, "-sigalgs", "ecdsa_secp256r1_sha256"))
        self.assertIn("RSA-PSS", s_client(port, "-sigalgs", "rsa_pss_rsae_sha256"))

    def test_versions_and_suites(self):
        self.assertIn("TLSv1.3", s_client(port))
        self.assertIn("TLSv1.2", s_client(port, "-tls1_2"))
        self.assertIn("alert protocol version", s_client(port, "-tls1_1", "-cipher", "ALL:@SECLEVEL=0"))
        self.assertIn("handshake failure", s_client(port, "-tls1_2", "-cipher", "AES128-SHA:@SECLEVEL=0"))

    def test_protocols(self):
        self.assertIn("ALPN protocol: http/1.1", s_client(port, "-alpn", "h2,http/1.1"))
        self.assertIn("no application protocol", s_client(port, "-alpn", "h2"))
        self.assertIn("No ALPN negotiated", s_client(port))

    def test_tickets_are_good_on_every_shard_and_behind_a_restart(self):
        session = os.path.join(home, "session")
        for version in ("-tls1_2", "-tls1_3"):
            s_client(port, version, "-sess_out", session, say="GET /public/x HTTP/1.0\r\n\r\n")
            for _ in range(4):
                said = s_client(port, version, "-sess_in", session, say="GET /public/x HTTP/1.0\r\n\r\n")
                self.assertIn("Reused, ", said)
        gateway.stop()
        gateway.start()
        self.assertIn("Reused, ", s_client(port, "-sess_in", session, say="GET / HTTP/1.0\r\n\r\n"))
        said = s_client(port, "-sess_in", session, "-servername", "a.example.test", say="GET / HTTP/1.0\r\n\r\n")
        self.assertNotIn("Reused, ", said)

    def test_the_keys_of_tickets_change_by_their_age_and_not_by_the_start(self):
        keys, session = os.path.join(gateway.state, "ticket.keys"), os.path.join(home, "old-session")
        say = "GET /public/x HTTP/1.0\r\n\r\n"
        s_client(port, "-tls1_2", "-sess_out", session, say=say)
        with open(keys, "rb") as file:
            before = file.read()
        for age, changes in ((11, False), (13, True)):
            gateway.stop()
            then = time.time() - age * 3600
            os.utime(keys, (then, then))
            gateway.start()
            with open(keys, "rb") as file:
                self.assertEqual(file.read() != before, changes, age)
        with open(keys, "rb") as file:
            self.assertIn(before[:80], file.read()[80:])
        self.assertIn("Reused, ", s_client(port, "-tls1_2", "-sess_in", session, say=say))


class Renewal(unittest.TestCase):
    def test_a_renewed_certificate_is_picked_up_without_a_drop(self):
        listener, pair = free_port(), authority.issue("localhost", "127.0.0.1")
        main = f"listen 127.0.0.1:{listener} tls;\n" + tls_block(pair)
        gateway = Gateway(demo.port, routes=ROUTES, main=main, scheme="https")
        self.addCleanup(gateway.stop)
        raw = python_tls().wrap_socket(
            socket.create_connection(("127.0.0.1", listener)), server_hostname="localhost")
        before = ssl.get_server_certificate(("127.0.0.1", listener))
        for source, target in zip(authority.issue("localhost", "127.0.0.1"), pair):
            shutil.copy(source, target)
        shown = lambda: ssl.get_server_certificate(("127.0.0.1", listener))
        wait_until(lambda: shown() != before, 15, "the new certificate")
        raw.sendall(b"GET /public/x HTTP/1.1\r\nHost: localhost\r\n\r\n")
        self.assertIn(b"200 OK", raw.recv(65536))
        raw.close()
        # A key that does not fit changes nothing, and is said.
        after = shown()
        shutil.copy(other[1], pair[1])
        gateway.process.send_signal(signal.SIGHUP)
        wait_until(lambda: "reload refused" in gateway.service_log(), 5, "a word about the key")
        self.assertEqual(shown(), after)


class HostileHandshakes(unittest.TestCase):
    def test_a_silent_or_slow_client_has_a_deadline(self):
        for first in (b"", b"\x16\x03\x01\x02\x00\x01"):
            began = time.monotonic()
            raw = Raw(port).send(first)
            raw.rest(5)
            self.assertLess(time.monotonic() - began, 2)

    def test_a_client_that_resets_in_mid_handshake_holds_nothing(self):
        listener, pair = free_port(), authority.issue("localhost", "127.0.0.1")
        main = f"listen 127.0.0.1:{listener} tls;\n" + tls_block(pair, more="handshake_timeout 60s;")
        gateway = Gateway(demo.port, routes=ROUTES, main=main, scheme="https")
        self.addCleanup(gateway.stop)
        descriptors = lambda: len(os.listdir(f"/proc/{gateway.process.pid}/fd"))
        before = descriptors()
        waiting = [Raw(listener).send(b"\x16\x03\x01\x02\x00\x01"[: number % 7]) for number in range(100)]
        wait_until(lambda: descriptors() >= before + 100, 3, "all of them are in")
        for raw in waiting:
            raw.reset()
        wait_until(lambda: descriptors() <= before, 3, "none of them is left")

    def test_garbage_and_plain_http_are_sent_away(self):
        for first in (b"GET / HTTP/1.1\r\nHost: h\r\n\r\n", os.urandom(600), b"\x16\x03\x01\xff\xff" + b"x" * 70000):
            self.assertNotIn(b"HTTP/1.1 200", Raw(port).send(first).rest(3))
        self.assertEqual(fetch("/public/x").status, 200)

    def test_renegotiation_is_off(self):
        said = s_client(port, "-tls1_2", say="R\n")
        self.assertRegex(said, "no renegotiation|unexpected|RENEGOTIATING")
        self.assertEqual(fetch("/public/x").status, 200)


class ClientCertificates(unittest.TestCase):
    def start(self, mode):
        listener = free_port()
        main = f"listen 127.0.0.1:{listener} tls;\n" + tls_block(ec_copy, more=f"client_ca {authority.file} {mode};")
        gateway = Gateway(demo.port, routes=ROUTES, main=main, scheme="https")
        self.addCleanup(gateway.stop)
        return listener

    @classmethod
    def setUpClass(cls):
        global ec_copy, client, stranger
        ec_copy = authority.issue("localhost", "127.0.0.1")
        client = authority.issue("client", usage="clientAuth", subject="/O=Example/CN=robot")
        stranger = Authority(home, "Other Authority").issue("client", usage="clientAuth")

    def ask(self, listener, *arguments):
        command = [
            "curl", "-s", "-o", "/dev/null", "-w", "%{http_code}", "--cacert", authority.file,
            f"https://localhost:{listener}/public/x", *arguments]
        return subprocess.run(command, capture_output=True, text=True, timeout=20).stdout

    def test_required(self):
        listener = self.start("required")
        self.assertEqual(self.ask(listener), "000")
        self.assertEqual(self.ask(listener, "--cert", stranger[0], "--key", stranger[1]), "000")
        self.assertEqual(self.ask(listener, "--cert", client[0], "--key", client[1]), "200")

    def test_optional(self):
        listener = self.start("optional")
        self.assertEqual(self.ask(listener), "200")
        self.assertEqual(self.ask(listener, "--cert", client[0], "--key", client[1]), "200")
        self.assertEqual(self.ask(listener, "--cert", stranger[0], "--key", stranger[1]), "000")


    def test_the_upstream_learns_whose_it_is_from_the_gateway_alone(self):
        upstream = Upstream()
        self.addCleanup(upstream.stop)
        listener = free_port()
        main = f"listen 127.0.0.1:{listener} tls;\n" + tls_block(
            ec_copy, more=f"client_ca {authority.file} optional;")
        gateway = Gateway(upstream.port, routes=ROUTES, main=main, scheme="https")
        self.addCleanup(gateway.stop)
        forged = ("-H", "X-Auth-Certificate-Subject: CN=root", "-H", "X_Auth_Certificate_Fingerprint: 00")
        self.assertEqual(self.ask(listener, *forged, "--cert", client[0], "--key", client[1]), "200")
        request = upstream.last()
        self.assertEqual(request.one("x-auth-certificate-subject"), "CN=robot,O=Example")
        self.assertRegex(request.one("x-auth-certificate-fingerprint"), "^[0-9a-f]{64}$")
        self.assertEqual(request.one("x-forwarded-proto"), "https")
        self.assertEqual(self.ask(listener, *forged), "200")
        self.assertEqual([name for name in upstream.last().names if "certificate" in name], [])


class Checking(unittest.TestCase):
    def check(self, block):
        path = os.path.join(home, "checked.conf")
        with open(path, "w") as file:
            file.write(
                f"listen 127.0.0.1:1 tls;\npublic_url https://localhost;\naccess_token {{ audience a; }}\n{block}"
                "upstream api { server http://127.0.0.1:1; }\nroute / { upstream api; }\n")
        done = subprocess.run([GATEWAY, "check", "-c", path], capture_output=True, text=True, timeout=10)
        return done.returncode, done.stdout + done.stderr

    def test_what_is_wrong_is_said(self):
        good = authority.issue("localhost")
        self.assertEqual(self.check(tls_block(good))[0], 0)
        code, said = self.check(tls_block((good[0], other[1])))
        self.assertEqual(code, 78, said)
        self.assertIn("key", said)
        code, said = self.check(tls_block((os.path.join(home, "missing.pem"), good[1])))
        self.assertEqual(code, 78)
        self.assertIn("missing.pem cannot be read", said)
        soon = authority.issue("localhost", days=3)
        code, said = self.check(tls_block(soon))
        self.assertEqual(code, 0)
        self.assertIn("warning", said)
        named = f"server_name api.example.com {{ certificate {good[0]}; private_key {good[1]}; }}"
        code, said = self.check(tls_block(good, more=named))
        self.assertIn("not for 'api.example.com'", said)


class BehindAProxy(unittest.TestCase):
    def test_a_proxy_header_goes_before_the_handshake(self):
        listener = free_port()
        pair = authority.issue("localhost", "127.0.0.1")
        main = f"listen 127.0.0.1:{listener} tls proxy_protocol;\n" + tls_block(pair)
        gateway = Gateway(demo.port, routes=ROUTES, main=main, scheme="https")
        self.addCleanup(gateway.stop)
        for together in (False, True):
            plain = socket.create_connection(("127.0.0.1", listener))
            header = b"PROXY TCP4 192.0.2.7 192.0.2.1 1234 443\r\n"
            settings, incoming, outgoing = python_tls(), ssl.MemoryBIO(), ssl.MemoryBIO()
            client = settings.wrap_bio(incoming, outgoing, server_hostname="localhost")
            with self.assertRaises(ssl.SSLWantReadError):
                client.do_handshake()
            hello = outgoing.read()
            plain.sendall(header + hello if together else header)
            if not together:
                time.sleep(0.05)
                plain.sendall(hello)
            while True:
                try:
                    client.do_handshake()
                    break
                except ssl.SSLWantReadError:
                    plain.sendall(outgoing.read())
                    incoming.write(plain.recv(65536))
            client.write(b"GET /public/proxied HTTP/1.1\r\nHost: localhost\r\n\r\n")
            plain.sendall(outgoing.read())
            wait_until(lambda: any(
                line["url.path"] == "/public/proxied" and line["source.ip"] == "192.0.2.7"
                for line in gateway.access_log()), 3, "the client's own address")
            plain.close()


if __name__ == "__main__":
    unittest.main()
