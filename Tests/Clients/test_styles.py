# The other styles of tokens: refresh tokens that are JWTs, one token with two expiries, access tokens that live
# for months; and changes between them under clients that have tokens of before.

import re
import time
import unittest

import keys
from clients import curl, login
from harness import Gateway, wait_until
from legacy import claims, forged, header, sign_as
from upstreams import Upstream

ROUTES = """
route /login { upstream api; access anonymous; login; }
route /anonymous { upstream api; access anonymous; }
route /optional { upstream api; access optional; }
route /observed { upstream api; observe; }
route /page { upstream api; login_page /login.html; }
route / { upstream api; }
"""
SINGLE = "lifetime 1d; leeway 0s; style single { use_expiry useExp 10s; }"
BROWSER = ["Sec-Fetch-Site: same-origin", "Sec-Fetch-Mode: cors", "Sec-Fetch-Dest: empty"]


def answer(request, connection):
    if request.target == "/login":
        return b"HTTP/1.1 200 OK\r\nSession-Start: alice\r\nContent-Length: 0\r\n\r\n"
    return b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok"


def setUpModule():
    global upstream
    upstream = Upstream(answer)


def tearDownModule():
    upstream.stop()


class StyleCase(unittest.TestCase):
    def gateway(self, **options):
        gateway = Gateway(upstream.port, routes=ROUTES, **options)
        self.addCleanup(lambda: gateway.process.poll() is None and gateway.stop())
        return gateway

    def refresh(self, gateway, token, **more):
        return curl(gateway.base + "/refresh", form={"refresh_token": token}, **more)

    def status(self, gateway, token, path="/"):
        return curl(gateway.base + path, token=token).status

    def bounce(self, gateway, cookies, path="/page", **more):
        """A browser's request with its way round by the refresh endpoint, as a browser goes it."""
        reply = curl(gateway.base + path, cookies=cookies, headers=BROWSER, **more)
        if reply.status == 307:
            reply = curl(gateway.base + reply.one("location"), cookies=cookies, headers=BROWSER, **more)
            self.take_in(cookies, reply)
            if reply.status == 307:
                reply = curl(gateway.base + reply.one("location"), cookies=cookies, headers=BROWSER, **more)
        # It lives for five seconds.
        cookies.pop("refreshed", None)
        return reply

    def take_in(self, cookies, reply):
        for name, (value, attributes) in reply.cookies().items():
            cookies.pop(name, None)
            if "max-age=0" not in attributes:
                cookies[name] = value

    def reconfigure(self, gateway, pattern, replacement):
        with open(gateway.config) as file:
            text = file.read()
        changed = re.sub(pattern, replacement, text, flags=re.DOTALL)
        self.assertNotEqual(changed, text)
        with open(gateway.config, "w") as file:
            file.write(changed)
        keys.hang_up(gateway)

    def live(self, gateway):
        listed = curl(gateway.control + "/sessions?subject=alice").json["sessions"]
        return [session["sid"] for session in listed if session["state"] == "live"]


class SignedRefreshTokens(StyleCase):
    def test_a_session_of_a_client(self):
        gateway = self.gateway(refresh="format jwt; race_window 0s;")
        pair = login(gateway)
        token = pair["refresh_token"]
        self.assertEqual((header(token)["typ"], header(pair["access_token"])["typ"]), ("rt+jwt", "at+jwt"))
        said = claims(token)
        self.assertEqual(set(said), {"iss", "sub", "aud", "iat", "exp", "sid", "rt"})
        self.assertEqual((said["aud"], said["sub"]), (gateway.origin, "alice"))
        self.assertEqual(said["exp"] - said["iat"], pair["refresh_expires_in"])
        second = self.refresh(gateway, token).json
        self.assertEqual(self.status(gateway, second["access_token"]), 200)
        # JSON, and as a bearer token; a lost answer is given again, until somebody has seen its tokens.
        again = curl(gateway.base + "/refresh", as_json={"refresh_token": second["refresh_token"]}).json
        third = curl(gateway.base + "/refresh", method="POST", token=second["refresh_token"]).json
        self.assertEqual(claims(again["refresh_token"])["rt"], claims(third["refresh_token"])["rt"])
        self.assertEqual(self.refresh(gateway, third["refresh_token"]).status, 200)
        # Behind that it is a replay, which ends the session.
        replayed = self.refresh(gateway, token)
        self.assertEqual((replayed.status, replayed.json["code"]), (400, "refresh_token_reused"))
        self.assertEqual(self.live(gateway), [])
        self.assertEqual(self.status(gateway, third["access_token"]), 401)

    def test_log_out_and_revocation(self):
        gateway = self.gateway(refresh="format jwt;")
        for path, parameter in (("/refresh/logout", "refresh_token"), ("/refresh/revoke", "token")):
            pair = login(gateway)
            self.assertIn(curl(gateway.base + path, form={parameter: pair["refresh_token"]}).status, (200, 204))
            self.assertEqual(self.refresh(gateway, pair["refresh_token"]).json["code"], "session_ended")
            self.assertEqual(self.status(gateway, pair["access_token"]), 401)
        # As a bearer token it is no less one.
        pair = login(gateway)
        reply = curl(gateway.base + "/refresh/logout", method="POST", token=pair["refresh_token"])
        self.assertEqual((reply.status, self.live(gateway)), (204, []))

    def test_a_browser_goes_round(self):
        gateway = self.gateway(access="lifetime 10s; leeway 0s;", refresh="format jwt;")
        cookies = login(gateway, browser=True)
        self.assertEqual(header(cookies["refresh"])["typ"], "rt+jwt")
        self.assertLess(len("refresh=" + cookies["refresh"]), 4096)
        curl(gateway.control + "/subjects/alice/expire-access", method="POST")
        before = dict(cookies)
        self.assertEqual(self.bounce(gateway, cookies).status, 200)
        self.assertNotEqual(cookies["access"], before["access"])
        self.assertEqual(curl(gateway.base + "/refresh", method="POST", cookies=cookies, headers=BROWSER).status, 200)
        out = curl(gateway.base + "/refresh/logout", method="POST", cookies=cookies, headers=BROWSER)
        self.take_in(cookies, out)
        self.assertEqual((out.status, set(cookies) & {"access", "refresh"}), (204, set()))

    def test_is_forwarded_nowhere(self):
        for forward in ("off", "on"):
            gateway = self.gateway(access=f"forward {forward};", refresh="format jwt;")
            token = login(gateway)["refresh_token"]
            upstream.forget()
            for path in ("/", "/optional", "/anonymous", "/observed"):
                reply = curl(gateway.base + path, token=token)
                self.assertEqual((reply.status, reply.json["code"]), (401, "refresh_token_misplaced"), path)
                both = curl(gateway.base + path, token=token, headers=["Authorization: Basic eDp5"])
                self.assertEqual(both.status, 401, path)
            self.assertEqual(upstream.requests, [])
            gateway.events("refresh_token_misplaced", 8)
            # It is spent by none of that; and other tokens do pass on an anonymous route.
            self.assertEqual(self.refresh(gateway, token).status, 200)
            self.assertEqual(self.status(gateway, "eyJhbGciOiJFUzI1NiIsInR5cCI6IkpXVCJ9.e30.c2ln", "/anonymous"), 200)
            self.assertEqual(len(upstream.requests), 1)
            gateway.stop()

    def test_one_kind_is_not_the_other(self):
        gateway = self.gateway(refresh="format jwt;")
        other = self.gateway(refresh="format jwt;")
        pair, stranger = login(gateway), login(other)
        token = pair["refresh_token"]
        head, payload, signature = token.split(".")
        access = pair["access_token"].split(".")
        bad = {
            "an access token": pair["access_token"],
            "another gateway's": stranger["refresh_token"],
            "another's under our name": forged(token, sub="bob"),
            "no signature": f"{head}.{payload}.",
            "no algorithm": forged(token, {"alg": "none"}).rpartition(".")[0] + ".",
            "for somebody else": forged(token, aud="clients"),
            "an access token's payload": f"{head}.{access[1]}.{signature}",
            "its payload in an access token": f"{access[0]}.{payload}.{access[2]}",
            "another session's": forged(token, rt=claims(stranger["refresh_token"])["rt"]),
            "a piece": token[:-1],
            "nothing": "eyJ..",
        }
        for name, wrong in bad.items():
            reply = self.refresh(gateway, wrong)
            self.assertEqual((reply.status, reply.json["code"]), (400, "refresh_token_invalid"), name)
        self.assertEqual(self.status(gateway, f"{access[0]}.{payload}.{access[2]}"), 401)
        self.assertEqual(self.refresh(gateway, token).status, 200)

    def test_under_our_own_key_each_claim_is_looked_at(self):
        gateway = self.gateway(refresh="format jwt;")
        pair = login(gateway)
        head, said = header(pair["refresh_token"]), claims(pair["refresh_token"])
        now = int(time.time())
        for wrong in (
            {"exp": now - 31}, {"aud": "clients"}, {"aud": [said["aud"] + "/"]}, {"iss": "http://other"}, {"iat": now + 600},
            {"nbf": now + 600}, {"sub": ""}, {"sid": "x"}, {"rt": "rt_x"}, {"rt": 1}, {"rt": pair["access_token"]},
        ):
            token = sign_as(gateway, "ES256", head, said | wrong)
            self.assertEqual(self.refresh(gateway, token).json["code"], "refresh_token_invalid", wrong)
        for typ in ("jwt", "JWT", "", "at+jwt", "rt+jwtx"):
            token = sign_as(gateway, "ES256", head | {"typ": typ}, said)
            self.assertEqual(self.refresh(gateway, token).status, 400, typ)
        self.assertEqual(self.status(gateway, sign_as(gateway, "ES256", head, claims(pair["access_token"]))), 401)
        self.assertEqual(self.refresh(gateway, sign_as(gateway, "ES256", head, said)).status, 200)

    def test_keys_that_change_between(self):
        gateway = self.gateway(refresh="format jwt;")
        pair, withdrawn = login(gateway), login(gateway)
        old = header(pair["refresh_token"])["kid"]
        for _ in range(2):
            keys.change(gateway, "rotate", "--force")
            wait_until(lambda: header(login(gateway)["refresh_token"])["kid"] != old, 5, "the next key signs")
        pair = self.refresh(gateway, pair["refresh_token"]).json
        self.assertNotEqual(header(pair["refresh_token"])["kid"], old)
        # The key of a signed refresh token is kept as long as that one lives.
        retired = [key for key in keys.manifest(gateway)["keys"] if key["kid"] == old]
        self.assertGreater(retired[0]["good_until"], (time.time() + 6.9 * 86400) * 1000)
        # With a key that is withdrawn goes what it has signed.
        keys.change(gateway, "retire", old, "--now")
        reply = wait_until(
            lambda: (reply := self.refresh(gateway, withdrawn["refresh_token"])).status != 200 and reply, 5, "refusal"
        )
        self.assertEqual(reply.json["code"], "refresh_token_invalid")
        self.assertEqual(self.refresh(gateway, pair["refresh_token"]).status, 200)


class SingleTokens(StyleCase):
    def test_good_for_requests_until_one_time_and_for_refreshing_until_another(self):
        gateway = self.gateway(access=SINGLE)
        pair = login(gateway)
        token = pair["access_token"]
        self.assertEqual(pair["refresh_token"], token)
        said, now = claims(token), time.time()
        self.assertAlmostEqual(said["useExp"], now + 10, delta=2)
        self.assertAlmostEqual(said["exp"], now + 86400, delta=2)
        self.assertIn((pair["expires_in"], pair["refresh_expires_in"]), [(9, 86400), (10, 86400)])
        self.assertEqual(self.status(gateway, token), 200)
        time.sleep(max(0, said["useExp"] - time.time()) + 0.1)
        reply = curl(gateway.base + "/", token=token)
        self.assertEqual((reply.status, reply.json["code"]), (401, "token_expired"))
        # By each way that clients of such a token know.
        first = curl(gateway.base + "/refresh", method="POST", token=token).json
        second = self.refresh(gateway, token).json
        self.assertEqual(claims(first["access_token"])["rt"], claims(second["access_token"])["rt"])
        self.assertEqual(self.status(gateway, first["access_token"]), 200)
        third = curl(gateway.base + "/refresh", as_json={"refresh_token": first["refresh_token"]})
        self.assertEqual(third.status, 200)
        # Its rotation is a rotation: a copy of long ago is found out.
        self.assertEqual(self.refresh(gateway, third.json["refresh_token"]).status, 200)
        self.assertEqual(self.refresh(gateway, token).json["code"], "refresh_token_reused")

    def test_a_browser_has_one_cookie(self):
        gateway = self.gateway(access=SINGLE)
        cookies = login(gateway, browser=True)
        self.assertEqual(set(cookies), {"access"})
        curl(gateway.control + "/subjects/alice/expire-access", method="POST")
        before = cookies["access"]
        self.assertEqual(self.bounce(gateway, cookies, data="x" * 1000).status, 200)
        self.assertNotEqual(cookies["access"], before)
        self.assertNotIn("refresh", cookies)
        self.assertEqual(len(self.live(gateway)), 1)
        # A page of another site refreshes nothing.
        cross = curl(
            gateway.base + "/refresh", method="POST", cookies=cookies, headers=["Sec-Fetch-Site: cross-site"]
        )
        self.assertEqual(cross.status, 403)
        out = curl(gateway.base + "/refresh/logout", method="POST", cookies=cookies, headers=BROWSER)
        cleared = out.cookies()
        self.assertEqual((out.status, set(cleared)), (204, {"access", "refresh"}))
        self.assertTrue(all("max-age=0" in attributes for _, attributes in cleared.values()))
        self.assertEqual(self.live(gateway), [])

    def test_revocation_is_at_once(self):
        gateway = self.gateway(access=SINGLE)
        for end in ("sid", "subject", "logout", "revoke"):
            pair = login(gateway)
            token = pair["access_token"]
            self.assertEqual(self.status(gateway, token), 200)
            if end == "sid":
                curl(gateway.control + "/sessions/" + claims(token)["sid"], method="DELETE")
            elif end == "subject":
                curl(gateway.control + "/subjects/alice/sessions", method="DELETE")
            elif end == "logout":
                curl(gateway.base + "/refresh/logout", method="POST", token=token)
            else:
                curl(gateway.base + "/refresh/revoke", form={"token": token})
            reply = curl(gateway.base + "/", token=token)
            self.assertEqual(reply.status, 401, end)
            self.assertIn(reply.json["code"], ("token_revoked", "session_ended"))
            self.assertEqual(self.refresh(gateway, token).json["code"], "session_ended", end)

    def test_who_logs_in_again_has_one_session(self):
        gateway = self.gateway(access=SINGLE)
        cookies = login(gateway, browser=True)
        time.sleep(11)
        # Good for requests no longer, it still says whose session it is.
        reply = curl(gateway.base + "/login", method="POST", cookies=cookies, headers=BROWSER)
        self.assertEqual((reply.status, len(self.live(gateway))), (200, 1))
        begun = curl(gateway.control + "/sessions", as_json={"subject": "bob"}).json
        self.assertEqual(begun["refresh_token"], begun["access_token"])
        self.assertEqual(self.refresh(gateway, begun["refresh_token"]).status, 200)

    def test_the_token_reaches_no_upstream(self):
        gateway = self.gateway(access=SINGLE)
        token = login(gateway)["access_token"]
        upstream.forget()
        for path in ("/", "/optional", "/anonymous", "/observed"):
            self.assertEqual(self.status(gateway, token, path), 200)
            self.assertIsNone(upstream.last().one("authorization"), path)
        curl(gateway.base + "/", cookies={"access": token})
        self.assertIsNone(upstream.last().one("cookie"))

    def test_claims_that_do_not_fit_are_refused_at_login(self):
        gateway = self.gateway(access=SINGLE)

        def begin(**said):
            return curl(gateway.control + "/sessions", as_json={"subject": "alice", "claims": said})

        for name in ("rt", "useExp", "exp"):
            self.assertEqual(begin(**{name: 1}).status, 400, name)
        most = 0
        for size in range(2600, 1500, -1):
            reply = begin(filler="x" * size) if size % 20 == 0 else None
            if reply and reply.status == 201:
                most = len(reply.json["access_token"])
                break
        # As much as fits is let in, and what it makes fits into a cookie.
        self.assertGreater(most, 3800)
        self.assertLess(len("__Host-access=") + most, 4096)


class LongLives(StyleCase):
    def test_a_revoked_token_of_90_days_stays_revoked_over_a_crash(self):
        gateway = self.gateway(access="lifetime 90d;")
        revoked, kept = login(gateway)["access_token"], login(gateway)["access_token"]
        self.assertEqual(self.status(gateway, revoked), 200)
        curl(gateway.control + "/sessions/" + claims(revoked)["sid"], method="DELETE")
        self.assertEqual(self.status(gateway, revoked), 401)
        gateway.kill()
        gateway.start()
        self.assertEqual((self.status(gateway, revoked), self.status(gateway, kept)), (401, 200))

    def test_a_shorter_lifetime_holds_for_the_tokens_that_are_out(self):
        # What is remembered of revocations goes by the lifetime: none may be good beyond it.
        gateway = self.gateway(access="lifetime 90d; leeway 0s;")
        token, cookies = login(gateway), login(gateway, browser=True)
        time.sleep(1)
        self.reconfigure(gateway, "lifetime 90d", "lifetime 10s")
        self.assertEqual(self.status(gateway, token["access_token"]), 200)
        time.sleep(10)
        self.assertEqual(curl(gateway.base + "/", token=token["access_token"]).json["code"], "token_expired")
        self.assertEqual(self.refresh(gateway, token["refresh_token"]).status, 200)
        self.assertEqual(self.bounce(gateway, cookies).status, 200)


class Changes(StyleCase):
    STYLES = {
        "opaque": ("lifetime 10m;", "format opaque;"),
        "jwt": ("lifetime 10m;", "format jwt;"),
        "single": ("lifetime 1d; style single { use_expiry useExp 10m; }", ""),
        "renamed": ("lifetime 1d; style single { use_expiry goodUntil 10m; }", ""),
    }

    def change(self, gateway, style):
        access, refresh = self.STYLES[style]
        self.reconfigure(
            gateway,
            r"access_token \{.*?\n(refresh_token)[^\n]*\n",
            f"access_token {{ audience clients; {access} # {style}\n}}\nrefresh_token {{ {refresh} }} # {time.time()}\n",
        )

    def test_nobody_is_logged_out_by_a_change(self):
        gateway = self.gateway(access="lifetime 10m;")
        pair, cookies = login(gateway), login(gateway, browser=True)
        order = ["jwt", "single", "opaque", "single", "renamed", "jwt", "opaque"]
        for style in order:
            with self.subTest(style=style):
                self.change(gateway, style)
                # Let in, or sent to refresh: never turned away for good.
                reply = curl(gateway.base + "/", token=pair["access_token"])
                if reply.status != 200:
                    self.assertEqual((reply.status, reply.json["code"]), (401, "token_expired"))
                self.assertEqual(self.bounce(gateway, cookies).status, 200)
                reply = self.refresh(gateway, pair["refresh_token"])
                self.assertEqual(reply.status, 200, reply.body)
                pair = reply.json
                self.assertEqual(self.status(gateway, pair["access_token"]), 200)
                reply = curl(gateway.base + "/refresh", method="POST", cookies=cookies, headers=BROWSER)
                self.assertEqual(reply.status, 200, reply.body)
                self.take_in(cookies, reply)
                self.assertEqual("refresh" in cookies, style in ("jwt", "opaque"))
                self.assertEqual(len(self.live(gateway)), 2)

    def test_a_single_token_of_before_is_good_for_no_request(self):
        # It would be good for as long as it can be exchanged, and its revocation is not remembered for so long.
        gateway = self.gateway(access="lifetime 1d; style single { use_expiry useExp 10m; }")
        token = login(gateway)["access_token"]
        self.change(gateway, "opaque")
        self.assertEqual(curl(gateway.base + "/", token=token).json["code"], "token_expired")
        self.assertEqual(self.refresh(gateway, token).status, 200)

    def test_a_refresh_cookie_of_before_is_no_theft(self):
        gateway = self.gateway(access=SINGLE, refresh="race_window 0s;")
        self.change(gateway, "opaque")
        cookies = login(gateway, browser=True)
        self.change(gateway, "single")
        left = cookies["refresh"]
        for _ in range(3):
            # The browser does not let go of it.
            reply = curl(
                gateway.base + "/refresh", method="POST", cookies=cookies | {"refresh": left}, headers=BROWSER
            )
            self.assertEqual(reply.status, 200, reply.body)
            self.assertIn("max-age=0", reply.cookies()["refresh"][1])
            self.take_in(cookies, reply)
        self.assertEqual(len(self.live(gateway)), 1)
