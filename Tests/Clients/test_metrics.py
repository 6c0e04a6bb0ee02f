# /metrics, health and the status page of the control listener: what is counted where, what never becomes a
# label, and who may look.

import base64
import os
import re
import signal
import socket
import subprocess
import threading
import time
import unittest

from clients import Raw, curl
from harness import CONTROL_SECRET, Demo, Gateway, free_port, wait_until
from upstreams import OK, Upstream


def setUpModule():
    global demo, gateway
    demo = Demo()
    gateway = Gateway(demo.port)


def tearDownModule():
    demo.stop()
    gateway.stop()


def page(of=None):
    return curl((of or gateway).control + "/metrics").body.decode()


def samples(text=None, of=None):
    """Every sample of a page: its name with the labels -> its value."""
    lines = [line for line in (text or page(of)).splitlines() if not line.startswith("#")]
    return {name: float(value) for name, value in (line.rsplit(" ", 1) for line in lines)}


class Growth:
    """How much samples have grown since this was made."""

    def __init__(self, of=None):
        self.of, self.before = of, samples(of=of)

    def __call__(self, name, **labels):
        text = ",".join(f'{label}="{value}"' for label, value in labels.items())
        key = f"auth_gateway_{name}" + (f"{{{text}}}" if text else "")
        return samples(of=self.of).get(key, 0) - self.before.get(key, 0)


def begin(subject):
    return curl(gateway.control + "/sessions", as_json={"subject": subject}).json


class Page(unittest.TestCase):
    def test_it_is_what_prometheus_wants(self):
        curl(gateway.base + "/public/a")
        text = page()
        checked = subprocess.run(
            ["promtool", "check", "metrics"], input=text, capture_output=True, text=True, timeout=20
        )
        self.assertEqual((checked.returncode, checked.stdout, checked.stderr), (0, "", ""))
        helped, typed = (set(re.findall(rf"^# {word} (\S+) \S", text, re.M)) for word in ("HELP", "TYPE"))
        named = {re.sub(r"\{.*", "", name) for name in samples(text)}
        based = {re.sub(r"_(bucket|sum|count)$", "", name) for name in named}
        self.assertEqual(helped, typed)
        self.assertLessEqual(based, typed)
        reply = curl(gateway.control + "/metrics")
        self.assertEqual(reply.one("content-type"), "text/plain; version=0.0.4; charset=utf-8")

    def test_no_request_can_make_a_label(self):
        begin("a-subject-of-somebody")
        hostile = "a-path-of-somebody"
        curl(gateway.base + f"/public/{hostile}?q={hostile}", method="BREW-" + hostile.upper())
        curl(gateway.base + f"/{hostile}", headers=[f"Host: {hostile}"])
        curl(gateway.base + "/whoami", token=hostile)
        curl(gateway.base + "/refresh", as_json={"refresh_token": hostile})
        self.assertIsNone(re.search("somebody|BREW", page(), re.I))

    def test_requests_are_counted_by_route_method_and_status(self):
        grown = Growth()
        for _ in range(3):
            curl(gateway.base + "/public/a")
        curl(gateway.base + "/public/a", method="BREW")
        curl(gateway.base + "/items")
        curl(gateway.base + "/public/%2e%2e%2fx")
        total = "http_requests_total"
        self.assertEqual(grown(total, route="/public/", method="GET", code="200"), 3)
        other = [code for code in (200, 404, 405) if grown(total, route="/public/", method="_OTHER", code=code)]
        self.assertEqual(len(other), 1)
        self.assertEqual(grown(total, route="/items", method="GET", code="401"), 1)
        self.assertEqual(grown(total, route="none", method="GET", code="400"), 1)
        self.assertEqual(grown("refusals_total", reason="token_missing"), 1)
        self.assertEqual(grown("refusals_total", reason="path"), 1)
        self.assertEqual(samples()['auth_gateway_refusals_total{reason="_OTHER"}'], 0)

    def test_durations_are_the_clients_and_the_upstreams(self):
        slow = Upstream(lambda request, connection: time.sleep(0.12) or OK)
        self.addCleanup(slow.stop)
        one = Gateway(slow.port, routes="route / { upstream api; access anonymous; }")
        self.addCleanup(one.stop)
        curl(one.base + "/")
        for kind in ("http", "upstream"):
            name = f"auth_gateway_{kind}_request_duration_seconds"
            found = samples(of=one)
            self.assertEqual(found[f'{name}_bucket{{route="/",code="2xx",le="0.1"}}'], 0)
            self.assertEqual(found[f'{name}_bucket{{route="/",code="2xx",le="2.5"}}'], 1)
            self.assertGreater(found[f'{name}_sum{{route="/",code="2xx"}}'], 0.12)
            self.assertEqual(found[f'{name}_count{{route="/",code="2xx"}}'], 1)

    def test_what_is_under_way_is_in_flight_until_its_client_goes(self):
        held = threading.Event()

        def answer(request, connection):
            held.wait(10)
            return OK

        upstream = Upstream(answer)
        self.addCleanup(upstream.stop)
        self.addCleanup(held.set)
        one = Gateway(upstream.port, routes="route / { upstream api; access anonymous; }")
        self.addCleanup(one.stop)
        client = Raw(one.port)
        client.send("GET / HTTP/1.1\r\nHost: h\r\n\r\n")
        # The scrape itself is one.
        flying = lambda: samples(of=one)["auth_gateway_http_requests_in_flight"]
        active = 'auth_gateway_upstream_connections{upstream="api",state="active"}'
        wait_until(lambda: flying() == 2, 3, "two in flight")
        wait_until(lambda: samples(of=one)[active] == 1, 3, "one connection at work")
        client.reset()
        wait_until(lambda: flying() == 1, 3, "only the scrape in flight")
        gone = 'auth_gateway_http_requests_total{route="/",method="GET",code="499"}'
        self.assertEqual(samples(of=one)[gone], 1)
        self.assertEqual(samples(of=one)['auth_gateway_refusals_total{reason="client_closed"}'], 1)
        wait_until(lambda: samples(of=one)[active] == 0, 3, "no connection at work")

    def test_tokens_and_sessions(self):
        grown = Growth()
        pair = begin("carl")
        curl(gateway.base + "/whoami", token=pair["access_token"])
        curl(gateway.base + "/whoami", token=pair["access_token"][:-4] + "AAAA")
        refresh = lambda token: curl(gateway.base + "/refresh", as_json={"refresh_token": token})
        child = refresh(pair["refresh_token"]).json
        refresh(child["refresh_token"])
        refresh(pair["refresh_token"])
        refresh("rt_x")
        curl(gateway.control + "/subjects/carl/sessions", method="DELETE")
        self.assertEqual(grown("logins_total", result="begun"), 1)
        self.assertEqual(grown("token_verdicts_total", result="accepted", reason=""), 1)
        self.assertEqual(grown("token_verdicts_total", result="refused", reason="token_signature"), 1)
        for result, count in {"granted": 2, "reused": 1, "malformed": 1, "unavailable": 0}.items():
            self.assertEqual(grown("refreshes_total", result=result), count, result)
        self.assertEqual(grown("sessions_ended_total", reason="replay"), 1)
        self.assertEqual(grown("revocations_total", kind="session"), 1)
        self.assertEqual(grown("revocations_total", kind="subject"), 1)
        self.assertGreater(grown("store_duration_seconds_count", op="transaction"), 5)

    def test_limits_and_upstreams_that_are_away(self):
        one = Gateway(
            free_port(), routes="route / { upstream api; access anonymous; }", limits="connections_per_address 2;")
        self.addCleanup(one.stop)
        self.assertEqual(curl(one.base + "/").status, 502)
        # The scrape's own.
        wait_until(lambda: samples(of=one)["auth_gateway_connections"] == 1, 3, "curl's connection gone")
        clients = [socket.create_connection(("127.0.0.1", one.port)) for _ in range(4)]
        refused = 'auth_gateway_connections_refused_total{limit="connections_per_address"}'
        wait_until(lambda: samples(of=one)[refused] == 2, 3, "two connections refused")
        for client in clients:
            client.close()
        name = 'auth_gateway_upstream_connect_errors_total{upstream="api",reason="connect"}'
        self.assertEqual(samples(of=one)[name], 1)
        self.assertEqual(samples(of=one)['auth_gateway_refusals_total{reason="upstream_connect"}'], 1)
        self.assertEqual(samples(of=one)['auth_gateway_upstream_connects_total{upstream="api"}'], 0)

    def test_a_server_that_health_checks_take_out_is_not_up(self):
        upstream = Upstream(lambda request, connection: b"HTTP/1.1 500 No\r\nContent-Length: 0\r\n\r\n")
        self.addCleanup(upstream.stop)
        check = "health_check /up { every 100ms; timeout 50ms; fails 1; }"
        one = Gateway(upstream.port, routes="route / { upstream api; }", upstream=check)
        self.addCleanup(one.stop)
        name = f'auth_gateway_upstream_server_up{{upstream="api",server="http://127.0.0.1:{upstream.port}"}}'
        wait_until(lambda: samples(of=one)[name] == 0, 3, "the server out")
        self.assertEqual(curl(one.control + "/readyz").status, 200, "the gateway is ready all the same")

    def test_what_an_observed_route_would_refuse_is_counted_by_route(self):
        one = Gateway(demo.port, routes="route / { upstream api; observe; }")
        self.addCleanup(one.stop)
        curl(one.base + "/public/a")
        found = samples(of=one)
        self.assertEqual(found['auth_gateway_observed_refusals_total{route="/",reason="token_missing"}'], 1)
        self.assertEqual(found['auth_gateway_refusals_total{reason="token_missing"}'], 0)

    def test_counters_never_go_back_over_a_reload(self):
        one = Gateway(demo.port)
        self.addCleanup(one.stop)
        for path in ("/public/a", "/items", "/nobody"):
            curl(one.base + path)
        before = samples(of=one)
        with open(one.config) as file:
            text = file.read()
        for change in (text.replace("route /items ", "route /things "), "nonsense", text):
            with open(one.config, "w") as file:
                file.write(change)
            offset = len(one.service_log())
            one.process.send_signal(signal.SIGHUP)
            said = lambda: one.service_log()[offset:]
            wait_until(lambda: " reloaded " in said() or "reload refused" in said(), 5, "an answer to SIGHUP")
        curl(one.base + "/items")
        after = samples(of=one)
        fallen = [
            name
            for name, value in before.items()
            if re.search(r"_(total|count|sum|bucket)(\{|$)", name) and after.get(name, -1) < value
        ]
        self.assertEqual(fallen, [])
        self.assertEqual(after['auth_gateway_http_requests_total{route="/items",method="GET",code="401"}'], 2)
        self.assertEqual(after['auth_gateway_config_reloads_total{result="success"}'], 2)
        self.assertEqual(after['auth_gateway_config_reloads_total{result="failure"}'], 1)
        status = curl(one.control + "/status").json
        self.assertIsNone(status["last_reload_error"], "a reload has succeeded since")


class Health(unittest.TestCase):
    def test_live_and_ready(self):
        for path in ("/healthz", "/livez", "/readyz"):
            self.assertEqual(curl(gateway.control + path).status, 200)
            self.assertEqual(len(curl(gateway.control + path, method="HEAD").body), 0)
        self.assertEqual(curl(gateway.control + "/readyz").json, {"ready": True})
        for query in ("?verbose", "?verbose=1", "?a=b&verbose"):
            checks = curl(gateway.control + "/readyz" + query).json["checks"]
            self.assertEqual([check["name"] for check in checks], ["serving", "store", "keys"])
            self.assertTrue(all(check["ok"] for check in checks))
        self.assertNotIn("checks", curl(gateway.control + "/readyz?verbosely").json)

    def test_a_gateway_that_drains_says_so_to_the_end(self):
        arrived, go = threading.Event(), threading.Event()

        def answer(request, connection):
            arrived.set()
            go.wait(10)
            return OK

        upstream = Upstream(answer)
        self.addCleanup(upstream.stop)
        self.addCleanup(go.set)
        one = Gateway(upstream.port, routes="route / { upstream api; access anonymous; }")
        client = Raw(one.port)
        client.send("GET / HTTP/1.1\r\nHost: h\r\n\r\n")
        self.assertTrue(arrived.wait(5))
        one.process.terminate()
        wait_until(lambda: curl(one.control + "/readyz").status == 503, 3, "not ready")
        reply = curl(one.control + "/readyz?verbose")
        self.assertEqual((reply.status, reply.json["ready"], reply.json["reasons"]), (503, False, ["draining"]))
        self.assertEqual(reply.json["checks"][0], {"name": "serving", "ok": False, "reason": "draining"})
        self.assertEqual(reply.one("retry-after"), "1")
        self.assertEqual(curl(one.control + "/livez").status, 200)
        go.set()
        self.assertEqual(client.response().status, 200)
        self.assertEqual(one.process.wait(10), 0)


class Status(unittest.TestCase):
    def test_page_and_json_tell_the_same(self):
        reply = curl(gateway.control + "/")
        html = reply.body.decode()
        self.assertEqual((reply.status, reply.one("content-type")), (200, "text/html; charset=utf-8"))
        status = curl(gateway.control + "/status").json
        self.assertEqual((status["state"], status["configuration"]), ("ready", gateway.config))
        self.assertEqual([log["log"] for log in status["logs"]], ["access", "audit", "error"])
        self.assertEqual({key["state"] for key in status["keys"]}, {"active", "next"})
        routes = {route["route"]: route for route in status["routes"]}
        self.assertEqual((routes["/items"]["to"], routes["/items"]["access"]), ("api", "required"))
        for text in [status["version"], gateway.config, "/items", f"http://127.0.0.1:{demo.port}"] + [
            key["key"] for key in status["keys"]
        ]:
            self.assertIn(text, html)

    def test_the_page_loads_and_runs_nothing(self):
        reply = curl(gateway.control + "/")
        html = reply.body.decode()
        policy = reply.one("content-security-policy")
        self.assertTrue(policy.startswith("default-src 'none'; style-src 'sha256-"))
        self.assertIsNone(re.search(r"<script|<img|<link|<iframe|\son\w+=|src=|url\(|style=", html))
        self.assertEqual(re.findall(r'href="([^"]*)"', html), ["/status"])
        self.assertEqual(reply.one("cache-control"), "no-store")

    def test_what_is_configured_stays_text(self):
        one = Gateway(demo.port, start=False)
        odd = os.path.join(one.home, '<b onclick="x">&amp;')
        os.rename(one.config, odd)
        one.config = odd
        one.start()
        self.addCleanup(one.stop)
        html = curl(one.control + "/").body.decode()
        self.assertIn("&lt;b onclick=&quot;x&quot;&gt;&amp;amp;", html)
        self.assertNotIn("<b", html.replace("<body", ""))
        self.assertEqual(curl(one.control + "/status").json["configuration"], odd)

    def test_a_reload_that_was_refused_is_told(self):
        one = Gateway(demo.port)
        self.addCleanup(one.stop)
        with open(one.config, "a") as file:
            file.write("nonsense <i>;\n")
        one.process.send_signal(signal.SIGHUP)
        error = lambda: curl(one.control + "/status").json["last_reload_error"]
        wait_until(error, 5, "the refusal")
        self.assertIn("has errors", error())
        self.assertIn("refused ", curl(one.control + "/").body.decode())

    def test_a_browser_may_look_and_no_other_site(self):
        for path in ("/", "/status"):
            for site in ("none", "same-origin"):
                reply = curl(gateway.control + path, headers=[f"Sec-Fetch-Site: {site}"])
                self.assertEqual(reply.status, 200, site)
            for headers in (
                ["Sec-Fetch-Site: cross-site"],
                ["Sec-Fetch-Site: same-site"],
                ["Origin: https://evil.example"],
                ["Host: evil.example"],
                ["Host: 127.0.0.1.evil.example", "Sec-Fetch-Site: none"],
            ):
                reply = curl(gateway.control + path, headers=headers)
                self.assertEqual((reply.status, reply.json["code"]), (403, "control_origin"), headers)
            self.assertEqual(curl(gateway.control + path, method="POST", data="").status, 404)
        self.assertIn(curl(gateway.base + "/status").status, (401, 404), "not on the public side")

    def test_the_secret_is_a_password_for_the_page_and_for_nothing_else(self):
        locked = Gateway(demo.port, control=f"secret {CONTROL_SECRET};")
        self.addCleanup(locked.stop)

        def basic(pair):
            return ["Authorization: Basic " + base64.b64encode(pair.encode()).decode()]

        for path in ("/", "/status"):
            reply = curl(locked.control + path)
            self.assertEqual(reply.status, 401)
            self.assertIn('Basic realm="auth-gateway", charset="UTF-8"', reply.all("www-authenticate"))
            for user in ("", "me", "x" * 64):
                reply = curl(locked.control + path, headers=basic(f"{user}:{CONTROL_SECRET}"))
                self.assertEqual(reply.status, 200)
            for pair in ("me:", "me", CONTROL_SECRET, f"{CONTROL_SECRET}:x", f"me:{CONTROL_SECRET}x"):
                self.assertEqual(curl(locked.control + path, headers=basic(pair)).status, 401, pair)
            for value in ("Basic", "Basic !", "Basic " + "QUJD" * 2000):
                reply = curl(locked.control + path, headers=["Authorization: " + value])
                self.assertEqual(reply.status, 401, value[:20])
            self.assertEqual(curl(locked.control + path, token=CONTROL_SECRET).status, 200)
            cross = basic(f"me:{CONTROL_SECRET}") + ["Sec-Fetch-Site: cross-site"]
            self.assertEqual(curl(locked.control + path, headers=cross).status, 403)
        for path in ("/sessions", "/metrics"):
            self.assertEqual(curl(locked.control + path, headers=basic(f"me:{CONTROL_SECRET}")).status, 401)
            self.assertEqual(curl(locked.control + path, token=CONTROL_SECRET).status, 200)


if __name__ == "__main__":
    unittest.main()
