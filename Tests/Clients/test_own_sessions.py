# `/refresh/sessions`: users see their own sessions and end them, by every credential that shows whose they are;
# nobody sees or ends anybody else's, and no page of another origin does either by cookies.

import unittest

from clients import curl, login
from harness import Demo, Gateway

PAGE = ["Sec-Fetch-Site: same-origin"]
MEMBERS = {"sid", "label", "user_agent", "address", "created", "refreshed", "idle_deadline", "final_deadline"}


def setUpModule():
    global demo, gateway
    demo = Demo()
    gateway = Gateway(demo.port)


def tearDownModule():
    demo.stop()
    gateway.stop()


def begin(subject, **more):
    return curl(gateway.control + "/sessions", as_json={"subject": subject, **more}).json


def refresh(pair):
    return curl(gateway.base + "/refresh", as_json={"refresh_token": pair["refresh_token"]})


def listed(*headers, **options):
    return curl(gateway.base + "/refresh/sessions", headers=headers, **options)


def end(sid, *headers, **options):
    return curl(gateway.base + "/refresh/sessions/" + sid, method="DELETE", headers=headers, **options)


def cookies_of(pair):
    return {"access": pair["access_token"], "refresh": pair["refresh_token"]}


def own_sid(pair):
    return listed(token=pair["access_token"]).json["sessions"][0]["sid"]


def is_let_in(pair):
    return curl(gateway.base + "/whoami", token=pair["access_token"]).status == 200


class Listing(unittest.TestCase):
    def test_what_is_shown(self):
        first = begin("anna", label="phone", claims={"role": "secret-role"})
        second = begin("anna", label="tablet")
        begin("not-anna")
        reply = listed(token=first["access_token"])
        self.assertEqual((reply.status, reply.one("cache-control")), (200, "no-store"))
        mine, other = reply.json["sessions"]
        self.assertEqual((set(mine), set(other)), (MEMBERS | {"current"}, MEMBERS))
        self.assertEqual((mine["label"], mine["current"], other["label"]), ("phone", True, "tablet"))
        self.assertLess(mine["idle_deadline"], mine["final_deadline"])
        for secret in (b"secret-role", b"generation", second["refresh_token"].encode()):
            self.assertNotIn(secret, reply.body)
        # The asking one comes first, whichever is newer.
        self.assertEqual([s["label"] for s in listed(token=second["access_token"]).json["sessions"]],
                         ["tablet", "phone"])

    def test_a_login_shows_where_it_came_from(self):
        pair = login(gateway)
        (mine, *_) = listed(token=pair["access_token"]).json["sessions"]
        self.assertEqual(mine["address"], "127.0.0.1")
        self.assertTrue(mine["user_agent"].startswith("curl/"))

    def test_ended_ones_are_not_listed(self):
        pair, gone = begin("bert"), begin("bert")
        self.assertEqual(len(listed(token=pair["access_token"]).json["sessions"]), 2)
        curl(gateway.base + "/refresh/logout", as_json={"refresh_token": gone["refresh_token"]})
        self.assertEqual(len(listed(token=pair["access_token"]).json["sessions"]), 1)

    def test_no_more_than_a_hundred(self):
        for number in range(103):
            pair = begin("many", label=str(number))
        sessions = listed(token=pair["access_token"]).json["sessions"]
        self.assertEqual((len(sessions), sessions[0]["label"]), (100, "102"))

    def test_by_a_refresh_token_that_stays_what_it_is(self):
        pair = begin("cora")
        for _ in range(3):
            self.assertEqual(listed(token=pair["refresh_token"]).status, 200)
        child = refresh(pair).json
        # The one before is good for a retry, and so for this.
        self.assertEqual(listed(token=pair["refresh_token"]).status, 200)
        grandchild = refresh(child).json
        reply = listed(token=pair["refresh_token"])
        self.assertEqual((reply.status, reply.json["code"]), (401, "refresh_token_invalid"))
        # An old one is refused here and no theft: that is for the exchange to find.
        self.assertTrue(is_let_in(grandchild))
        self.assertEqual(refresh(grandchild).status, 200)

    def test_by_cookies_of_our_own_pages_only(self):
        pair = begin("dirk")
        for cookies in (cookies_of(pair), {"access": pair["access_token"]}, {"refresh": pair["refresh_token"]}):
            self.assertEqual(listed(*PAGE, cookies=cookies).status, 200)
            for headers in ([], ["Sec-Fetch-Site: cross-site"], ["Sec-Fetch-Site: same-site"],
                            ["Origin: https://evil.example"]):
                reply = listed(*headers, cookies=cookies)
                self.assertEqual((reply.status, reply.json["code"]), (403, "cross_origin"), headers)
        # A stale cookie beside the good one hides nothing.
        two = ["Cookie: refresh=x; refresh=" + pair["refresh_token"]]
        self.assertEqual(listed(*PAGE, *two).status, 200)

    def test_who_shows_nothing_good(self):
        pair = begin("emma")
        cases = [
            ({}, 401, "token_missing"),
            ({"token": "x"}, 401, "token_malformed"),
            ({"token": pair["access_token"][:-2] + "AA"}, 401, "token_signature"),
            ({"token": pair["refresh_token"][:-2] + "AA"}, 401, "refresh_token_invalid"),
            ({"headers": PAGE, "cookies": {"access": "x"}}, 401, "token_malformed"),
            ({"headers": ["Authorization: Bearer a", "Authorization: Bearer b"]}, 400, "token_ambiguous"),
        ]
        for options, status, code in cases:
            reply = curl(gateway.base + "/refresh/sessions", **options)
            self.assertEqual((reply.status, reply.json["code"]), (status, code), options)

    def test_who_was_logged_out(self):
        pair = begin("fritz")
        curl(gateway.control + "/subjects/fritz/sessions", method="DELETE")
        for token in (pair["access_token"], pair["refresh_token"]):
            reply = listed(token=token)
            self.assertEqual(reply.status, 401)
            self.assertEqual(reply.all("set-cookie"), [])
        over = listed(*PAGE, cookies={"refresh": pair["refresh_token"]})
        self.assertEqual((over.status, over.json["code"]), (401, "session_ended"))
        self.assertEqual(set(over.cookies()), {"access", "refresh"}, "the cookies of a session that is over go")

    def test_methods_and_paths(self):
        pair = begin("gina")
        for method in ("POST", "PUT", "DELETE"):
            reply = curl(gateway.base + "/refresh/sessions", method=method, token=pair["access_token"])
            self.assertEqual((reply.status, reply.one("allow")), (405, "GET, HEAD"))
        reply = curl(gateway.base + "/refresh/sessions/" + own_sid(pair), token=pair["access_token"])
        self.assertEqual((reply.status, reply.one("allow")), (405, "DELETE"))
        self.assertEqual(curl(gateway.base + "/refresh/sessionsx", token=pair["access_token"]).status, 404)
        head = curl(gateway.base + "/refresh/sessions", method="HEAD", token=pair["access_token"])
        self.assertEqual((head.status, head.body), (200, b""))


class Ending(unittest.TestCase):
    def test_another_one_of_mine(self):
        mine, other = begin("hans"), begin("hans")
        sid = own_sid(other)
        self.assertEqual(end(sid, token=mine["access_token"]).status, 204)
        # In force before the answer.
        self.assertFalse(is_let_in(other))
        self.assertEqual(refresh(other).json["code"], "session_ended")
        self.assertTrue(is_let_in(mine))
        ended = curl(gateway.control + "/sessions/" + sid).json
        self.assertEqual(ended["end_reason"], "logout")
        self.assertEqual(end(sid, token=mine["access_token"]).status, 404, "it has ended")

    def test_somebody_elses_is_as_unknown_as_none(self):
        mine, foreign = begin("inge"), begin("not-inge")
        replies = [
            end(sid, token=token)
            for sid in (own_sid(foreign), "A" * 22, "x", "%2e%2e%2f", "x" * 500)
            for token in (mine["access_token"], mine["refresh_token"])
        ]
        self.assertEqual({(reply.status, reply.body) for reply in replies if reply.status != 400},
                         {(404, replies[0].body)})
        self.assertTrue(is_let_in(foreign))
        self.assertTrue(is_let_in(mine))

    def test_the_current_one_clears_its_cookies(self):
        for names in ({"access", "refresh"}, {"refresh"}, {"access"}):
            pair = begin("jan")
            cookies = {name: value for name, value in cookies_of(pair).items() if name in names}
            reply = end(own_sid(pair), *PAGE, cookies=cookies)
            self.assertEqual(reply.status, 204, names)
            self.assertEqual({value for value, _ in reply.cookies().values()}, {""}, names)
            self.assertEqual(set(reply.cookies()), {"access", "refresh"})
            self.assertFalse(is_let_in(pair))

    def test_another_one_leaves_the_cookies(self):
        mine, other = begin("kurt"), begin("kurt")
        reply = end(own_sid(other), *PAGE, cookies=cookies_of(mine))
        self.assertEqual((reply.status, reply.all("set-cookie")), (204, []))
        self.assertTrue(is_let_in(mine))

    def test_no_page_of_another_origin(self):
        mine = begin("lena")
        for headers in ([], ["Sec-Fetch-Site: cross-site"], ["Origin: https://evil.example"]):
            reply = end(own_sid(mine), *headers, cookies=cookies_of(mine))
            self.assertEqual((reply.status, reply.json["code"]), (403, "cross_origin"))
        self.assertEqual(end(own_sid(mine)).status, 401)
        self.assertTrue(is_let_in(mine))

    def test_an_old_refresh_token_ends_nothing(self):
        old = begin("mia")
        sid = own_sid(old)
        child = refresh(refresh(old).json).json
        self.assertEqual(end(sid, token=old["refresh_token"]).status, 401)
        self.assertTrue(is_let_in(child))
        self.assertEqual(end(sid, token=child["refresh_token"]).status, 204)


class Limits(unittest.TestCase):
    def test_the_refresh_rate_holds_here_too(self):
        limited = Gateway(demo.port, refresh="rate 2/m burst=2;")
        try:
            pair = curl(limited.control + "/sessions", as_json={"subject": "nora"}).json
            statuses = [
                curl(limited.base + "/refresh/sessions", token=pair["access_token"]).status for _ in range(3)
            ]
            self.assertEqual(statuses, [200, 200, 429])
        finally:
            limited.stop()

    def test_a_single_token_shows_it_as_well(self):
        single = Gateway(demo.port, access="style single { use_expiry useExp 15m; }")
        try:
            pair = curl(single.control + "/sessions", as_json={"subject": "olaf"}).json
            reply = curl(single.base + "/refresh/sessions", token=pair["access_token"])
            self.assertEqual((reply.status, len(reply.json["sessions"])), (200, 1))
            self.assertEqual(curl(single.control + "/introspect", form={"token": pair["access_token"]})
                             .json["sub"], "olaf")
            self.assertNotIn(b'"rt', curl(single.control + "/introspect", form={"token": pair["access_token"]}).body)
        finally:
            single.stop()
