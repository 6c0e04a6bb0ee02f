# Large bodies: CPU per gigabyte of the proxy's own process, down and up, in pieces of 1 MB and of 1 GB; and what
# a long stream to a client that reads slowly does to its memory.

import os
import statistics
import subprocess
import sys
import time

SIZES = {"1 MB": 1 << 20, "1 GB": 1 << 30}
GIGABYTE = 1 << 30


def make_files(folder):
    """Sparse files: what is measured is the proxies, not a disk."""
    os.makedirs(f"{folder}/files", exist_ok=True)
    for name, size in list(SIZES.items()) + [("10 GB", 10 * GIGABYTE)]:
        with open(f"{folder}/files/{name.replace(' ', '')}", "wb") as file:
            file.truncate(size)


def transfer(proxy, token, folder, name, direction):
    """CPU seconds per gigabyte, and gigabytes per second, of some gigabytes in pieces of one size."""
    count = max(2, 2 * GIGABYTE // SIZES[name])
    path = f"{folder}/files/{name.replace(' ', '')}"
    url = f"http://127.0.0.1:{proxy.port}/files/{name.replace(' ', '')}"
    arguments = ["-o", "/dev/null"]
    if direction == "up":
        url = f"http://127.0.0.1:{proxy.port}/sink"
        arguments += ["-X", "POST", "-H", "Expect:", "-T", path]
    # One process and one connection for all of them.
    config = "\n".join(f'url = "{url}"\n' + "\n".join(option(arguments)) for _ in range(count))
    before, began = proxy.cpu_seconds(), time.monotonic()
    done = subprocess.run(
        ["curl", "-sS", "-f", "-H", f"Authorization: Bearer {token}", "-K", "-"], input=config, text=True,
        capture_output=True)
    seconds = time.monotonic() - began
    if done.returncode:
        sys.exit(f"{proxy.name}: {direction} {name}: {done.stderr}")
    gigabytes = count * SIZES[name] / GIGABYTE
    return {"cpu": (proxy.cpu_seconds() - before) / gigabytes, "rate": gigabytes / seconds}


def option(arguments):
    """Arguments as lines of a curl configuration; options of one transfer stand behind its URL."""
    words = iter(arguments)
    names = {"-o": "output", "-X": "request", "-H": "header", "-T": "upload-file"}
    return [f'{names[word]} = "{next(words)}"' for word in words]


def slow_reader(proxy, token):
    """How much larger the process is at most while 10 GB pass to a client that takes its time."""
    idle = proxy.resident_megabytes()
    client = subprocess.Popen(
        ["curl", "-sS", "-f", "--limit-rate", "400M", "-o", "/dev/null", "-H", f"Authorization: Bearer {token}",
         f"http://127.0.0.1:{proxy.port}/files/10GB"])
    most = idle
    while client.poll() is None:
        most = max(most, proxy.resident_megabytes())
        time.sleep(0.05)
    if client.returncode:
        sys.exit(f"{proxy.name}: the stream of 10 GB failed")
    return idle, most


def run(contenders, token, options, folder):
    for direction in ("down", "up"):
        for name in SIZES:
            results = {proxy.name: [] for proxy in contenders}
            for _ in range(options.rounds):
                for proxy in contenders:
                    results[proxy.name].append(transfer(proxy, token, folder, name, direction))
            report(results, f"{name} {direction}")
    print("\n10 GB to a client that takes 400 MB/s: resident memory before, at most")
    for proxy in contenders:
        idle, most = slow_reader(proxy, token)
        print(f"  {proxy.name:8} {idle:6.1f} MB {most:6.1f} MB")


def report(results, title):
    print(f"\n{title}\n  {'':8} {'CPU s/GB':>9} {'to nginx':>9} {'GB/s':>6}")
    for name, runs in results.items():
        cpu, rate = (statistics.median(run[key] for run in runs) for key in ("cpu", "rate"))
        ratios = [mine["cpu"] / nginx["cpu"] for mine, nginx in zip(runs, results.get("nginx", []))]
        ratio = f"{statistics.median(ratios):9.2f}" if ratios else f"{'-':>9}"
        print(f"  {name:8} {cpu:9.3f} {ratio} {rate:6.2f}")
