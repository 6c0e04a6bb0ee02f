# TLS to the upstream: a Python server behind it, whose certificate holds, or does not in each of the ways that it
# can fail to; client certificates, session reuse, and an upstream that breaks off.

import http.server
import os
import shutil
import signal
import socket
import ssl
import threading
import unittest

from certificates import Authority
from clients import Raw, curl
from harness import Gateway, directory, free_port, wait_until


class Answer(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def do_GET(self):
        asked.append(self.path)
        peer = self.connection.getpeercert() or {}
        names = [value for part in peer.get("subject", ()) for name, value in part if name == "commonName"]
        body = f"{self.headers['Host']} {','.join(names) or 'nobody'} {self.connection.session_reused}".encode()
        self.send_response(200)
        self.send_header("Content-Length", str(len(body)))
        if self.path == "/close":
            self.close_connection = True
            self.send_header("Connection", "close")
        self.end_headers()
        if self.path == "/slow":
            self.wfile.write(body[:1])
            body = body[1:]
            goes_on.wait(10)
        self.wfile.write(body)

    def do_POST(self):
        size = int(self.headers["Content-Length"])
        while size > 0:
            size -= len(self.rfile.read(min(size, 65536)))
        self.send_response(200)
        self.send_header("Content-Length", str(8 << 20))
        self.end_headers()
        self.wfile.write(b"x" * (8 << 20))

    def log_message(self, *_):
        pass

    log_error = log_message


def serve(pair, client_authority=None):
    """A server by TLS; its port."""
    settings = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    settings.load_cert_chain(*pair)
    if client_authority:
        settings.load_verify_locations(client_authority)
        settings.verify_mode = ssl.CERT_REQUIRED
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Answer)
    server.socket = settings.wrap_socket(server.socket, server_side=True)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    servers.append(server)
    return server.server_address[1]


def setUpModule():
    global home, authority, servers, good, goes_on, asked
    home, servers, goes_on, asked = directory(), [], threading.Event(), []
    authority = Authority(home)
    good = authority.issue("localhost", "127.0.0.1")


def tearDownModule():
    for server in servers:
        server.shutdown()


class UpstreamTLS(unittest.TestCase):
    def gateway(self, port, tls, host="localhost"):
        routes = f"upstream secure {{ server https://{host}:{port}; {tls} }}\n"
        routes += "route / { upstream secure; access anonymous; }"
        gateway = Gateway(free_port(), routes=routes)
        self.addCleanup(gateway.stop)
        return gateway

    def status(self, *arguments, **options):
        gateway = self.gateway(*arguments, **options)
        reply = curl(gateway.base + "/x")
        return reply.status, gateway

    def assert_refused(self, word, *arguments, **options):
        status, gateway = self.status(*arguments, **options)
        self.assertEqual(status, 502)
        (line,) = gateway.lines_for("/x", 1)
        self.assertEqual(line["gateway.reason"], "upstream_tls")
        wait_until(lambda: word in gateway.service_log(), what=word)

    def test_a_certificate_that_holds(self):
        port = serve(good)
        for host in ("localhost", "127.0.0.1"):
            status, gateway = self.status(port, f"tls_ca {authority.file};", host=host)
            self.assertEqual(status, 200)

    def test_an_authority_that_nobody_has_named(self):
        port = serve(good)
        self.assert_refused("certificate", port, "")
        stranger = Authority(home, "Stranger")
        self.assert_refused("certificate", port, f"tls_ca {stranger.file};")
        self.assertEqual(self.status(port, "tls { insecure; }")[0], 200)

    def test_a_certificate_for_somebody_else(self):
        port = serve(authority.issue("other.example"))
        self.assert_refused("certificate", port, f"tls_ca {authority.file};")
        self.assertEqual(
            self.status(port, f"tls {{ ca {authority.file}; server_name other.example; }}")[0], 200)

    def test_a_client_certificate(self):
        port = serve(good, client_authority=authority.file)
        self.assertEqual(self.status(port, f"tls_ca {authority.file};")[0], 502)
        robot = authority.issue("gateway", usage="clientAuth", subject="/CN=gateway")
        _, gateway = self.status(
            port, f"tls {{ ca {authority.file}; certificate {robot[0]}; private_key {robot[1]}; }}")
        self.assertIn(b" gateway ", curl(gateway.base + "/x").body)

    def test_connections_are_kept_and_sessions_taken_up_again(self):
        gateway = self.gateway(serve(good), f"tls_ca {authority.file};")
        with open(gateway.config) as file:
            text = file.read()
        reused = [curl(gateway.base + "/close").body.endswith(b"True") for _ in range(6)]
        self.assertTrue(any(reused), reused)
        self.assertIn("https://", text)

    def test_large_bodies_both_ways(self):
        gateway = self.gateway(serve(good), f"tls_ca {authority.file};")
        path = os.path.join(home, "large")
        with open(path, "wb") as file:
            file.write(os.urandom(6 << 20))
        reply = curl(gateway.base + "/x", "-T", path, method="POST")
        self.assertEqual((reply.status, len(reply.body)), (200, 8 << 20))

    def test_a_server_that_speaks_no_tls(self):
        plain = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Answer)
        threading.Thread(target=plain.serve_forever, daemon=True).start()
        self.addCleanup(plain.shutdown)
        self.assert_refused("upstream", plain.server_address[1], f"tls_ca {authority.file};")

    def test_a_server_whose_certificate_does_not_hold_is_left_alone(self):
        good_port, bad_port = serve(good), serve(authority.issue("other.example"))
        tls = f"server https://localhost:{bad_port}; tls_ca {authority.file}; max_fails 1;"
        gateway = self.gateway(good_port, tls)
        for _ in range(8):
            self.assertEqual(curl(gateway.base + "/x").status, 200)
        gateway.remarks("out (1 failures in 10 s)", 1)

    def test_whose_word_is_taken_changes_by_reload(self):
        other = Authority(home, "Other Authority")
        believed = os.path.join(home, "believed.pem")
        shutil.copy(authority.file, believed)
        gateway = self.gateway(serve(good), f"tls_ca {believed};")

        def reload(file):
            shutil.copy(file, believed)
            said = gateway.service_log().count(" reloaded ")
            gateway.process.send_signal(signal.SIGHUP)
            wait_until(lambda: gateway.service_log().count(" reloaded ") > said, 5, "a reload")

        # A connection that is kept, a session that could be taken up again, and an answer that is under way.
        self.assertEqual(curl(gateway.base + "/close").status, 200)
        self.assertEqual(curl(gateway.base + "/x").status, 200)
        raw = Raw(gateway.port).send("GET /slow HTTP/1.1\r\nHost: h\r\n\r\n")
        raw.line_end(b"\r\n\r\n")
        reload(other.file)
        for path in ("/x", "/y", "/close"):
            self.assertEqual(curl(gateway.base + path).status, 502)
        goes_on.set()
        # True or False: whether a session was taken up.
        self.assertRegex(raw.line_end(b"e"), b"^h nobody (Tru|Fals)$")
        # Its connection was agreed on under the old rules, so it serves nobody else: not even on the same shard.
        self.assertEqual(raw.send("GET /x HTTP/1.1\r\nHost: h\r\n\r\n").response().status, 502)
        reload(authority.file)
        self.assertTrue(curl(gateway.base + "/x").body.endswith(b"False"))

    def test_a_connection_that_is_not_needed_ends_with_close_notify(self):
        settings, ends = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER), []
        settings.load_cert_chain(*good)
        listener = socket.create_server(("127.0.0.1", 0))
        self.addCleanup(listener.close)

        def answer():
            plain, _ = listener.accept()
            with settings.wrap_socket(plain, server_side=True, suppress_ragged_eofs=False) as connection:
                connection.recv(65536)
                connection.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok")
                try:
                    ends.append(connection.recv(1))
                except OSError as error:
                    ends.append(error)

        threading.Thread(target=answer, daemon=True).start()
        tls = f"tls_ca {authority.file}; keepalive 8 timeout=1s;"
        status, _ = self.status(listener.getsockname()[1], tls)
        self.assertEqual(status, 200)
        wait_until(lambda: ends, 5, "an end")
        self.assertEqual(ends, [b""])

    def test_a_health_check_by_tls(self):
        check = "health_check /healthz { every 200ms; timeout 190ms; fails 3; }"
        gateway = self.gateway(serve(good), f"tls_ca {authority.file}; {check}")
        # More than would have taken it out, had none of them passed.
        wait_until(lambda: asked.count("/healthz") > 4, what="checks")
        self.assertEqual(curl(gateway.base + "/x").status, 200)
        self.assertNotIn(": out", gateway.service_log())


if __name__ == "__main__":
    unittest.main()
