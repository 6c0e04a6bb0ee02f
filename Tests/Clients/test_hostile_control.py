# Names that need care: subjects with slashes and escapes in the control API, host names that only look like
# loopback, control characters; and the answer to a login: never kept by a cache, never too large for a
# cookie.

import json
import unittest

from clients import curl
from harness import Gateway
from upstreams import Upstream

OURS = ["Sec-Fetch-Site: same-origin"]
COOKIE_BYTES_MAX = 4096


def login_answer(request, connection):
    """Begins a session with the claims of the body; the path says which Cache-Control the API sends."""
    kind = request.target.rsplit("/", 1)[1]
    field = {"public": b"Cache-Control: public, max-age=3600\r\nExpires: Thu, 01 Jan 2099 00:00:00 GMT\r\n",
             "twice": b"Cache-Control: public\r\ncache-control: max-age=60\r\n"}.get(kind, b"")
    subject = request.one("x-subject") or "alice"
    begins = b"" if kind == "plain" or request.target.startswith("/page/") else (
        b"Session-Start: %s\r\nSession-Claims: %s\r\n" % (subject.encode("latin-1"), request.body or b"{}"))
    return b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n%s%s\r\nok" % (field, begins)


ROUTES = """
route /login/ { upstream api; access anonymous; login; }
route /page/ { upstream api; access anonymous; }
route / { upstream api; }
"""


def setUpModule():
    global upstream, gateway
    upstream = Upstream(login_answer)
    gateway = Gateway(upstream.port, routes=ROUTES)


def tearDownModule():
    gateway.stop()
    upstream.stop()


class Subjects(unittest.TestCase):
    def begin(self, subject):
        """A new session's access token."""
        reply = curl(gateway.control + "/sessions", as_json={"subject": subject})
        self.assertEqual(reply.status, 201, subject)
        return reply.json["access_token"]

    def status(self, token):
        return curl(gateway.base + "/x", token=token).status

    def test_subjects_are_revoked_by_their_encoded_names_and_no_others(self):
        # The name, its encoding, and a subject that a careless decoding would hit instead.
        cases = [("idp/alice", "idp%2Falice", "idp"), ("a%41b", "a%2541b", "aAb"),
                 ("a/../b", "a%2F..%2Fb", "b"),
                 ("x?y", "x%3Fy", "x"), ("p+q", "p%2Bq", "p q"), ("..", "%2E%2E", "."), ("s;t", "s%3Bt", "s")]
        for subject, encoded, neighbour in cases:
            token, other = self.begin(subject), self.begin(neighbour)
            listed = curl(gateway.control + "/sessions?subject=" + encoded).json["sessions"]
            self.assertEqual([session["subject"] for session in listed], [subject])
            reply = curl(gateway.control + f"/subjects/{encoded}/sessions", method="DELETE")
            self.assertEqual((reply.status, self.status(token)), (204, 401), subject)
            self.assertEqual(self.status(other), 200, neighbour)

    def test_access_of_such_a_subject_expires_by_its_encoded_name(self):
        token, other = self.begin("idp/carol"), self.begin("idp")
        reply = curl(gateway.control + "/subjects/idp%2Fcarol/expire-access", method="POST")
        self.assertEqual(reply.status, 204)
        self.assertEqual((self.status(token), self.status(other)), (401, 200))

    def test_control_characters_are_refused(self):
        for subject in ("a\u0080b", "a\u0085b", "a\u009b31mb", "\u009f", "a\u007fb", "a\u0000b", "a\nb",
                        "a\tb", "a\u001bb"):
            reply = curl(gateway.control + "/sessions", as_json={"subject": subject})
            self.assertEqual((reply.status, reply.json["code"]), (400, "subject"), ascii(subject))
            raw = json.dumps({"subject": subject}, ensure_ascii=False).encode()
            reply = curl(gateway.control + "/sessions", data=raw, headers=["Content-Type: application/json"])
            self.assertEqual(reply.status, 400, ascii(subject))

    def test_letters_beside_them_are_taken(self):
        for subject in ("a\u00a1b", "a\u00e9b", "\u0416", "a b", "a~b"):
            self.assertEqual(self.status(self.begin(subject)), 200, ascii(subject))


class Hosts(unittest.TestCase):
    def status(self, host):
        return curl(gateway.control + "/sessions", headers=["Host: " + host]).status

    def test_names_that_look_like_loopback_are_refused(self):
        for host in ("127.evil.example", "127.0.0.1.evil.example", "127", "127.1x", "localhost.evil.example",
                     "xlocalhost", "[::2]", "10.0.0.1", "128.0.0.1", "evil.example:127"):
            self.assertIn(self.status(host), (400, 403), host)

    def test_name_that_begins_with_a_loopback_literal_is_refused(self):
        for host in ("[::1].evil.example", "[::1]evil.example:80"):
            self.assertIn(self.status(host), (400, 403), host)

    def test_loopback_is_accepted_in_each_of_its_names(self):
        for host in ("127.0.0.1", "localhost", "LocalHost", "[::1]", "127.0.0.2"):
            self.assertEqual(self.status(host), 200, host)
            self.assertEqual(self.status(f"{host}:{gateway.control_port}"), 200, host)


class Caching(unittest.TestCase):
    def login(self, kind, headers=()):
        return curl(gateway.base + "/login/" + kind, method="POST", headers=headers)

    def test_answer_with_tokens_is_never_kept(self):
        for kind in ("none", "public", "twice"):
            reply = self.login(kind, OURS)
            self.assertEqual((reply.status, set(reply.cookies())), (200, {"access", "refresh"}))
            self.assertEqual(reply.all("cache-control"), ["no-store"], kind)
            reply = self.login(kind)
            self.assertIn("access_token", reply.json)
            self.assertEqual(reply.all("cache-control"), ["no-store"], kind)

    def test_answer_without_tokens_keeps_its_own(self):
        reply = curl(gateway.base + "/page/public", method="POST", headers=OURS)
        self.assertEqual(reply.all("cache-control"), ["public, max-age=3600"])
        self.assertEqual(self.login("plain", OURS).all("cache-control"), [])


class LargeClaims(unittest.TestCase):
    def attempt(self, one, text, size, subject):
        """The status of a login with a claim of that size, and the longest cookie of its answer."""
        body = json.dumps({"c": text * size}, ensure_ascii=False, separators=(",", ":")).encode()
        reply = curl(one.base + "/login/x", data=body, headers=OURS + ["X-Subject: " + subject])
        pairs = [line.split(";")[0] for line in reply.all("set-cookie")]
        self.assertEqual(len(pairs), 2 if reply.status == 200 else 0)
        # As browsers count: name and value, without the equals sign.
        return reply, max([len(pair) - 1 for pair in pairs], default=0)

    def border(self, one, text, subject):
        """The largest size that is accepted; every answer on the way there is looked at."""
        low, high = 0, 5000
        longest = 0
        while high - low > 1:
            middle = (low + high) // 2
            reply, length = self.attempt(one, text, middle, subject)
            self.assertIn(reply.status, (200, 502))
            self.assertLessEqual(length, COOKIE_BYTES_MAX)
            longest = max(longest, length)
            low, high = (middle, high) if reply.status == 200 else (low, middle)
        self.assertEqual(self.attempt(one, text, low, subject)[0].status, 200)
        reply, _ = self.attempt(one, text, low + 1, subject)
        self.assertEqual((reply.status, reply.all("set-cookie")), (502, []))
        return low, longest

    def test_border_is_below_the_cookie_limit_for_every_kind_of_text(self):
        secure = Gateway(upstream.port, routes=ROUTES, scheme="https")
        self.addCleanup(secure.stop)
        for one in (gateway, secure):
            for text, subject in (("x", "alice"), ("\u00e9", "alice"), ('"', "alice"), ("x", "s" * 255),
                                  ("x", '"' * 255)):
                size, longest = self.border(one, text, subject)
                print(f"\n    {size} times {ascii(text)} for {subject[:6]}…: cookie {longest}", flush=True)
                self.assertGreater(size * len(json.dumps(text, ensure_ascii=False).encode()[1:-1]), 1500)
                self.assertGreater(longest, 3500, "no room is wasted")

    def test_refreshed_cookie_fits_too(self):
        size, _ = self.border(gateway, "x", "alice")
        cookies = self.attempt(gateway, "x", size, "alice")[0].cookies()
        for _ in range(12):
            reply = curl(gateway.base + "/refresh", method="POST", headers=OURS,
                         cookies={name: value for name, (value, _) in cookies.items()})
            self.assertEqual(reply.status, 200)
            cookies = reply.cookies()
            for name, (value, _) in cookies.items():
                self.assertLessEqual(len(name) + len(value), COOKIE_BYTES_MAX)
