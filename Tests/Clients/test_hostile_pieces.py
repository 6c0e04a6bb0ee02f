# Messages that arrive in awkward pieces: what is read once must be read to its end, because an edge-triggered
# poller does not tell twice. Pipelined requests, interim responses glued to half a head, bodies trickling
# around 16 kB.

import hashlib
import time
import unittest

from clients import Raw
from harness import Gateway
from upstreams import Upstream

ROUTES = "route / { upstream api; access anonymous; request_body 64m; }"
HINTS = b"HTTP/1.1 103 Early Hints\r\nLink: </a.css>; rel=preload\r\n\r\n"
START = b"HTTP/1.1 200 OK\r\nX-Padding: %s\r\n" % (b"p" * 300)
BODY = bytes(range(256)) * 240


def final_answer(framing):
    """The head and the body of the answer with 60 kB."""
    if framing == "length":
        return START + b"Content-Length: %d\r\n\r\n" % len(BODY), BODY
    return START + b"Transfer-Encoding: chunked\r\n\r\n", b"%x\r\n%s\r\n0\r\n\r\n" % (len(BODY), BODY)


def answer(request, connection):
    if request.target.startswith("/hints/"):
        framing, cut = request.target.split("/")[2:]
        head, body = final_answer(framing)
        connection.send(HINTS + head[:int(cut)])
        time.sleep(0.05)
        return head[int(cut):] + body
    if request.method in ("POST", "PUT"):
        text = hashlib.sha256(request.body).hexdigest().encode()
    else:
        text = request.target.encode()
    return b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n%s" % (len(text), text)


def setUpModule():
    global upstream, gateway
    upstream = Upstream(answer)
    gateway = Gateway(upstream.port, routes=ROUTES)


def tearDownModule():
    gateway.stop()
    upstream.stop()


class Pipelining(unittest.TestCase):
    COUNT = 31

    def requests(self, padding=870):
        return [f"GET /n/{number:02} HTTP/1.1\r\nHost: a\r\nX-Padding: {'p' * padding}\r\n\r\n".encode()
                for number in range(self.COUNT)]

    def answers_in_order(self, pieces, pause):
        raw = Raw(gateway.port)
        for piece in pieces:
            raw.send(piece)
            time.sleep(pause)
        for number in range(self.COUNT):
            reply = raw.response()
            self.assertEqual((reply.status, reply.body), (200, b"/n/%02d" % number))
        raw.close()

    def test_one_request_and_part_of_the_second_then_the_rest(self):
        requests = self.requests()
        stream = b"".join(requests)
        self.assertGreater(len(stream) - len(requests[0]), 27_000)
        for cut in (1, 40, len(requests[1]) - 1):
            first = len(requests[0]) + cut
            for pause in (0, 0.05):
                self.answers_in_order([stream[:first], stream[first:]], pause)

    def test_all_at_once_and_in_pieces_around_the_buffers(self):
        stream = b"".join(self.requests())
        self.answers_in_order([stream], 0)
        for size in (4095, 4096, 16383, 16384, 16385):
            pieces = [stream[start:start + size] for start in range(0, len(stream), size)]
            self.answers_in_order(pieces, 0.01)

    def test_rest_arrives_while_the_first_is_answered(self):
        requests = self.requests()
        stream = b"".join(requests)
        raw = Raw(gateway.port)
        raw.send(stream[:len(requests[0]) + 100])
        self.assertEqual(raw.response().body, b"/n/00")
        raw.send(stream[len(requests[0]) + 100:])
        for number in range(1, self.COUNT):
            self.assertEqual(raw.response().body, b"/n/%02d" % number)
        raw.close()

    def test_bodies_between_them(self):
        stream, sums = b"", []
        for number in range(self.COUNT):
            body = bytes([number]) * (900 + number)
            sums.append(hashlib.sha256(body).hexdigest().encode())
            stream += b"POST /p HTTP/1.1\r\nHost: a\r\nContent-Length: %d\r\n\r\n%s" % (len(body), body)
        raw = Raw(gateway.port)
        raw.send(stream[:1500])
        time.sleep(0.05)
        raw.send(stream[1500:])
        for number in range(self.COUNT):
            self.assertEqual(raw.response().body, sums[number], number)
        raw.close()


class Interim(unittest.TestCase):
    def cut_at(self, framing, cut):
        raw = Raw(gateway.port)
        raw.send(f"GET /hints/{framing}/{cut} HTTP/1.1\r\nHost: a\r\n\r\n")
        self.assertEqual(raw.response().status, 103)
        reply = raw.response()
        self.assertEqual((reply.status, len(reply.body)), (200, len(BODY)), (framing, cut))
        self.assertEqual(reply.body, BODY)
        # The connection is still at the border between two messages.
        self.assertEqual(raw.send("GET /next HTTP/1.1\r\nHost: a\r\n\r\n").response().body, b"/next")
        raw.close()

    def test_hints_and_a_part_of_the_final_head(self):
        for framing in ("length", "chunked"):
            head, _ = final_answer(framing)
            for cut in (1, 12, 17, 200, len(head) - 3, len(head) - 1):
                self.cut_at(framing, cut)

    def test_hints_alone_and_hints_with_the_whole_head(self):
        for framing in ("length", "chunked"):
            for cut in (0, len(final_answer(framing)[0])):
                self.cut_at(framing, cut)


class Trickle(unittest.TestCase):
    SIZES = (16383, 1, 16384, 16385, 3, 8191, 32769, 16384 - 7, 2, 65537, 16384, 1)

    def pieces(self):
        return [bytes([65 + number]) * size for number, size in enumerate(self.SIZES)]

    def upload(self, framing, pieces, pause):
        raw = Raw(gateway.port)
        raw.send(f"POST /up HTTP/1.1\r\nHost: a\r\n{framing}\r\n\r\n")
        for piece in pieces:
            raw.send(piece)
            time.sleep(pause)
        reply = raw.response()
        raw.close()
        return reply.status, reply.body.decode()

    def test_by_length(self):
        body = b"".join(self.pieces())
        expected = (200, hashlib.sha256(body).hexdigest())
        for pause in (0, 0.01):
            self.assertEqual(self.upload(f"Content-Length: {len(body)}", self.pieces(), pause), expected)

    def test_in_chunks_of_those_sizes(self):
        expected = (200, hashlib.sha256(b"".join(self.pieces())).hexdigest())
        chunks = [b"%x\r\n%s\r\n" % (len(piece), piece) for piece in self.pieces()] + [b"0\r\n\r\n"]
        for pause in (0, 0.01):
            self.assertEqual(self.upload("Transfer-Encoding: chunked", chunks, pause), expected)

    def test_chunks_cut_where_nobody_cuts_them(self):
        body = b"".join(self.pieces())
        stream = b"".join(b"%x\r\n%s\r\n" % (len(piece), piece) for piece in self.pieces()) + b"0\r\n\r\n"
        for size in (16383, 16386, 5461):
            pieces = [stream[start:start + size] for start in range(0, len(stream), size)]
            self.assertEqual(self.upload("Transfer-Encoding: chunked", pieces, 0.002),
                             (200, hashlib.sha256(body).hexdigest()), size)
