# TLS as bytes: hellos that can be bent in any place, and, on a connection that tlslite-ng has established, records
# that no library would send.

import os
import socket

from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDFExpand
from tlslite.api import HandshakeSettings, TLSConnection
from tlslite.errors import TLSAbruptCloseError, TLSRemoteAlert

CHANGE_CIPHER_SPEC, ALERT, HANDSHAKE, CONTENT = 20, 21, 22, 23
CLIENT_HELLO, SERVER_HELLO, KEY_UPDATE = 1, 2, 24
SERVER_NAME, GROUPS, SIGNATURES, PROTOCOLS, EARLY_DATA, VERSIONS, PSK_MODES, KEY_SHARE, PSK = (
    0, 10, 13, 16, 42, 43, 45, 51, 41)
UNEXPECTED_MESSAGE, BAD_RECORD_MAC, RECORD_OVERFLOW, HANDSHAKE_FAILURE = 10, 20, 22, 40
ILLEGAL_PARAMETER, DECODE_ERROR, DECRYPT_ERROR, PROTOCOL_VERSION, MISSING_EXTENSION = 47, 50, 51, 70, 109
NO_APPLICATION_PROTOCOL = 120


def number(value, size=2):
    return value.to_bytes(size, "big")


def vector(body, size=2):
    """A body behind its length."""
    return number(len(body), size) + body


def record(kind, body, version=0x0303):
    return bytes([kind]) + number(version) + vector(body)


def server_name(name, kind=0):
    return vector(bytes([kind]) + vector(name))


def protocols(*names):
    return vector(b"".join(vector(name, 1) for name in names))


def hello(change=None, more=(), version=0x0303, session=32, suites=b"\x13\x01\x13\x02", compression=b"\0"):
    """A ClientHello of TLS 1.3, whose extensions `change` replaces or, with None, leaves out; `more` stand behind."""
    extensions = {
        SERVER_NAME: server_name(b"localhost"),
        GROUPS: vector(number(29)),
        SIGNATURES: vector(bytes.fromhex("0403 0804 0401")),
        VERSIONS: vector(number(0x0304), 1),
        PSK_MODES: vector(b"\1", 1),
        KEY_SHARE: vector(number(29) + vector(os.urandom(32))),
        **(change or {}),
    }
    listed = [(kind, body) for kind, body in extensions.items() if body is not None] + list(more)
    body = number(version) + os.urandom(32) + vector(os.urandom(session), 1) + vector(suites)
    body += vector(compression, 1) + vector(b"".join(number(kind) + vector(text) for kind, text in listed))
    return bytes([CLIENT_HELLO]) + vector(body, 3)


class Peer:
    """A connection on which any bytes can be sent, read record by record."""

    def __init__(self, port):
        self.socket = socket.create_connection(("127.0.0.1", port), timeout=5)
        self.input = self.socket.makefile("rb")

    def send(self, *pieces):
        try:
            self.socket.sendall(b"".join(pieces))
        except (BrokenPipeError, ConnectionResetError):
            pass
        return self

    def record(self):
        """The next record, as its kind and its body; None at the end."""
        try:
            head = self.input.read(5)
            return (head[0], self.input.read(int.from_bytes(head[3:], "big"))) if len(head) == 5 else None
        except ConnectionResetError:
            return None

    def answer(self):
        """What is said first: "hello", the number of a fatal alert, or None for the end without a word."""
        found = self.record()
        if found and found[0] == HANDSHAKE and found[1][0] == SERVER_HELLO:
            return "hello"
        if found and found[0] == ALERT and found[1][0] == 2:
            return found[1][1]
        return found

    def is_ended(self):
        """Reads to the end, which comes before the patience does."""
        try:
            while self.record():
                pass
            return True
        except TimeoutError:
            return False

    def close(self):
        self.input.close()
        self.socket.close()


class Established:
    """A connection by TLS 1.3, after whose handshake records are sealed here instead of in the library."""

    def __init__(self, port):
        self.socket = socket.create_connection(("127.0.0.1", port), timeout=5)
        self.tls = TLSConnection(self.socket)
        settings = HandshakeSettings()
        settings.minVersion = (3, 4)
        settings.cipherNames = ["aes128gcm"]
        self.tls.handshakeClientCert(settings=settings, serverName="localhost")
        self.secret = bytes(self.tls.session.cl_app_secret)
        self.rekey()

    def expand(self, label, size):
        text = number(size) + vector(b"tls13 " + label, 1) + b"\0"
        return HKDFExpand(SHA256(), size, text).derive(self.secret)

    def rekey(self):
        self.key, self.vector, self.count = AESGCM(self.expand(b"key", 16)), self.expand(b"iv", 12), 0

    def sealed(self, kind, content, padding=0):
        """A record of such content (RFC 8446 section 5.2)."""
        nonce = int.from_bytes(self.vector, "big") ^ self.count
        self.count += 1
        plain = content + bytes([kind]) + bytes(padding)
        head = bytes([CONTENT, 3, 3]) + number(len(plain) + 16)
        return head + self.key.encrypt(number(nonce, 12), plain, head)

    def key_update(self, asks=0):
        text = self.sealed(HANDSHAKE, bytes([KEY_UPDATE, 0, 0, 1, asks]))
        self.secret = self.expand(b"traffic upd", 32)
        self.rekey()
        return text

    def send(self, *records):
        try:
            self.socket.sendall(b"".join(records))
        except (BrokenPipeError, ConnectionResetError):
            pass
        return self

    def request(self, path="/"):
        return self.sealed(CONTENT, f"GET {path} HTTP/1.1\r\nHost: localhost\r\n\r\n".encode())

    def answer(self):
        """The status of a response, less than zero the number of a fatal alert, or None for an end without a word."""
        try:
            found = bytes(self.tls.read(65536, 1))
            return int(found.split(b" ")[1]) if found else None
        except TLSRemoteAlert as alert:
            return -alert.description
        except (TLSAbruptCloseError, ConnectionResetError):
            return None

    def close(self):
        self.socket.close()
