# A real Prometheus scrapes a real gateway: whatever the alert rules and the dashboard ask for is there. And
# both files are what their programs take in.

import json
import os
import re
import socket
import subprocess
import time
import unittest
import urllib.parse
import urllib.request

from grafana_foundation_sdk.cog import plugins
from grafana_foundation_sdk.cog.encoder import JSONEncoder
from grafana_foundation_sdk.models.dashboard import Dashboard

from certificates import Authority
from clients import curl
from harness import DEMO_ROUTES, ROOT, Demo, Gateway, directory, free_port, launch, wait_until
from identity_provider import Provider, ask

RULES = os.path.join(ROOT, "deploy", "prometheus", "alerts.yml")
DASHBOARD = os.path.join(ROOT, "deploy", "grafana", "dashboard.json")


def promtool(*arguments):
    done = subprocess.run(
        ["promtool", *arguments], capture_output=True, text=True, timeout=30, cwd=os.path.dirname(RULES)
    )
    return done.returncode, done.stdout + done.stderr


def alert_expressions():
    """Each expression of the rules, without what it is compared to."""
    code, text = promtool("check", "rules", RULES)
    assert code == 0, text
    with open(RULES) as file:
        lines = file.read().split("\n")
    found = {}
    for index, line in enumerate(lines):
        if "- alert:" in line:
            name = line.split(":")[1].strip()
            rest = lines[index + 1].split("expr:", 1)[1].strip()
            following = index + 2
            while rest.startswith(">-") or not re.match(r"\s+(for|labels):", lines[following]):
                rest = (rest.removeprefix(">-") + " " + lines[following].strip()).strip()
                following += 1
            found[name] = [
                re.sub(r"\s*(>|<|==)\s*[\d.]+(\s*\*\s*\d+)?$", "", part) for part in re.split(r" or ", rest)
            ]
    return found


def dashboard():
    with open(DASHBOARD) as file:
        return json.load(file)


class Files(unittest.TestCase):
    def test_rules_hold_and_each_is_tested(self):
        code, text = promtool("test", "rules", "alerts.test.yml")
        self.assertEqual(code, 0, text)
        with open(os.path.join(os.path.dirname(RULES), "alerts.test.yml")) as file:
            tested = set(re.findall(r"alertname: (\w+)", file.read()))
        self.assertEqual(tested, set(alert_expressions()))
        code, text = promtool("check", "config", "prometheus.yml")
        self.assertEqual(code, 0, text)

    def test_the_dashboard_has_the_shape_that_grafana_imports(self):
        board = dashboard()
        self.assertGreaterEqual(board["schemaVersion"], 36)
        self.assertIsNone(board["id"], "a number is another Grafana's")
        self.assertTrue(board["uid"] and board["title"])
        panels = board["panels"]
        self.assertEqual(len({panel["id"] for panel in panels}), len(panels))
        variables = {variable["name"]: variable for variable in board["templating"]["list"]}
        self.assertEqual(variables["datasource"]["type"], "datasource")
        self.assertEqual(variables["datasource"]["query"], "prometheus")
        taken = set()
        for panel in panels:
            place = panel["gridPos"]
            self.assertLessEqual(place["x"] + place["w"], 24, panel["title"])
            cells = {
                (x, y)
                for x in range(place["x"], place["x"] + place["w"])
                for y in range(place["y"], place["y"] + place["h"])
            }
            self.assertFalse(taken & cells, f"{panel['title']} lies over another panel")
            taken |= cells
            if panel["type"] == "row":
                continue
            self.assertIn(panel["type"], ("timeseries", "stat"))
            references = [target["refId"] for target in panel["targets"]]
            self.assertEqual(len(set(references)), len(references))
            self.assertTrue(references and panel["title"])
            for target in [panel] + panel["targets"]:
                self.assertEqual(target["datasource"], {"type": "prometheus", "uid": "${datasource}"})


    def test_all_that_the_dashboard_says_is_known_to_grafana(self):
        board = dashboard()
        # What an export has and a dashboard has not, and the text of a query for its editor.
        for name in ("__inputs", "__requires", "id"):
            del board[name]
        for variable in board["templating"]["list"]:
            variable.pop("definition", None)
        self.assertEqual(self.unknown(board), [])
        # Its types do tell: a field that nobody knows is found, wherever it stands.
        panel = board["panels"][0]
        for place, name in ((board, "colour"), (panel, "colour"), (panel["options"], "colour"),
                            (panel["targets"][0], "colour"), (panel["fieldConfig"]["defaults"], "colour")):
            place[name] = "red"
            self.assertEqual(len(self.unknown(board)), 1, name)
            del place[name]

    def unknown(self, board):
        """The places of what Grafana's own types do not take from a dashboard, or take for something else."""
        plugins.register_default_plugins()
        read = json.loads(json.dumps(Dashboard.from_json(board), cls=JSONEncoder))
        return list(self.differences(board, read, ""))

    def differences(self, ours, theirs, place):
        if isinstance(ours, dict) and isinstance(theirs, dict):
            for name in ours:
                if name in theirs:
                    yield from self.differences(ours[name], theirs[name], f"{place}.{name}")
                else:
                    yield f"{place}.{name}"
        elif isinstance(ours, list) and isinstance(theirs, list) and len(ours) == len(theirs):
            for index, pair in enumerate(zip(ours, theirs)):
                yield from self.differences(*pair, f"{place}[{index}]")
        elif ours != theirs:
            yield place


class Scraped(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.home = directory()
        authority = Authority(cls.home)
        chain, key = authority.issue("localhost", "127.0.0.1")
        cls.demo, cls.provider = Demo(), Provider("ES256")
        cls.gateway = Gateway(
            cls.demo.port,
            routes=DEMO_ROUTES + """
route /observed/ { upstream api; observe; }
route /away/ { upstream away; access anonymous; }
""",
            main=cls.provider.block() + f"upstream away {{ server http://127.0.0.1:{free_port()}; }}",
            tls=f"certificate {chain}; private_key {key};",
        )
        cls.port = free_port()
        cls.prometheus = cls.start_prometheus()
        cls.make_traffic()
        time.sleep(1.5)
        cls.make_traffic()
        # Rates want two scrapes that have seen it.
        cls.wait_for_scrapes(4)

    @classmethod
    def tearDownClass(cls):
        cls.prometheus.kill()
        cls.prometheus.wait()
        cls.gateway.stop()
        cls.demo.stop()
        cls.provider.stop()

    @classmethod
    def start_prometheus(cls):
        configuration = os.path.join(cls.home, "prometheus.yml")
        with open(configuration, "w") as file:
            file.write(f"""
global: {{ scrape_interval: 500ms, scrape_timeout: 500ms, evaluation_interval: 1s }}
rule_files: [{json.dumps(RULES)}]
scrape_configs:
  - job_name: auth-gateway
    static_configs: [{{ targets: ["127.0.0.1:{cls.gateway.control_port}"] }}]
""")
        with open(os.path.join(cls.home, "prometheus.log"), "wb") as log:
            process = launch(
                ["prometheus", f"--config.file={configuration}", f"--storage.tsdb.path={cls.home}/data",
                 f"--web.listen-address=127.0.0.1:{cls.port}"],
                stdout=log, stderr=log,
            )
        cls.wait_for_scrapes(1)
        return process

    @classmethod
    def wait_for_scrapes(cls, count):
        def scraped():
            try:
                found = cls.query("count_over_time(up[1h])")
            except OSError:
                return False
            return found and int(found[0]["value"][1]) >= before + count

        before = 0
        if count > 1:
            before = int(cls.query("count_over_time(up[1h])")[0]["value"][1])
        wait_until(scraped, 20, f"{count} scrapes")

    @classmethod
    def query(cls, expression):
        address = f"http://127.0.0.1:{cls.port}/api/v1/query?" + urllib.parse.urlencode({"query": expression})
        with urllib.request.urlopen(address, timeout=5) as reply:
            return json.load(reply)["data"]["result"]

    @classmethod
    def make_traffic(cls):
        base, control = cls.gateway.base, cls.gateway.control
        for path in ("/public/a", "/observed/a", "/items", "/away/a"):
            curl(base + path, "-k")
        pair = curl(control + "/sessions", as_json={"subject": "carl"}).json
        curl(base + "/whoami", "-k", token=pair["access_token"])
        curl(base + "/refresh", "-k", as_json={"refresh_token": pair["refresh_token"]})
        curl(control + "/subjects/carl/sessions", method="DELETE")
        curl(base + "/whoami", "-k", token=cls.provider.token())
        with socket.create_connection(("127.0.0.1", cls.gateway.port)) as plain:
            plain.sendall(b"GET / HTTP/1.1\r\nHost: h\r\n\r\n")
            plain.recv(100)

    def test_every_alert_has_what_it_asks_for(self):
        empty = [
            (name, part)
            for name, parts in alert_expressions().items()
            for part in parts
            if not self.query(part.replace("[5m]", "[10s]").replace("[15m]", "[10s]"))
        ]
        self.assertEqual(empty, [])

    def test_no_rule_is_wrong_and_none_fires_for_this(self):
        with urllib.request.urlopen(f"http://127.0.0.1:{self.port}/api/v1/rules", timeout=5) as reply:
            rules = [rule for group in json.load(reply)["data"]["groups"] for rule in group["rules"]]
        self.assertEqual({rule["name"] for rule in rules}, set(alert_expressions()))
        wait_until(lambda: self.query("prometheus_rule_evaluations_total") is not None, 5, "an evaluation")
        self.assertEqual([rule["lastError"] for rule in rules if rule.get("lastError")], [])
        self.assertEqual([rule["name"] for rule in rules if rule["state"] == "firing"], [])

    def test_every_panel_has_what_it_asks_for(self):
        empty = []
        for panel in dashboard()["panels"]:
            for target in panel.get("targets", []):
                expression = target["expr"].replace("$instance", ".*").replace("$__rate_interval", "10s")
                self.assertNotIn("$", expression)
                if not self.query(expression):
                    empty.append((panel["title"], target["expr"]))
        self.assertEqual(empty, [])

    def test_every_metric_is_on_the_dashboard_or_in_an_alert_or_is_told_to_be_neither(self):
        text = curl(self.gateway.control + "/metrics").body.decode()
        metrics = set(re.findall(r"^# TYPE (auth_gateway_\S+)", text, re.M))
        asked = json.dumps(dashboard()) + json.dumps(alert_expressions())
        for name in ("issuer_fetches_total", "issuer_keys", "newest_revocation_age_seconds", "token_cache_tokens"):
            metrics.discard("auth_gateway_" + name)
        self.assertEqual([name for name in sorted(metrics) if name not in asked], [])


if __name__ == "__main__":
    unittest.main()
