# Nobody else ends your session, and nobody keeps it: logout by other sites and with foreign tokens, logins
# over a session that is still there, and duplicate refresh cookies in every order.

import time
import unittest

from clients import curl, login
from harness import DEMO_ROUTES, Demo, Gateway
from test_session_path import claims

OURS = ["Sec-Fetch-Site: same-origin"]
FOREIGN = (["Sec-Fetch-Site: cross-site"], ["Sec-Fetch-Site: same-site"], ["Origin: https://evil.example"],
           ["Sec-Fetch-Site: cross-site", "Origin: null"],
           ["Sec-Fetch-Site: cross-site", "Sec-Fetch-Site: none"])


def setUpModule():
    global demo, gateway
    demo = Demo()
    routes = DEMO_ROUTES.replace("access anonymous; login;", "access optional; login;")
    gateway = Gateway(demo.port, refresh="race_window 1s;")
    gateway.optional = Gateway(demo.port, routes=routes)


def tearDownModule():
    demo.stop()
    gateway.optional.stop()
    gateway.stop()


def logout(headers=(), **options):
    return curl(gateway.base + "/refresh/logout", method="POST", headers=headers, **options)


def whoami(**options):
    return curl(gateway.base + "/whoami", **options).status


def session(of, where=None):
    """A session as the control API shows it, by an access token."""
    return curl((where or gateway).control + "/sessions/" + claims(of)["sid"]).json


class Logout(unittest.TestCase):
    def assert_cleared(self, reply):
        self.assertEqual({name: value for name, (value, _) in reply.cookies().items()},
                         {"access": "", "refresh": ""})
        for _, attributes in reply.cookies().values():
            self.assertIn("max-age=0", attributes)

    def test_other_sites_never_clear_cookies(self):
        cookies = login(gateway, browser=True)
        for headers in FOREIGN:
            for form in ({}, {"refresh_token": "x"}, {"refresh_token": "rt_" + "A" * 96}, {"token": "x"}):
                for sent in (None, cookies, {"access": "x"}):
                    reply = logout(headers, form=form, cookies=sent)
                    self.assertEqual(reply.all("set-cookie"), [], (headers, form, sent))
                    self.assertIn(reply.status, (204, 400, 403))
        self.assertEqual(whoami(cookies=cookies), 200)

    def test_our_page_gets_cleared_cookies_with_a_session_and_without(self):
        for cookies in (login(gateway, browser=True), {"access": "x"}, {"refresh": "x"}, None):
            for headers in (OURS, ["Origin: " + gateway.origin]):
                reply = logout(headers, cookies=cookies)
                self.assertEqual(reply.status, 204, cookies)
                self.assert_cleared(reply)

    def test_good_access_cookie_beside_a_refresh_cookie_that_is_not_ours(self):
        for other in ("other", "rt_" + "A" * 96, ""):
            cookies = login(gateway, browser=True)
            reply = logout(OURS, cookies={"access": cookies["access"], "refresh": other})
            self.assertEqual(reply.status, 204)
            self.assert_cleared(reply)
            self.assertEqual(whoami(cookies=cookies), 401)
            self.assertEqual(session(cookies["access"])["end_reason"], "logout")

    def test_token_of_another_gateway_in_the_body(self):
        pair, foreign = login(gateway), login(gateway.optional)
        for token in (foreign["refresh_token"], "x", "rt_" + "A" * 96):
            reply = logout(form={"refresh_token": token})
            self.assertEqual((reply.status, reply.json["error"]), (400, "invalid_grant"))
            self.assertEqual(reply.all("set-cookie"), [])
        self.assertEqual(curl(gateway.optional.base + "/whoami", token=foreign["access_token"]).status, 200)
        self.assertEqual(logout(form={"refresh_token": pair["refresh_token"]}).status, 204)
        self.assertEqual(whoami(token=pair["access_token"]), 401)


class SecondLogin(unittest.TestCase):
    def again(self, where, **options):
        reply = curl(where.base + "/login", as_json={"user": "alice", "password": "wonderland"}, **options)
        self.assertEqual(reply.status, 200)
        return reply

    def test_with_the_cookies_of_the_first_ends_the_first(self):
        for where in (gateway, gateway.optional):
            first, bystander = login(where, browser=True), login(where, browser=True)
            second = self.again(where, cookies=first, headers=OURS).cookies()
            self.assertEqual(session(first["access"], where)["end_reason"], "replaced")
            self.assertEqual(curl(where.base + "/whoami", cookies=first).status, 401)
            for cookies in (bystander, {name: value for name, (value, _) in second.items()}):
                self.assertEqual(session(cookies["access"], where)["state"], "live")

    def test_with_a_bearer_on_an_optional_route_too(self):
        for where in (gateway, gateway.optional):
            first = login(where)
            second = self.again(where, token=first["access_token"]).json
            self.assertEqual(session(first["access_token"], where)["end_reason"], "replaced")
            self.assertEqual(session(second["access_token"], where)["state"], "live")

    def test_refused_login_ends_nothing(self):
        first = login(gateway, browser=True)
        reply = curl(gateway.base + "/login", as_json={"user": "alice", "password": "x"}, cookies=first,
                     headers=OURS)
        self.assertEqual((reply.status, reply.all("set-cookie")), (401, []))
        self.assertEqual(session(first["access"])["state"], "live")

    def test_forged_token_ends_nothing(self):
        first = login(gateway, browser=True)
        self.again(gateway, cookies={"access": first["access"][:-4] + "AAAA"}, headers=OURS)
        self.assertEqual(session(first["access"])["state"], "live")


class DuplicateCookies(unittest.TestCase):
    def refresh(self, *tokens):
        return curl(gateway.base + "/refresh", method="POST", headers=OURS + [
            "Cookie: " + "; ".join("refresh=" + token for token in tokens)])

    def child(self, *tokens):
        """The new cookies, and that nobody is logged out by the order of the old ones."""
        reply = self.refresh(*tokens)
        self.assertEqual(reply.status, 200, reply.body)
        cookies = {name: value for name, (value, _) in reply.cookies().items()}
        self.assertEqual(whoami(cookies=cookies), 200)
        return cookies

    def test_garbage_of_the_right_look_before_and_after_the_good_one(self):
        good = login(gateway, browser=True)["refresh"]
        foreign = login(gateway.optional)["refresh_token"]
        for garbage in ("rt_" + "A" * (len(good) - 3), "x", "", good[:-2] + "AA", foreign):
            good = self.child(garbage, good)["refresh"]
            good = self.child(good, garbage)["refresh"]
        self.assertEqual(self.refresh("rt_" + "A" * (len(good) - 3)).status, 401)
        self.child(good)

    def test_older_genuine_one_beside_the_current(self):
        old = login(gateway, browser=True)["refresh"]
        middle = self.child(old)["refresh"]
        current = self.child(middle)
        time.sleep(1.2)
        current = self.child(old, current["refresh"])
        current = self.child(current["refresh"], old)
        current = self.child(old, middle, current["refresh"])
        self.assertEqual(session(current["access"])["state"], "live")

    def test_one_of_a_session_that_has_ended_before_the_good_one(self):
        ended = login(gateway, browser=True)
        self.assertEqual(logout(OURS, cookies=ended).status, 204)
        good = login(gateway, browser=True)["refresh"]
        self.child(good, ended["refresh"])
        self.child(ended["refresh"], self.child(good)["refresh"])

    def test_old_one_alone_is_still_found_out(self):
        for generations in (1, 2):
            old = login(gateway, browser=True)["refresh"]
            current = self.child(old)
            for _ in range(generations - 1):
                current = self.child(current["refresh"])
            time.sleep(1.2)
            reply = self.refresh(old)
            self.assertEqual((reply.status, reply.json["code"]), (401, "refresh_token_reused"))
            self.assertEqual(session(current["access"])["state"], "ended")
            self.assertEqual(self.refresh(current["refresh"]).status, 401)

    def test_old_one_twice_is_no_way_around(self):
        old = login(gateway, browser=True)["refresh"]
        current = self.child(old)
        time.sleep(1.2)
        self.assertEqual(self.refresh(old, "rt_" + "A" * 96, old).status, 401)
        self.assertEqual(session(current["access"])["state"], "ended")
