# `auth-gateway explain`, and that a running gateway does what it says: a table of requests, each asked of both.

import json
import subprocess
import unittest

from clients import curl
from harness import GATEWAY, Gateway
from upstreams import OK, Upstream

ROUTES = """
route = /login { upstream api; access anonymous; login; request_body 1k; }
route /admin/ { upstream api; require claim role admin; require scope items:read; identity_header X-Role claim role; }
route /admin/open { upstream api; access anonymous; methods GET POST; }
route /feed/ { upstream api; access optional; strip_prefix; }
route /seen/ { upstream api; observe; methods GET; require claim role owner; }
route = /pong { respond 202 "pong"; }
route files.example.com/ { respond 404; access anonymous; }
route / {
    upstream api; login_page /in.html;
    cors { origins https://app.example.com; credentials on; }
}
"""
CLAIMS = '{"role":"admin","scope":"items:read"}'
PREFLIGHT = ("Access-Control-Request-Method: PUT",)


def setUpModule():
    global upstream, gateway, access
    upstream = Upstream(lambda request, connection: OK)
    gateway = Gateway(upstream.port, routes=ROUTES)
    run = subprocess.run([GATEWAY, "token", "issue", "alice", "--claims", CLAIMS, "-c", gateway.config],
                         capture_output=True, text=True, timeout=10)
    access = run.stdout.strip()


def tearDownModule():
    gateway.stop()
    upstream.stop()


def explain(*arguments, given=""):
    return subprocess.run([GATEWAY, "explain", *arguments, "-c", gateway.config], input=given, capture_output=True,
                          text=True, timeout=10)


def verdict(*arguments, given=""):
    run = explain(*arguments, "--json", given=given)
    assert run.returncode in (0, 1), run.stderr
    return json.loads(run.stdout)


def rule(verdict, name):
    return [rule["result"] for rule in verdict["rules"] if rule["rule"].startswith(name)]


class Agreement(unittest.TestCase):
    def test_the_gateway_answers_as_it_is_explained(self):
        forged = access[:-6] + ("AAAAAA" if access[-6:] != "AAAAAA" else "BBBBBB")
        same, evil = "Sec-Fetch-Site: same-origin", "Origin: https://evil.example"
        allowed = "Origin: https://app.example.com"
        tokens = {"none": None, "good": access, "forged": forged}
        count = 0
        for token, how, method, path, headers in (
            [("good", None, method, path, ())
             for method in ("HEAD", "OPTIONS", "PROPFIND") for path in ("/x", "/admin/open", "/seen/a", "/pong")]
            + [(token, None, method, path, ())
             for token in tokens for method in ("GET", "POST")
             for path in ("/", "/admin/", "/admin", "/administrator", "/admin/open/x", "/feed/a", "/seen/a", "/pong",
                          "/pong/", "/login", "/a/%2e%2e/admin/x", "/a%2Fb", "/admin;x/", "//admin/", "/x?y=z")]
            + [(token, "cookie", method, path, headers)
               for token in ("good", "forged") for method in ("GET", "POST") for path in ("/x", "/seen/a")
               for headers in ((), (same,), (evil,), (allowed,), ("Sec-Fetch-Mode: navigate",))]
            + [("none", None, "OPTIONS", "/x", (origin,) + PREFLIGHT) for origin in (evil, allowed)]
            + [("good", None, "GET", "/x", ("Host: files.example.com",)), ("good", None, "TRACE", "/", ())]
        ):
            with self.subTest(token=token, how=how, method=method, path=path, headers=headers):
                self.compare(tokens[token], how, method, path, headers)
                count += 1
        self.assertGreater(count, 140)

    def compare(self, token, how, method, path, headers):
        arguments = [method, path]
        sent = list(headers)
        for header in headers:
            name, value = header.split(": ")
            arguments += ["--host", value] if name == "Host" else ["--header", header]
        if token:
            arguments += ["--token", "-"] + (["--cookie"] if how else [])
        said = verdict(*arguments, given=token or "")
        if token and how:
            sent.append(f"Cookie: access={token}")
        upstream.forget()
        reply = curl(gateway.base + path, method=method, headers=sent, token=token if token and not how else None)
        if said["outcome"] == "forwarded":
            self.assertEqual((reply.status, len(upstream.requests)), (200, 1), said)
            request = upstream.requests[0]
            self.assertEqual(request.target, said["upstream_target"])
            for name, value in said["identity"].items():
                self.assertEqual(request.one(name.lower()), value)
            self.assertEqual(request.one("x-auth-subject"), said["identity"].get("X-Auth-Subject"))
        else:
            self.assertEqual((reply.status, upstream.requests), (said["status"], []), said)
            if "code" in said and said["outcome"] == "refused" and method != "HEAD" and reply.body:
                self.assertEqual(reply.json["code"], said["code"])


class Explain(unittest.TestCase):
    def test_each_rule_is_named_with_its_outcome_and_the_place_of_its_route(self):
        run = explain("/admin/x", "--claim", "role=user", "--scope", "items:read")
        self.assertEqual(run.returncode, 1)
        self.assertEqual(run.stdout.replace(gateway.config, "F").splitlines(), [
            "GET /admin/x",
            "  path                      /admin/x",
            "  route                     /admin/ at F:15",
            "  access                    required: a good token of somebody",
            "  require scope items:read  the token has it",
            '  require claim role admin  REFUSED: it is "user"',
            "=> the gateway refuses it with 403 (insufficient_claim)"])

    def test_what_is_forwarded_is_shown_as_the_upstream_gets_it(self):
        run = explain("GET", "/feed/a?b=c", "--subject", "bob", "--scope", "s")
        self.assertEqual(run.returncode, 0)
        self.assertIn("=> it is forwarded to upstream api\n   as GET /a?b=c\n   X-Auth-Subject: bob", run.stdout)
        self.assertNotIn("eyJ", run.stdout)

    def test_an_observed_route_says_so(self):
        said = verdict("POST", "/seen/x")
        self.assertEqual((said["outcome"], said["observed"]), ("forwarded", "method_not_allowed"))
        self.assertEqual((rule(said, "methods"), rule(said, "access")), (["observed"], ["observed"]))
        self.assertIn("only because the route is observed", explain("POST", "/seen/x").stdout)

    def test_a_token_is_judged_by_the_running_gateway_and_never_printed(self):
        pair = json.loads(subprocess.run([GATEWAY, "token", "issue", "carol", "--json", "-c", gateway.config],
                                         capture_output=True, text=True, timeout=10).stdout)
        run = explain("/x", "--token", pair["access_token"])
        self.assertEqual(run.returncode, 0)
        self.assertIn("a good token of carol", run.stdout)
        curl(gateway.control + "/subjects/carol/sessions", method="DELETE")
        run = explain("/x", "--token", "-", given=pair["access_token"])
        self.assertEqual(run.returncode, 1)
        self.assertIn("(token_revoked)", run.stdout)
        run = explain("/x", "--token", "-", given=pair["refresh_token"])
        self.assertIn("a refresh token stands in the authorization", run.stdout)
        for printed in (run.stdout, run.stderr):
            self.assertNotRegex(printed, "eyJ|rt_")
        self.assertEqual(explain("/x", "--token", "nonsense").returncode, 1)

    def test_a_browser_is_told_of_its_way_round_and_to_the_login(self):
        said = verdict("/x", "--expired", "--cookie", "--header", "Sec-Fetch-Site: same-origin")
        self.assertEqual((said["status"], said["location"]), (307, "/refresh?return_to=/x"))
        said = verdict("/x", "--header", "Sec-Fetch-Mode: navigate")
        self.assertEqual((said["status"], said["location"]), (303, "/in.html?return_to=/x"))

    def test_the_gateways_own_paths_are_called_so(self):
        self.assertEqual(verdict("POST", "/refresh/logout")["outcome"], "own")

    def test_a_wrong_command_line_is_said(self):
        for arguments, words in (
            ([], "needs a target"), (["GET"], "is not a target"), (["get", "/"], "is not a method"),
            (["/", "--claim", "role"], "NAME=VALUE"), (["/", "--clam", "a=b"], "knows no '--clam'"),
            (["/", "--token", "-", "--scope", "a"], "either given or described"),
            (["/", "--header", "Host: h"], "said in another way"), (["/", "--expired="], "knows no"),
            (["/", "--issuer", "https://nobody.example/"], "there is no issuer"),
            (["/\x1b[31m"], "is not a target"), (["/", "--\x1b[31m"], "knows no"),
        ):
            run = explain(*arguments)
            self.assertEqual((run.returncode, run.stdout), (2, ""), arguments)
            self.assertIn(words, run.stderr)
            self.assertNotIn("\x1b", run.stderr)
