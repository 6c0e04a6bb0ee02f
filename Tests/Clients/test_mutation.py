# Random edits of good and bad messages, through the gateway as it runs, from both ends. Whatever comes of an
# edit, one oracle holds: what reaches the upstream is what a strict reader finds in the bytes, once each and
# in their order, or less; what reaches the client is the upstream's answer, a refusal, or visibly broken; and
# the gateway goes on.
#
# A failure names the seed and the bytes. MUTATION_SEED repeats a run, MUTATION_SECONDS makes it longer.

import os
import random
import re
import time
import unittest

import test_rfc_framing as framing
import test_rfc_requests as requests
import test_rfc_responses as responses
from harness import Gateway
from oracle import Client, Refusals, Witness, plain_answer
from rfc_reader import Incomplete, Malformed, read_requests, read_response

ROUTES = "route / { upstream api; access anonymous; request_body 64k; }"
SEED = int(os.environ.get("MUTATION_SEED", random.SystemRandom().randrange(1 << 32)))
SECONDS = float(os.environ.get("MUTATION_SECONDS", 18))

SPICE = [bytes([byte]) for byte in b"\r\n\0\t :,;#/*?%_+-=\"'x0519\x0b\x0c\x7f\x80\xa0\xff"] + [
    b"\r\n", b"\r\n\r\n", b"\n\n", b"\r\r\n", b"\n\r", b" \r\n", b"\r\n ", b"\r\n\t", b"0\r\n\r\n",
    b"Transfer-Encoding: chunked\r\n", b"Content-Length: 5\r\n", b"Content-Length: 0\r\n", b"chunked",
    b"Connection: close\r\n",
    b"Connection: Content-Length, Host\r\n", b"Expect: 100-continue\r\n", b"Upgrade: h2c\r\n",
    b"Host: b\r\n", b"HTTP/1.0", b"HTTP/1.1", b"HTTP/2.0", b"http://a", b"//", b"/../", b"%2e%2e",
    b"ffffffffffffffff", b"18446744073709551621", b"X_Y: z\r\n", b"Transfer_Encoding: chunked\r\n",
    b"GET /trap HTTP/1.1\r\nHost: a\r\n\r\n", b"HTTP/1.1 200 OK\r\n", b"HTTP/1.1 100 Continue\r\n\r\n",
    b"identity", b"5;a=b\r\nhello\r\n", b"0" * 20, b"9" * 20, b"a" * 300,
]
ACCEPTED = (framing.ACCEPTED, requests.ACCEPTED)
REQUESTS = [data for table in ACCEPTED for data, _ in table.values()]
TABLES = (framing.lengths, framing.codings, framing.chunks, requests.lines, requests.authorities,
          requests.fields)
REFUSED = [data for table in TABLES for data, _, _ in table().values()]
RESPONSES = [reply for method, reply in responses.WHOLE if method == b"GET"] + responses.TORN + [
    reply for reply, _ in responses.broken().values() if isinstance(reply, bytes)]

# What the gateway says of its own, or in its own words.
OURS = {b"host", b"x-forwarded-for", b"x-forwarded-proto", b"x-forwarded-host", b"content-length",
        b"transfer-encoding", b"via", b"x-request-id"}


def short(messages):
    return [message for message in messages if len(message) < 2000]


class Mutator:
    """Edits bytes, reproducibly."""

    def __init__(self, seed):
        self.random = random.Random(seed)

    def mutated(self, data, other):
        for _ in range(self.random.choice((1, 1, 1, 2, 2, 3, 5))):
            data = self.edited(data, other)
        return data

    def edited(self, data, other):
        pick = self.random.randrange
        start = pick(len(data) + 1)
        end = min(len(data), start + pick(1, 9))
        lines = data.split(b"\r\n")
        line = pick(len(lines))
        kind = pick(10)
        if kind < 3:
            return data[:start] + self.random.choice(SPICE) + data[start:]
        if kind == 3:
            return data[:start] + data[end:]
        if kind == 4:
            return data[:start] + self.random.choice(SPICE) + data[end:]
        if kind == 5:
            return data[:end] + data[start:]
        if kind == 6:
            return b"\r\n".join(lines[:line] + [self.random.choice(lines)] + lines[line:])
        if kind == 7:
            return b"\r\n".join(lines[:line] + [lines[line].swapcase()] + lines[line + 1:])
        if kind == 8:
            return data[:start] + other[pick(len(other)):]
        gap = self.random.choice((b"\n", b"\r", b"\r\n ", b""))
        return b"\r\n".join(lines[:line]) + gap + b"\r\n".join(lines[line:])


class Mutation(unittest.TestCase):
    def setUp(self):
        self.mutator = Mutator(SEED)
        self.random = self.mutator.random

    def start(self, **options):
        self.witness = Witness(**options)
        self.addCleanup(self.witness.stop)
        # One that waits for an upstream's rest would be as slow as the clock.
        self.gateway = Gateway(
            self.witness.port, routes=ROUTES, main="workers 1;", upstream="response_timeout 500ms;")
        self.addCleanup(self.gateway.stop)

    def rounds(self):
        """The numbers of the rounds, until the time is up."""
        end, number = time.monotonic() + SECONDS / 2, 0
        while time.monotonic() < end:
            yield number
            number += 1
        print(f"\n    seed {SEED}: {number} rounds", end=" ", flush=True)

    def hold(self, oracle, number, data):
        """Says which bytes it was when the oracle does not hold."""
        self.witness.forget()
        try:
            oracle(data)
            self.assertEqual(self.witness.faults, [])
        except Exception as fault:
            raise AssertionError(f"seed {SEED}, round {number}: {data!r}") from fault

    def send(self, data):
        client = Client(self.gateway.port)
        for _ in range(self.random.choice((0, 0, 1, 2))):
            cut = self.random.randrange(len(data) + 1)
            client.send(data[:cut])
            data = data[cut:]
            time.sleep(self.random.choice((0, 0, 0.001)))
        client.send(data)
        return client

    # --- From the client ----------------------------------------------------------------------------------

    def test_of_requests(self):
        self.start()
        good, all_of_them = short(REQUESTS), short(REQUESTS + REFUSED)
        for number in self.rounds():
            message = self.random.choice(all_of_them)
            data = self.mutator.mutated(message, self.random.choice(all_of_them))
            if self.random.randrange(3) == 0:
                data = self.random.choice(good) + data
            data += self.random.choice((b"", Refusals.TRAP, self.random.choice(good)))
            self.hold(self.hold_requests, number, data)
            if number % 100 == 0:
                client = Client(self.gateway.port)
                self.assertTrue(client.next(), "the gateway goes on")
                client.close()

    def hold_requests(self, data):
        client = self.send(data)
        try:
            client.socket.shutdown(1)
        except OSError:
            pass
        answer = client.all(3)
        client.close()
        self.assertIsNotNone(answer, client.received)
        found = read_requests(data)
        # In their order, and each at most once: the gateway may refuse what is well-formed, never invent.
        rest = iter(found)
        for request in self.witness.requests:
            self.assertTrue(any(self.is_same(request, sent) for sent in rest), (request.lines, request.body))
        if any(request.method == b"HEAD" for request in found):
            return
        bodies, position = [], 0
        while position < len(answer):
            reply = read_response(answer, position)
            position = reply.end
            if reply.status == 200:
                bodies.append(reply.body)
            elif reply.status != 204:
                self.assertIn(b'"status":%d,' % reply.status, reply.body)
                self.assertIn(reply.status, (400, 405, 413, 414, 417, 431, 505))
        self.assertEqual(bodies, self.witness.targets())

    def is_same(self, request, sent):
        """Whether the gateway can have made this of that."""
        target = re.sub(rb"^[A-Za-z]+://[^/]*", b"", sent.target)
        path, _, query = target.partition(b"?")
        is_plain = not re.search(rb"//|/\.|%", path)
        if request.method != sent.method or request.body != sent.body:
            return False
        if query != request.target.partition(b"?")[2] or (is_plain and target != request.target):
            return False
        if sent.all(b"host") and request.all(b"host") != sent.all(b"host"):
            return False
        return all(field in sent.fields for field in request.fields if field[0] not in OURS)

    # --- From the upstream --------------------------------------------------------------------------------

    def test_of_responses(self):
        self.start(answer=lambda request: self.reply if request.target == b"/x" else plain_answer(request))
        everything = short(RESPONSES)
        for number in self.rounds():
            message = self.random.choice(everything)
            data = self.mutator.mutated(message, self.random.choice(everything))
            self.hold(self.hold_responses, number, data)

    def hold_responses(self, data):
        try:
            expected = read_response(data, has_ended=False)
        except (Malformed, Incomplete):
            expected = None
        stays_open = expected is not None and self.random.randrange(2) == 0
        if expected is None:
            try:
                expected = read_response(data)
            except (Malformed, Incomplete):
                pass

        def answer(sock):
            sock.sendall(data)
            if not stays_open:
                sock.close()
        self.reply = answer
        client = Client(self.gateway.port)
        client.send(b"GET /x HTTP/1.1\r\nHost: a\r\n\r\n")
        client.send(b"GET /own HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n")
        received = client.all(3)
        client.close()
        self.assertIsNotNone(received, client.received)
        try:
            first = read_response(received)
        except Incomplete:
            # Visibly broken, and so the last that this client hears.
            self.assertEqual(self.witness.targets(), [b"/x"])
            return
        if not re.search(rb'"code":"upstream_', first.body):
            self.assertIsNotNone(expected, f"whole to the client, broken to us: {received}")
            self.assertEqual((first.status, first.body), (expected.status, expected.body))
        second = read_response(received, first.end)
        self.assertEqual((second.status, second.body, second.end), (200, b"/own", len(received)))
