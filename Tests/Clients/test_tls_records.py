# What comes behind a handshake, or in its last message, from clients that have the keys: records that no library
# would send, floods of those that say nothing, and early data for an earlier server of the name.

import os
import subprocess
import unittest
from unittest import mock

from tlslite import messages

from certificates import Authority, s_client, tls_block
from harness import Demo, Gateway, directory, free_port, launch, wait_until
from tls_wire import (
    ALERT, BAD_RECORD_MAC, CHANGE_CIPHER_SPEC, CONTENT, DECODE_ERROR, DECRYPT_ERROR, HANDSHAKE, ILLEGAL_PARAMETER,
    KEY_UPDATE, RECORD_OVERFLOW, UNEXPECTED_MESSAGE, Established, hello, record)

FLOOD = 8000


def setUpModule():
    global demo, gateway, port, pair
    demo, port = Demo(), free_port()
    pair = Authority(directory()).issue("localhost")
    main = f"listen 127.0.0.1:{port} tls;\n" + tls_block(pair)
    routes = "route / { upstream api; access anonymous; }"
    gateway = Gateway(demo.port, routes=routes, main=main, scheme="https")


def tearDownModule():
    gateway.stop()
    demo.stop()


def message(kind, body=b""):
    return bytes([kind]) + len(body).to_bytes(3, "big") + body


class Records(unittest.TestCase):
    def assert_answers(self, cases):
        """Each case makes records, behind which a request is sent: 200, or the alert that came instead."""
        for name, (make, expected) in cases.items():
            with self.subTest(name):
                client = Established(port)
                made = make(client)
                client.send(made if isinstance(made, bytes) else b"".join(made), client.request())
                self.assertEqual(client.answer(), expected)
                client.close()

    def test_kinds(self):
        def changed(client):
            text = client.request("/changed")
            return text[:-1] + bytes([text[-1] ^ 1])

        self.assert_answers({
            "none": (lambda client: b"", 200),
            "an alert without keys": (lambda client: record(ALERT, b"\2\x28"), -UNEXPECTED_MESSAGE),
            "content without keys": (lambda client: record(CONTENT, b"GET / HTTP/1.1\r\n"), -BAD_RECORD_MAC),
            "a change of ciphers": (lambda client: record(CHANGE_CIPHER_SPEC, b"\1"), -UNEXPECTED_MESSAGE),
            "a bit changed": (changed, -BAD_RECORD_MAC),
            "type 0": (lambda client: client.sealed(0, b""), -UNEXPECTED_MESSAGE),
            "an unknown type": (lambda client: client.sealed(25, b"x"), -UNEXPECTED_MESSAGE),
            "a change of ciphers with keys": (
                lambda client: client.sealed(CHANGE_CIPHER_SPEC, b"\1"), -UNEXPECTED_MESSAGE),
            "padding": (lambda client: client.sealed(CONTENT, b"", padding=16384), 200),
            "a byte too long": (lambda client: client.sealed(CONTENT, bytes(16385)), -RECORD_OVERFLOW),
            "padding too long": (lambda client: client.sealed(CONTENT, b"", padding=17000), -RECORD_OVERFLOW),
        })

    def test_messages(self):
        sealed = lambda *text: lambda client: client.sealed(HANDSHAKE, message(*text))
        self.assert_answers({
            "a hello": (lambda client: client.sealed(HANDSHAKE, hello()), -UNEXPECTED_MESSAGE),
            "the end of a handshake": (sealed(20, bytes(32)), -UNEXPECTED_MESSAGE),
            "a ticket": (sealed(4, bytes(16)), -UNEXPECTED_MESSAGE),
            "the end of early data": (sealed(5), -UNEXPECTED_MESSAGE),
            "a certificate that nobody has asked for": (sealed(11, bytes(4)), -UNEXPECTED_MESSAGE),
            "no bytes": (lambda client: client.sealed(HANDSHAKE, b""), -UNEXPECTED_MESSAGE),
            "an update of keys": (lambda client: client.key_update(), 200),
            "an update of keys that asks for ours": (lambda client: client.key_update(1), 200),
            "an update that asks for something else": (lambda client: client.key_update(2), -ILLEGAL_PARAMETER),
            "an update too short": (sealed(KEY_UPDATE), -DECODE_ERROR),
            "an update too long": (sealed(KEY_UPDATE, b"\0\0"), -ILLEGAL_PARAMETER),
            "an update of 16 MB": (
                lambda client: client.sealed(HANDSHAKE, b"\x18\xff\xff\xff" + bytes(100)), -ILLEGAL_PARAMETER),
            # RFC 8446 section 5.1: no message spans a change of keys, and nothing comes between its parts.
            "another behind an update": (
                lambda client: client.sealed(HANDSHAKE, message(KEY_UPDATE, b"\0") + b"\x18"), -UNEXPECTED_MESSAGE),
            "content within an update": (
                lambda client: client.sealed(HANDSHAKE, b"\x18\0\0") + client.request(), -UNEXPECTED_MESSAGE),
        })

    def test_alerts(self):
        self.assert_answers({
            "that the user has cancelled": (lambda client: client.sealed(ALERT, b"\1\x5a"), 200),
            "again and again": (
                lambda client: [client.sealed(ALERT, b"\1\x5a") for _ in range(10)], -UNEXPECTED_MESSAGE),
            "half a one": (lambda client: client.sealed(ALERT, b"\1"), -UNEXPECTED_MESSAGE),
            "two in one record": (lambda client: client.sealed(ALERT, b"\1\x5a\1\x5a"), -UNEXPECTED_MESSAGE),
            "the last": (lambda client: client.sealed(ALERT, b"\2\x28"), None),
            "an unknown one": (lambda client: client.sealed(ALERT, b"\1\xf0"), None),
        })

    def test_floods_of_nothing(self):
        empty = lambda count, **options: lambda client: [
            client.sealed(CONTENT, b"", **options) for _ in range(count)]
        updates = lambda count, asks: lambda client: [client.key_update(asks) for _ in range(count)]
        before = gateway.memory_kilobytes()
        self.assert_answers({
            "a few empty records": (empty(20), 200),
            "empty records": (empty(FLOOD), -UNEXPECTED_MESSAGE),
            "padded empty records": (empty(100, padding=1000), -UNEXPECTED_MESSAGE),
            "a few updates of keys": (updates(20, 0), 200),
            "updates of keys": (updates(FLOOD, 0), None),
            "a few that ask for ours": (updates(20, 1), 200),
            "updates that ask for ours": (updates(FLOOD, 1), None),
        })
        self.assertLess(gateway.memory_kilobytes() - before, 4096)


class Finished(unittest.TestCase):
    def answer(self, change):
        create = messages.Finished.create
        with mock.patch.object(
            messages.Finished, "create",
            lambda sent, verification: create(sent, bytearray(change(bytes(verification))))
        ):
            client = Established(port)
        status = client.send(client.request()).answer()
        client.close()
        return status

    def test_each_byte_of_it_counts(self):
        self.assertEqual(self.answer(lambda text: text), 200)
        self.assertEqual(self.answer(lambda text: text[:-1]), -DECODE_ERROR)
        self.assertEqual(self.answer(lambda text: text + b"\0"), -DECODE_ERROR)
        self.assertEqual(self.answer(lambda text: b""), -DECODE_ERROR)
        self.assertEqual(self.answer(lambda text: text + bytes(70000)), -ILLEGAL_PARAMETER)
        self.assertEqual(self.answer(lambda text: text[:-1] + bytes([text[-1] ^ 1])), -DECRYPT_ERROR)
        self.assertEqual(self.answer(lambda text: bytes([text[0] ^ 0x80]) + text[1:]), -DECRYPT_ERROR)


class EarlyData(unittest.TestCase):
    def test_a_client_of_a_server_that_took_it_is_served_without_it(self):
        home, other = directory(), free_port()
        session, early = os.path.join(home, "session"), os.path.join(home, "early")
        with open(early, "w") as file:
            file.write("GET /early HTTP/1.1\r\nHost: localhost\r\n\r\n")
        quiet = {"stdout": subprocess.DEVNULL, "stderr": subprocess.DEVNULL}
        launch(
            ["openssl", "s_server", "-accept", f"127.0.0.1:{other}", "-naccept", "1", "-early_data",
             "-cert", pair[0], "-key", pair[1]], stdin=subprocess.PIPE, **quiet)
        names = ["-connect", f"127.0.0.1:{other}", "-servername", "localhost"]

        def has_ticket():
            if client[-1].poll() is not None:
                client.append(launch(
                    ["openssl", "s_client", *names, "-sess_out", session], stdin=subprocess.PIPE, **quiet))
            return os.path.exists(session) and os.path.getsize(session)

        client = [launch(["openssl", "s_client", *names, "-sess_out", session], stdin=subprocess.PIPE, **quiet)]
        wait_until(has_ticket, 5, "a ticket")
        client[-1].kill()
        said = s_client(
            port, "-servername", "localhost", "-sess_in", session, "-early_data", early,
            say="GET /late HTTP/1.0\r\n\r\n")
        self.assertIn("Early data was rejected", said)
        self.assertRegex(said, "HTTP/1.1 [24]0")
        gateway.lines_for("/late", 1)
        self.assertEqual([line for line in gateway.access_log() if line["url.path"] == "/early"], [])


if __name__ == "__main__":
    unittest.main()
