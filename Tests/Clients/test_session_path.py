# A session from login to its end, by curl: login, requests, refresh in its three ways, retry, replay, logout,
# revoke.

import base64
import json
import time
import unittest

from clients import curl, login
from harness import Demo, Gateway, wait_until


def setUpModule():
    global demo, gateway
    demo = Demo()
    # Short, so that a test can wait it out; long enough for a retry at once on a busy machine.
    gateway = Gateway(demo.port, refresh="race_window 2s;")


def tearDownModule():
    demo.stop()
    gateway.stop()


def refresh(token=None, cookies=None, headers=(), **options):
    """A refresh by JSON, or by cookie."""
    body = {"refresh_token": token} if token else None
    return curl(
        gateway.base + "/refresh", method="POST", as_json=body, cookies=cookies, headers=headers, **options
    )


def claims(access_token):
    part = access_token.split(".")[1]
    return json.loads(base64.urlsafe_b64decode(part + "=" * (-len(part) % 4)))


def whoami(token):
    return curl(gateway.base + "/whoami", token=token)


class Login(unittest.TestCase):
    def test_json_login_answers_with_the_pair_of_rfc_6749(self):
        reply = curl(gateway.base + "/login", as_json={"user": "alice", "password": "wonderland"})
        self.assertEqual(reply.status, 200)
        self.assertEqual(
            set(reply.json),
            {"access_token", "token_type", "expires_in", "refresh_token", "refresh_expires_in"},
        )
        self.assertEqual(reply.json["token_type"], "Bearer")
        # Shorter by chance, never longer.
        self.assertTrue(855 <= reply.json["expires_in"] <= 900)
        self.assertEqual(reply.json["refresh_expires_in"], 7 * 86400)
        self.assertEqual(reply.one("cache-control"), "no-store")
        self.assertEqual(reply.all("set-cookie"), [])
        for name, _ in reply.fields:
            self.assertFalse(name.startswith("session-"), name)

    def test_access_token_is_what_rfc_9068_describes(self):
        pair = login(gateway)
        header = json.loads(base64.urlsafe_b64decode(pair["access_token"].split(".")[0] + "=="))
        self.assertEqual((header["typ"], header["alg"]), ("at+jwt", "ES256"))
        content = claims(pair["access_token"])
        self.assertEqual(
            (content["sub"], content["aud"], content["iss"]), ("alice", "clients", gateway.origin)
        )
        self.assertEqual((content["gen"], content["role"]), (0, "admin"))
        self.assertTrue(855 <= content["exp"] - content["iat"] <= 900)
        self.assertEqual(len(base64.urlsafe_b64decode(content["sid"] + "==")), 16)
        self.assertLess(abs(content["iat"] - time.time()), 5)

    def test_form_login_of_a_page_is_a_redirect_with_cookies(self):
        reply = curl(
            gateway.base + "/login",
            form={"user": "bob", "password": "builder"},
            headers=["Sec-Fetch-Site: same-origin", "Sec-Fetch-Mode: navigate"],
        )
        self.assertEqual((reply.status, reply.one("location")), (303, "/app"))
        cookies = reply.cookies()
        self.assertEqual(set(cookies), {"access", "refresh"})
        self.assertIn("path=/", cookies["access"][1])
        self.assertIn("path=/refresh", cookies["refresh"][1])
        for _, attributes in cookies.values():
            self.assertIn("httponly", attributes)
            self.assertIn("samesite=lax", attributes)
            self.assertIn(f"max-age={7 * 86400}", attributes)

    def test_wrong_password_is_the_upstream_s_answer_and_begins_nothing(self):
        reply = curl(gateway.base + "/login", as_json={"user": "alice", "password": "x"})
        self.assertEqual(reply.status, 401)
        self.assertIn(b"wrong_user_or_password", reply.body)
        self.assertEqual(reply.all("set-cookie"), [])

    def test_second_login_of_a_client_replaces_its_session(self):
        first = login(gateway)
        second = curl(
            gateway.base + "/login",
            token=first["access_token"],
            as_json={"user": "alice", "password": "wonderland"},
        ).json
        self.assertEqual(whoami(first["access_token"]).status, 401)
        self.assertEqual(whoami(second["access_token"]).status, 200)
        self.assertEqual(refresh(first["refresh_token"]).json["code"], "session_ended")


class Refresh(unittest.TestCase):
    def test_by_form_as_oauth_has_it(self):
        pair = login(gateway)
        reply = curl(
            gateway.base + "/refresh",
            form={"grant_type": "refresh_token", "refresh_token": pair["refresh_token"]},
        )
        self.assertEqual(reply.status, 200)
        self.assertNotEqual(reply.json["refresh_token"], pair["refresh_token"])
        self.assertEqual(claims(reply.json["access_token"])["gen"], 1)
        self.assertEqual(reply.one("cache-control"), "no-store")
        self.assertEqual(whoami(reply.json["access_token"]).json["subject"], "alice")

    def test_by_json(self):
        pair = login(gateway)
        reply = refresh(pair["refresh_token"])
        self.assertEqual(reply.status, 200)
        self.assertEqual(claims(reply.json["access_token"])["sid"], claims(pair["access_token"])["sid"])

    def test_by_cookie_answers_with_cookies_only(self):
        cookies = login(gateway, browser=True)
        reply = refresh(cookies=cookies, headers=["Sec-Fetch-Site: same-origin"])
        self.assertEqual(reply.status, 200)
        self.assertNotIn("access_token", reply.json)
        self.assertNotIn("refresh_token", reply.json)
        self.assertEqual(set(reply.cookies()), {"access", "refresh"})
        self.assertNotEqual(reply.cookies()["refresh"][0], cookies["refresh"])

    def test_by_cookie_of_another_site_is_refused_and_costs_nothing(self):
        cookies = login(gateway, browser=True)
        for headers in (
            ["Sec-Fetch-Site: cross-site"],
            ["Sec-Fetch-Site: same-site"],
            [],
            ["Origin: https://evil.example"],
        ):
            reply = refresh(cookies=cookies, headers=headers)
            self.assertEqual((reply.status, reply.json["code"]), (403, "cross_origin"), headers)
            self.assertEqual(reply.all("set-cookie"), [])
        self.assertEqual(refresh(cookies=cookies, headers=["Origin: " + gateway.origin]).status, 200)

    def test_retry_gives_the_same_child(self):
        pair = login(gateway)
        children = [refresh(pair["refresh_token"]).json for _ in range(3)]
        self.assertEqual(len({child["refresh_token"] for child in children}), 1)
        for child in children:
            self.assertEqual(whoami(child["access_token"]).status, 200)

    def test_retry_after_the_window_is_good_while_the_child_is_unconfirmed(self):
        pair = login(gateway)
        child = refresh(pair["refresh_token"]).json
        time.sleep(2.3)
        again = refresh(pair["refresh_token"])
        self.assertEqual(again.status, 200)
        self.assertEqual(again.json["refresh_token"], child["refresh_token"])

    def test_late_retry_after_the_child_was_seen_is_a_replay(self):
        pair = login(gateway)
        child = refresh(pair["refresh_token"]).json
        self.assertEqual(whoami(child["access_token"]).status, 200)
        time.sleep(2.3)
        reply = refresh(pair["refresh_token"])
        self.assertEqual((reply.status, reply.json["error"]), (400, "invalid_grant"))
        self.assertEqual(reply.json["code"], "refresh_token_reused")
        self.assertEqual(whoami(child["access_token"]).status, 401)

    def test_replay_ends_the_session_and_its_access_tokens_at_once(self):
        pair = login(gateway)
        child = refresh(pair["refresh_token"]).json
        grandchild = refresh(child["refresh_token"]).json
        self.assertEqual(whoami(grandchild["access_token"]).status, 200)
        reply = refresh(pair["refresh_token"])
        self.assertEqual((reply.status, reply.json["error"]), (400, "invalid_grant"))
        for token in (pair, child, grandchild):
            answer = whoami(token["access_token"])
            self.assertEqual((answer.status, answer.json["code"]), (401, "session_ended"))
            self.assertEqual(refresh(token["refresh_token"]).status, 400)
        sid = claims(pair["access_token"])["sid"]
        events = lambda: [line["event.action"] for line in gateway.audit_log() if line.get("session.id") == sid]
        wait_until(lambda: "refresh_token_reused" in events(), what="the event")

    def test_garbage_ends_nothing(self):
        pair = login(gateway)
        token = pair["refresh_token"]
        flipped = token[:-1] + ("A" if token[-1] != "A" else "B")
        for bad in (flipped, token[:-4], token + "AAAA", "rt_" + "A" * (len(token) - 3), "x", token.upper()):
            reply = refresh(bad)
            self.assertEqual((reply.status, reply.json["error"]), (400, "invalid_grant"), bad)
        self.assertEqual(refresh(token).status, 200)

    def test_replayed_cookie_is_401_and_clears_the_cookies(self):
        cookies = login(gateway, browser=True)
        site = ["Sec-Fetch-Site: same-origin"]
        child = {name: value for name, (value, _) in refresh(cookies=cookies, headers=site).cookies().items()}
        refresh(cookies=child, headers=site)
        reply = refresh(cookies=cookies, headers=site)
        self.assertEqual((reply.status, reply.json["error"]), (401, "invalid_grant"))
        self.assertEqual(
            {name: value for name, (value, _) in reply.cookies().items()}, {"access": "", "refresh": ""}
        )
        for _, attributes in reply.cookies().values():
            self.assertIn("max-age=0", attributes)

    def test_garbage_cookie_does_not_clear_cookies(self):
        reply = refresh(cookies={"refresh": "rt_" + "A" * 96}, headers=["Sec-Fetch-Site: same-origin"])
        self.assertEqual(reply.status, 401)
        self.assertEqual(reply.all("set-cookie"), [])

    def test_what_is_no_refresh_request(self):
        token = login(gateway)["refresh_token"]
        self.assertEqual(curl(gateway.base + "/refresh").status, 405)
        self.assertEqual(refresh().json["error"], "invalid_request")
        wrong_grant = curl(gateway.base + "/refresh", form={"grant_type": "password", "refresh_token": token})
        self.assertEqual(wrong_grant.json["error"], "unsupported_grant_type")
        twice = curl(
            gateway.base + "/refresh",
            data=f"refresh_token={token}&refresh_token={token}",
            headers=["Content-Type: application/x-www-form-urlencoded"],
        )
        self.assertEqual((twice.status, twice.json["error"]), (400, "invalid_request"))
        query = curl(gateway.base + f"/refresh?refresh_token={token}", method="POST")
        self.assertEqual(query.status, 400)
        broken = curl(gateway.base + "/refresh", data="{", headers=["Content-Type: application/json"])
        self.assertEqual((broken.status, broken.json["error"]), (400, "invalid_request"))
        self.assertEqual(refresh(token).status, 200)


class End(unittest.TestCase):
    def assert_ended(self, pair):
        self.assertEqual(whoami(pair["access_token"]).status, 401)
        self.assertEqual(refresh(pair["refresh_token"]).json["code"], "session_ended")

    def test_logout_by_token_in_the_body(self):
        pair = login(gateway)
        reply = curl(gateway.base + "/refresh/logout", as_json={"refresh_token": pair["refresh_token"]})
        self.assertEqual(reply.status, 204)
        self.assert_ended(pair)

    def test_logout_by_bearer(self):
        pair = login(gateway)
        self.assertEqual(
            curl(gateway.base + "/refresh/logout", method="POST", token=pair["access_token"]).status, 204
        )
        self.assert_ended(pair)

    def test_logout_by_cookies_clears_them(self):
        cookies = login(gateway, browser=True)
        refused = curl(
            gateway.base + "/refresh/logout",
            method="POST",
            cookies=cookies,
            headers=["Sec-Fetch-Site: cross-site"],
        )
        self.assertEqual(refused.status, 403)
        reply = curl(
            gateway.base + "/refresh/logout",
            method="POST",
            cookies=cookies,
            headers=["Sec-Fetch-Site: same-origin"],
        )
        self.assertEqual(reply.status, 204)
        self.assertEqual({value for value, _ in reply.cookies().values()}, {""})
        self.assertEqual(curl(gateway.base + "/whoami", cookies=cookies).json["code"], "session_ended")

    def test_logout_of_nobody_is_204(self):
        url = gateway.base + "/refresh/logout"
        same = curl(url, method="POST", headers=["Sec-Fetch-Site: same-origin"])
        self.assertEqual((same.status, set(same.cookies())), (204, {"access", "refresh"}))
        # Another site's page must not clear the cookies of ours, though it cannot send them.
        cross = curl(url, method="POST", headers=["Sec-Fetch-Site: cross-site"])
        self.assertIn(cross.status, (204, 403))
        self.assertEqual(cross.all("set-cookie"), [])

    def test_revoke_as_rfc_7009(self):
        for kind in ("refresh_token", "access_token"):
            pair = login(gateway)
            reply = curl(
                gateway.base + "/refresh/revoke", form={"token": pair[kind], "token_type_hint": kind}
            )
            self.assertEqual((reply.status, reply.body), (200, b""))
            self.assert_ended(pair)
            again = curl(gateway.base + "/refresh/revoke", form={"token": pair[kind]})
            self.assertEqual(again.status, 200)

    def test_revoke_of_an_unknown_token_is_200(self):
        for token in ("unknown", "rt_" + "A" * 96, "a.b.c"):
            self.assertEqual(curl(gateway.base + "/refresh/revoke", form={"token": token}).status, 200)
        missing = curl(gateway.base + "/refresh/revoke", method="POST")
        self.assertEqual((missing.status, missing.json["error"]), (400, "invalid_request"))
