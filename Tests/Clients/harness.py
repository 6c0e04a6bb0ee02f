# Starts and stops the programs under test: the gateway and the demo API as real processes on loopback, each
# in a temporary directory, on ports that the system has just called free.
#
# Whatever happens, nothing outlives the run: every process and directory is registered here and goes at exit.
# Every gateway's logs are judged when it stops: each line is JSON, and no token that any test has seen is in
# them.

import atexit
import ctypes
import json
import os
import re
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time

ROOT = os.path.abspath(os.path.join(os.path.dirname(__file__), "..", ".."))
GATEWAY = os.path.abspath(os.environ.get("AUTH_GATEWAY", os.path.join(ROOT, ".build/debug/auth-gateway")))
DEMO = os.path.abspath(os.environ.get("DEMO_API", os.path.join(ROOT, ".build/debug/demo-api")))

TOKEN = re.compile(r"eyJ[\w-]{10,}\.[\w-]+\.[\w-]+|rt_[\w-]{40,}")
CONTROL_SECRET = "a-secret-of-the-control-listener"

# Routes in front of demo-api, close to those of the example configuration.
DEMO_ROUTES = """
route = / { upstream api; access anonymous; }
route /login.html { upstream api; access anonymous; }
route /login { upstream api; access anonymous; login; request_body 16k; }
route /items { upstream api; require scope items:read; }
route /admin/ { upstream api; require claim role admin; identity_header X-Auth-Role claim role; }
route /editors/ { upstream api; require scope items:write; }
route /account/ { upstream api; session_control; }
route /public/ { upstream api; access anonymous; }
route /feed/ { upstream api; access optional; }
route / { upstream api; identity_header X-Auth-Role claim role; }
"""

_running = []
_ports = set()
_directories = []


class StartFailed(Exception):
    """A program ended before it served; holds what it said and how it ended."""

    def __init__(self, code, text):
        super().__init__(f"exit {code}: {text}")
        self.code, self.text = code, text


def _clean_up():
    for process in _running:
        if process.poll() is None:
            process.kill()
            process.wait()
    for directory in _directories:
        shutil.rmtree(directory, ignore_errors=True)


atexit.register(_clean_up)
# A terminated run must clean up as an ended one does.
signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))


def directory():
    """A new temporary directory, gone at exit."""
    path = tempfile.mkdtemp(prefix="auth-gateway-clients-")
    _directories.append(path)
    return path


def free_port():
    """A port that the system calls free, and that this run has not called free before."""
    while True:
        with socket.socket() as probe:
            probe.bind(("127.0.0.1", 0))
            port = probe.getsockname()[1]
        if port not in _ports:
            _ports.add(port)
            return port


def listen(host="127.0.0.1", backlog=512):
    """A listener on a port of the system's choice, but for those that were called free: whoever was told so comes
    back for it, or means to find nobody there."""
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    while True:
        listener = socket.create_server((host, 0), family=family, backlog=backlog)
        if listener.getsockname()[1] not in _ports:
            return listener
        listener.close()


def launch(arguments, **options):
    """A process that ends with the run."""
    process = subprocess.Popen(arguments, **options)
    _running.append(process)
    return process


def wait_until(condition, seconds=5.0, what="a condition"):
    """The first true value of `condition`; fails after some seconds."""
    end = time.monotonic() + seconds
    while True:
        value = condition()
        if value:
            return value
        if time.monotonic() > end:
            raise AssertionError(f"{what}: not within {seconds} s")
        time.sleep(0.01)


class Demo:
    """demo-api on a port of its own."""

    def __init__(self):
        self.process = launch([DEMO, "--listen", "127.0.0.1:0"], stdout=subprocess.PIPE, text=True)
        line = self.process.stdout.readline()
        self.port = int(line.strip().rsplit(":", 1)[1])

    def stop(self):
        self.process.kill()
        self.process.wait()
        self.process.stdout.close()


class Orphan:
    """A process that one of ours has started, and that is ours since that one has ended."""

    def __init__(self, pid):
        self.pid, self.returncode = pid, None
        _running.append(self)

    def poll(self):
        if self.returncode is None:
            pid, status = os.waitpid(self.pid, os.WNOHANG)
            if pid:
                self.returncode = os.waitstatus_to_exitcode(status)
        return self.returncode

    def wait(self, seconds=10):
        wait_until(lambda: self.poll() is not None, seconds, "the end of a process")
        return self.returncode

    def send_signal(self, number):
        if self.poll() is None:
            os.kill(self.pid, number)

    def terminate(self):
        self.send_signal(signal.SIGTERM)

    def kill(self):
        self.send_signal(signal.SIGKILL)


def adopt_orphans():
    """Makes whom our processes leave behind ours: prctl(PR_SET_CHILD_SUBREAPER)."""
    ctypes.CDLL(None).prctl(36, 1, 0, 0, 0)


class Gateway:
    """A gateway with its configuration, state and logs in one temporary directory."""

    def __init__(
        self,
        upstream_port,
        routes=DEMO_ROUTES,
        main="",
        upstream="",
        access="",
        refresh="",
        limits="",
        control="",
        scheme="http",
        host="localhost",
        tls=None,
        logs=None,
        start=True,
        **options,
    ):
        # What a start is given beside its configuration: `env`, `pass_fds`.
        self.options = options
        self.home = directory()
        self.port, self.control_port = free_port(), free_port()
        self.state = os.path.join(self.home, "state")
        self.access_path = os.path.join(self.home, "access.log")
        self.audit_path = os.path.join(self.home, "audit.log")
        self.service_path = os.path.join(self.home, "service.log")
        # What else the judgement of the logs is to read: functions that answer a text.
        self.other_logs = []
        self.kills = 0
        # The lines of a `tls` block give the one listener TLS.
        scheme = "https" if tls else scheme
        self.origin = f"{scheme}://{host}:{self.port}"
        self.base = f"{'https' if tls else 'http'}://127.0.0.1:{self.port}"
        self.control = f"http://127.0.0.1:{self.control_port}"
        self.config = os.path.join(self.home, "gateway.conf")
        self.process = None
        logs = (logs or "access {home}/access.log json; audit {home}/audit.log;").replace("{home}", self.home)
        with open(self.config, "w") as file:
            file.write(f"""
listen 127.0.0.1:{self.port}{" tls" if tls else ""};
{f"tls {{ {tls} }}" if tls else ""}
public_url {self.origin};
state_directory {self.state};
{main}
limits {{ {limits} }}
logs {{ {logs} }}
control {{ listen 127.0.0.1:{self.control_port}; {control} }}
access_token {{ audience clients; {access} }}
refresh_token {{ {refresh} }}
upstream api {{ server http://127.0.0.1:{upstream_port}; {upstream} }}
{routes}
""")
        if start:
            self.start()

    def start(self, *arguments):
        """Starts it and returns once it serves; the seconds that took."""
        began = time.monotonic()
        offset = os.path.getsize(self.service_path) if os.path.exists(self.service_path) else 0
        with open(self.service_path, "ab") as errors:
            command = self.options.pop("command", []) + [GATEWAY, "run", "-c", self.config, *arguments]
            self.process = launch(command, stdout=errors, stderr=errors, **self.options)

        def serves():
            text = self.service_log()[offset:]
            if self.process.poll() is not None:
                raise StartFailed(self.process.returncode, text)
            return " serving on " in text

        wait_until(serves, 10, "the gateway serves")
        return time.monotonic() - began

    def kill(self):
        """kill -9: no farewell."""
        self.kills += 1
        self.process.kill()
        self.process.wait()

    def stop(self):
        """SIGTERM, and the judgement of the logs."""
        if self.process.poll() is not None:
            raise AssertionError(f"the gateway died: {self.process.returncode}: {self.service_log()[-2000:]}")
        self.process.terminate()
        try:
            code = self.process.wait(30)
        except subprocess.TimeoutExpired:
            self.process.kill()
            raise AssertionError("the gateway does not stop")
        if code != 0:
            raise AssertionError(f"the gateway stopped with {code}: {self.service_log()[-2000:]}")
        self.judge_logs()

    def judge_logs(self):
        """Every line is JSON, and nothing that opens a door is in any of them. kill -9 may tear the line that is being
        written, and no other."""
        for path in (self.access_path, self.audit_path):
            torn = [line for line in _text(path).splitlines() if not _is_json(line)]
            if len(torn) > self.kills:
                raise AssertionError(f"torn lines in {os.path.basename(path)}: {torn[:3]}")
        texts = {name: _text(os.path.join(self.home, name)) for name in os.listdir(self.home) if ".log" in name}
        texts |= {f"log {number}": read() for number, read in enumerate(self.other_logs)}
        for name, text in texts.items():
            found = TOKEN.search(text)
            if found or CONTROL_SECRET in text:
                raise AssertionError(f"a secret in {name}: {found}")

    def access_log(self):
        """What has been written of it by now, which is a while behind the answers."""
        return [json.loads(line) for line in _whole_lines(self.access_path)]

    def audit_log(self):
        return [json.loads(line) for line in _whole_lines(self.audit_path)]

    def service_log(self):
        return _text(self.service_path)

    def lines_for(self, path, count, seconds=3.0):
        """The `count` access lines of a path, when there are exactly so many and no more follow soon."""
        found = lambda: [line for line in self.access_log() if line["url.path"] == path]
        return _exactly(found, count, seconds, f"log lines for {path}")

    def events(self, action, count, seconds=3.0):
        """The `count` audit events of a kind, likewise."""
        found = lambda: [line for line in self.audit_log() if line["event.action"] == action]
        return _exactly(found, count, seconds, f"events {action}")

    def remarks(self, words, count, seconds=3.0):
        """The `count` lines of the service log that have these words, likewise."""
        found = lambda: [line for line in _whole_lines(self.service_path) if words in line]
        return _exactly(found, count, seconds, f"lines with '{words}'")

    def memory_kilobytes(self):
        with open(f"/proc/{self.process.pid}/status") as status:
            for line in status:
                if line.startswith("VmRSS:"):
                    return int(line.split()[1])
        raise AssertionError("no VmRSS")

    def processor_seconds(self):
        """What it has worked since it began, which the load of the machine does not change."""
        with open(f"/proc/{self.process.pid}/stat") as file:
            fields = file.read().rpartition(")")[2].split()
        return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def _exactly(found, count, seconds, what):
    """What is found, when it is exactly so much: logs are written behind the answers."""
    wait_until(lambda: len(found()) >= count, seconds, f"{count} {what}")
    time.sleep(0.05)
    lines = found()
    if len(lines) != count:
        raise AssertionError(f"{len(lines)} {what}, not {count}: {lines}")
    return lines


def _is_json(line):
    try:
        json.loads(line)
    except ValueError:
        return False
    return True


def _whole_lines(path):
    """The lines of a file that is being written, without the one that has not arrived whole."""
    return _text(path).rpartition("\n")[0].splitlines()


def _text(path):
    if not os.path.exists(path):
        return ""
    with open(path, encoding="utf-8", errors="replace") as file:
        return file.read()
