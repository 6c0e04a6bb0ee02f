# TLS: CPU of the proxy's own process for each handshake, full and resumed, and for each authenticated request on
# connections that stay; resident bytes of each idle connection.

import re
import socket
import ssl
import statistics
import subprocess
import time

from contenders import SECURE
from requests import load


def handshakes(proxy, kind, seconds):
    """CPU seconds per handshake, by openssl's own client."""
    before = proxy.cpu_seconds()
    said = subprocess.run(
        ["openssl", "s_time", "-connect", f"127.0.0.1:{proxy.port + SECURE}", *kind, "-time", str(seconds)],
        capture_output=True, text=True).stdout
    count = int(re.findall(r"(\d+) connections in \d+ real seconds", said)[-1])
    return {"cpu": (proxy.cpu_seconds() - before) / count * 1e6, "rate": count / seconds}


def idle(proxy, count):
    """Resident bytes of each of so many connections that have had one answer."""
    settings = ssl.create_default_context()
    settings.check_hostname, settings.verify_mode = False, ssl.CERT_NONE
    before = proxy.resident_megabytes()
    connections = []
    for _ in range(count):
        connection = settings.wrap_socket(socket.create_connection(("127.0.0.1", proxy.port + SECURE)))
        connection.sendall(b"GET /none HTTP/1.1\r\nHost: localhost\r\n\r\n")
        connection.recv(4096)
        connections.append(connection)
    time.sleep(3)
    each = (proxy.resident_megabytes() - before) * (1 << 20) / count
    for connection in connections:
        connection.close()
    return each


def run(contenders, token, options):
    # First of all: later, memory that is free already would hide what they take.
    print("\nidle connections by TLS: resident bytes of each of 1,000")
    for proxy in contenders:
        print(f"  {proxy.name:8} {idle(proxy, 1000):9.0f}")
    # Resumed ones by TLS 1.2: this client leaves before a ticket of TLS 1.3 has come.
    for kind, title in (
        (["-new"], "full handshakes"), (["-reuse", "-tls1_2"], "resumed handshakes, TLS 1.2"),
    ):  # fmt: skip
        measure(contenders, title, options, lambda proxy: handshakes(proxy, kind, options.seconds))
    measure(
        contenders, "requests by TLS, 64 connections", options,
        lambda proxy: load(proxy, token, 64, options.seconds, secure=True))


def measure(contenders, title, options, one):
    results = {proxy.name: [] for proxy in contenders}
    for _ in range(options.rounds):
        for proxy in contenders:
            results[proxy.name].append(one(proxy))
    print(f"\n{title}\n  {'':8} {'CPU each':>11} {'to nginx':>9} {'each second':>12}")
    for name, runs in results.items():
        cpu, rate = (statistics.median(run[key] for run in runs) for key in ("cpu", "rate"))
        ratios = [mine["cpu"] / nginx["cpu"] for mine, nginx in zip(runs, results.get("nginx", []))]
        ratio = f"{statistics.median(ratios):9.2f}" if ratios else f"{'-':>9}"
        print(f"  {name:8} {cpu:8.1f} µs {ratio} {rate:12.0f}")
