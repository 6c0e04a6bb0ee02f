# Ten thousand connections that have had one answer and now say nothing: resident bytes of each. HAProxy is left
# out: it refuses to start with so many where descriptors are limited to 20,000.

import resource
import socket
import time


def run(contenders, token, options):
    count = options.idle
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (min(hard, count + 1000), hard))
    print(f"\n{count} idle connections\n  {'':8} {'before':>9} {'after':>9} {'bytes each':>11}")
    for proxy in (proxy for proxy in contenders if proxy.name != "haproxy"):
        before = proxy.resident_megabytes()
        connections = [ask(proxy, token) for _ in range(count)]
        # A connection gives its buffers back when it has rested for a moment.
        time.sleep(3)
        after = proxy.resident_megabytes()
        print(f"  {proxy.name:8} {before:6.1f} MB {after:6.1f} MB {(after - before) * (1 << 20) / count:11.0f}")
        for connection in connections:
            connection.close()
        time.sleep(1)


def ask(proxy, token):
    connection = socket.create_connection(("127.0.0.1", proxy.port))
    head = f"GET /items HTTP/1.1\r\nHost: localhost\r\nAuthorization: Bearer {token}\r\n\r\n"
    connection.sendall(head.encode())
    if b" 200 " not in connection.recv(4096):
        raise SystemExit(f"{proxy.name}: no answer")
    return connection
