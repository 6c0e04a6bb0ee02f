# Client libraries as applications use them: node's fetch, and authlib's OAuth 2 session that refreshes by
# itself.

import json
import os
import subprocess
import time
import unittest

from clients import curl, login
from harness import Demo, Gateway


def setUpModule():
    global demo, gateway
    # The authorisation libraries refuse plain http unless told that it is for a test.
    os.environ["AUTHLIB_INSECURE_TRANSPORT"] = "1"
    demo = Demo()
    gateway = Gateway(demo.port)


def tearDownModule():
    demo.stop()
    gateway.stop()


class Node(unittest.TestCase):
    def test_an_application_s_day(self):
        script = os.path.join(os.path.dirname(os.path.abspath(__file__)), "fetch_client.mjs")
        done = subprocess.run(["node", script, gateway.base], capture_output=True, text=True, timeout=60)
        self.assertEqual(done.returncode, 0, done.stderr)
        result = json.loads(done.stdout)
        self.assertEqual(
            result["login"],
            [200, ["access_token", "expires_in", "refresh_expires_in", "refresh_token", "token_type"]],
        )
        self.assertEqual((result["parallel"], result["refreshes"], result["children"]), (200, [200], 1))
        self.assertEqual(result["afterRefresh"], "alice")
        self.assertEqual(result["streamed"], [5_000_000, True])
        self.assertEqual(result["event"], ["text/event-stream", True])
        self.assertEqual(result["aborted"], "AbortError")
        self.assertEqual((result["unknown"], result["upload"]), (404, 201))
        self.assertEqual((result["logout"], result["afterLogout"]), (204, 401))
        # A client that has gone and one that has only finished sending look alike until the answer is there.
        gateway.lines_for("/slow", 1)


class Authlib(unittest.TestCase):
    def session(self, pair):
        from authlib.integrations.requests_client import OAuth2Session

        saved = []
        session = OAuth2Session(
            client_id="app",
            token_endpoint=gateway.base + "/refresh",
            token_endpoint_auth_method="none",
            token={**pair, "expires_at": int(time.time()) - 1},
            update_token=lambda token, refresh_token=None, access_token=None: saved.append(token),
        )
        return session, saved

    def test_it_refreshes_by_itself(self):
        pair = login(gateway)
        session, saved = self.session(pair)
        self.assertEqual(session.get(gateway.base + "/whoami").json()["subject"], "alice")
        self.assertEqual(len(saved), 1)
        self.assertNotEqual(saved[0]["refresh_token"], pair["refresh_token"])
        for _ in range(5):
            session.token = {**session.token, "expires_at": 1}
            self.assertEqual(session.get(gateway.base + "/items").status_code, 200)
        self.assertEqual(len({token["refresh_token"] for token in saved}), 6)

    def test_it_revokes(self):
        pair = login(gateway)
        session, _ = self.session(pair)
        session.revoke_token(gateway.base + "/refresh/revoke", token=pair["refresh_token"])
        self.assertEqual(curl(gateway.base + "/whoami", token=pair["access_token"]).status, 401)

    def test_it_says_so_when_the_session_has_ended(self):
        from authlib.integrations.base_client.errors import OAuthError

        pair = login(gateway)
        curl(gateway.base + "/refresh/logout", as_json={"refresh_token": pair["refresh_token"]})
        session, _ = self.session(pair)
        with self.assertRaises(OAuthError) as caught:
            session.get(gateway.base + "/whoami")
        self.assertEqual(caught.exception.error, "invalid_grant")
