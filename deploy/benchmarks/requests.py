# Many small requests, by wrk: CPU per request of the proxy's own process, requests per second, latency.

import re
import statistics
import subprocess
import sys

from contenders import SECURE


def load(proxy, token, connections, seconds, secure=False):
    """One run of wrk: CPU per request, requests per second, p50 and p99."""
    before = proxy.cpu_seconds()
    url = f"https://127.0.0.1:{proxy.port + SECURE}" if secure else f"http://127.0.0.1:{proxy.port}"
    result = subprocess.run(
        ["wrk", "-t1", f"-c{connections}", f"-d{seconds}s", "--latency", "-H", f"Authorization: Bearer {token}",
         f"{url}/items"], capture_output=True, text=True, check=True).stdout
    used = proxy.cpu_seconds() - before
    if "Non-2xx" in result or "Socket errors" in result:
        sys.exit(f"{proxy.name}: errors under load:\n{result}")
    requests = int(re.search(r"(\d+) requests in", result).group(1))
    rate = float(re.search(r"Requests/sec:\s+([\d.]+)", result).group(1))
    return {"cpu": used / requests * 1e6, "rate": rate,
            "p50": microseconds(result, "50"), "p99": microseconds(result, "99")}


def microseconds(text, percentile):
    value, unit = re.search(rf"{percentile}%\s+([\d.]+)(us|ms|s)", text).groups()
    return float(value) * {"us": 1, "ms": 1e3, "s": 1e6}[unit]


def report(results, contenders, connections):
    print(f"\n{connections} connection{'s' if connections > 1 else ''}")
    print(f"  {'':8} {'CPU/request':>12} {'to nginx':>9} {'requests/s':>11} {'p50':>9} {'p99':>9} {'RSS':>8}")
    median = {proxy.name: {key: statistics.median(run[key] for run in results[proxy.name])
                           for key in ("cpu", "rate", "p50", "p99")} for proxy in contenders}
    for proxy in contenders:
        row = median[proxy.name]
        ratios = [mine["cpu"] / nginx["cpu"] for mine, nginx in zip(results[proxy.name], results.get("nginx", []))]
        ratio = f"{statistics.median(ratios):9.2f}" if ratios else f"{'-':>9}"
        print(f"  {proxy.name:8} {row['cpu']:9.1f} µs {ratio} {row['rate']:11.0f} {row['p50']:6.0f} µs"
              f" {row['p99']:6.0f} µs {proxy.resident_megabytes():5.1f} MB")


def run(contenders, token, options):
    """Every contender in turn, over several rounds."""
    for connections in map(int, options.connections.split(",")):
        results = {proxy.name: [] for proxy in contenders}
        for proxy in contenders:
            load(proxy, token, connections, 1)
        for _ in range(options.rounds):
            for proxy in contenders:
                results[proxy.name].append(load(proxy, token, connections, options.seconds))
        report(results, contenders, connections)
