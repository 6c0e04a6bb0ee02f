# What comes before a handshake is done: records and hellos that are bent in one place each, with the alert that
# RFC 8446 has for them, beside the nearest ones that are answered.

import os
import unittest

from certificates import Authority, tls_block
from harness import Demo, Gateway, directory, free_port
from tls_wire import (
    ALERT, CHANGE_CIPHER_SPEC, CONTENT, DECODE_ERROR, EARLY_DATA, GROUPS, HANDSHAKE, HANDSHAKE_FAILURE,
    ILLEGAL_PARAMETER, KEY_SHARE, MISSING_EXTENSION, NO_APPLICATION_PROTOCOL, PROTOCOL_VERSION, PROTOCOLS, PSK,
    PSK_MODES, RECORD_OVERFLOW, SERVER_NAME, SIGNATURES, UNEXPECTED_MESSAGE, VERSIONS, Peer, hello, number,
    protocols, record, server_name, vector)

# A ticket of somebody else's: unknown, so that it changes nothing.
STRANGE_TICKET = (PSK, vector(vector(b"t" * 160) + bytes(4)) + vector(vector(b"b" * 32, 1)))
UNKNOWN = 0xFAFA


def setUpModule():
    global demo, gateway, port
    demo, port = Demo(), free_port()
    authority = Authority(directory())
    main = f"listen 127.0.0.1:{port} tls;\n" + tls_block(
        authority.issue("localhost"), authority.issue("localhost", kind="rsa"))
    gateway = Gateway(demo.port, main=main, scheme="https")


def tearDownModule():
    gateway.stop()
    demo.stop()


def first(*arguments, **options):
    return record(HANDSHAKE, hello(*arguments, **options), 0x0301)


class Hellos(unittest.TestCase):
    def assert_answers(self, cases):
        for name, (text, expected) in cases.items():
            with self.subTest(name):
                peer = Peer(port).send(text)
                self.assertEqual(peer.answer(), expected)
                if expected != "hello":
                    self.assertTrue(peer.is_ended())
                peer.close()

    def test_records(self):
        whole = hello()
        self.assert_answers({
            "a hello": (first(), "hello"),
            "one record for each byte": (b"".join(record(HANDSHAKE, bytes([byte])) for byte in whole), "hello"),
            "an empty record before it": (record(HANDSHAKE, b"") + first(), "hello"),
            "empty records without end": (record(HANDSHAKE, b"") * 1000, UNEXPECTED_MESSAGE),
            "content": (record(CONTENT, b"GET / HTTP/1.1\r\n\r\n"), UNEXPECTED_MESSAGE),
            "content of no bytes": (record(CONTENT, b""), UNEXPECTED_MESSAGE),
            "a change of ciphers": (record(CHANGE_CIPHER_SPEC, b"\1") + first(), UNEXPECTED_MESSAGE),
            "an alert": (record(ALERT, b"\2\x28"), UNEXPECTED_MESSAGE),
            "an alert of no bytes": (record(ALERT, b""), UNEXPECTED_MESSAGE),
            "type 0": (record(0, b"x"), UNEXPECTED_MESSAGE),
            "heartbeat": (record(24, b"\1\x40\0"), UNEXPECTED_MESSAGE),
            "type 255": (record(255, b"x"), UNEXPECTED_MESSAGE),
            "a byte too long": (bytes.fromhex("1603014101") + bytes(0x4101), RECORD_OVERFLOW),
            "as long as can be said": (bytes.fromhex("160301ffff") + bytes(100), RECORD_OVERFLOW),
            "SSL 2": (bytes.fromhex("802e0100020015000000100100800200800300800400800500800600400700c0")
                      + bytes(16), PROTOCOL_VERSION),
            "a version of another protocol": (record(HANDSHAKE, whole, 0x0505), None),
        })

    def test_messages(self):
        whole = hello()
        self.assert_answers({
            "a server's hello": (record(HANDSHAKE, b"\2" + whole[1:]), UNEXPECTED_MESSAGE),
            "the end of a handshake": (record(HANDSHAKE, b"\x14\0\0\x20" + bytes(32)), UNEXPECTED_MESSAGE),
            "an update of keys": (record(HANDSHAKE, b"\x18\0\0\1\0"), UNEXPECTED_MESSAGE),
            "another hello in the same record": (record(HANDSHAKE, whole + hello()), UNEXPECTED_MESSAGE),
            "bytes behind it": (record(HANDSHAKE, whole + bytes(4)), UNEXPECTED_MESSAGE),
            "bytes within it": (
                record(HANDSHAKE, whole[:1] + number(len(whole) - 1, 3) + whole[4:] + b"abc"), DECODE_ERROR),
            "cut short": (
                record(HANDSHAKE, whole[:1] + number(len(whole) - 11, 3) + whole[4:-7]), DECODE_ERROR),
            "a session number too long": (first(session=33), DECODE_ERROR),
            "no session number": (first(session=0), "hello"),
            "half a suite": (first(suites=b"\x13\1\x13"), DECODE_ERROR),
            "no suites": (first(suites=b""), ILLEGAL_PARAMETER),
            "unknown suites": (first(suites=b"\x13\x33\xfa\xfa"), HANDSHAKE_FAILURE),
            "suites unknown and known": (first(suites=b"\xfa\xfa\x13\1"), "hello"),
            # RFC 8446 section 4.1.2: anything but the null method is an illegal parameter.
            "compression": (first(compression=b"\1\0"), ILLEGAL_PARAMETER),
            "the same extension twice": (first(more=[(VERSIONS, b"\2\3\4")]), ILLEGAL_PARAMETER),
            "unknown extensions": (first(more=[(UNKNOWN, b""), (0x1A1A, b"x" * 9000)]), "hello"),
        })

    def test_versions(self):
        cases = {
            f"{version:04x} in the old place": (first(version=version), "hello")
            for version in (0x0301, 0x0303, 0x0304, 0x7FFF, 0xFFFF)
        }
        offers = {"none": b"", "1.1": b"\3\2", "a draft": b"\x7f\x1c", "half a one": b"\3"}
        cases |= {
            name: (first({VERSIONS: vector(text, 1)}), PROTOCOL_VERSION) for name, text in offers.items()}
        cases["an unknown one and 1.3"] = first({VERSIONS: vector(b"\x7a\x7a\3\4", 1)}), "hello"
        old = {
            f"{version:04x} alone": (
                first({VERSIONS: None, KEY_SHARE: None}, version=version, suites=b"\xc0\x2f\xc0\x13\0\x2f"), answer)
            for version, answer in (
                (0x0300, HANDSHAKE_FAILURE), (0x0301, PROTOCOL_VERSION), (0x0302, PROTOCOL_VERSION),
                (0x0303, "hello"))
        }
        self.assert_answers(cases | old)

    def test_names(self):
        refused = {
            "no bytes": (b"", DECODE_ERROR),
            "no names": (vector(b""), DECODE_ERROR),
            "a name of no bytes": (server_name(b""), DECODE_ERROR),
            "two names": (vector((b"\0" + vector(b"localhost")) * 2), DECODE_ERROR),
            "another type": (server_name(b"localhost", kind=1), DECODE_ERROR),
            "bytes behind it": (server_name(b"localhost") + b"\0", DECODE_ERROR),
            "a length too short": (b"\0\5\0\0\x09localhost", DECODE_ERROR),
            "NUL": (server_name(b"localhost\0.example"), ILLEGAL_PARAMETER),
            "escapes for a terminal": (server_name(b"\x1b[1m"), ILLEGAL_PARAMETER),
            "a path": (server_name(b"../localhost"), ILLEGAL_PARAMETER),
            "a pattern": (server_name(b"*.example.test"), ILLEGAL_PARAMETER),
            "UTF-8": (server_name("lücke.example".encode()), ILLEGAL_PARAMETER),
            "a label too long": (server_name(b"a" * 64), ILLEGAL_PARAMETER),
            "too long": (server_name(b"a." * 127), ILLEGAL_PARAMETER),
            "far too long": (server_name(b"a" * 9000), ILLEGAL_PARAMETER),
        }
        answered = {
            "none": None, "unknown": server_name(b"unknown.example"), "capitals": server_name(b"LOCALHOST"),
            "the longest": server_name(b"a." * 126 + b"a"), "the longest label": server_name(b"a" * 63)}
        cases = {name: (first({SERVER_NAME: text}), alert) for name, (text, alert) in refused.items()}
        cases |= {name: (first({SERVER_NAME: text}), "hello") for name, text in answered.items()}
        self.assert_answers(cases)

    def test_protocols(self):
        answered = {
            "ours": protocols(b"http/1.1"), "the other first": protocols(b"h2", b"http/1.1"),
            "the last of many": protocols(*[b"x"] * 2000, b"http/1.1")}
        refused = {
            "no bytes": (b"", DECODE_ERROR),
            "no names": (vector(b""), DECODE_ERROR),
            "a name of no bytes": (protocols(b"", b"http/1.1"), DECODE_ERROR),
            "a name beyond the list": (vector(b"\x08http/1.1\x09x"), DECODE_ERROR),
            "bytes behind the list": (protocols(b"http/1.1") + b"x", DECODE_ERROR),
            "another": (protocols(b"h2"), NO_APPLICATION_PROTOCOL),
            "capitals": (protocols(b"HTTP/1.1"), NO_APPLICATION_PROTOCOL),
            "more than ours": (protocols(b"http/1.1\0"), NO_APPLICATION_PROTOCOL),
            "less than ours": (protocols(b"http/1."), NO_APPLICATION_PROTOCOL),
        }
        cases = {name: (first({PROTOCOLS: text}), alert) for name, (text, alert) in refused.items()}
        cases |= {name: (first({PROTOCOLS: text}), "hello") for name, text in answered.items()}
        self.assert_answers(cases)

    def test_keys(self):
        share = lambda group, key: {KEY_SHARE: vector(number(group) + vector(key))}
        self.assert_answers({
            "a shared secret of zeros": (first(share(29, bytes(32))), ILLEGAL_PARAMETER),
            "a byte missing": (first(share(29, b"k" * 31)), ILLEGAL_PARAMETER),
            "a point off the curve": (
                first({GROUPS: vector(number(23)), **share(23, b"\4" + b"k" * 64)}), ILLEGAL_PARAMETER),
            "of a group that is not offered": (first(share(23, b"\4" + b"k" * 64)), ILLEGAL_PARAMETER),
            "none yet": (first({KEY_SHARE: vector(b"")}), "hello"),
            "none": (first({KEY_SHARE: None}), MISSING_EXTENSION),
            "no groups": (first({GROUPS: None}), MISSING_EXTENSION),
            "no signatures": (first({SIGNATURES: None}), MISSING_EXTENSION),
            "signatures with SHA-1 only": (first({SIGNATURES: vector(b"\2\3\2\1")}), HANDSHAKE_FAILURE),
            "a strange ticket": (first(more=[STRANGE_TICKET]), "hello"),
            "a ticket that is not the last": (first(more=[STRANGE_TICKET, (UNKNOWN, b"")]), ILLEGAL_PARAMETER),
            "a ticket without modes": (first({PSK_MODES: None}, more=[STRANGE_TICKET]), MISSING_EXTENSION),
        })


class Behind(unittest.TestCase):
    """Behind the server's part of a handshake, by a client that has none of its keys."""

    def test_nothing_that_is_not_encrypted_goes_on(self):
        cases = {
            "an alert": record(ALERT, b"\2\x28"),
            "close_notify": record(ALERT, b"\1\0"),
            "warnings": record(ALERT, b"\1\x5a") * 10,
            "another hello": first(),
            "an end without keys": record(HANDSHAKE, b"\x14\0\0\x20" + bytes(32)),
            "content without keys": record(CONTENT, os.urandom(60)),
            "content of no bytes": record(CONTENT, b""),
            "two bytes of a change of ciphers": record(CHANGE_CIPHER_SPEC, b"\1\1"),
            "another change of ciphers": record(CHANGE_CIPHER_SPEC, b"\2"),
            "changes of ciphers": record(CHANGE_CIPHER_SPEC, b"\1") * 1000,
        }
        for name, text in cases.items():
            with self.subTest(name):
                peer = Peer(port).send(first())
                self.assertEqual(peer.answer(), "hello")
                self.assertTrue(peer.send(text).is_ended())
                peer.close()

    def test_early_data_is_skipped_up_to_a_limit(self):
        ticket = [(EARLY_DATA, b""), STRANGE_TICKET]
        for count, ends in ((1, False), (3, True)):
            peer = Peer(port).send(first(more=ticket), record(CONTENT, os.urandom(8000)) * count)
            self.assertEqual(peer.answer(), "hello")
            peer.socket.settimeout(5 if ends else 0.3)
            self.assertEqual(peer.is_ended(), ends)
            peer.close()


if __name__ == "__main__":
    unittest.main()
