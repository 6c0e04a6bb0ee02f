# Tokens of the system before this one, exchanged for sessions: by each way in, under each kind of key, until
# each end, and once for good.

import subprocess
import threading
import time
import unittest

from clients import curl, login
from harness import GATEWAY, Gateway, directory, wait_until
from legacy import ALGORITHMS, SECRET, claims, encoded, forged, key_lines, make_key, other_spelling, token
from upstreams import Upstream

ROUTES = """
route /login { upstream api; access anonymous; login; }
route /anonymous { upstream api; access anonymous; }
route /optional { upstream api; access optional; }
route /page { upstream api; login_page /login.html; }
route / { upstream api; }
"""
FETCH = ["Sec-Fetch-Site: same-origin", "Sec-Fetch-Mode: cors", "Sec-Fetch-Dest: empty"]
NAVIGATION = ["Sec-Fetch-Site: none", "Sec-Fetch-Mode: navigate", "Sec-Fetch-Dest: document"]
DATE = "2030-01-31"


def answer(request, connection):
    if request.target == "/login":
        return b"HTTP/1.1 200 OK\r\nSession-Start: alice\r\nContent-Length: 0\r\n\r\n"
    return b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok"


def setUpModule():
    global upstream
    upstream = Upstream(answer)


def tearDownModule():
    upstream.stop()


class ExchangeCase(unittest.TestCase):
    def gateway(self, *blocks, **options):
        exchanges = "".join(f"exchange token {{ until {DATE}; {block} }} " for block in blocks)
        options["refresh"] = options.get("refresh", "") + exchanges
        gateway = Gateway(upstream.port, routes=ROUTES, **options)
        self.secrets = []
        self.addCleanup(lambda: self.stop(gateway))
        return gateway

    def stop(self, gateway):
        gateway.stop()
        logs = gateway.service_log() + open(gateway.access_path).read() + open(gateway.audit_path).read()
        for secret in [secret for secret in self.secrets if len(secret) > 20] + [SECRET]:
            self.assertNotIn(secret, logs)

    def keyed(self, algorithm="HS256", more="", **options):
        """A gateway that takes tokens of one key, and that key."""
        key = make_key(algorithm)
        return self.gateway(key_lines(algorithm, key, directory()) + more, **options), key

    def exchange(self, gateway, old, **more):
        self.secrets.append(old)
        return curl(gateway.base + "/refresh", form={"refresh_token": old}, **more)

    def good(self, gateway, old):
        reply = self.exchange(gateway, old)
        self.assertEqual(reply.status, 200, reply.body)
        return reply.json

    def refused(self, gateway, old, code="refresh_token_invalid"):
        reply = self.exchange(gateway, old)
        self.assertEqual((reply.status, reply.json["code"]), (400, code))

    def sessions(self, gateway):
        return curl(gateway.control + "/sessions").json["sessions"]


class Sources(ExchangeCase):
    def test_form_json_and_bearer(self):
        gateway, key = self.keyed()
        ways = (
            lambda old: {"form": {"grant_type": "refresh_token", "refresh_token": old}},
            lambda old: {"as_json": {"refresh_token": old}},
            lambda old: {"token": old, "method": "POST"},
        )
        for number, way in enumerate(ways):
            old = token("HS256", key, jti=str(number))
            reply = curl(gateway.base + "/refresh", **way(old))
            self.assertEqual(reply.status, 200, reply.body)
            self.assertEqual(curl(gateway.base + "/", token=reply.json["access_token"]).status, 200)
            self.assertEqual(upstream.last().one("x-auth-subject"), "alice")
            # What has been issued is an ordinary session, and refreshes as one.
            self.assertEqual(self.exchange(gateway, reply.json["refresh_token"]).status, 200)
            # On other paths the old token is nothing.
            self.assertEqual(curl(gateway.base + "/", token=old).status, 401)
        self.assertEqual(len(self.sessions(gateway)), 3)

    def test_a_cookie_of_a_page(self):
        gateway, key = self.keyed(more="cookie old_token;")
        old = token("HS256", key)
        # Not as a refresh token, since it has a cookie of its own; and by our own pages alone.
        self.refused(gateway, old)
        for headers in ([], ["Sec-Fetch-Site: cross-site"], ["Sec-Fetch-Site: same-site"], ["Origin: http://evil"]):
            reply = curl(gateway.base + "/refresh", method="POST", cookies={"old_token": old}, headers=headers)
            self.assertEqual(reply.status, 403)
        reply = curl(gateway.base + "/refresh", method="POST", cookies={"old_token": old}, headers=FETCH)
        self.assertEqual(reply.status, 200)
        cookies = reply.cookies()
        self.assertIn("max-age=0", cookies["old_token"][1])
        self.assertIn("httponly", cookies["access"][1])
        self.assertNotIn("access_token", reply.json)
        self.assertEqual(curl(gateway.base + "/", cookies={"access": cookies["access"][0]}).status, 200)

    def test_a_cookie_by_the_way_round(self):
        gateway, key = self.keyed(more="cookie old_token;")
        for number, headers in enumerate((NAVIGATION, FETCH)):
            old = token("HS256", key, jti=str(number))
            self.secrets.append(old)
            sent = curl(gateway.base + "/page?a=b", cookies={"old_token": old}, headers=headers)
            self.assertEqual((sent.status, sent.one("location")), (307, "/refresh?return_to=/page%3Fa%3Db"))
            back = curl(gateway.base + sent.one("location"), cookies={"old_token": old}, headers=headers)
            self.assertEqual((back.status, back.one("location")), (307, "/page?a=b"))
            self.assertIn("max-age=0", back.cookies()["old_token"][1])
            fresh = {name: value for name, (value, _) in back.cookies().items() if value}
            self.assertEqual(set(fresh), {"access", "refresh", "refreshed"})
            self.assertEqual(curl(gateway.base + "/page", cookies=fresh, headers=headers).status, 200)
        # A browser that keeps none of that is not sent round for ever.
        stuck = curl(gateway.base + "/page", cookies={"old_token": old, "refreshed": "1"}, headers=FETCH)
        self.assertEqual(stuck.status, 401)
        # What is no page of ours, or no visit of a person, is not sent at all.
        for headers in (
            ["Sec-Fetch-Site: cross-site", "Sec-Fetch-Mode: cors"],
            ["Sec-Fetch-Site: cross-site", "Sec-Fetch-Mode: navigate", "Sec-Fetch-Dest: iframe"],
            FETCH + ["Sec-Purpose: prefetch"],
            [],
        ):
            reply = curl(gateway.base + "/page", cookies={"old_token": old}, headers=headers)
            self.assertNotEqual(reply.status, 307, headers)

    def test_a_cookie_name_that_demands_secure_is_cleared_as_such(self):
        gateway, key = self.keyed(more="cookie __Host-old;", scheme="https")
        reply = curl(
            gateway.base + "/refresh", method="POST", cookies={"__Host-old": token("HS256", key)}, headers=FETCH
        )
        self.assertEqual(reply.status, 200)
        self.assertIn("secure", reply.cookies()["__Host-old"][1])

    def test_one_that_is_no_good_stands_in_nobodys_way(self):
        key = make_key("HS256")
        line = key_lines("HS256", key, directory())
        gateway = self.gateway(line + "cookie first;", line + "cookie second;")
        cookies = {"first": token("HS256", key, exp=1), "second": token("HS256", key)}
        reply = curl(gateway.base + "/refresh", method="POST", cookies=cookies, headers=FETCH)
        self.assertEqual(reply.status, 200)
        self.assertIn("max-age=0", reply.cookies()["second"][1])
        self.assertNotIn("first", reply.cookies())


class Judgement(ExchangeCase):
    def test_each_kind_of_key_and_no_other(self):
        for algorithm in ALGORITHMS:
            with self.subTest(algorithm):
                gateway, key = self.keyed(algorithm)
                stranger = make_key("ES256" if algorithm == "HS256" else algorithm)
                self.refused(gateway, token("ES256" if algorithm == "HS256" else algorithm, stranger))
                old = token(algorithm, key)
                self.refused(gateway, forged(old, sub="root"))
                self.refused(gateway, forged(old, {"alg": "none"}).rpartition(".")[0] + ".")
                self.refused(gateway, old.rpartition(".")[0] + ".")
                if algorithm != "HS256":
                    # The public key is no secret (RFC 8725 §2.1).
                    self.refused(gateway, token("HS256", key.as_pem(private=False)))
                self.good(gateway, old)

    def test_until_when(self):
        gateway, key = self.keyed(more="expired 1h; leeway 0s;")
        now = int(time.time())
        self.good(gateway, token("HS256", key, exp=now - 3500))
        self.refused(gateway, token("HS256", key, exp=now - 3700))
        self.refused(gateway, token("HS256", key, exp=None))
        self.refused(gateway, token("HS256", key, nbf=now + 600))
        self.refused(gateway, token("HS256", key, iat=now + 600))
        strict, key = self.keyed(more="leeway 0s;")
        self.refused(strict, token("HS256", key, exp=now - 1))
        self.good(strict, token("HS256", key, exp=now + 60))

    def test_behind_the_last_day_nothing_is_exchanged(self):
        key = make_key("HS256")
        lines = key_lines("HS256", key, directory())
        gateway = self.gateway(refresh=f"exchange token {{ until 2024-01-31; {lines} }}")
        old = token("HS256", key)
        self.refused(gateway, old)
        self.assertEqual(curl(gateway.base + "/refresh", method="POST", token=old).status, 400)
        self.assertIn("exchange", subprocess.run(
            [GATEWAY, "check", "-c", gateway.config], capture_output=True, text=True
        ).stderr)

    def test_issuer_audience_and_type(self):
        gateway, key = self.keyed(more="issuer https://old.example; audience shop; type JWT;")
        right = {"iss": "https://old.example", "aud": "shop"}
        for wrong in ({"iss": "https://old.example/"}, {"aud": "other"}, {"iss": None}, {"aud": None}):
            self.refused(gateway, token("HS256", key, **(right | wrong)))
        self.refused(gateway, token("HS256", key, {"typ": "at+jwt"}, **right))
        self.good(gateway, token("HS256", key, **(right | {"aud": ["x", "shop"]})))

    def test_whom_and_what_it_passes_on(self):
        gateway, key = self.keyed(more="subject_claim user.id; claims role scope tenant;")
        old = token("HS256", key, user={"id": 1234}, role="admin", scope="a b", secret="x", tenant={"id": [1, None]})
        said = claims(self.good(gateway, old)["access_token"])
        self.assertEqual((said["sub"], said["role"], said["scope"]), ("1234", "admin", "a b"))
        self.assertEqual(said["tenant"], {"id": [1, None]})
        self.assertNotIn("secret", said)
        self.assertNotIn("user", said)
        for user in ({"id": 1.5}, {"id": True}, {"id": ""}, {"id": " a"}, {"id": "a\r\nX: y"}, {"id": None}, "x", {}):
            self.refused(gateway, token("HS256", key, user=user))
        self.refused(gateway, token("HS256", key, user={"id": 1}, role="x" * 3000))
        self.assertEqual(len(self.sessions(gateway)), 1)

    def test_several_blocks(self):
        home = directory()
        old, newer, cookie = make_key("RS256"), make_key("ES256"), make_key("HS256")
        gateway = self.gateway(
            key_lines("RS256", old, home) + "subject_claim uid;",
            key_lines("ES256", newer, home),
            key_lines("HS256", cookie, home) + "cookie old;",
        )
        self.assertEqual(claims(self.good(gateway, token("RS256", old, uid="u1"))["access_token"])["sub"], "u1")
        self.assertEqual(claims(self.good(gateway, token("ES256", newer, uid="u2"))["access_token"])["sub"], "alice")
        # The rules of one block are not those of another.
        self.refused(gateway, token("RS256", old))
        self.refused(gateway, token("HS256", cookie))


class Once(ExchangeCase):
    def test_a_lost_answer_is_given_again_and_a_spent_token_is_not(self):
        gateway, key = self.keyed(refresh="race_window 0s; ")
        old = token("HS256", key)
        first, second = self.good(gateway, old), self.good(gateway, old)
        self.assertEqual(first["refresh_token"], second["refresh_token"])
        self.assertEqual(len(self.sessions(gateway)), 1)
        # Over a crash as well.
        gateway.kill()
        gateway.start()
        self.assertEqual(self.good(gateway, old)["refresh_token"], first["refresh_token"])
        # Its client has the tokens: whoever comes now is somebody else.
        self.assertEqual(curl(gateway.base + "/", token=first["access_token"]).status, 200)
        wait_until(lambda: self.sessions(gateway)[0]["confirmed"], what="the note of it")
        self.refused(gateway, old, "credential_exchanged")
        pair = self.good(gateway, first["refresh_token"])
        self.refused(gateway, old, "credential_exchanged")
        self.assertEqual(curl(gateway.base + "/", token=pair["access_token"]).status, 200)
        curl(gateway.base + "/refresh/logout", form={"refresh_token": pair["refresh_token"]})
        self.refused(gateway, old, "credential_exchanged")
        gateway.kill()
        gateway.start()
        self.refused(gateway, old, "credential_exchanged")

    def test_another_spelling_is_the_same_token(self):
        gateway, key = self.keyed("ES256")
        old = token("ES256", key)
        pair = self.good(gateway, old)
        twin = other_spelling(old)
        self.assertNotEqual(old, twin)
        self.assertEqual(self.good(gateway, twin)["refresh_token"], pair["refresh_token"])
        self.good(gateway, pair["refresh_token"])
        self.refused(gateway, twin, "credential_exchanged")

    def test_by_another_way_it_is_the_same_token(self):
        key = make_key("HS256")
        line = key_lines("HS256", key, directory())
        gateway = self.gateway(line, line + "cookie old;")
        old = token("HS256", key)
        pair = self.good(gateway, old)
        self.good(gateway, pair["refresh_token"])
        reply = curl(gateway.base + "/refresh", method="POST", cookies={"old": old}, headers=FETCH)
        self.assertEqual((reply.status, reply.json["code"]), (401, "credential_exchanged"))

    def test_twenty_requests_of_one_browser_make_one_session(self):
        gateway, key = self.keyed(more="cookie old;")
        old, results = token("HS256", key), []
        self.secrets.append(old)

        def go():
            reply = curl(gateway.base + "/refresh?return_to=/page", cookies={"old": old}, headers=FETCH)
            results.append((reply.status, reply.cookies().get("refresh", ("none",))[0]))

        threads = [threading.Thread(target=go) for _ in range(20)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        self.assertEqual(len(set(results)), 1)
        self.assertEqual(results[0][0], 307)
        self.assertEqual(len(self.sessions(gateway)), 1)
        cookies = {"refresh": results[0][1]}
        self.assertEqual(curl(gateway.base + "/refresh", method="POST", cookies=cookies, headers=FETCH).status, 200)

    def test_log_out_does_not_log_in_again(self):
        gateway, key = self.keyed(more="cookie old;")
        old = {"old": token("HS256", key)}
        reply = curl(gateway.base + "/refresh", method="POST", cookies=old, headers=FETCH)
        cookies = {name: value for name, (value, _) in reply.cookies().items() if value}
        self.assertEqual(
            curl(gateway.base + "/refresh/logout", method="POST", cookies=cookies, headers=FETCH).status, 204
        )
        # Also where the browser has kept the old cookie, of another path for one.
        sent = curl(gateway.base + "/page", cookies=old, headers=NAVIGATION)
        self.assertEqual(sent.status, 307)
        there = curl(gateway.base + sent.one("location"), cookies=old, headers=NAVIGATION)
        self.assertEqual((there.status, there.one("location")), (303, "/login.html"))
        self.assertEqual([s["state"] for s in self.sessions(gateway)], ["ended"])

    def test_who_ends_all_sessions_ends_those_to_come(self):
        gateway, key = self.keyed()
        old = token("HS256", key)
        curl(gateway.control + "/subjects/alice/sessions", method="DELETE")
        self.refused(gateway, old, "session_ended")
        time.sleep(1.1)
        self.good(gateway, token("HS256", key, iat=int(time.time())))


class OurOwn(ExchangeCase):
    def test_our_own_tokens_are_not_older_ones_though_the_key_is_kept(self):
        # Who moves may go on with the key of before.
        home = directory()
        line = key_lines("HS256", make_key("HS256"), home)
        for style in ("", "style single { use_expiry useExp 10m; } lifetime 1h;"):
            gateway = self.gateway(
                line, access=f"signing_key HS256 {home}/old-HS256 kid=old; {style}",
                refresh="race_window 0s; " + ("format jwt; " if not style else ""),
            )
            pair = login(gateway)
            curl(gateway.control + "/subjects/alice/sessions", method="DELETE")
            for ours in (pair["access_token"], pair["refresh_token"]):
                for more in ({"form": {"refresh_token": ours}}, {"method": "POST", "token": ours}):
                    self.assertEqual(curl(gateway.base + "/refresh", **more).status, 400)
            self.assertEqual([s["state"] for s in self.sessions(gateway)], ["ended"])
            time.sleep(1.1)
            self.good(gateway, token("HS256", make_key("HS256"), iat=int(time.time())))


class Hostile(ExchangeCase):
    def test_garbage_is_refused_and_nothing_is_begun(self):
        gateway, key = self.keyed(more="cookie old;")
        plain, key = self.keyed()
        head = encoded(b'{"alg":"HS256"}')
        pieces = ["", ".", "..", "a.b.c", "x" * 8193, head + "." + encoded(b"[" * 4000) + ".x", "\u00e9.\u00e9.\u00e9"]
        pieces += [token("HS256", key, {"crit": ["x"], "x": 1}), token("HS256", key, {"b64": False, "crit": ["b64"]})]
        for piece in pieces:
            self.assertIn(self.exchange(plain, piece).status, (400,), piece[:40])
            if piece and piece.isascii() and ";" not in piece:
                reply = curl(gateway.base + "/refresh", method="POST", cookies={"old": piece}, headers=FETCH)
                self.assertIn(reply.status, (400, 401, 431), piece[:40])
        self.assertEqual(self.sessions(gateway) + self.sessions(plain), [])

    def test_strangers_are_held_to_the_rate(self):
        gateway, key = self.keyed(refresh="rate 1/m burst=5; ")
        statuses = [self.exchange(gateway, token("HS256", key, jti=str(n))).status for n in range(8)]
        self.assertEqual(statuses, [200] * 5 + [429] * 3)
