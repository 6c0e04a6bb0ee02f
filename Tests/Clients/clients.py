# Two clients: curl, for everything that a well-behaved client does, and raw sockets for everything else.

import json
import re
import socket
import subprocess
import time


class Reply:
    """A response as curl received it."""

    def __init__(self, status, fields, body):
        self.status, self.fields, self.body = status, fields, body

    def all(self, name):
        return [value for field, value in self.fields if field == name.lower()]

    def one(self, name):
        values = self.all(name)
        if len(values) > 1:
            raise AssertionError(f"{name} occurs {len(values)} times")
        return values[0] if values else None

    @property
    def json(self):
        return json.loads(self.body)

    def cookies(self):
        """Name -> (value, attributes in lower case) of the Set-Cookie fields."""
        found = {}
        for line in self.all("set-cookie"):
            pair, *attributes = [part.strip() for part in line.split(";")]
            name, value = pair.split("=", 1)
            found[name] = (value, [attribute.lower() for attribute in attributes])
        return found


def curl(
    url, *arguments, method=None, headers=(), data=None, as_json=None, token=None, cookies=None, form=None
):
    """One request by curl; the paths go out exactly as they stand."""
    command = ["curl", "-s", "-S", "-i", "--path-as-is", "--globoff", "--max-time", "20", "-H", "Expect:"]
    if method:
        command += ["-X", method]
    if method == "HEAD":
        command += ["-I"]
    for header in headers:
        command += ["-H", header]
    if token:
        command += ["-H", f"Authorization: Bearer {token}"]
    if cookies:
        command += ["-H", "Cookie: " + "; ".join(f"{name}={value}" for name, value in cookies.items())]
    if as_json is not None:
        command += ["-H", "Content-Type: application/json", "--data-binary", json.dumps(as_json)]
    for name, value in (form or {}).items():
        command += ["--data-urlencode", f"{name}={value}"]
    if data is not None:
        command += ["--data-binary", data]
    done = subprocess.run(command + list(arguments) + [url], capture_output=True, timeout=30)
    if done.returncode != 0:
        raise AssertionError(f"curl {url}: exit {done.returncode}: {done.stderr.decode()}")
    return parse_reply(done.stdout)


def parse_reply(raw):
    """The last response in curl's output: interim responses stand before it."""
    while True:
        head, _, body = raw.partition(b"\r\n\r\n")
        lines = head.decode("latin-1").split("\r\n")
        status = int(lines[0].split(" ")[1])
        if status >= 200:
            break
        raw = body
    fields = []
    for line in lines[1:]:
        name, _, value = line.partition(":")
        fields.append((name.lower(), value.strip()))
    return Reply(status, fields, body)


def login(gateway, user="alice", password="wonderland", browser=False):
    """Logs in by JSON; the token pair, or the cookies of a browser."""
    headers = ["Sec-Fetch-Site: same-origin"] if browser else []
    reply = curl(gateway.base + "/login", as_json={"user": user, "password": password}, headers=headers)
    if reply.status != 200:
        raise AssertionError(f"login: {reply.status} {reply.body}")
    if browser:
        return {name: value for name, (value, _) in reply.cookies().items()}
    return reply.json


class Raw:
    """A connection on which any bytes can be sent."""

    def __init__(self, port, receive_buffer=None):
        self.socket = socket.socket()
        if receive_buffer:
            self.socket.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, receive_buffer)
        self.socket.settimeout(10)
        self.socket.connect(("127.0.0.1", port))
        self.input = b""

    def send(self, data):
        self.socket.sendall(data.encode("latin-1") if isinstance(data, str) else data)
        return self

    def finish_sending(self):
        self.socket.shutdown(socket.SHUT_WR)

    def close(self):
        self.socket.close()

    def reset(self):
        """Closes with RST."""
        self.socket.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\1\0\0\0\0\0\0\0")
        self.socket.close()

    def receive(self):
        """Some bytes; false at the end."""
        try:
            data = self.socket.recv(65536)
        except ConnectionResetError:
            data = b""
        self.input += data
        return bool(data)

    def rest(self, seconds=10):
        """Everything up to the end of the connection."""
        end = time.monotonic() + seconds
        self.socket.settimeout(seconds)
        while self.receive():
            self.socket.settimeout(max(0.01, end - time.monotonic()))
        data, self.input = self.input, b""
        return data

    def line_end(self, mark):
        while mark not in self.input:
            if not self.receive():
                raise AssertionError(f"the connection ended: {self.input[:300]!r}")
        part, self.input = self.input.split(mark, 1)
        return part

    def exactly(self, count):
        while len(self.input) < count:
            if not self.receive():
                raise AssertionError(f"the connection ended after {len(self.input)} of {count} bytes")
        part, self.input = self.input[:count], self.input[count:]
        return part

    def response(self, method="GET"):
        """One whole response, interim ones included in its place."""
        head = self.line_end(b"\r\n\r\n")
        reply = parse_reply(head + b"\r\n\r\n") if not head.startswith(b"HTTP/1.1 1") else None
        if reply is None:
            status = int(head.split(b" ")[1])
            return Reply(status, [], b"")
        if method == "HEAD" or reply.status in (204, 304):
            return reply
        if reply.one("transfer-encoding") == "chunked":
            reply.body = self.chunks()
        elif reply.one("content-length") is not None:
            reply.body = self.exactly(int(reply.one("content-length")))
        else:
            reply.body = self.rest()
        return reply

    def chunks(self):
        body = b""
        while True:
            size = int(re.match(rb"[0-9a-fA-F]+", self.line_end(b"\r\n")).group(), 16)
            if size == 0:
                self.line_end(b"\r\n")
                return body
            body += self.exactly(size)
            self.line_end(b"\r\n")

    def is_closed(self, seconds=3):
        """Whether the other side closes within some seconds, and sends nothing more before."""
        self.socket.settimeout(seconds)
        try:
            return not self.receive() and not self.input
        except TimeoutError:
            return False
