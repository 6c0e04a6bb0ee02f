# Where a request ends, as RFC 9112 §6-7 has it and as every known attack would have it: lengths, codings and
# chunks in all shapes that two readers have ever read differently. Each has its status, its word in the log
# and the fate of its connection; what is accepted arrives exactly once, in framing of the gateway's own.

import unittest

from harness import Gateway
from oracle import Client, Refusals, Witness

ROUTES = """
route /open/ { upstream api; access anonymous; request_body 64k; }
route / { upstream api; }
"""
POST = b"POST /open/x HTTP/1.1\r\nHost: a\r\n"
CHUNKED = POST + b"Transfer-Encoding: chunked\r\n\r\n"
HELLO = b"5\r\nhello\r\n0\r\n\r\n"


def setUpModule():
    global witness, gateway
    witness = Witness()
    gateway = Gateway(witness.port, routes=ROUTES, main="workers 1;")


def tearDownModule():
    gateway.stop()
    witness.stop()


def lengths():
    """Values of one Content-Length field, and fields that go together as badly."""
    table = {}
    for value in (b"+5", b"-5", b"-0", b"+0", b"0x5", b"0X5", b"05", b"00", b"000000000000000005", b"5_0",
                  b"5.", b"5.0", b"5e0", b"5,", b",5", b"5;", b"5;a=b", b'"5"', b"'5'", b"5 5", b"5\t5",
                  b"5h", b"h", b"\xa05", b"5\x85", b"\xef\xbc\x95", b"0b1", b"0o5", b"%35", b"5, 5", b"5,5",
                  b"5, 6", b"", b"9" * 19, b"9" * 30, b"1" + b"0" * 400, b"18446744073709551615",
                  b"18446744073709551616", b"18446744073709551621", b"9223372036854775808",
                  b"4294967301" * 2):
        table[b"CL " + value[:24]] = (
            POST + b"Content-Length: %s\r\n\r\nhello" % value, 400, "content_length")
    for byte in (0x00, 0x01, 0x0B, 0x0C, 0x1F, 0x7F):
        for value in (b"5%c" % byte, b"%c5" % byte):
            table[b"CL " + value] = (
                POST + b"Content-Length: %s\r\n\r\nhello" % value, 400, "control_byte")
    for first, second in ((b"5", b"5"), (b"5", b"6"), (b"0", b"5"), (b"5", b"0"), (b"", b"5"), (b"5", b""),
                          (b"5", b"+5"), (b"x", b"5")):
        for names in ((b"Content-Length", b"Content-Length"), (b"content-length", b"CONTENT-LENGTH")):
            lines = b"%s: %s\r\nX: y\r\n%s: %s\r\n\r\nhello" % (names[0], first, names[1], second)
            table[b"CL twice " + names[1] + first + b"," + second] = (
                POST + lines, 400, "content_length_repeated")
    return table


def codings():
    """Transfer-Encoding fields that are not the one word, and such that stand beside a length."""
    table = {}
    for value in (b"xchunked", b"chunkedx", b"chunke", b"chunked,", b",chunked", b"chunked ,", b", chunked",
                  b"chunked, chunked", b"chunked,chunked", b"chunked chunked", b"chunked, identity",
                  b"identity, chunked", b"identity,chunked,identity", b"identity", b"gzip", b"gzip, chunked",
                  b"chunked, gzip", b"x-gzip,chunked", b"compress", b"trailers", b'"chunked"', b"'chunked'",
                  b"chunked;", b"chunked;q=1", b"chunked; a=b", b"chunk", b"c hunked", b"chunk-ed", b"",
                  b"cow", b"\x85chunked", b"chunked\xa0", b"\xef\xbb\xbfchunked", b"chun\xc4\xb7ed",
                  b"CHUN\xe2\x84\xaaED", b"chunked%", b"chunked\\", b"(x)chunked", b"chunked (x)",
                  b"[chunked]",
                  b"{chunked}", b"true", b"1", b"*", b"none", b"null", b"chunked\t, identity"):
        table[b"TE " + value] = (
            POST + b"Transfer-Encoding: %s\r\n\r\n%s" % (value, HELLO), 400, "transfer_coding")
        for other in (b"Transfer-Encoding: chunked\r\nTransfer-Encoding: %s\r\n\r\n%s",
                      b"Transfer-Encoding: %s\r\ntransfer-encoding: chunked\r\n\r\n%s"):
            table[b"TE twice " + other[:21] + value] = (POST + other % (value, HELLO), 400, "transfer_coding")
    for byte in (0x00, 0x01, 0x08, 0x0B, 0x0C, 0x1B, 0x1F, 0x7F):
        for value in (b"chunked%c" % byte, b"%cchunked" % byte, b"chun%cked" % byte):
            table[b"TE " + value] = (
                POST + b"Transfer-Encoding: %s\r\n\r\n%s" % (value, HELLO), 400, "control_byte")
    for line, word in ((b"Transfer-Encoding:\r\n chunked", "obs_fold"),
                       (b"Transfer-Encoding: chunked\r\n , identity", "obs_fold"),
                       (b"Transfer-Encoding: identity\r\n\tchunked", "obs_fold"),
                       (b" Transfer-Encoding: chunked", "obs_fold"),
                       (b"Transfer-Encoding:\n chunked", "bare_lf"),
                       (b"Transfer-Encoding: chunked\n", "bare_lf"),
                       (b"X: y\nTransfer-Encoding: chunked", "bare_lf"),
                       (b"X: y\rTransfer-Encoding: chunked", "bare_cr"),
                       (b"X: y\r\rTransfer-Encoding: chunked", "bare_cr"),
                       (b"Transfer-Encoding: chunked\rX: y", "bare_cr"),
                       (b"Transfer-Encoding\r: chunked", "bare_cr"),
                       (b"Transfer-Encoding : chunked", "field_name"),
                       (b"Transfer-Encoding\t: chunked", "field_name"),
                       (b"Transfer Encoding: chunked", "field_name"),
                       (b"Transfer-Encoding", "field_name"),
                       (b"Transfer-Encoding; chunked", "field_name"),
                       (b"Transfer-Encoding\xa0: chunked", "field_name"),
                       (b"\xefTransfer-Encoding: chunked", "field_name"),
                       (b'"Transfer-Encoding": chunked', "field_name"),
                       (b"Transfer-Encoding\x0b: chunked", "control_byte"),
                       (b"Transfer-Encoding\0: chunked", "control_byte"),
                       (b"\x0bTransfer-Encoding: chunked", "control_byte")):
        # With a length: whoever overlooks the coding has one, and sees the trap in the rest.
        for beside in (b"", b"Content-Length: 4\r\n"):
            table[beside + line] = (POST + beside + line + b"\r\n\r\n" + HELLO, 400, word)
    for names in ((b"Content-Length", b"Transfer-Encoding"), (b"content-length", b"transfer-encoding"),
                  (b"CONTENT-LENGTH", b"TRANSFER-ENCODING"), (b"Content-length", b"tRANSFER-eNCODING")):
        pair = [names[0] + b": 4\r\n", names[1] + b": chunked\r\n"]
        for lines in (pair, pair[::-1], pair + pair[:1], [b"X: y\r\n"] + pair[::-1]):
            is_repeated = lines.count(pair[0]) > 1
            word = "content_length_repeated" if is_repeated else "length_and_coding"
            table[b"".join(lines)] = (POST + b"".join(lines) + b"\r\n" + HELLO, 400, word)
    for head in (b"POST /open/x HTTP/1.0\r\n", b"POST /open/x HTTP/1.0\r\nConnection: keep-alive\r\n"):
        table[b"TE in " + head] = (head + b"Transfer-Encoding: chunked\r\n\r\n" + HELLO, 400,
                                   "coding_in_http10")
    return table


def chunks():
    """What follows a chunked head."""
    table = {}
    for size in (b"", b"+5", b"-5", b"-0", b"0x5", b"0X5", b"x5", b"5_", b"0_5", b"5h", b"g", b" 5", b"5 ",
                 b"\t5", b"5\t", b"5 ;a", b"5.", b"5,", b'"5"', b"'5'", b"5:", b"5=", b"\x0b5", b"5\x0b",
                 b"5\0", b"\x005", b"5\x7f", b"\xa05", b"5\xa0", b"\xef\xbc\x95", b"0" * 15 + b"5",
                 b"0" * 400 + b"5", b"ffffffffffffffff", b"fffffffffffffffb", b"10000000000000000",
                 b"10000000000000005", b"100000000" * 2, b"8000000000000005", b"f" * 400,
                 b"-fffffffffffffffb"):
        table[b"size " + size[:24]] = (b"%s\r\nhello\r\n0\r\n\r\n" % size, "chunk_size")
        if size.strip(b"0"):
            table[b"last size " + size[:24]] = (
                b"5\r\nhello\r\n%s\r\n\r\n" % size.replace(b"5", b"0"),
                "chunk_size" if size.replace(b"5", b"0").strip(b"0") else None)
    table = {name: case for name, case in table.items() if case[1]}
    for name, body, word in (
        ("LF behind a size", b"5\nhello\r\n0\r\n\r\n", "bare_lf"),
        ("CR behind a size", b"5\rhello\r\n0\r\n\r\n", "bare_cr"),
        ("two CR behind a size", b"5\r\r\nhello\r\n0\r\n\r\n", "bare_cr"),
        ("LF in an extension", b"5;a\nhello\r\n0\r\n\r\n", "bare_lf"),
        ("LF at once in an extension", b"5;\nhello\r\n0\r\n\r\n", "bare_lf"),
        ("LF in a quoted extension", b'5;a="\n"\r\nhello\r\n0\r\n\r\n', "bare_lf"),
        ("CR in an extension", b"5;a\rb\r\nhello\r\n0\r\n\r\n", "bare_cr"),
        ("CR in a quoted extension", b'5;a="\r"\r\nhello\r\n0\r\n\r\n', "bare_cr"),
        ("two CR in an extension", b"5;a\r\r\nhello\r\n0\r\n\r\n", "bare_cr"),
        ("NUL in an extension", b"5;a=\0\r\nhello\r\n0\r\n\r\n", "chunk_extension"),
        ("DEL in an extension", b"5;a=\x7f\r\nhello\r\n0\r\n\r\n", "chunk_extension"),
        ("one long extension", b"5;" + b"a" * 4200 + b"\r\nhello\r\n0\r\n\r\n", "chunk_extension"),
        ("many extensions", b"1;aaaaaaaaaaaaaaa\r\nx\r\n" * 300 + b"0\r\n\r\n", "chunk_extension"),
        ("many empty extensions", b"1;\r\nx\r\n" * 4200 + b"0\r\n\r\n", "chunk_extension"),
        ("LF in the last size", b"5\r\nhello\r\n0\n\r\n", "bare_lf"),
        ("LF in the last extension", b"5\r\nhello\r\n0;a\n\r\n", "bare_lf"),
        ("no end of the data", b"5\r\nhello0\r\n\r\n", "chunk_data"),
        ("LF behind the data", b"5\r\nhello\n0\r\n\r\n", "chunk_data"),
        ("two bytes behind the data", b"5\r\nhelloXX0\r\n\r\n", "chunk_data"),
        ("CR and no LF behind the data", b"5\r\nhello\rX0\r\n\r\n", "chunk_data"),
        ("LF CR behind the data", b"5\r\nhello\n\r0\r\n\r\n", "chunk_data"),
        ("more data than its size", b"4\r\nhello\r\n0\r\n\r\n", "chunk_data"),
        ("less data than its size", b"6\r\nhello\r\n0\r\n\r\n", "chunk_data"),
        ("an empty line between chunks", b"5\r\nhello\r\n\r\n0\r\n\r\n", "chunk_size"),
        ("an empty line first", b"\r\n5\r\nhello\r\n0\r\n\r\n", "chunk_size"),
        ("LF at the end", b"5\r\nhello\r\n0\r\n\n", "trailer"),
        ("CR at the end", b"5\r\nhello\r\n0\r\n\rX", "bare_cr"),
        ("no empty line at the end", b"5\r\nhello\r\n0\r\n", "trailer"),
    ):
        table[name] = (body, word)
    return {name: (CHUNKED + body, 400, word) for name, (body, word) in table.items()}


# Name -> bytes, and the body that arrives for them. Each is followed by another request on its connection.
ACCEPTED = {
    "no body": (POST + b"\r\n", b""),
    "length": (POST + b"Content-Length: 5\r\n\r\nhello", b"hello"),
    "length 0": (POST + b"Content-Length: 0\r\n\r\n", b""),
    "length 10": (POST + b"Content-Length: 10\r\n\r\nhellohello", b"hellohello"),
    "length in white space": (POST + b"Content-Length:\t 5 \t\r\n\r\nhello", b"hello"),
    "length without a space": (POST + b"cOnTeNt-LeNgTh:5\r\n\r\nhello", b"hello"),
    "length named by Connection": (POST + b"Connection: Content-Length\r\nContent-Length: 5\r\n\r\nhello",
                                   b"hello"),
    "length beside imitations": (
        POST + b"Content_Length: 50\r\nContent-Length: 5\r\nContent.Length: 0\r\n"
        b"Transfer_Encoding: chunked\r\nTransfer.Encoding: chunked\r\n\r\nhello", b"hello"),
    "length beside longer names": (
        POST + b"XContent-Length: 50\r\nContent-Length: 5\r\nContent-LengthX: 0\r\n\r\nhello", b"hello"),
    "length behind a long name": (
        POST + b"X" * 300 + b"Content-Length: 0\r\nContent-Length: 5\r\n\r\nhello", b"hello"),
    "length in a value": (POST + b"X: Content-Length: 50\r\nContent-Length: 5\r\n\r\nhello", b"hello"),
    "coding": (CHUNKED + HELLO, b"hello"),
    "coding in upper case": (POST + b"TRANSFER-ENCODING: CHUNKED\r\n\r\n" + HELLO, b"hello"),
    "coding in white space": (POST + b"Transfer-Encoding:\tchunked \t\r\n\r\n" + HELLO, b"hello"),
    "coding named by Connection": (
        POST + b"Connection: Transfer-Encoding\r\nTransfer-Encoding: chunked\r\n\r\n" + HELLO, b"hello"),
    "coding beside an imitated length": (
        POST + b"Content_Length: 3\r\nTransfer-Encoding: chunked\r\n\r\n" + HELLO, b"hello"),
    "imitated coding alone": (POST + b"Transfer_Encoding: chunked\r\n\r\n", b""),
    "chunks": (CHUNKED + b"5\r\nhello\r\n6\r\n world\r\n0\r\n\r\n", b"hello world"),
    "chunk sizes with zeros": (CHUNKED + b"0005\r\nhello\r\n000\r\n\r\n", b"hello"),
    "a size of 15 digits": (CHUNKED + b"0" * 14 + b"5\r\nhello\r\n" + b"0" * 15 + b"\r\n\r\n", b"hello"),
    "sizes in both cases": (CHUNKED + b"a\r\nhellohello\r\nA\r\nhellohello\r\n0\r\n\r\n", b"hello" * 4),
    "extensions": (CHUNKED + b'5;a;b=c;d="x;y\t\\"z"\r\nhello\r\n0;e\r\n\r\n', b"hello"),
    "an extension below the limit": (CHUNKED + b"5;" + b"a" * 4000 + b"\r\nhello\r\n0\r\n\r\n", b"hello"),
    "a trap in the data": (
        CHUNKED + b"%x\r\n%s\r\n0\r\n\r\n" % (len(Refusals.TRAP), Refusals.TRAP), Refusals.TRAP),
    "chunks in the data": (CHUNKED + b"f\r\n0\r\n\r\n0\r\n\r\n0\r\n\r\n\r\n0\r\n\r\n", b"0\r\n\r\n" * 3),
}


class Framing(unittest.TestCase, Refusals):
    def test_lengths(self):
        self.assert_refused(lengths(), witness, gateway)

    def test_codings(self):
        self.assert_refused(codings(), witness, gateway)

    def test_chunks(self):
        self.assert_refused(chunks(), witness, gateway, may_have_begun=True)

    def test_a_body_is_too_large_by_its_length_and_by_its_chunks(self):
        word = "body_too_large"
        self.assert_refused({
            "length": (POST + b"Content-Length: 65537\r\n\r\n", 413, word),
            "largest length": (POST + b"Content-Length: " + b"9" * 18 + b"\r\n\r\n", 413, word),
        }, witness, gateway)
        self.assert_refused({
            "chunks": (CHUNKED + b"4000\r\n" + b"x" * 0x4000 + b"\r\n"
                       + (b"4001\r\n" + b"x" * 0x4001 + b"\r\n") * 3, 413, word),
        }, witness, gateway, may_have_begun=True)

    def test_what_is_accepted_arrives_once_and_the_next_request_behind_it(self):
        for name, (data, body) in ACCEPTED.items():
            with self.subTest(name):
                self.assert_arrives(data, b"POST", body)

    def assert_arrives(self, data, method, body):
        witness.forget()
        client = Client(gateway.port)
        self.assertTrue(client.send(data).next(), client.received)
        found = [(request.method, request.target, request.body) for request in witness.requests]
        self.assertEqual(found, [(method, b"/open/x", body), (b"GET", b"/open/next", b"")])
        self.assertEqual((witness.faults, witness.torn), ([], []))
        client.close()

    def test_a_body_belongs_to_its_request_whatever_the_method(self):
        # CL.0 and 0.CL: whoever believes that these have no body takes it for the next request.
        trap = Refusals.TRAP
        for method in (b"GET", b"HEAD", b"DELETE", b"OPTIONS", b"PUT", b"PATCH", b"get", b"BREW"):
            start = method + b" /open/x HTTP/1.1\r\nHost: a\r\n"
            chunks = b"%x\r\n%s\r\n0\r\n\r\n" % (len(trap), trap)
            for data in (start + b"Content-Length: %d\r\n\r\n%s" % (len(trap), trap),
                         start + b"Transfer-Encoding: chunked\r\n\r\n" + chunks):
                with self.subTest(data[:60]):
                    self.assert_arrives(data, method, trap)

    def test_a_body_that_is_cut_off_reaches_nobody_as_a_request(self):
        for data in (POST + b"Content-Length: 50\r\n\r\nhello", CHUNKED + b"5\r\nhel",
                     CHUNKED + b"5\r\nhello\r\n0\r\n",
                     POST + b"Content-Length: 5\r\n\r\n", CHUNKED, CHUNKED + b"fffffffffffffff\r\nhello"):
            with self.subTest(data[-30:]):
                witness.forget()
                client = Client(gateway.port)
                client.send(data).socket.shutdown(1)
                self.assertEqual(client.all(), b"")
                self.assertEqual(witness.targets(), [])
                client.close()
