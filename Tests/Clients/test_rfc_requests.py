# Request lines, fields and authorities as RFC 9110 and RFC 9112 have them, and as nobody should send them:
# every control byte in every place, every form of a target against every Host, every version and method.
# What is refused reaches nobody and ends the connection; its neighbour arrives exactly once.

import unittest

from harness import Gateway
from oracle import Client, Refusals, Witness

ROUTES = """
route /open/ { upstream api; access anonymous; request_body 64k; }
route guarded.example/ { upstream api; }
route / { upstream api; }
"""
GET = b"GET /open/x HTTP/1.1\r\nHost: a\r\n"


def setUpModule():
    global witness, gateway
    witness = Witness()
    gateway = Gateway(witness.port, routes=ROUTES, main="workers 1;")


def tearDownModule():
    gateway.stop()
    witness.stop()


def lines():
    """Request lines."""
    table = {}
    for line, status, word in (
        (b"GET /open/x", 400, "start_line"), (b"GET", 400, "start_line"), (b"", 400, "method"),
        (b"GET /open/x ", 400, "version"), (b"GET  /open/x HTTP/1.1", 400, "start_line"),
        (b"GET /open/x  HTTP/1.1", 400, "version"), (b"GET /open/x HTTP/1.1 ", 400, "start_line"),
        (b" GET /open/x HTTP/1.1", 400, "start_line"), (b"GET /open/x HTTP/1.1\t", 400, "control_byte"),
        (b"\tGET /open/x HTTP/1.1", 400, "control_byte"), (b"GET\t/open/x HTTP/1.1", 400, "control_byte"),
        (b"GET /open/x\tHTTP/1.1", 400, "control_byte"), (b"GET /open/x /y HTTP/1.1", 400, "version"),
        (b"GET /open/x HTTP/1.1 HTTP/1.1", 400, "start_line"), (b"GET HTTP/1.1", 400, "start_line"),
        (b"/open/x HTTP/1.1", 400, "method"), (b"GET /open/x HTTP/0.9", 505, "version_unsupported"),
        (b"GET /open/x HTTP/1.2", 505, "version_unsupported"),
        (b"GET /open/x HTTP/1.9", 505, "version_unsupported"),
        (b"GET /open/x HTTP/2.0", 505, "version_unsupported"),
        (b"GET /open/x HTTP/2", 505, "version_unsupported"),
        (b"GET /open/x HTTP/3.0", 505, "version_unsupported"),
        (b"PRI * HTTP/2.0", 505, "version_unsupported"), (b"GET /open/x http/1.1", 400, "version"),
        (b"GET /open/x Http/1.1", 400, "version"), (b"GET /open/x HTTP/1", 400, "version"),
        (b"GET /open/x HTTP/1.", 400, "version"), (b"GET /open/x HTTP/1.10", 400, "start_line"),
        (b"GET /open/x HTTP/01.1", 505, "version_unsupported"),
        (b"GET /open/x HTTP/1.01", 400, "start_line"), (b"GET /open/x HTTP/11", 400, "version"),
        (b"GET /open/x HTTP /1.1", 400, "version"), (b"GET /open/x HTTP/ 1.1", 400, "version"),
        (b"GET /open/x HTTP/1 .1", 400, "version"), (b"GET /open/x HTTP/1,1", 400, "version"),
        (b"GET /open/x HTTP/+1.1", 400, "version"), (b"GET /open/x HTTP/-1.1", 400, "version"),
        (b"GET /open/x HTTP/1.x", 400, "version"), (b"GET /open/x HTTPS/1.1", 400, "version"),
        (b"GET /open/x RTSP/1.0", 400, "version"), (b"GET /open/x SIP/2.0", 400, "version"),
        (b"GET /open/x ICY/1.1", 400, "version"), (b"GET /open/x HTTP/\xef\xbc\x91.1", 400, "version"),
        (b"G@T /open/x HTTP/1.1", 400, "method"), (b"GET: /open/x HTTP/1.1", 400, "method"),
        (b'"GET" /open/x HTTP/1.1', 400, "method"), (b"GET, /open/x HTTP/1.1", 400, "method"),
        (b"G\xc3\x8bT /open/x HTTP/1.1", 400, "method"),
        (b"\xef\xbb\xbfGET /open/x HTTP/1.1", 400, "method"),
        (b"M" * 33 + b" /open/x HTTP/1.1", 400, "method"), (b"M" * 40000, 400, "method"),
        (b"CONNECT a:80 HTTP/1.1", 405, "connect_method"),
        (b"CONNECT /open/x HTTP/1.1", 405, "connect_method"),
        (b"CONNECT http://a/open/x HTTP/1.1", 405, "connect_method"),
        (b"CONNECT * HTTP/1.1", 405, "connect_method"), (b"connect a:80 HTTP/1.1", 400, "target"),
        (b"GET a:80 HTTP/1.1", 400, "target"), (b"GET * HTTP/1.1", 400, "target"),
        (b"HEAD * HTTP/1.1", 400, "target"), (b"POST * HTTP/1.1", 400, "target"),
        (b"options * HTTP/1.1", 400, "target"), (b"OPTIONS ** HTTP/1.1", 400, "target"),
        (b"OPTIONS */x HTTP/1.1", 400, "target"), (b"OPTIONS *?x HTTP/1.1", 400, "target"),
        (b"GET open/x HTTP/1.1", 400, "target"), (b"GET ?x HTTP/1.1", 400, "target"),
        (b"GET . HTTP/1.1", 400, "target"), (b"GET \\open\\x HTTP/1.1", 400, "target"),
        (b"GET /open/x#y HTTP/1.1", 400, "target"), (b"GET /open/x?y#z HTTP/1.1", 400, "target"),
        (b"GET # HTTP/1.1", 400, "target"), (b"GET /open/\xc3\xa9 HTTP/1.1", 400, "target"),
        (b"GET /open/x?\xff HTTP/1.1", 400, "target"),
        (b"GET /open/" + b"x" * 16400 + b" HTTP/1.1", 414, "target_too_long"),
        (b"GET /open/" + b"x" * 70000 + b" HTTP/1.1", 431, "head_too_large"),
    ):
        table[line[:50]] = (line + b"\r\nHost: a\r\n\r\n", status, word)
    table["two empty lines first"] = (b"\r\n\r\n" + GET + b"\r\n", 400, "start_line")
    table["LF first"] = (b"\n" + GET + b"\r\n", 400, "bare_lf")
    table["CR first"] = (b"\r" + GET + b"\r\n", 400, "bare_cr")
    table["TLS"] = (b"\x16\x03\x01\x02\0\x01\0\x01\xfc\x03\x03" + b"a" * 40 + b"\r\n\r\n", 400,
                    "control_byte")
    return table


def authorities():
    """Host fields, and absolute forms beside them."""
    table = {}
    for host in (b"", b" ", b"a b", b"a\tb", b"a, a", b"a,a", b"a;b", b"a/b", b"a?b", b"a#b", b"a@b",
                 b"u:p@a", b"a\\b",
                 b"http://a", b"a:b", b"a:80:80", b"a:80:", b":80", b":", b"a:+80", b"a:-1", b"a:0x50",
                 b"a: 80",
                 b"a :80", b"a:99999", b"a:65616", b"a:4294967376", b"a:000080", b"a:80a", b"a%2eb",
                 b"a%00", b"a..",
                 b".", b"..", b".a", b"a..b", b"a!", b"a$b", b"a(b)", b"a*", b"*", b"a+b", b"a=b", b"a&b",
                 b"~a", b"'a'",
                 b'"a"', b"<a>", b"a|b", b"a^b", b"a`b", b"{a}", b"[", b"]", b"[]", b"[a]", b"[::1", b"::1",
                 b"::1]",
                 b"[::1]a", b"[::1].a", b"[::1]80", b"[::1]:", b"[::1]:b", b"[[::1]]", b"[::g]",
                 b"[::1%25eth0]",
                 b"[::1%eth0]", b"[v1.a]", b"a[::1]", b"a\xff", b"\xc3\xa9"):
        if host != b"[::1]:":
            table[b"Host " + host] = (
                b"GET /open/x HTTP/1.1\r\nHost: %s\r\n\r\n" % host, 400, "host_malformed")
    for second in (b"Host: a", b"host: a", b"HOST: b", b"Host:", b"X: y\r\nhOST: a"):
        for version in (b"1", b"0"):
            table[second + version] = (
                b"GET /open/x HTTP/1.%s\r\nHost: a\r\n%s\r\n\r\n" % (version, second), 400, "host_repeated")
    table["no Host"] = (b"GET /open/x HTTP/1.1\r\nX-Host: a\r\n\r\n", 400, "host_missing")
    table["no Host and absolute form"] = (b"GET http://a/open/x HTTP/1.1\r\n\r\n", 400, "host_missing")
    table["imitated Host alone"] = (b"GET /open/x HTTP/1.1\r\nH_st: a\r\n\r\n", 400, "host_missing")
    table["folded Host"] = (b"GET /open/x HTTP/1.1\r\nHost:\r\n a\r\n\r\n", 400, "obs_fold")
    table["Host first on a folded line"] = (b"GET /open/x HTTP/1.1\r\n Host: a\r\n\r\n", 400, "obs_fold")
    for target in (b"http://b", b"http://a:80", b"http://a:", b"http://aa", b"HTTPS://b", b"http://a.",
                   b"http://[::1]"):
        table[target] = (b"GET %s/open/x HTTP/1.1\r\nHost: a\r\n\r\n" % target, 400, "host_conflict")
    for target in (b"http://", b"http:///", b"http:/a/", b"http:a/", b"http://u@a/", b"http://u:p@a/",
                   b"http://b@a/",
                   b"http://a@b/", b"http://a", b"http://a?", b"http://a?/open/x", b"http://a\\b/",
                   b"http://a\\@b/",
                   b"http://a b/", b"//a/", b"ftp://a/", b"file:///", b"ws://a/", b"javascript://a/",
                   b"httpx://a/",
                   b"xhttp://a/", b"gopher://a/", b"http//a/", b"://a/", b"a/", b"urn:a"):
        if target[:2] != b"//" and b" " not in target:
            table[target] = (b"GET %s HTTP/1.1\r\nHost: a\r\n\r\n" % target, 400, "target")
    for host in (b":80", b"a:b", b"a:80:80", b"a%2eb", b"a..", b"[::1", b"[]", b"a,b", b"a:99999"):
        table[b"HTTP/1.0 for " + host] = (b"GET http://%s/open/x HTTP/1.0\r\n\r\n" % host, 400, "target")
    return table


def fields():
    """Field lines, and too much of them."""
    table = {}
    for line, word in (
        (b"nonsense", "field_name"), (b": y", "field_name"), (b":", "field_name"), (b" : y", "obs_fold"),
        (b"X : y", "field_name"), (b"X\t: y", "field_name"), (b"X Y: z", "field_name"),
        (b"X\xff: y", "field_name"), (b"\xc3\xa9: y", "field_name"), (b"X(: y", "field_name"),
        (b"X@: y", "field_name"), (b"X\\: y", "field_name"), (b'"X": y', "field_name"),
        (b"X[]: y", "field_name"), (b"{X}: y", "field_name"), (b"X/Y: z", "field_name"),
        (b"X=y", "field_name"), (b"X;Y: z", "field_name"), (b"X,Y: z", "field_name"),
        (b"<X>: y", "field_name"), (b" X: y", "obs_fold"), (b"\tX: y", "obs_fold"),
        (b"X: y\r\n z", "obs_fold"), (b"X: y\r\n\tz", "obs_fold"), (b"X: y\r\n ", "obs_fold"),
        (b"X:\r\n y", "obs_fold"), (b"X: y\n", "bare_lf"), (b"X: y\nZ: z", "bare_lf"),
        (b"X: y\n z", "bare_lf"), (b"X\n: y", "bare_lf"), (b"\nX: y", "bare_lf"), (b"X: y\r", "bare_cr"),
        (b"X: y\rZ: z", "bare_cr"), (b"X\r: y", "bare_cr"), (b"\rX: y", "bare_cr"),
        (b"X: y\r\r\nZ: z", "bare_cr"),
    ):
        table[line] = (GET + line + b"\r\n\r\n", 400, word)
    table["LF for the empty line"] = (GET + b"\n", 400, "bare_lf")
    table["LF throughout"] = (GET.replace(b"\r\n", b"\n") + b"\n", 400, "bare_lf")
    table["CR throughout"] = (GET.replace(b"\r\n", b"\r") + b"\r\r", 400, "bare_cr")
    table["LF CR throughout"] = (GET.replace(b"\r\n", b"\n\r") + b"\n\r", 400, "bare_lf")
    table["101 fields"] = (GET + b"X:\r\n" * 100 + b"\r\n", 431, "too_many_fields")
    table["very many fields"] = (GET + b"X:\r\n" * 20000 + b"\r\n", 431, None)
    table["a huge name"] = (GET + b"X" * 33000 + b": y\r\n\r\n", 431, "head_too_large")
    table["a name without end"] = (GET + b"X" * 200000, 431, "head_too_large")
    table["a huge value"] = (GET + b"X: " + b"y" * 33000 + b"\r\n\r\n", 431, "head_too_large")
    for value in (b"100-continu", b"100-continue, x", b"x, 100-continue", b"100-continue;q=1",
                  b"y 100-continue",
                  b"200-ok", b"", b'"100-continue"', b"100-continue,", b"100", b"100-continue 100-continue"):
        table[b"Expect " + value] = (GET + b"Expect: %s\r\nContent-Length: 4\r\n\r\n" % value, 417,
                                     "expectation")
    for second in (b"100-continue", b"x"):
        table[b"two Expect " + second] = (
            GET + b"Expect: 100-continue\r\nExpect: %s\r\nContent-Length: 4\r\n\r\n" % second, 417,
            "expectation")
    return table


# Name -> bytes, and the target that arrives. Each is followed by another request on its connection.
ACCEPTED = {
    "plain": (GET + b"\r\n", b"/open/x"),
    "an empty line first": (b"\r\n" + GET + b"\r\n", b"/open/x"),
    "another method": (b"M" * 32 + b" /open/x HTTP/1.1\r\nHost: a\r\n\r\n", b"/open/x"),
    "a method of marks": (b"!#$%&'*+-.^_`|~ /open/x HTTP/1.1\r\nHost: a\r\n\r\n", b"/open/x"),
    "absolute form": (b"GET http://a/open/x?y HTTP/1.1\r\nHost: a\r\n\r\n", b"/open/x?y"),
    "absolute form in upper case": (b"GET HTTP://A/open/x HTTP/1.1\r\nHost: a\r\n\r\n", b"/open/x"),
    "absolute form with a port": (b"GET http://a:80/open/x HTTP/1.1\r\nHost: a:80\r\n\r\n", b"/open/x"),
    "absolute form with an address": (b"GET http://[::1]:8/open/x HTTP/1.1\r\nHost: [::1]:8\r\n\r\n",
                                      b"/open/x"),
    "absolute form in a path": (b"GET /open/http://b/x HTTP/1.1\r\nHost: a\r\n\r\n", b"/open/http:/b/x"),
    "two slashes first": (b"GET //open/x HTTP/1.1\r\nHost: a\r\n\r\n", b"/open/x"),
    "marks": (b"GET /open/x?a=[\"<>^`{|}\\'] HTTP/1.1\r\nHost: a\r\n\r\n", b"/open/x?a=[\"<>^`{|}\\']"),
    "a value of every byte above 127": (GET + b"X: " + bytes(range(128, 256)) + b"\r\n\r\n", b"/open/x"),
    "tabs and spaces in a value": (GET + b"X: \t a \t b \t \r\n\r\n", b"/open/x"),
    "empty values": (GET + b"X:\r\nX: \r\nX:\t\r\n\r\n", b"/open/x"),
    "100 fields": (GET + b"X:\r\n" * 99 + b"\r\n", b"/open/x"),
    "a long name": (GET + b"X" * 30000 + b": y\r\n\r\n", b"/open/x"),
    "Expect": (GET + b"Expect: 100-CONTINUE\r\nContent-Length: 1\r\n\r\nx", b"/open/x"),
}
for name in (b"a", b"a.", b"a.b", b"a-b", b"a_b", b"A", b"127.0.0.1", b"1", b"a:80", b"a:", b"a:0",
             b"a:65535", b"a.:80",
             b"xn--bcher-kva", b"[::1]", b"[::1]:80", b"[::1]:", b"[::ffff:1.2.3.4]", b"[2001:DB8::A]",
             b"a" * 300):
    ACCEPTED[b"Host " + name] = (b"GET /open/x HTTP/1.1\r\nHost: \t%s \r\n\r\n" % name, b"/open/x")


class Requests(unittest.TestCase, Refusals):
    def test_request_lines(self):
        self.assert_refused(lines(), witness, gateway)

    def test_authorities(self):
        self.assert_refused(authorities(), witness, gateway)

    def test_fields(self):
        self.assert_refused(fields(), witness, gateway)

    def test_every_control_byte_in_every_place(self):
        places = {"method": b"GE%cT /open/x HTTP/1.1\r\nHost: a\r\n\r\n",
                  "target": b"GET /op%cen HTTP/1.1\r\nHost: a\r\n\r\n",
                  "query": b"GET /open/x?%c HTTP/1.1\r\nHost: a\r\n\r\n",
                  "version": b"GET /open/x HTTP/1%c.1\r\nHost: a\r\n\r\n",
                  "behind the version": b"GET /open/x HTTP/1.1%c\r\nHost: a\r\n\r\n",
                  "name": GET + b"X%cY: z\r\n\r\n",
                  "before a name": GET + b"%cX: y\r\n\r\n", "before the colon": GET + b"X%c: y\r\n\r\n",
                  "before a value": GET + b"X: %cy\r\n\r\n", "value": GET + b"X: y%cz\r\n\r\n",
                  "behind a value": GET + b"X: y%c\r\n\r\n",
                  "Host": b"GET /open/x HTTP/1.1\r\nHost: a%cb\r\n\r\n"}
        table = {}
        for place, text in places.items():
            for byte in (*range(0x21), 0x7F, 0x80, 0xA0, 0xFF):
                # White space and bytes above 127 belong in values; a CR before CRLF is told of elsewhere.
                if "value" in place and (byte in (0x09, 0x20) or byte > 0x7F):
                    continue
                table[f"{place}, byte {byte:#04x}"] = (text % byte, 400, None)
        self.assert_refused(table, witness, gateway)

    def test_what_is_accepted_arrives_once_and_the_next_request_behind_it(self):
        for name, (data, target) in ACCEPTED.items():
            with self.subTest(name):
                witness.forget()
                client = Client(gateway.port)
                self.assertTrue(client.send(data).next(), client.received)
                self.assertEqual(witness.targets(), [target, b"/open/next"])
                self.assertEqual(witness.requests[0].method, data.lstrip(b"\r\n").split(b" ")[0])
                self.assertEqual((witness.faults, witness.torn), ([], []))
                client.close()

    def test_values_arrive_as_they_were_sent(self):
        witness.forget()
        client = Client(gateway.port)
        value = bytes(byte for byte in range(0x21, 0x100) if byte != 0x7F)
        self.assertTrue(client.send(GET + b"X: \t" + value + b" \t" + value + b"\t \r\n\r\n").next())
        self.assertEqual(witness.requests[0].all(b"x"), [value + b" \t" + value])
        client.close()

    def test_guarded_host_has_no_second_spelling(self):
        # Each would be another host to the routes, and the guarded one to who cuts, trims or decodes.
        for host in (b"guarded.example", b"GUARDED.example.", b"guarded.example:80", b"guarded.example:"):
            client = Client(gateway.port)
            start = b"GET /open/x HTTP/1.1\r\nConnection: close\r\n"
            answer = client.send(start + b"Host: %s\r\n\r\n" % host).all()
            self.assertTrue(answer.startswith(b"HTTP/1.1 401 "), host)
            client.close()
        table = {}
        for host in (
            b"guarded.example:80:80", b"guarded.example..", b"guarded%2eexample", b"guarded.example:+80",
            b"guarded.example:65616", b"guarded.example,a", b"guarded.example;a", b"guarded..example",
        ):
            table[host] = (b"GET /open/x HTTP/1.1\r\nHost: %s\r\n\r\n" % host, 400, "host_malformed")
        self.assert_refused(table, witness, gateway)
