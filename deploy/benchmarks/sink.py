# An upstream that takes every byte of a request before it answers: nginx would answer at once.

import re
import socket
import sys
import threading


def serve(connection):
    buffer = bytearray(1 << 20)
    view = memoryview(buffer)
    head = b""
    while True:
        while b"\r\n\r\n" not in head:
            try:
                data = connection.recv(65536)
            except ConnectionResetError:
                return
            if not data:
                return
            head += data
        head, rest = head.split(b"\r\n\r\n", 1)
        left = int(re.search(rb"(?i)content-length: *(\d+)", head).group(1)) - len(rest)
        while left > 0:
            count = connection.recv_into(view, min(left, len(buffer)))
            if count == 0:
                return
            left -= count
        head = b""
        connection.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok")


listener = socket.create_server(("127.0.0.1", int(sys.argv[1])), backlog=128)
while True:
    accepted, _ = listener.accept()
    threading.Thread(target=serve, args=(accepted,), daemon=True).start()
