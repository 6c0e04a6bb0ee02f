# The session store at scale: a table of N sessions, made directly in sessions.db, and refreshes of them over HTTP,
# each of a token of its own. Beside it, in the same run, a plain loop of the same UPDATEs in Python's SQLite.
#
# The tokens are minted here, from the key file. A line of `refresh.key` is `NUMBER SECRET [since=MS] [idle=MS]`, its
# secret base64url; the first line makes the tokens. A token is `rt_` and base64url of
#
#     key number 1 | sid 16 | generation 4 | secret 32 | tag 16
#     tag = first half of HMAC-SHA256(server key, "tag" | everything before it)
#
# and the table keeps SHA-256 of the secret. Session number i has sid and secret by SHA-256 of the run's seed and i, so
# that any token can be made without a list of them.

import base64
import hashlib
import hmac
import json
import os
import random
import signal
import sqlite3
import subprocess
import sys
import time
import urllib.error
import urllib.request

from contenders import CONTROL, GATEWAY, ROOT, Proxy, write

CONF = """
listen 127.0.0.1:{gateway};
workers 1;
state_directory {dir}/state;
public_url http://localhost:{gateway};
control {{ listen 127.0.0.1:{control}; }}
limits {{ connections_per_address 20000; }}
logs {{ access off; audit off; level warning; }}
upstream api {{ server http://127.0.0.1:1; }}
route / {{ upstream api; }}
"""

# Each token once; with a pause, the connections share a load that does not depend on how fast the answers are.
LUA = """
local tokens = io.open("{tokens}")
local headers = {{ ["Content-Type"] = "application/x-www-form-urlencoded" }}
function request()
  local token = tokens:read("*l")
  if not token then wrk.thread:stop() token = "none" end
  return wrk.format("POST", "/refresh", headers, "grant_type=refresh_token&refresh_token=" .. token)
end
{pause}
function done(summary, latency, requests)
  local errors = summary.errors
  io.write(string.format('\\n{{"requests":%d,"microseconds":%d,"refused":%d,"broken":%d,"p50":%d,"p99":%d,"max":%d}}\\n',
    summary.requests, summary.duration, errors.status, errors.connect + errors.read + errors.write + errors.timeout,
    latency:percentile(50), latency:percentile(99), latency.max))
end
"""

SEED = b"sessions"
DAY = 86_400_000
AGENT = "Mozilla/5.0 (X11; Linux x86_64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/140.0.0.0 Safari/537.36"
CLAIMS = b'{"role":"user","scope":"items:read items:write"}'
BATCH = 256
# One in so many rows has been over for long, so that expiry has work during the run.
EXPIRED = 100


def sid(number):
    return hashlib.sha256(SEED + b"sid%d" % number).digest()[:16]


def secret(number):
    return hashlib.sha256(SEED + b"secret%d" % number).digest()


class Mint:
    """Refresh tokens of generation 0, by the first line of the key file."""

    def __init__(self, path):
        with open(path) as file:
            number, text = file.readline().split()[:2]
        self.number = bytes([int(number)])
        self.key = base64.urlsafe_b64decode(text + "=" * (-len(text) % 4))

    def token(self, number):
        body = self.number + sid(number) + bytes(4) + secret(number)
        tag = hmac.digest(self.key, b"tag" + body, "sha256")[:16]
        return "rt_" + base64.urlsafe_b64encode(body + tag).decode().rstrip("=")


def rows(count, now):
    """Sessions that began within the last month and were last refreshed within the last days."""
    columns = random.Random(1)
    for number in range(count):
        refreshed = now - columns.randrange(6 * DAY)
        idle = refreshed + (7 * DAY if number % EXPIRED else -30 * DAY)
        address = f"198.51.{number >> 8 & 255}.{number & 255}"
        yield (sid(number), f"user{number // 2:08d}", CLAIMS, AGENT, address, "", refreshed - 10 * DAY, refreshed, idle,
               refreshed + 80 * DAY, 0, hashlib.sha256(secret(number)).digest(), refreshed, 1, 0)


def connect(path):
    database = sqlite3.connect(path, isolation_level=None)
    database.execute("PRAGMA cache_size = -1000000")
    return database


def fill(path, count):
    """Puts `count` sessions into the tables as the gateway has made them; its indexes are made afterwards."""
    database = connect(path)
    for pragma in ("journal_mode = OFF", "synchronous = OFF", "locking_mode = EXCLUSIVE"):
        database.execute(f"PRAGMA {pragma}").fetchall()
    indexes = database.execute("SELECT name, sql FROM sqlite_schema WHERE type = 'index' AND tbl_name = 'sessions'"
                               " AND sql IS NOT NULL").fetchall()
    for name, _ in indexes:
        database.execute(f"DROP INDEX {name}")
    database.execute("BEGIN")
    database.executemany(
        "INSERT INTO sessions (sid, subject, claims, user_agent, address, label, created, refreshed, idle_deadline,"
        " final_deadline, generation, secret_digest, rotated, confirmed, epoch)"
        " VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)", rows(count, int(time.time() * 1000)))
    for _, sql in indexes:
        database.execute(sql)
    database.execute("COMMIT")
    database.execute("PRAGMA journal_mode = WAL").fetchall()
    database.close()


def plain_loop(path, numbers, seconds):
    """Conditional UPDATEs by themselves, as many to a transaction as the gateway takes: rotations per second."""
    database = connect(path)
    for pragma in ("locking_mode = EXCLUSIVE", "synchronous = FULL"):
        database.execute(f"PRAGMA {pragma}").fetchall()
    began, done = time.monotonic(), 0
    while time.monotonic() - began < seconds:
        now = int(time.time() * 1000)
        database.execute("BEGIN IMMEDIATE")
        database.executemany(
            "UPDATE sessions SET generation = ?, secret_digest = ?, rotated = ?, refreshed = ?, idle_deadline = ?,"
            " confirmed = 0 WHERE sid = ? AND generation = ? AND ended IS NULL",
            [(1, secret(number), now, now, now + 7 * DAY, sid(number), 0)
             for number in (next(numbers) for _ in range(BATCH))])
        database.execute("COMMIT")
        done += BATCH
    rate = done / (time.monotonic() - began)
    database.close()
    return rate


class Gateway(Proxy):
    """The gateway alone, timed from its start to its readiness."""

    def __init__(self, folder):
        self.folder = folder
        conf = write(f"{folder}/gateway.conf", CONF.format(dir=folder, gateway=GATEWAY, control=CONTROL))
        began = time.monotonic()
        super().__init__("gateway", GATEWAY, [f"{ROOT}/.build/release/auth-gateway", "run", "-c", conf])
        while not self.is_ready():
            if self.process.poll() is not None:
                sys.exit("the gateway does not start")
            time.sleep(0.005)
        self.start_seconds = time.monotonic() - began

    def is_ready(self):
        try:
            return urllib.request.urlopen(f"http://127.0.0.1:{CONTROL}/readyz", timeout=1).status == 200
        except OSError:
            return False

    def stop(self):
        self.process.send_signal(signal.SIGTERM)
        self.process.wait()

    def refresh(self, tokens, seconds, connections, pause=0):
        """Refreshes by wrk, each of a token of its own."""
        write(f"{self.folder}/tokens", "\n".join(tokens) + "\n")
        delay = f"function delay() return {pause} end" if pause else ""
        script = write(f"{self.folder}/refresh.lua", LUA.format(tokens=f"{self.folder}/tokens", pause=delay))
        used = self.cpu_seconds()
        output = subprocess.run(
            ["wrk", "-t1", f"-c{connections}", f"-d{seconds}s", "-s", script, f"http://127.0.0.1:{GATEWAY}"],
            capture_output=True, text=True, check=True).stdout
        result = json.loads(output.strip().splitlines()[-1])
        result["rate"] = result["requests"] / result["microseconds"] * 1e6
        result["cpu"] = (self.cpu_seconds() - used) / result["requests"] * 1e6
        if result["refused"] or result["broken"]:
            sys.exit(f"refreshes failed:\n{output}")
        return result


def run(options, folder):
    count, seconds = options.sessions, options.seconds
    # The gateway makes its own tables and keys first.
    Gateway(folder).stop()
    path = f"{folder}/state/sessions.db"
    began = time.monotonic()
    fill(path, count)
    print(f"\n{count} sessions, made in {time.monotonic() - began:.0f} s:"
          f" {os.path.getsize(path) / count:.0f} bytes each")
    order = list(range(count))
    random.Random(2).shuffle(order)
    numbers = (number for number in order if number % EXPIRED)
    mint = Mint(f"{folder}/state/refresh.key")
    plain = plain_loop(path, numbers, seconds)
    print(f"  plain loop of UPDATEs      {plain:8.0f}/s")
    gateway = Gateway(folder)
    try:
        print(f"  start                      {gateway.start_seconds * 1000:8.0f} ms")

        def tokens(share):
            most = int(min(count // 8, 40_000 * seconds * share))
            return [mint.token(next(numbers)) for _ in range(most)]

        gateway.refresh(tokens(0.1), 1, 64)
        full = gateway.refresh(tokens(1), seconds, 256)
        report("as many as it can", full, plain)
        # So many connections with such a pause make half of that.
        pause = max(1, round(400 / (full["rate"] / 2) * 1000))
        report("half of that", gateway.refresh(tokens(1), seconds, 400, pause), plain)
        print(f"  resident memory            {gateway.resident_megabytes():8.0f} MB")
    finally:
        gateway.stop()


def report(name, result, plain):
    print(f"  refreshes, {name:17} {result['rate']:7.0f}/s  {result['rate'] / plain:5.2f} of the loop"
          f"  CPU {result['cpu']:4.0f} µs  p50 {result['p50'] / 1000:6.1f} ms  p99 {result['p99'] / 1000:6.1f} ms"
          f"  max {result['max'] / 1000:6.1f} ms", flush=True)
