# `auth-gateway check`: the configuration's own expectations, warnings, and what programs read of both; and that a
# configuration that does not do what it says itself is neither started nor taken up.

import json
import os
import subprocess
import unittest

from clients import curl
from harness import GATEWAY, Gateway, ROOT, directory, wait_until
from upstreams import OK, Upstream

ROUTES = """
route /admin/ { upstream api; require claim role admin; }
route /admin/open { upstream api; access anonymous; }
route / { upstream api; }
"""
MEANT = "expect GET /admin/open anonymous forwarded;\n"


def check(text, *arguments, mode=0o600):
    path = os.path.join(directory(), "gateway.conf")
    with open(path, "w") as file:
        file.write("listen 127.0.0.1:8080; public_url http://localhost:8080; access_token { audience a; }\n"
                   "upstream api { server http://127.0.0.1:1; }\n" + text)
    os.chmod(path, mode)
    run = subprocess.run([GATEWAY, "check", "-c", path, *arguments], capture_output=True, text=True, timeout=10)
    return run.returncode, run.stdout.replace(path, "F"), run.stderr.replace(path, "F")


class Check(unittest.TestCase):
    def test_what_holds_is_counted_and_what_does_not_is_said_with_its_place_and_its_rule(self):
        self.assertEqual(
            check(ROUTES + MEANT + "expect GET /admin/ claim role=user 403;"),
            (0, "F: the configuration is valid, and does what it says itself: 2 expectations\n", ""))
        code, out, errors = check(ROUTES + MEANT + "  expect GET /admin/x claim role=user forwarded;")
        self.assertEqual((code, out), (78, ""))
        self.assertEqual(errors.splitlines(), [
            "F:8:3: error: this is expected to be forwarded, but the gateway refuses it with 403 (insufficient_claim)",
            "  expect GET /admin/x claim role=user forwarded;",
            "  ^",
            '  = help: route /admin/ at F:4, require claim role admin: it is "user"',
            "F: 1 error"])

    def test_a_warning_is_one_until_it_is_strict_or_quiet(self):
        code, out, errors = check(ROUTES)
        self.assertEqual((code, out), (0, "F: the configuration is valid\n"))
        self.assertIn("F:5:1: warning: this anonymous route lies under a protected one", errors)
        code, out, errors = check(ROUTES, "--strict")
        self.assertEqual((code, out, errors.splitlines()[-1]), (78, "", "F: 1 warning"))
        self.assertEqual(check(ROUTES, "-q"), (0, "", ""))
        self.assertEqual(check(ROUTES + MEANT, "--strict", "-q"), (0, "", ""))

    def test_what_is_read_can_be_seen_and_checked_again(self):
        code, out, errors = check(ROUTES + MEANT + "# a comment\nworkers ${NOT_SET:-3};", "--dump")
        self.assertEqual((code, errors), (0, ""))
        self.assertTrue(out.startswith("# F\nlisten 127.0.0.1:8080;\npublic_url http://localhost:8080;\n"), out)
        self.assertIn("\nroute /admin/ {\n    upstream api;\n    require claim role admin;\n}\n", out)
        self.assertTrue(out.endswith("\nworkers 3;\n"), out)
        path = os.path.join(directory(), "again.conf")
        with open(path, "w") as file:
            file.write(out)
        again = subprocess.run([GATEWAY, "check", "--dump", "-c", path], capture_output=True, text=True, timeout=10)
        self.assertEqual((again.returncode, again.stdout.replace(path, "F")), (0, out))

        control = "control { listen 127.0.0.1:1; secret hunter2-hunter2-hunter2; }"
        code, out, errors = check(ROUTES + MEANT + control, "--dump")
        self.assertIn("    secret ••••;\n", out)
        self.assertNotIn("hunter2", out + errors)
        # One that is not valid is not printed: what it would come to is not known.
        code, out, errors = check(ROUTES + "workers none;", "--dump")
        self.assertEqual((code, out), (78, ""))
        self.assertEqual(check(ROUTES, "--dump", "--json")[:2], (2, ""))

    def test_json_is_for_programs(self):
        code, out, errors = check(ROUTES + "expect GET / anonymous 200;\n", "--json")
        report = json.loads(out)
        self.assertEqual((code, errors), (78, ""))
        self.assertEqual((report["valid"], report["errors"], report["warnings"]), (False, 1, 1))
        first, second = report["findings"]
        self.assertEqual((first["file"], first["line"], first["column"], first["severity"]), ("F", 5, 1, "warning"))
        self.assertEqual((second["line"], second["severity"]), (7, "error"))
        self.assertIn("401", second["message"])
        self.assertIn("route / at F:6", second["hint"])
        code, out, _ = check("listne 1;\n" + ROUTES, "--json")
        self.assertEqual((code, json.loads(out)["findings"][0]["line"]), (78, 3))
        self.assertEqual(json.loads(check(ROUTES + MEANT, "--json")[1]),
                         {"valid": True, "errors": 0, "warnings": 0, "findings": []})

    def test_a_secret_in_a_file_for_everybody_is_a_warning(self):
        text = ROUTES + MEANT + "control { listen 127.0.0.1:9901; secret "
        code, _, errors = check(text + "correct-horse-battery; }", mode=0o644)
        self.assertEqual(code, 0)
        self.assertIn("which everybody on this machine can read", errors)
        self.assertNotIn("horse", errors)
        self.assertEqual(check(text + "correct-horse-battery; }", mode=0o640)[2], "")
        os.environ["CONTROL_SECRET"] = "correct-horse-battery"
        self.assertEqual(check(text + "env:CONTROL_SECRET; }", mode=0o644)[2], "")

    def test_a_wrong_command_line_is_said(self):
        for arguments in (["--stirct"], ["extra"], ["-c"]):
            run = subprocess.run([GATEWAY, "check", *arguments], capture_output=True, text=True, timeout=10)
            self.assertEqual((run.returncode, run.stdout), (2, ""))
            self.assertIn("see 'auth-gateway help check'", run.stderr)

    def test_the_example_is_free_of_warnings(self):
        run = subprocess.run([GATEWAY, "check", "--strict", "-c", os.path.join(ROOT, "gateway.conf.example")],
                             capture_output=True, text=True, timeout=10)
        self.assertEqual((run.returncode, run.stderr), (0, ""))
        self.assertRegex(run.stdout, r"valid, and does what it says itself: \d+ expectations")


class Running(unittest.TestCase):
    def test_a_configuration_that_contradicts_itself_is_neither_started_nor_taken_up(self):
        upstream = Upstream(lambda request, connection: OK)
        self.addCleanup(upstream.stop)
        gateway = Gateway(upstream.port, routes="route / { upstream api; }", start=False)
        with open(gateway.config, "a") as file:
            file.write("expect GET / anonymous forwarded;\n")
        run = subprocess.run([GATEWAY, "run", "-c", gateway.config], capture_output=True, text=True, timeout=10)
        self.assertEqual(run.returncode, 78)
        self.assertIn("this is expected to be forwarded, but the gateway refuses it with 401", run.stderr)
        self.assertNotIn("serving", run.stderr)
        self.change(gateway, "anonymous forwarded", "anonymous 401")
        gateway.start()
        self.change(gateway, "route / { upstream api; }", "route / { upstream api; access anonymous; }")
        os.kill(gateway.process.pid, 1)
        wait_until(lambda: "reload refused" in gateway.service_log(), 5, "the refusal of the reload")
        self.assertRegex(gateway.service_log(), r"expected 401, but it is forwarded")
        self.assertEqual(curl(gateway.base + "/").status, 401)
        run = subprocess.run([GATEWAY, "reload", "-c", gateway.config], capture_output=True, text=True, timeout=10)
        self.assertEqual(run.returncode, 1)
        self.assertIn("expected 401, but it is forwarded", run.stderr)
        self.change(gateway, "anonymous 401", "anonymous forwarded")
        os.kill(gateway.process.pid, 1)
        wait_until(lambda: curl(gateway.base + "/").status == 200, 5, "the reload")
        gateway.stop()

    def change(self, gateway, old, new):
        with open(gateway.config) as file:
            text = file.read()
        self.assertIn(old, text)
        with open(gateway.config, "w") as file:
            file.write(text.replace(old, new))
