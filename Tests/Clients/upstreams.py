# An upstream that records exactly what reaches it, and answers as a test says: politely, or in any other way.

import socket
import threading

from harness import listen

OK = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok"


class Request:
    """A request as it reached the upstream."""

    def __init__(self, head, connection):
        lines = head.decode("latin-1").split("\r\n")
        self.head, self.connection = head, connection
        self.method, self.target, self.version = lines[0].split(" ")
        self.fields = [tuple(part.strip() for part in line.split(":", 1)) for line in lines[1:]]
        self.body = b""

    def all(self, name):
        return [value for field, value in self.fields if field.lower() == name.lower()]

    def one(self, name):
        values = self.all(name)
        if len(values) > 1:
            raise AssertionError(f"{name} occurs {len(values)} times: {values}")
        return values[0] if values else None

    @property
    def names(self):
        return [name.lower() for name, _ in self.fields]


class Connection:
    """A connection from the gateway."""

    def __init__(self, sock, number):
        self.socket, self.number = sock, number
        self.input = b""

    def send(self, data):
        self.socket.sendall(data)

    def reset(self):
        """Ends it with RST: what was sent may be lost, as with a crashed process."""
        self.socket.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\1\0\0\0\0\0\0\0")
        self.socket.close()

    def close(self):
        try:
            self.socket.shutdown(socket.SHUT_RDWR)
        except OSError:
            pass
        self.socket.close()

    def receive(self):
        data = self.socket.recv(65536)
        self.input += data
        return bool(data)

    def until(self, mark):
        while mark not in self.input:
            if not self.receive():
                raise EOFError
        part, self.input = self.input.split(mark, 1)
        return part

    def exactly(self, count):
        pieces = [self.input[:count]]
        self.input = self.input[count:]
        missing = count - len(pieces[0])
        while missing:
            data = self.socket.recv(min(missing, 1 << 20))
            if not data:
                raise EOFError
            pieces.append(data)
            missing -= len(data)
        return b"".join(pieces)

    def body(self, request):
        """The body of a request, by its own framing."""
        if request.one("transfer-encoding"):
            body = b""
            while size := int(self.until(b"\r\n").split(b";")[0], 16):
                body += self.exactly(size)
                self.until(b"\r\n")
            while self.until(b"\r\n"):
                pass
            return body
        return self.exactly(int(request.one("content-length") or 0))


class Upstream:
    """Answers requests with `answer(request, connection)`: bytes, or None when it has acted itself."""

    def __init__(self, answer=None, reads_body=True, host="127.0.0.1"):
        self.answer = answer or (lambda request, connection: OK)
        self.reads_body = reads_body
        self.requests, self.opened = [], 0
        self.listener = listen(host)
        self.port = self.listener.getsockname()[1]
        self.connections = []
        threading.Thread(target=self._accept, daemon=True).start()

    def _accept(self):
        while True:
            try:
                sock, _ = self.listener.accept()
            except OSError:
                return
            self.opened += 1
            connection = Connection(sock, self.opened)
            self.connections.append(connection)
            threading.Thread(target=self._serve, args=(connection,), daemon=True).start()

    def _serve(self, connection):
        try:
            while True:
                request = Request(connection.until(b"\r\n\r\n"), connection)
                if self.reads_body:
                    if request.one("expect"):
                        connection.send(b"HTTP/1.1 100 Continue\r\n\r\n")
                    request.body = connection.body(request)
                self.requests.append(request)
                reply = self.answer(request, connection)
                if reply is not None:
                    connection.send(reply)
        except (EOFError, OSError):
            pass
        finally:
            connection.close()

    def forget(self):
        self.requests.clear()

    def last(self):
        return self.requests[-1]

    def stop(self):
        # A plain close does not wake the thread that accepts.
        self.listener.shutdown(socket.SHUT_RDWR)
        self.listener.close()
        for connection in self.connections:
            connection.close()
