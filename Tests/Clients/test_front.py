# PROXY headers, versions 1 and 2, made by hand and by HAProxy: who the client is in logs, limits and at the
# upstream; every way of cutting one, every way of getting one wrong, and the nearest good neighbour of each.

import socket
import struct
import time
import unittest

from clients import Raw
from harness import Gateway, free_port, wait_until
from servers import HAProxy
from upstreams import Upstream

ROUTES = """
route / { upstream api; access anonymous; }
route /limited { upstream api; access anonymous; rate 1/m burst=2; }
"""
SIGNATURE = b"\r\n\r\n\0\r\nQUIT\n"
HEADER_SECONDS = 0.6


def setUpModule():
    global upstream, gateway, proxied
    upstream = Upstream()
    proxied = free_port()
    gateway = Gateway(
        upstream.port,
        routes=ROUTES,
        main=f"listen 127.0.0.1:{proxied} proxy_protocol; trusted_proxies 127.0.0.1 10.9.9.9;",
        limits=f"header_timeout {int(HEADER_SECONDS * 1000)}ms; connections_per_address 6;",
    )


def tearDownModule():
    gateway.stop()
    upstream.stop()


def request(path="/x", fields=""):
    return f"GET {path} HTTP/1.1\r\nHost: a\r\n{fields}\r\n".encode()


def line(source="192.0.2.7", family="TCP4", destination="192.0.2.1"):
    return f"PROXY {family} {source} {destination} 56324 443\r\n".encode()


def binary(source="192.0.2.7", version=2, command=1, family=1, transport=1, additions=b"", length=None):
    ports = struct.pack("!HH", 56324, 443)
    if family == 1:
        block = socket.inet_pton(socket.AF_INET, source) + bytes([192, 0, 2, 1]) + ports
    elif family == 2:
        block = socket.inet_pton(socket.AF_INET6, source) + b"\0" * 15 + b"\1" + ports
    else:
        block = b"/socket".ljust(108, b"\0") * 2 if family == 3 else b""
    rest = block + additions
    fixed = bytes([version << 4 | command, family << 4 | transport])
    return SIGNATURE + fixed + struct.pack("!H", len(rest) if length is None else length) + rest


def checksum(header):
    """CRC32C, as RFC 4960 appendix B has it."""
    total = 0xFFFFFFFF
    for byte in header:
        total ^= byte
        for _ in range(8):
            total = total >> 1 ^ 0x82F63B78 if total & 1 else total >> 1
    return total ^ 0xFFFFFFFF


def with_checksum(wrong=0):
    header = binary(additions=b"\3\0\4" + b"\0" * 4)
    return header[:-4] + struct.pack("!I", checksum(header) ^ wrong)


class Front(unittest.TestCase):
    def open(self, port=None, source=None):
        raw = Raw.__new__(Raw)
        raw.socket, raw.input = socket.socket(), b""
        raw.socket.settimeout(10)
        raw.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        if source:
            raw.socket.bind((source, 0))
        raw.socket.connect(("127.0.0.1", port or proxied))
        self.addCleanup(raw.close)
        return raw

    def seen(self, header, fields=""):
        """Whom the upstream is told of behind a header."""
        raw = self.open()
        self.assertEqual(raw.send(header + request(fields=fields)).response().status, 200, header)
        raw.close()
        return upstream.last().one("x-forwarded-for")

    def assert_sent_away(self, data, **options):
        count = len(upstream.requests)
        raw = self.open(**options)
        raw.send(data)
        self.assertTrue(raw.is_closed(HEADER_SECONDS / 2), data)
        self.assertEqual(len(upstream.requests), count)
        raw.close()


class Headers(Front):
    def test_good_ones_name_the_client(self):
        for header, client in (
            (line(), "192.0.2.7"),
            (line("2001:db8::7", "TCP6", "2001:db8::1"), "2001:db8::7"),
            (b"PROXY UNKNOWN\r\n", "127.0.0.1"),
            (b"PROXY UNKNOWN ffff::1 anything 0 0\r\n", "127.0.0.1"),
            (b"PROXY UNKNOWN " + b"x" * 91 + b"\r\n", "127.0.0.1"),
            (binary(), "192.0.2.7"),
            (binary("2001:db8::7", family=2), "2001:db8::7"),
            (binary(command=0), "127.0.0.1"),
            (binary(command=0, family=0, transport=0), "127.0.0.1"),
            (binary(family=0, transport=0), "127.0.0.1"),
            (binary(family=3), "127.0.0.1"),
            (binary(transport=2), "127.0.0.1"),
            (binary(additions=b"\2\0\3abc\4\0\0"), "192.0.2.7"),
            (binary(additions=b"\4\x0f\xe1" + b"\0" * 4065), "192.0.2.7"),
            (with_checksum(), "192.0.2.7"),
            (line("::ffff:192.0.2.7", "TCP6", "::1"), "192.0.2.7"),
            (binary("::ffff:192.0.2.7", family=2), "192.0.2.7"),
        ):
            with self.subTest(header[:60]):
                self.assertEqual(self.seen(header), client)

    def test_every_cut_reads_alike(self):
        for header in (line(), binary()):
            whole = header + request("/cut")
            for cut in range(1, len(header) + 3):
                raw = self.open()
                raw.send(whole[:cut])
                time.sleep(0.001)
                self.assertEqual(raw.send(whole[cut:]).response().status, 200, cut)
                self.assertEqual(upstream.last().one("x-forwarded-for"), "192.0.2.7", cut)
                raw.close()
        lines = gateway.lines_for("/cut", sum(len(header) + 2 for header in (line(), binary())))
        self.assertEqual({entry["source.ip"] for entry in lines}, {"192.0.2.7"})

    def test_byte_by_byte(self):
        for header in (line(), binary()):
            raw = self.open()
            for byte in header:
                raw.send(bytes([byte]))
                time.sleep(0.001)
            self.assertEqual(raw.send(request()).response().status, 200)

    def test_bad_ones_are_sent_away_without_a_word(self):
        for data in (
            request(),
            b"PRXY TCP4 192.0.2.7 192.0.2.1 1 2\r\n",
            line(family="TCP5"),
            line(family="tcp4"),
            line(family="TCP6"),
            line("2001:db8::7"),
            line("192.0.2.07"),
            line("192.0.2.256"),
            line("192.0.2.7 "),
            line().replace(b"56324", b"65536"),
            line().replace(b"56324", b"0443"),
            line().replace(b" 443", b""),
            line().replace(b"443", b"443 "),
            line().replace(b"\r\n", b"\n") + request(),
            line().replace(b"\r\n", b"\r") + request(),
            b"PROXY UNKNOWN " + b"x" * 92 + b"\r\n",
            b"PROXY UNKNOWN " + b"x" * 93,
            binary(version=1),
            binary(version=3),
            binary(command=2),
            binary(family=4),
            binary(transport=3),
            binary(length=11),
            binary(length=4081),
            binary(length=65535),
            binary(additions=b"\2\0"),
            binary(additions=b"\2\0\4abc"),
            with_checksum(wrong=1),
            SIGNATURE[:-1] + b"\r" + b"\x21\x11\0\0",
        ):
            with self.subTest(data[:60]):
                self.assert_sent_away(data)

    def test_a_second_header_is_no_request(self):
        for header in (line(), binary()):
            raw = self.open().send(header + header)
            self.assertEqual(raw.response().status, 400)

    def test_a_header_is_no_request_where_none_is_expected(self):
        for header in (line(), binary()):
            count = len(upstream.requests)
            raw = self.open(gateway.port).send(header + request())
            self.assertEqual(raw.response().status, 400)
            self.assertTrue(raw.is_closed())
            self.assertEqual(len(upstream.requests), count)

    def test_who_is_not_trusted_may_not_say_who_he_is(self):
        self.assert_sent_away(line() + request(), source="127.0.0.2")

    def test_late_ones_end_with_the_header_timeout(self):
        for start in (b"", b"P", line()[:-1], SIGNATURE, binary()[:-1]):
            raw = self.open()
            raw.send(start)
            began = time.monotonic()
            self.assertTrue(raw.is_closed(HEADER_SECONDS + 1), start)
            self.assertGreater(time.monotonic() - began, HEADER_SECONDS - 0.15, start)

    def test_dripping_renews_nothing(self):
        raw, began = self.open(), time.monotonic()
        raw.socket.settimeout(0.05)
        try:
            for byte in line():
                raw.send(bytes([byte]))
                try:
                    if not raw.receive():
                        break
                except TimeoutError:
                    pass
        except OSError:
            pass
        self.assertLess(time.monotonic() - began, HEADER_SECONDS + 0.4)
        self.assertEqual(raw.input, b"")

    def test_an_unfinished_header_at_the_end_is_no_fault(self):
        raw = self.open().send(line()[:20])
        raw.finish_sending()
        self.assertTrue(raw.is_closed(HEADER_SECONDS / 2))


class Clients(Front):
    def test_the_clients_word_on_other_clients_is_not_taken(self):
        forged = "X-Forwarded-For: 203.0.113.1\r\nX-Real-IP: 203.0.113.1\r\nForwarded: for=203.0.113.1\r\n"
        self.assertEqual(self.seen(line(), forged), "192.0.2.7")
        self.assertNotIn(b"203.0.113.1", upstream.last().head)

    def test_a_trusted_proxy_behind_the_header_is_believed(self):
        chain = self.seen(line("10.9.9.9"), "X-Forwarded-For: 6.6.6.6, 203.0.113.1\r\n")
        self.assertEqual(chain, "6.6.6.6, 203.0.113.1, 10.9.9.9")
        raw = self.open().send(line("10.9.9.9") + request("/behind", "X-Forwarded-For: 203.0.113.1\r\n"))
        self.assertEqual(raw.response().status, 200)
        self.assertEqual(gateway.lines_for("/behind", 1)[0]["source.ip"], "203.0.113.1")

    def test_connections_are_counted_for_the_source(self):
        held = [self.open().send(line("192.0.2.66") + request()) for _ in range(6)]
        for raw in held:
            self.assertEqual(raw.response().status, 200)
        self.assert_sent_away(line("192.0.2.66") + request())
        self.assertEqual(self.seen(line("192.0.2.67")), "192.0.2.67")
        held.pop().close()

        def admitted():
            raw = self.open().send(line("192.0.2.66") + request())
            try:
                return raw.response().status == 200
            except AssertionError:
                return False
            finally:
                raw.close()

        wait_until(admitted, 3, "a place becomes free")

    def test_rates_are_those_of_the_source(self):
        def status(source, fields=""):
            raw = self.open().send(line(source) + request("/limited", fields))
            try:
                return raw.response().status
            finally:
                raw.close()

        self.assertEqual([status("192.0.2.71") for _ in range(3)], [200, 200, 429])
        self.assertEqual(status("192.0.2.71", "X-Forwarded-For: 192.0.2.99\r\n"), 429)
        self.assertEqual(status("192.0.2.72"), 200)


class BehindHAProxy(Front):
    """The real one: both versions, its health checks, and its own word in HTTP mode."""

    @classmethod
    def setUpClass(cls):
        cls.first, cls.second, cls.http, cls.stats = (free_port() for _ in range(4))
        options = "inter 200ms rise 1 fall 1 check check-send-proxy"
        cls.haproxy = HAProxy(
            f"""
listen first
    bind 127.0.0.1:{cls.first}
    server s 127.0.0.1:{proxied} send-proxy {options}
listen second
    bind 127.0.0.1:{cls.second}
    server s 127.0.0.1:{proxied} send-proxy-v2 proxy-v2-options crc32c,unique-id {options}
    unique-id-format %[uuid()]
listen http
    mode http
    bind 127.0.0.1:{cls.http}
    option forwardfor
    server s 127.0.0.1:{proxied} send-proxy-v2
frontend stats
    mode http
    bind 127.0.0.1:{cls.stats}
    stats enable
    stats uri /
""",
            [cls.first, cls.second, cls.http, cls.stats],
        )

    @classmethod
    def tearDownClass(cls):
        cls.haproxy.stop()

    def test_both_versions_name_the_client(self):
        for number, port in enumerate((self.first, self.second)):
            raw = self.open(port, source="127.0.0.77").send(request(f"/haproxy/{number}"))
            self.assertEqual(raw.response().status, 200)
            self.assertEqual(raw.send(request(f"/haproxy/{number}")).response().status, 200)
            self.assertEqual(upstream.last().one("x-forwarded-for"), "127.0.0.77")
            for entry in gateway.lines_for(f"/haproxy/{number}", 2):
                self.assertEqual(entry["source.ip"], "127.0.0.77")

    def test_what_it_writes_beside_the_header_is_the_clients_word(self):
        raw = self.open(self.http, source="127.0.0.78").send(request("/h", "X-Forwarded-For: 6.6.6.6\r\n"))
        self.assertEqual(raw.response().status, 200)
        self.assertEqual(upstream.last().one("x-forwarded-for"), "127.0.0.78")

    def test_its_checks_find_the_gateway_up(self):
        time.sleep(0.5)
        raw = self.open(self.stats).send("GET /;csv HTTP/1.0\r\n\r\n")
        states = [row.split(",")[17] for row in raw.rest().decode().splitlines() if ",s," in row]
        self.assertEqual(states[:2], ["UP", "UP"])


if __name__ == "__main__":
    unittest.main()
