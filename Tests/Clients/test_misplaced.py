# Refresh tokens where none belongs: whatever the place, the spelling and the kind of route, they are not
# forwarded, the answer is one 401, the audit log tells where, and no log shows them.

import unittest
import urllib.parse

from clients import Raw, curl, login
from harness import Demo, Gateway, wait_until
from upstreams import Upstream

ROUTES = """
upstream demo { server http://127.0.0.1:%d; }
route /login { upstream demo; access anonymous; login; }
route /public/ { upstream api; access anonymous; }
route /feed/ { upstream api; access optional; }
route /watched/ { upstream api; observe; }
route /fixed { respond 200 "here"; access anonymous; }
route /app/ { upstream api; login_page /login.html; }
route / { upstream api; }
"""


def setUpModule():
    global demo, upstream, gateway, pair
    demo, upstream = Demo(), Upstream()
    gateway = Gateway(upstream.port, routes=ROUTES % demo.port)
    pair = login(gateway)


def tearDownModule():
    demo.stop()
    gateway.stop()
    upstream.stop()


def audited():
    return [line for line in gateway.audit_log() if line["event.action"] == "refresh_token_misplaced"]


class Misplaced(unittest.TestCase):
    def setUp(self):
        upstream.forget()
        self.expected = len(audited())

    def assert_refused(self, reply, place, what):
        self.expected += 1
        self.assertEqual((reply.status, reply.json["code"]), (401, "refresh_token_misplaced"), what)
        self.assertIn("invalid_token", reply.one("www-authenticate"))
        self.assertEqual(upstream.requests, [], what)
        wait_until(lambda: len(audited()) >= self.expected, what=f"an event for {what}")
        self.assertEqual(len(audited()), self.expected)
        line = audited()[-1]
        self.assertEqual((line["event.reason"], line["source.ip"]), (place, "127.0.0.1"), what)

    def test_every_form_of_authorization(self):
        token = pair["refresh_token"]
        forms = [
            ["Bearer " + token],
            ["bearer " + token],
            ["Bearer\t" + token],
            ["Bearer \t " + token],
            ["Basic x, Bearer " + token],
            [f'Bearer "{token}"'],
            ["Token " + token],
            [token],
            ["Basic eDp5", "Bearer " + token],
            ["Bearer " + token, "Bearer " + pair["access_token"]],
            ["Bearer " + pair["access_token"] + "," + token],
        ]
        for form in forms:
            reply = curl(gateway.base + "/x", headers=["Authorization: " + value for value in form])
            self.assert_refused(reply, "authorization", form)

    def test_every_place_in_the_head(self):
        token = pair["refresh_token"]
        quoted = urllib.parse.quote("/next?t=" + token, safe="")
        places = [
            ("/x?refresh_token=" + token, [], "query"),
            ("/x?a=b&" + token, [], "query"),
            ("/x?next=" + quoted, [], "query"),
            (f"/x/{token}/y", [], "path"),
            ("/x/%72t_" + token[3:], [], "path"),
            ("/x", ["Cookie: other=" + token], "cookie"),
            ("/x", ["Cookie: access=" + token], "cookie"),
            ("/x", [f"Cookie: refresh={token}; other={token}"], "cookie"),
            ("/x", ["X-Refresh-Token: " + token], "header"),
            ("/x", ["User-Agent: me/" + token], "header"),
            ("/x", ["Referer: http://localhost/?t=" + token], "header"),
        ]
        for target, headers, place in places:
            authorised = headers + ["Authorization: Bearer " + pair["access_token"]]
            self.assert_refused(curl(gateway.base + target, headers=authorised), place, (target, headers))

    def test_every_kind_of_route(self):
        for path in ("/public/x", "/feed/x", "/watched/x", "/fixed", "/x"):
            for credentials in ([], ["Authorization: Bearer " + pair["access_token"]]):
                headers = credentials + ["X-Token: " + pair["refresh_token"]]
                self.assert_refused(curl(gateway.base + path, headers=headers), "header", path)

    def test_no_login_page_gets_to_see_it(self):
        navigation = ["Sec-Fetch-Mode: navigate", "Sec-Fetch-Dest: document", "Sec-Fetch-Site: none"]
        self.assertEqual(curl(gateway.base + "/app/x", headers=navigation).status, 303)
        reply = curl(gateway.base + "/app/x?t=" + pair["refresh_token"], headers=navigation)
        self.assert_refused(reply, "query", "navigation")

    # Also where no route is found, or nothing was understood.
    def test_the_access_log_has_the_path_up_to_it(self):
        reply = curl(gateway.base + "/x/left/" + pair["refresh_token"] + "/right")
        self.assert_refused(reply, "path", "/x/left/")
        self.assertEqual(len(gateway.lines_for("/x/left/", 1)), 1)
        curl(gateway.base + "/left%00" + "/" + pair["refresh_token"])
        self.assertNotIn(pair["refresh_token"], open(gateway.access_path).read())

    def test_its_own_cookie_passes_and_stops_here(self):
        cookies = {"refresh": pair["refresh_token"], "theme": "dark"}
        reply = curl(gateway.base + "/x", cookies=cookies, token=pair["access_token"])
        self.assertEqual(reply.status, 200)
        self.assertEqual(upstream.last().one("cookie"), "theme=dark")

    def test_what_merely_looks_a_little_like_one_passes(self):
        token = pair["refresh_token"]
        for value in ("rt_", "cart_" + token[3:], token[:-1], token + "x", "x" + token, "RT_" + token[3:]):
            reply = curl(
                gateway.base + "/x?start_of=rt_1&v=" + value,
                token=pair["access_token"],
                headers=["X-Value: " + value],
                cookies={"part_": value},
            )
            self.assertEqual(reply.status, 200, value)
            self.assertEqual(upstream.last().one("x-value"), value)

    def test_bodies_are_not_looked_at(self):
        form = {"refresh_token": pair["refresh_token"]}
        self.assertEqual(curl(gateway.base + "/x", form=form, token=pair["access_token"]).status, 200)

    def test_under_the_refresh_path_it_is_at_home(self):
        body = {"refresh_token": login(gateway)["refresh_token"]}
        self.assertEqual(curl(gateway.base + "/refresh", as_json=body).status, 200)

    # 64 kB of beginnings of tokens cost one walk: the answers come as fast as any.
    def test_a_head_full_of_beginnings(self):
        for filler in ("rt_", "=rt_", "=rt_" + "a" * 91):
            line = filler * (12_000 // len(filler))
            request = f"GET /x HTTP/1.1\r\nHost: h\r\nX-A: {line}\r\nAuthorization: Bearer {pair['access_token']}"
            raw = Raw(gateway.port).send(request + "\r\n\r\n")
            self.assertEqual(raw.response().status, 200)
            raw.close()
