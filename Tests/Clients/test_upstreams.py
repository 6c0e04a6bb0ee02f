# Several servers behind one upstream: how requests are spread, what a dead server costs, how one is taken out
# and comes back, what waits when all are busy, sockets in the file system, and names that change meaning.

import http.client
import os
import socket
import stat
import subprocess
import threading
import time
import unittest

import harness
from clients import Raw, curl
from harness import Gateway, directory, free_port, wait_until
from upstreams import OK, Upstream

ROUTES = "route / { upstream api; access anonymous; }"


class UnixUpstream(Upstream):
    """The same on a socket in the file system."""

    def __init__(self, path, answer=None):
        super().__init__(answer)
        self.stop()
        self.path = path
        self.listener = socket.socket(socket.AF_UNIX)
        self.listener.bind(path)
        self.listener.listen(128)
        threading.Thread(target=self._accept, daemon=True).start()


class PortUpstream(Upstream):
    """The same at a given address, such as that of one which was stopped."""

    def __init__(self, port, host="127.0.0.1", answer=None):
        super().__init__(answer)
        self.stop()
        self.port = port
        self.listener = socket.create_server((host, port), backlog=512)
        threading.Thread(target=self._accept, daemon=True).start()


class Crowd:
    """How many requests an upstream has at work at once, each for a while."""

    def __init__(self, seconds):
        self.seconds, self.now, self.most = seconds, 0, 0
        self.lock = threading.Lock()

    def __call__(self, request, connection):
        with self.lock:
            self.now += 1
            self.most = max(self.most, self.now)
        time.sleep(self.seconds)
        with self.lock:
            self.now -= 1
        return OK


def statuses(gateway, count, path="/", seconds=20):
    """`count` requests at once, each on a connection of its own; their statuses and codes."""
    replies = []

    def ask():
        client = http.client.HTTPConnection("127.0.0.1", gateway.port, timeout=seconds)
        client.request("GET", path)
        reply = client.getresponse()
        body = reply.read()
        replies.append((reply.status, body if reply.status == 200 else reply.getheader("Retry-After"), body))
        client.close()

    threads = [threading.Thread(target=ask) for _ in range(count)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return replies


class Case(unittest.TestCase):
    def gateway(self, *servers, options="", **arguments):
        """In front of `servers`, each a port or a whole `server` argument."""
        first, *others = [f"http://127.0.0.1:{s}" if isinstance(s, int) else s for s in servers]
        upstream = "".join(f"server {server}; " for server in others) + options
        arguments.setdefault("routes", ROUTES)
        gateway = Gateway(0, upstream=upstream, start=False, **arguments)
        with open(gateway.config) as file:
            text = file.read()
        with open(gateway.config, "w") as file:
            file.write(text.replace("http://127.0.0.1:0;", f"{first};"))
        gateway.start()
        self.addCleanup(gateway.stop)
        return gateway

    def dead(self):
        """A port that refuses connections and that nobody else is given; closed, it is free."""
        holder = socket.socket()
        holder.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        holder.bind(("127.0.0.1", 0))
        self.addCleanup(holder.close)
        return holder, holder.getsockname()[1]

    def upstream(self, *arguments, kind=Upstream, **options):
        upstream = kind(*arguments, **options)
        self.addCleanup(upstream.stop)
        return upstream


class Balancing(Case):
    def test_weights_are_kept_exactly(self):
        ups = [self.upstream() for _ in range(3)]
        heavy = f"http://127.0.0.1:{ups[0].port} weight=5"
        gateway = self.gateway(heavy, ups[1].port, ups[2].port, main="workers 1;")
        client = http.client.HTTPConnection("127.0.0.1", gateway.port)
        for _ in range(70):
            client.request("GET", "/")
            self.assertEqual(client.getresponse().read(), b"ok")
        self.assertEqual([len(up.requests) for up in ups], [50, 10, 10])
        self.assertEqual([up.opened for up in ups], [1, 1, 1])
        servers = {line["gateway.server"] for line in gateway.lines_for("/", 70)}
        self.assertEqual(servers, {f"127.0.0.1:{up.port}" for up in ups})

    def test_the_least_busy_server_is_asked(self):
        held = threading.Event()
        busy = self.upstream(lambda request, connection: held.wait(10) and OK)
        quick = self.upstream()
        gateway = self.gateway(busy.port, quick.port, options="balance least_connections;", main="workers 1;")
        waiting = threading.Thread(target=statuses, args=(gateway, 1))
        waiting.start()
        wait_until(lambda: busy.requests or quick.requests, what="the first request arrives")
        if quick.requests:
            # The first went to the quick one; the next goes to the other.
            waiting.join()
            waiting = threading.Thread(target=statuses, args=(gateway, 1))
            waiting.start()
            wait_until(lambda: busy.requests, what="the busy one is busy")
        before = len(quick.requests)
        for _ in range(10):
            self.assertEqual(curl(gateway.base).status, 200)
        self.assertEqual(len(quick.requests) - before, 10)
        held.set()
        waiting.join()


class DeadServers(Case):
    def test_a_dead_server_costs_no_request_and_is_left_alone(self):
        (_, dead), alive = self.dead(), self.upstream()
        gateway = self.gateway(dead, alive.port, main="workers 2;")
        body = os.urandom(1_000_000)
        for number in range(12):
            reply = curl(gateway.base, method="POST", data="x" * number * 1000)
            self.assertEqual(reply.status, 200)
            self.assertEqual(len(alive.last().body), number * 1000)
        path = os.path.join(gateway.home, "body")
        with open(path, "wb") as file:
            file.write(body)
        self.assertEqual(curl(gateway.base, method="POST", data=f"@{path}").status, 200)
        self.assertEqual(alive.last().body, body)
        for _ in range(20):
            self.assertEqual(curl(gateway.base).status, 200)
        out = f"server http://127.0.0.1:{dead} of upstream api: out (3 failures in 10 s)"
        gateway.remarks(out, 1)
        attempts = gateway.service_log().count(f"upstream api at 127.0.0.1:{dead}: Connection refused")
        self.assertLessEqual(attempts, 6)

    def test_it_is_tried_again_after_a_while_and_comes_back(self):
        (holder, port), alive = self.dead(), self.upstream()
        options = "fail_timeout 300ms; max_fails 1;"
        gateway = self.gateway(port, alive.port, options=options, main="workers 1;")
        for _ in range(4):
            self.assertEqual(curl(gateway.base).status, 200)
        name = f"server http://127.0.0.1:{port} of upstream api"
        gateway.remarks(f"{name}: out (1 failures in 300 ms)", 1)
        holder.close()
        back = self.upstream(port, kind=PortUpstream)

        def is_back():
            self.assertEqual(curl(gateway.base).status, 200)
            return len(back.requests) >= 3

        wait_until(is_back, what="requests at the server that has come back")
        gateway.remarks(f"{name}: back", 1)

    def test_a_lone_server_is_never_left_alone(self):
        holder, port = self.dead()
        gateway = self.gateway(port, main="workers 1;")
        for _ in range(8):
            self.assertEqual(curl(gateway.base).json["code"], "upstream_connect")
        holder.close()
        self.upstream(port, kind=PortUpstream)
        self.assertEqual(curl(gateway.base).status, 200)
        self.assertNotIn(": out", gateway.service_log())

    def test_all_dead_is_one_answer_after_so_many_tries(self):
        gateway = self.gateway(*[self.dead()[1] for _ in range(4)], options="tries 2;", main="workers 1;")
        reply = curl(gateway.base)
        self.assertEqual((reply.status, reply.json["code"]), (502, "upstream_connect"))
        gateway.remarks("Connection refused", 2)

    def test_answers_of_5xx_and_clients_that_leave_take_nobody_out(self):
        error = b"HTTP/1.1 500 Internal Server Error\r\nContent-Length: 0\r\n\r\n"
        slow = lambda request, connection: time.sleep(0.2) or error
        ups = [self.upstream(slow), self.upstream(slow)]
        gateway = self.gateway(*[up.port for up in ups], options="max_fails 1;", main="workers 1;")
        for _ in range(4):
            raw = Raw(gateway.port).send("GET / HTTP/1.1\r\nHost: a\r\n\r\n")
            time.sleep(0.05)
            raw.reset()
        self.assertEqual([curl(gateway.base).status for _ in range(4)], [500] * 4)
        self.assertNotIn(": out", gateway.service_log())

    def test_nothing_is_sent_twice_once_a_server_has_seen_it(self):
        seen = self.upstream(lambda request, connection: connection.close())
        other = self.upstream()
        gateway = self.gateway(seen.port, other.port, main="workers 1;")
        replies = [curl(gateway.base, method="POST", data="x").status for _ in range(2)]
        self.assertEqual(sorted(replies), [200, 502])
        self.assertEqual((len(seen.requests), len(other.requests)), (1, 1))


class HealthChecks(Case):
    # Five in a row, so that a busy machine's one late answer takes nobody out.
    CHECK = "health_check /healthz { every 200ms; timeout 150ms; fails 5; passes 2; }"

    def watched(self):
        """An upstream that answers health checks as it is told, apart from the requests."""
        up = self.upstream()
        up.is_healthy, up.checks, up.asked = True, [], []

        def answer(request, connection):
            if request.target != "/healthz":
                up.asked.append(request)
                return OK
            up.checks.append(request)
            return OK if up.is_healthy else b"HTTP/1.1 503 Out\r\nContent-Length: 0\r\n\r\n"

        up.answer = answer
        return up

    def test_a_sick_server_is_taken_out_and_comes_back(self):
        sick, well = self.watched(), self.watched()
        gateway = self.gateway(sick.port, well.port, options=self.CHECK, main="workers 2;")
        name = f"server http://127.0.0.1:{sick.port} of upstream api"
        wait_until(lambda: len(sick.checks) > 2, what="checks")
        check = sick.checks[0]
        self.assertEqual(
            (check.method, check.one("host"), check.one("user-agent"), check.one("connection")),
            ("GET", f"127.0.0.1:{sick.port}", "auth-gateway-health", "close"),
        )
        sick.is_healthy = False
        wait_until(lambda: f"{name}: out (5 health checks failed: status 503)" in gateway.service_log())
        time.sleep(0.1)
        sick.asked.clear()
        self.assertEqual({status for status, _, _ in statuses(gateway, 20)}, {200})
        self.assertEqual(len(sick.asked), 0)
        sick.is_healthy = True
        wait_until(lambda: f"{name}: back" in gateway.service_log())
        wait_until(lambda: statuses(gateway, 2) and sick.asked, what="requests for it again")
        gateway.remarks(f"{name}: out", 1)

    def test_when_all_are_sick_none_is_asked(self):
        up = self.watched()
        gateway = self.gateway(up.port, options=self.CHECK, main="workers 2;")
        self.assertEqual(curl(gateway.base).status, 200)
        up.is_healthy = False
        wait_until(lambda: ": out" in gateway.service_log())
        time.sleep(0.1)
        up.asked.clear()
        for _ in range(4):
            reply = curl(gateway.base)
            self.assertEqual((reply.status, reply.json["code"]), (503, "upstream_unavailable"))
            self.assertEqual(reply.one("retry-after"), "1")
        self.assertEqual(up.asked, [])
        up.is_healthy = True
        wait_until(lambda: curl(gateway.base).status == 200, what="its return")

    def test_a_server_that_does_not_answer_at_all_is_out(self):
        silent = self.upstream(lambda request, connection: None)
        gateway = self.gateway(silent.port, options=self.CHECK)
        wait_until(lambda: "health checks failed: no answer in time" in gateway.service_log())
        _, gone = self.dead()
        gateway = self.gateway(gone, options=self.CHECK)
        wait_until(lambda: "health checks failed: Connection refused" in gateway.service_log())


class Limits(Case):
    def limited(self, crowd, options="", workers=2):
        up = self.upstream(crowd)
        gateway = self.gateway(
            f"http://127.0.0.1:{up.port} connections=1", options=options, main=f"workers {workers};"
        )
        return up, gateway

    def test_fifty_requests_wait_for_one_connection(self):
        crowd = Crowd(0.01)
        up, gateway = self.limited(crowd)
        self.assertEqual([status for status, _, _ in statuses(gateway, 50)], [200] * 50)
        self.assertEqual(crowd.most, 1)
        self.assertEqual(len(up.requests), 50)
        # Handed on between the shards, and not opened for each request.
        self.assertLess(up.opened, 25)

    def test_an_idle_connection_is_given_up_for_another_shard(self):
        up, gateway = self.limited(Crowd(0))
        clients = [http.client.HTTPConnection("127.0.0.1", gateway.port) for _ in range(4)]
        began = time.monotonic()
        for number in range(20):
            client = clients[number % 4]
            client.request("GET", "/")
            reply = client.getresponse()
            self.assertEqual((reply.status, reply.read()), (200, b"ok"))
        self.assertLess(time.monotonic() - began, 3)

    def test_no_shard_keeps_the_connection_to_itself(self):
        up, gateway = self.limited(Crowd(0.005), "queue 100 timeout=1s;")
        counts, failures, end = [0] * 8, [], time.monotonic() + 3

        def ask(number):
            client = http.client.HTTPConnection("127.0.0.1", gateway.port)
            while time.monotonic() < end:
                client.request("GET", "/")
                reply = client.getresponse()
                reply.read()
                if reply.status != 200:
                    failures.append(number)
                counts[number] += 1

        threads = [threading.Thread(target=ask, args=(number,)) for number in range(8)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        self.assertEqual(failures, [])
        # All of them got their share, whichever shard they are on.
        self.assertGreater(min(counts) * 4, max(counts), counts)

    def test_a_full_queue_and_a_long_wait_are_told_apart(self):
        up, gateway = self.limited(Crowd(1), "queue 2 timeout=300ms;", workers=1)
        replies = statuses(gateway, 8)
        self.assertEqual(sorted(status for status, _, _ in replies), [200] + [503] * 7)
        bodies = [body for status, _, body in replies if status == 503]
        self.assertEqual(sum(b"upstream_queue_full" in body for body in bodies), 5)
        self.assertEqual(sum(b"upstream_queue_timeout" in body for body in bodies), 2)
        self.assertEqual({retry for status, retry, _ in replies if status == 503}, {"1"})
        self.assertEqual(len(up.requests), 1)

    def test_who_goes_away_leaves_the_queue(self):
        up, gateway = self.limited(Crowd(0.5), "queue 1;", workers=1)
        first = Raw(gateway.port).send("GET /first HTTP/1.1\r\nHost: a\r\n\r\n")
        wait_until(lambda: up.requests, what="the first at work")
        gone = Raw(gateway.port).send("GET /gone HTTP/1.1\r\nHost: a\r\n\r\n")
        time.sleep(0.1)
        gone.reset()
        time.sleep(0.1)
        last = Raw(gateway.port).send("POST /last HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\n\r\nhello")
        self.assertEqual(first.response().status, 200)
        self.assertEqual(last.response().status, 200)
        self.assertEqual([request.target for request in up.requests], ["/first", "/last"])
        self.assertEqual(up.last().body, b"hello")
        (line,) = gateway.lines_for("/gone", 1)
        self.assertEqual(line["http.response.status_code"], 499)

    def test_places_come_back_whatever_becomes_of_the_exchange(self):
        def answer(request, connection):
            if request.target == "/break":
                connection.close()
                return None
            if request.target == "/slow":
                time.sleep(0.3)
            return OK

        up, gateway = self.limited(answer, workers=2)
        for _ in range(10):
            self.assertEqual(curl(gateway.base + "/break").status, 502)
            raw = Raw(gateway.port).send("GET /slow HTTP/1.1\r\nHost: a\r\n\r\n")
            time.sleep(0.02)
            raw.reset()
        self.assertEqual([status for status, _, _ in statuses(gateway, 10)], [200] * 10)


class Sockets(Case):
    def test_an_upstream_on_a_unix_socket(self):
        path = os.path.join(directory(), "api.sock")
        up = self.upstream(path, kind=UnixUpstream)
        gateway = self.gateway(f"unix:{path}", options="health_check /healthz { every 1s; timeout 500ms; }")
        self.assertEqual(curl(gateway.base + "/a", headers=["Host: api.example.com"]).body, b"ok")
        request = next(request for request in up.requests if request.target == "/a")
        self.assertEqual(request.one("host"), "api.example.com")
        self.assertEqual(request.one("x-forwarded-for"), "127.0.0.1")
        raw = Raw(gateway.port).send("GET /old HTTP/1.0\r\n\r\n")
        self.assertEqual(raw.response().status, 200)
        old = next(request for request in up.requests if request.target == "/old")
        self.assertEqual(old.one("host"), "localhost")
        (line,) = gateway.lines_for("/a", 1)
        self.assertEqual(line["gateway.server"], f"unix:{path}")

    def test_a_unix_socket_that_nobody_serves_is_a_dead_server(self):
        path, alive = os.path.join(directory(), "none.sock"), self.upstream()
        gateway = self.gateway(f"unix:{path}", alive.port, main="workers 1;")
        self.assertEqual([curl(gateway.base).status for _ in range(8)], [200] * 8)
        gateway.remarks(f"server unix:{path} of upstream api: out", 1)

    def test_a_listener_on_a_unix_socket(self):
        path = os.path.join(directory(), "http.sock")
        up = self.upstream()
        gateway = self.gateway(up.port, main=f"listen unix:{path};")
        self.assertEqual(stat.S_IMODE(os.stat(path).st_mode), 0o660)
        reply = curl("http://api.example.com/a", "--unix-socket", path)
        self.assertEqual(reply.body, b"ok")
        self.assertEqual(up.last().one("x-forwarded-for"), "unix")
        (line,) = gateway.lines_for("/a", 1)
        self.assertEqual(line["source.ip"], "unix")
        # After a crash its file is in nobody's way.
        gateway.kill()
        self.assertTrue(os.path.exists(path))
        gateway.start()
        self.assertEqual(curl("http://api.example.com/b", "--unix-socket", path).body, b"ok")
        gateway.process.terminate()
        self.assertEqual(gateway.process.wait(30), 0)
        self.assertFalse(os.path.exists(path))
        gateway.start()

    def test_peers_on_a_unix_socket_are_not_held_against_each_other(self):
        path = os.path.join(directory(), "http.sock")
        gateway = self.gateway(
            self.upstream().port, main=f"listen unix:{path};", limits="connections_per_address 2;"
        )
        peers = [socket.socket(socket.AF_UNIX) for _ in range(6)]
        for peer in peers:
            peer.settimeout(5)
            peer.connect(path)
            peer.sendall(b"GET / HTTP/1.1\r\nHost: a\r\n\r\n")
        for peer in peers:
            self.assertTrue(peer.recv(1000).startswith(b"HTTP/1.1 200 "))
            peer.close()

    def test_the_control_api_on_a_unix_socket_trusts_who_can_open_it(self):
        path = os.path.join(directory(), "control.sock")
        gateway = Gateway(self.upstream().port, routes=ROUTES, start=False)
        with open(gateway.config) as file:
            text = file.read()
        with open(gateway.config, "w") as file:
            file.write(text.replace(f"listen 127.0.0.1:{gateway.control_port};", f"listen unix:{path};"))
        gateway.start()
        self.addCleanup(gateway.stop)
        reply = curl("http://any.example/sessions?subject=a", "--unix-socket", path)
        self.assertEqual((reply.status, reply.json), (200, {"sessions": []}))


@unittest.skipUnless(
    os.geteuid() == 0 and subprocess.run(["unshare", "-m", "true"], capture_output=True).returncode == 0,
    "needs files of its own under /etc",
)
class Names(Case):
    """The gateway sees an /etc/hosts of its own, and asks no name server."""

    def setUp(self):
        self.folder = directory()
        self.hosts = os.path.join(self.folder, "hosts")
        switch = os.path.join(self.folder, "nsswitch.conf")
        self.means()
        with open(switch, "w") as file:
            file.write("hosts: files\n")
        self.wrapper = os.path.join(self.folder, "gateway")
        with open(self.wrapper, "w") as file:
            file.write(
                "#!/bin/sh\n"
                f"mount --bind {self.hosts} /etc/hosts || exit 9\n"
                f"mount --bind {switch} /etc/nsswitch.conf || exit 9\n"
                f'exec {harness.GATEWAY} "$@"\n'
            )
        os.chmod(self.wrapper, 0o755)

    def means(self, *addresses):
        # In place: another file would not be the one that is mounted.
        with open(self.hosts, "w") as file:
            file.write("".join(f"{address} api.internal\n" for address in addresses))

    def gateway(self, *arguments, **options):
        program, harness.GATEWAY = harness.GATEWAY, None
        launch_gateway = harness.launch

        def launch_inside(command, **settings):
            if command[0] is None:
                command = ["unshare", "-m", "--propagation", "private", self.wrapper, *command[1:]]
            return launch_gateway(command, **settings)

        harness.launch = launch_inside
        try:
            return super().gateway(*arguments, **options)
        finally:
            harness.launch, harness.GATEWAY = launch_gateway, program

    def test_each_address_of_a_name_is_a_server_and_one_that_vanishes_is_drained(self):
        port = free_port()
        held = threading.Event()

        def answer(request, connection):
            if request.target == "/held":
                held.wait(10)
            return OK

        first = self.upstream(port, "127.0.0.2", answer, kind=PortUpstream)
        second = self.upstream(port, "127.0.0.3", kind=PortUpstream)
        self.means("127.0.0.2", "127.0.0.3")
        gateway = self.gateway(f"http://api.internal:{port}", options="resolve 1s;", main="workers 1;")
        for _ in range(10):
            self.assertEqual(curl(gateway.base).status, 200)
        self.assertEqual((len(first.requests), len(second.requests)), (5, 5))
        # The one that is about to vanish gets a request that lasts.
        waiting = []
        while len(waiting) < 2:
            raw = Raw(gateway.port).send("GET /held HTTP/1.1\r\nHost: a\r\n\r\n")
            waiting.append(raw)
        wait_until(lambda: any(request.target == "/held" for request in first.requests))
        self.means("127.0.0.3")
        wait_until(lambda: "api.internal is 127.0.0.3\n" in gateway.service_log(), 5, "the new answer")
        before = len(first.requests)
        for _ in range(6):
            self.assertEqual(curl(gateway.base).status, 200)
        self.assertEqual(len(first.requests), before)
        held.set()
        for raw in waiting:
            self.assertEqual(raw.response().status, 200)
        wait_until(
            lambda: all(is_closed(connection) for connection in first.connections), 5, "drained connections"
        )

    def test_a_name_that_nobody_knows_is_asked_for_until_somebody_does(self):
        port = free_port()
        self.upstream(port, kind=PortUpstream)
        gateway = self.gateway(f"http://api.internal:{port}", options="resolve 1s;")
        reply = curl(gateway.base)
        self.assertEqual((reply.status, reply.json["code"]), (503, "upstream_unavailable"))
        wait_until(lambda: "upstream api: api.internal: " in gateway.service_log(), what="a word")
        self.means("127.0.0.1")
        wait_until(lambda: curl(gateway.base).status == 200, 5, "an answer")
        # What fails afterwards keeps the last answer.
        self.means()
        wait_until(lambda: "its last addresses stay" in gateway.service_log(), 5, "a failed lookup")
        self.assertEqual(curl(gateway.base).status, 200)


def is_closed(connection):
    """Whether the gateway has closed its end."""
    return connection.socket.fileno() < 0


if __name__ == "__main__":
    unittest.main()
