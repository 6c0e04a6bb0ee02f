# The one oracle of all hostile tests: each request that reaches the upstream is one that the client has
# really sent, whole, in the gateway's own canonical writing; and nothing else reaches it. Here are an
# upstream that holds every byte against the strict reader, a client that sends any, and the rule of refusals.

import re
import socket
import threading
import time

from harness import listen
from rfc_reader import TOKEN, Incomplete, Malformed, read_request, read_responses

CANONICAL = re.compile(rb"%s: (?:|[^ \t]|[^ \t].*[^ \t])" % TOKEN, re.DOTALL)
ONE_HOP = {b"connection", b"keep-alive", b"upgrade", b"proxy-connection", b"proxy-authorization", b"proxy",
           b"trailer"}
FRAMING = {b"content-length", b"transfer-encoding", b"host"}


def judge_forwarded(message):
    """A request that the gateway has written: its lines, its framing and its names in one form only."""
    names = [name for name, _ in message.fields]
    if message.start[2] != b"1" or not message.target.startswith(b"/"):
        raise Malformed(f"start line {message.start}")
    for line in message.lines[1:]:
        if not CANONICAL.fullmatch(line):
            raise Malformed(f"not canonical: {line!r}")
    for name in (b"host", b"x-forwarded-for", b"x-forwarded-proto"):
        if names.count(name) != 1:
            raise Malformed(f"{names.count(name)} of {name}")
    for name in names:
        folded = re.sub(rb"[^a-z0-9]", b"-", name)
        if name in ONE_HOP or (folded != name and folded in FRAMING | ONE_HOP):
            raise Malformed(f"{name} passed")
    if message.all(b"content-length") not in ([], [b"%d" % len(message.body)]):
        raise Malformed(f"length {message.all(b'content-length')} is not the gateway's own writing")
    if message.is_chunked and message.all(b"transfer-encoding") != [b"chunked"]:
        raise Malformed("coding")


class Witness:
    """An upstream that reads strictly, remembers, and answers with `answer(request)`: bytes, None for the
    plain answer (which names the request's target), or a callable that is given the socket.

    A deaf one reads no bodies: what it takes for the next request is what it was told to be a body."""

    def __init__(self, answer=None, is_deaf=False):
        self.is_deaf = is_deaf
        self.answer = answer or (lambda request: None)
        self.requests, self.torn, self.faults, self.opened = [], [], [], 0
        self.seen = set()
        self.listener = listen()
        self.port = self.listener.getsockname()[1]
        self.sockets = []
        threading.Thread(target=self._accept, daemon=True).start()

    def _accept(self):
        while True:
            try:
                sock, _ = self.listener.accept()
            except OSError:
                return
            sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            self.opened += 1
            self.sockets.append(sock)
            threading.Thread(target=self._serve, args=(sock, self.opened), daemon=True).start()

    def _serve(self, sock, number):
        data = b""
        try:
            while True:
                try:
                    request = read_request(data, reads_body=not self.is_deaf)
                except Incomplete:
                    piece = sock.recv(65536)
                    if not piece:
                        break
                    data += piece
                    continue
                if not self.is_deaf:
                    judge_forwarded(request)
                request.connection = number
                data = data[request.end:]
                self.requests.append(request)
                self.seen.add(request.target)
                reply = self.answer(request)
                if callable(reply):
                    reply(sock)
                else:
                    sock.sendall(plain_answer(request) if reply is None else reply)
        except Malformed as fault:
            self.faults.append(f"{fault}: {data!r}")
        except OSError:
            pass
        finally:
            if data:
                self.torn.append(data)
            sock.close()

    def forget(self):
        self.requests, self.torn = [], []

    def targets(self):
        return [request.target for request in self.requests]

    def stop(self):
        # A plain close does not wake the thread that accepts.
        self.listener.shutdown(socket.SHUT_RDWR)
        self.listener.close()
        for sock in self.sockets:
            try:
                sock.shutdown(socket.SHUT_RDWR)
            except OSError:
                pass


def plain_answer(request):
    """200 with the request's target as its body."""
    return b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n%s" % (
        len(request.target), b"" if request.method == b"HEAD" else request.target)


class Client:
    """A connection that sends anything, and says what came back and whether the other side has closed."""

    def __init__(self, port):
        self.socket = socket.create_connection(("127.0.0.1", port))
        self.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self.received, self.has_ended = b"", False

    def send(self, data):
        try:
            self.socket.sendall(data)
        except OSError:
            # Closed in mid-send, which the reading shows.
            pass
        return self

    def until(self, condition, seconds=5):
        """Reads until the condition holds, the end, or some seconds have passed."""
        limit = time.monotonic() + seconds
        while not self.has_ended and not condition(self.received):
            self.socket.settimeout(max(0.001, limit - time.monotonic()))
            try:
                piece = self.socket.recv(65536)
            except TimeoutError:
                break
            except ConnectionError:
                piece = b""
            self.received += piece
            self.has_ended = not piece
        return self.received

    def close(self):
        self.socket.close()

    def all(self, seconds=5):
        """Everything up to the end of the connection; None where it stays open."""
        self.until(lambda _: False, seconds)
        return self.received if self.has_ended else None

    def next(self, target=b"/open/next"):
        """Whether the connection serves another request, and answers it with that request's own answer."""
        self.send(b"GET %s HTTP/1.1\r\nHost: a\r\n\r\n" % target)
        end = b"\r\n\r\n" + target
        # The answers before it may still be on their way.
        self.until(lambda data: data.endswith(end), 3)
        return self.received.endswith(end) and self.received.rpartition(b"HTTP/1.1 ")[2].startswith(b"200 ")


class Refusals:
    """Holds a table of requests against the rule of every refusal: one answer with the status and the word
    that were decided (None: whichever), a closed connection, and an upstream that has seen nothing."""

    TRAP = b"GET /open/trap HTTP/1.1\r\nHost: a\r\n\r\n"

    def assert_refused(self, table, witness, gateway, may_have_begun=False):
        for name, (data, status, word) in table.items():
            with self.subTest(name):
                witness.forget()
                client = Client(gateway.port)
                answer = client.send(data + self.TRAP).all()
                client.close()
                self.assertIsNotNone(answer, f"still open: {client.received[:80]}")
                self.assertTrue(answer, "closed without an answer")
                (reply,) = read_responses(answer)
                found = re.search(rb'"code":"([^"]*)"', reply.body)
                self.assertEqual(reply.status, status)
                if word:
                    self.assertEqual(found and found.group(1).decode(), word)
                self.assertEqual(reply.all(b"connection"), [b"close"])
                self.assertEqual(witness.targets(), [])
                if not may_have_begun:
                    self.assertEqual(witness.torn, [])
        # What would have slipped through late is here by now.
        time.sleep(0.1)
        self.assertNotIn(b"/open/trap", witness.seen)
        self.assertEqual(witness.faults, [])
