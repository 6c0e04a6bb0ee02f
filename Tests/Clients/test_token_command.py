# `auth-gateway token issue|inspect`, and what /metrics tells of the token cache.

import base64
import json
import re
import subprocess
import unittest

from clients import curl
from harness import GATEWAY, Demo, Gateway


def setUpModule():
    global demo, gateway
    demo = Demo()
    gateway = Gateway(demo.port)


def tearDownModule():
    demo.stop()
    gateway.stop()


def token(*arguments, given="", config=None):
    return subprocess.run(
        [GATEWAY, "token", *arguments, "-c", config or gateway.config], input=given, capture_output=True, text=True,
        timeout=30)


def issue(subject="ops", *more):
    run = token("issue", subject, *more)
    assert run.returncode == 0, run.stderr
    return run.stdout.strip()


def metric(name, labels=""):
    text = curl(gateway.control + "/metrics").body.decode()
    return float(re.search(rf"^{name}{re.escape(labels)} (\S+)$", text, re.M).group(1))


def checks():
    return [metric("auth_gateway_token_checks_total", f'{{result="{kind}"}}') for kind in ("miss", "cache_hit")]


class Issue(unittest.TestCase):
    def test_an_issued_token_lets_in_and_its_session_is_on_the_books(self):
        access = issue("ops", "--claims", '{"role":"admin"}', "--label", "probe")
        who = curl(gateway.base + "/whoami", token=access).json
        self.assertEqual((who["subject"], who["role"]), ("ops", "admin"))
        sessions = curl(gateway.control + "/sessions?subject=ops").json["sessions"]
        self.assertIn("probe", [session["label"] for session in sessions])

    def test_with_json_the_pair_comes_whole(self):
        pair = json.loads(issue("pair", "--json"))
        self.assertTrue(pair["refresh_token"].startswith("rt_"))
        self.assertEqual(curl(gateway.base + "/refresh", as_json={"refresh_token": pair["refresh_token"]}).status, 200)

    def test_what_cannot_be_issued_is_said(self):
        for arguments, code, words in (
            (["issue"], 2, "needs a subject"),
            (["issue", "a", "--claims", "[1]"], 1, "no JSON object"),
            (["issue", "a", "--claims", '{"sub":"root"}'], 1, "belongs to the gateway"),
            (["issue", ""], 1, "subject"),
            (["mint"], 2, "no 'token mint'"),
            (["inspect", "a", "--now"], 2, "knows no '--now'"),
        ):
            run = token(*arguments)
            self.assertEqual(run.returncode, code, arguments)
            self.assertIn(words, run.stderr)
            self.assertEqual(run.stdout, "")

    def test_without_a_gateway_it_says_so(self):
        other = Gateway(demo.port, start=False)
        run = token("issue", "ops", config=other.config)
        self.assertEqual(run.returncode, 1)
        self.assertIn("no gateway answers at", run.stderr)

    def test_help(self):
        run = subprocess.run([GATEWAY, "token", "--help"], capture_output=True, text=True)
        self.assertEqual(run.returncode, 0)
        self.assertIn("token inspect", run.stdout)


class Inspect(unittest.TestCase):
    def test_a_good_token_is_told_and_taken_apart_without_its_signature(self):
        access = issue("inspected")
        run = token("inspect", given=access + "\n")
        self.assertEqual(run.returncode, 0)
        self.assertIn("verdict: accepted", run.stdout)
        self.assertIn('sub: "inspected"', run.stdout)
        for part in access.split("."):
            self.assertNotIn(part, run.stdout)

    def test_inspecting_is_not_using(self):
        pair = json.loads(issue("untouched", "--json"))
        checked = metric("auth_gateway_token_checks_total", '{result="miss"}')
        self.assertEqual(token("inspect", given=pair["access_token"]).returncode, 0)
        self.assertEqual(metric("auth_gateway_token_checks_total", '{result="miss"}'), checked)
        sid = json.loads(token("inspect", "--json", given=pair["access_token"]).stdout)["claims"]["sid"]
        self.assertFalse(curl(gateway.control + f"/sessions/{sid}").json["confirmed"])

    def test_each_refusal_has_its_reason(self):
        access = issue("refused")
        head, payload, signature = access.split(".")
        ended = json.loads(issue("ended", "--json"))
        curl(gateway.base + "/refresh/logout", as_json={"refresh_token": ended["refresh_token"]})
        flipped = signature[:10] + ("A" if signature[10] != "A" else "B") + signature[11:]
        for given, code in (
            (f"{head}.{payload}.{flipped}", "token_signature"),
            (ended["access_token"], "session_ended"),
            (ended["refresh_token"], "refresh_token_misplaced"),
            ("nonsense", "token_malformed"),
        ):
            run = token("inspect", "--json", given=given)
            self.assertEqual(run.returncode, 1)
            self.assertEqual(json.loads(run.stdout)["code"], code)
            self.assertNotIn(ended["refresh_token"], run.stdout)

    def test_what_a_stranger_wrote_commands_no_terminal(self):
        claims = base64.urlsafe_b64encode('{"sub":"\\u001b[31m","x\\u009b":1}'.encode()).decode().rstrip("=")
        header = base64.urlsafe_b64encode(b'{"alg":"none\x07"}'.replace(b"\x07", b"")).decode().rstrip("=")
        run = token("inspect", given=f"{header}.{claims}.e30")
        self.assertEqual(run.returncode, 1)
        self.assertFalse(any(ord(char) < 0x20 and char != "\n" or 0x7F <= ord(char) < 0xA0 for char in run.stdout))


class Metrics(unittest.TestCase):
    def test_the_cache_tells_its_hits(self):
        access = issue("cached")
        before = checks()
        for _ in range(3):
            self.assertEqual(curl(gateway.base + "/whoami", token=access).status, 200)
        misses, hits = (after - before for after, before in zip(checks(), before))
        # Each shard sees the token for the first time once.
        self.assertEqual(misses + hits, 3)
        self.assertGreaterEqual(misses, 1)
        self.assertGreater(metric("auth_gateway_token_cache_tokens"), 0)
        self.assertLess(metric("auth_gateway_token_cache_bytes"), metric("auth_gateway_token_cache_limit_bytes"))

    def test_strangers_are_told_nothing(self):
        self.assertEqual(curl(gateway.base + "/metrics").status, 401)
        reply = curl(gateway.control + "/metrics", headers=["Origin: https://evil.example"])
        self.assertEqual(reply.status, 403)


if __name__ == "__main__":
    unittest.main()
