# Where clients come in, other than by one IPv4 port: unix sockets with curl and nginx, the control listener
# on one, the file of a process that is dead or alive; IPv6, both families at one port, and an IPv6 upstream.

import os
import socket
import stat
import unittest

from clients import curl
from harness import Gateway, StartFailed, directory, free_port
from servers import Nginx
from test_front import binary, line, request
from upstreams import Upstream

ROUTES = """
route / { upstream api; access anonymous; }
route /six { upstream six; access anonymous; }
"""


def setUpModule():
    global upstream
    upstream = Upstream()


def tearDownModule():
    upstream.stop()


def gateway(test, main, **options):
    made = Gateway(upstream.port, main=main, **options)
    test.addCleanup(made.stop)
    return made


def plain(main=""):
    return {"routes": "route / { upstream api; access anonymous; }", "main": main}


class UnixSockets(unittest.TestCase):
    def setUp(self):
        self.home = directory()
        os.chmod(self.home, 0o755)
        self.path = os.path.join(self.home, "http.sock")

    def ask(self, path, *arguments, socket_path=None, **options):
        return curl(
            "http://api.example.com" + path, "--unix-socket", socket_path or self.path, *arguments, **options
        )

    def speak(self, data):
        """Everything that comes back for some bytes."""
        with socket.socket(socket.AF_UNIX) as client:
            client.settimeout(5)
            client.connect(self.path)
            client.sendall(data)
            answer = b""
            while (data := client.recv(65536)) and b"\r\n\r\n" not in answer + data:
                answer += data
            return answer + data

    def test_who_comes_by_a_socket_is_no_proxy_unless_it_is_trusted(self):
        forged = ["X-Forwarded-For: 203.0.113.1", "X-Request-Id: theirs", "X-Forwarded-Proto: https"]
        front = gateway(self, **plain(f"listen unix:{self.path};"))
        self.assertEqual(self.ask("/a", headers=forged).status, 200)
        self.assertNotIn(b"203.0.113.1", upstream.last().head)
        self.assertNotEqual(upstream.last().one("x-request-id"), "theirs")
        (entry,) = front.lines_for("/a", 1)
        self.assertNotEqual(entry["source.ip"], "203.0.113.1")

    def test_a_trusted_socket_says_who_the_client_is(self):
        front = gateway(self, **plain(f"listen unix:{self.path}; trusted_proxies unix;"))
        fields = ["X-Forwarded-For: 6.6.6.6, 203.0.113.1", "X-Request-Id: theirs", "X-Forwarded-Proto: https"]
        self.assertEqual(self.ask("/b", headers=fields).status, 200)
        self.assertTrue(upstream.last().one("x-forwarded-for").startswith("6.6.6.6, 203.0.113.1"))
        self.assertEqual(upstream.last().one("x-request-id"), "theirs")
        self.assertEqual(upstream.last().one("x-forwarded-proto"), "https")
        (entry,) = front.lines_for("/b", 1)
        self.assertEqual(entry["source.ip"], "203.0.113.1")
        # Nobody at a port is a socket.
        curl(front.base + "/c", headers=fields)
        self.assertEqual(upstream.last().one("x-forwarded-for"), "127.0.0.1")

    def test_proxy_headers_by_a_socket(self):
        front = gateway(self, **plain(f"listen unix:{self.path} proxy_protocol; trusted_proxies unix;"))
        for number, header in enumerate((line(), binary())):
            self.assertIn(b" 200 ", self.speak(header + request(f"/p{number}")))
            self.assertEqual(front.lines_for(f"/p{number}", 1)[0]["source.ip"], "192.0.2.7")
        self.assertEqual(self.speak(request()), b"")

    def test_nginx_in_front_over_the_socket(self):
        front = gateway(self, **plain(f"listen unix:{self.path}; trusted_proxies unix;"))
        port = free_port()
        nginx = Nginx(
            f"""
server {{
    listen 127.0.0.1:{port};
    location / {{
        proxy_pass http://unix:{self.path}:;
        proxy_set_header Host $http_host;
        proxy_set_header X-Forwarded-For $proxy_add_x_forwarded_for;
    }}
}}""",
            [port],
        )
        self.addCleanup(nginx.stop)
        reply = curl(f"http://127.0.0.1:{port}/n", "--interface", "127.0.0.9", data="x" * 100_000)
        self.assertEqual(reply.status, 200)
        self.assertEqual(upstream.last().body, b"x" * 100_000)
        (entry,) = front.lines_for("/n", 1)
        self.assertEqual(entry["source.ip"], "127.0.0.9")

    def test_the_file_is_not_everybodys_and_goes_in_the_end(self):
        front = Gateway(upstream.port, **plain(f"listen unix:{self.path};"))
        mode = os.stat(self.path).st_mode
        self.assertTrue(stat.S_ISSOCK(mode))
        self.assertEqual(mode & 0o007, 0)
        front.stop()
        self.assertFalse(os.path.exists(self.path))

    def test_the_file_of_a_dead_process_is_no_obstacle(self):
        front = Gateway(upstream.port, **plain(f"listen unix:{self.path};"))
        front.kill()
        self.assertTrue(os.path.exists(self.path))
        front.start()
        self.assertEqual(self.ask("/a").status, 200)
        front.stop()

    def test_a_live_socket_is_not_taken_over(self):
        gateway(self, **plain(f"listen unix:{self.path};"))
        with self.assertRaises(StartFailed) as failed:
            Gateway(upstream.port, **plain(f"listen unix:{self.path};"))
        self.assertIn(self.path, failed.exception.text)
        self.assertIn("in use", failed.exception.text)
        self.assertEqual(self.ask("/a").status, 200)

    def test_a_file_that_is_no_socket_is_left_alone(self):
        with open(self.path, "w") as file:
            file.write("precious")
        with self.assertRaises(StartFailed):
            Gateway(upstream.port, **plain(f"listen unix:{self.path};"))
        with open(self.path) as file:
            self.assertEqual(file.read(), "precious")

    def test_control_on_a_socket(self):
        path = os.path.join(self.home, "control.sock")
        for secret in (None, "a-secret-of-the-control-listener"):
            front = Gateway(upstream.port, start=False, **plain())
            with open(front.config) as file:
                text = file.read()
            more = f"secret {secret};" if secret else ""
            text = text.replace(f"listen 127.0.0.1:{front.control_port};", f"listen unix:{path}; {more}")
            with open(front.config, "w") as file:
                file.write(text)
            front.start()
            self.assertEqual(self.ask("/healthz", socket_path=path).status, 200)
            begun = self.ask("/sessions", socket_path=path, as_json={"subject": "alice"}, token=secret)
            self.assertEqual(begun.status, 201)
            listed = self.ask("/sessions?subject=alice", socket_path=path, token=secret)
            self.assertEqual(len(listed.json["sessions"]), 1)
            if secret:
                self.assertEqual(self.ask("/sessions?subject=alice", socket_path=path).status, 401)
            front.stop()
            self.assertFalse(os.path.exists(path))


class IPv6(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        try:
            cls.six = Upstream(host="::1")
        except OSError:
            raise unittest.SkipTest("no IPv6 here")
        cls.own, cls.dual = free_port(), free_port()
        cls.gateway = Gateway(
            upstream.port,
            routes=ROUTES + f"upstream six {{ server http://[::1]:{cls.six.port}; }}",
            main=f"listen [::1]:{cls.own}; listen [::]:{cls.dual}; trusted_proxies ::1;",
        )

    @classmethod
    def tearDownClass(cls):
        cls.gateway.stop()
        cls.six.stop()

    def logged(self, path):
        (entry,) = self.gateway.lines_for(path, 1)
        return entry["source.ip"]

    def test_a_client_by_ipv6(self):
        self.assertEqual(curl(f"http://[::1]:{self.own}/a").status, 200)
        self.assertEqual(upstream.last().one("x-forwarded-for"), "::1")
        self.assertEqual(upstream.last().one("host"), f"[::1]:{self.own}")
        self.assertEqual(upstream.last().one("x-forwarded-host"), f"[::1]:{self.own}")
        self.assertEqual(self.logged("/a"), "::1")

    def test_both_families_at_one_port(self):
        self.assertEqual(curl(f"http://[::1]:{self.dual}/d6").status, 200)
        self.assertEqual(self.logged("/d6"), "::1")
        for path, host in (("/d4", "127.0.0.1"), ("/d9", "127.0.0.9")):
            self.assertEqual(curl(f"http://{host}:{self.dual}{path}").status, 200)
            # As IPv4 is written, not as ::ffff:127.0.0.1: logs, limits and ranges know it by one name.
            self.assertEqual(upstream.last().one("x-forwarded-for"), "127.0.0.1")
            self.assertEqual(self.logged(path), "127.0.0.1")

    def test_trust_is_in_the_one_family_only(self):
        fields = ["X-Forwarded-For: 203.0.113.1"]
        curl(f"http://[::1]:{self.dual}/t6", headers=fields)
        self.assertEqual(self.logged("/t6"), "203.0.113.1")
        curl(f"http://127.0.0.1:{self.dual}/t4", headers=fields)
        self.assertEqual(self.logged("/t4"), "127.0.0.1")

    def test_an_upstream_by_ipv6(self):
        for _ in range(3):
            self.assertEqual(curl(self.gateway.base + "/six", data="hello").status, 200)
        self.assertEqual(self.six.last().body, b"hello")
        (entry, *_) = self.gateway.lines_for("/six", 3)
        self.assertIn(f"[::1]:{self.six.port}", entry["gateway.server"])


if __name__ == "__main__":
    unittest.main()
