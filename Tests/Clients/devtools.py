# Chromium as a test drives it: the browser process, and the DevTools protocol over a WebSocket of our own, so
# that the tests need nothing but the standard library.

import base64
import json
import os
import re
import socket
import struct
import subprocess
import time
import urllib.request

from harness import directory, launch, wait_until


class WebSocket:
    """A client of RFC 6455, as far as DevTools needs it: text both ways, pings answered."""

    def __init__(self, url):
        host, port, path = re.match(r"ws://([^:/]+):(\d+)(/.*)", url).groups()
        self.socket = socket.create_connection((host, int(port)), timeout=20)
        key = base64.b64encode(os.urandom(16)).decode()
        self.socket.sendall(
            (
                f"GET {path} HTTP/1.1\r\nHost: {host}:{port}\r\nUpgrade: websocket\r\n"
                f"Connection: Upgrade\r\nSec-WebSocket-Key: {key}\r\n"
                "Sec-WebSocket-Version: 13\r\n\r\n"
            ).encode()
        )
        self.input = b""
        while b"\r\n\r\n" not in self.input:
            self._fill()
        head, self.input = self.input.split(b"\r\n\r\n", 1)
        if b" 101 " not in head:
            raise AssertionError(head)

    def _fill(self):
        data = self.socket.recv(65536)
        if not data:
            raise EOFError("the browser has gone")
        self.input += data

    def _take(self, count):
        while len(self.input) < count:
            self._fill()
        part, self.input = self.input[:count], self.input[count:]
        return part

    def send(self, text, opcode=1):
        data, mask = text.encode() if isinstance(text, str) else text, os.urandom(4)
        length = (
            struct.pack("!B", 0x80 | len(data)) if len(data) < 126 else struct.pack("!BH", 0xFE, len(data))
        )
        body = bytes(byte ^ mask[index % 4] for index, byte in enumerate(data))
        self.socket.sendall(bytes([0x80 | opcode]) + length + mask + body)

    def receive(self):
        message = b""
        while True:
            first, second = self._take(2)
            length = second & 127
            if length == 126:
                (length,) = struct.unpack("!H", self._take(2))
            elif length == 127:
                (length,) = struct.unpack("!Q", self._take(8))
            data = self._take(length)
            opcode = first & 15
            if opcode == 9:
                self.send(data, 10)
            elif opcode == 8:
                raise EOFError("the browser has closed")
            elif opcode < 3:
                message += data
                if first & 0x80:
                    return message.decode()


class Page:
    """A page of a browser, by its DevTools socket."""

    def __init__(self, url):
        self.page = WebSocket(url)
        self.number, self.events = 0, []
        for domain in ("Page", "Runtime", "Network"):
            self.call(domain + ".enable")

    def call(self, method, **parameters):
        self.number += 1
        self.page.send(json.dumps({"id": self.number, "method": method, "params": parameters}))
        while True:
            message = json.loads(self.page.receive())
            if message.get("id") == self.number:
                if "error" in message:
                    raise AssertionError(f"{method}: {message['error']}")
                return message["result"]
            self.events.append(message)

    def script(self, expression):
        """The value of an expression in the page, awaited."""
        result = self.call("Runtime.evaluate", expression=expression, awaitPromise=True, returnByValue=True)
        if "exceptionDetails" in result:
            raise AssertionError(f"{expression}: {result['exceptionDetails']}")
        return result["result"].get("value")

    def open(self, url):
        self.call("Page.navigate", url=url)
        self.wait(f"location.href.startsWith({json.dumps(url)}) && document.readyState == 'complete'")

    def failure(self, url):
        """Why a page cannot be opened; None when it can."""
        return self.call("Page.navigate", url=url).get("errorText")

    def wait(self, expression, seconds=10):
        """Waits until an expression is true; a page that is just being left counts as not yet."""

        def holds():
            try:
                return self.script(expression)
            except AssertionError:
                return False

        end = time.monotonic() + seconds
        while not (value := holds()):
            if time.monotonic() > end:
                raise AssertionError(
                    f"not within {seconds} s: {expression}; at {self.script('location.href')}: "
                    f"{self.script('document.body.innerText')}"
                )
            time.sleep(0.05)
        return value

    def cookies(self):
        return {cookie["name"]: cookie for cookie in self.call("Network.getAllCookies")["cookies"]}


class Browser(Page):
    """A headless Chromium with one page, and with others beside it.

    It believes the authority in the file `authority` as those that come with it, and checks certificates as
    ever; what addresses the names of `hosts` have it is told here.
    """

    def __init__(self, authority=None, hosts=()):
        self.home = directory()
        if authority:
            self._trust(authority)
        rules = ", ".join(f"MAP {name} {address}" for name, address in hosts)
        self.process = launch(
            [
                "chromium",
                "--headless",
                "--no-sandbox",
                "--disable-gpu",
                "--disable-dev-shm-usage",
                "--no-first-run",
                "--disable-background-networking",
                "--disable-component-update",
                "--remote-debugging-port=0",
                f"--user-data-dir={self.home}",
                f"--host-resolver-rules={rules}",
                "about:blank",
            ],
            env=os.environ | {"HOME": self.home},
            stdout=open(os.path.join(self.home, "out"), "wb"),
            stderr=open(os.path.join(self.home, "errors"), "wb"),
            start_new_session=True,
        )
        port_file = os.path.join(self.home, "DevToolsActivePort")
        wait_until(
            lambda: os.path.exists(port_file) and open(port_file).read().count("\n") >= 1, 30, "Chromium"
        )
        self.port = open(port_file).read().split("\n")[0]
        with urllib.request.urlopen(f"http://127.0.0.1:{self.port}/json/list") as pages:
            page = next(page for page in json.load(pages) if page["type"] == "page")
        super().__init__(page["webSocketDebuggerUrl"])

    def new_tab(self):
        request = urllib.request.Request(f"http://127.0.0.1:{self.port}/json/new?about:blank", method="PUT")
        with urllib.request.urlopen(request) as page:
            return Page(json.load(page)["webSocketDebuggerUrl"])

    def _trust(self, authority):
        # Where Chromium looks for the authorities of its user.
        database = os.path.join(self.home, ".pki", "nssdb")
        os.makedirs(database)
        for arguments in (["-N", "--empty-password"], ["-A", "-n", "test", "-t", "C,,", "-i", authority]):
            subprocess.run(["certutil", "-d", "sql:" + database, *arguments], check=True)

    def stop(self):
        # The browser is a family of processes in a session of its own.
        os.killpg(self.process.pid, 9)
        self.process.wait()
