# Real servers behind the gateway, nginx and Python's own: files, ranges, gzip, conditional requests, HEAD,
# and uploads that wait for a 100. What comes through is compared byte for byte with what comes without it.

import functools
import gzip
import http.server
import os
import random
import subprocess
import threading
import unittest

from clients import Raw, curl
from harness import Gateway, directory, free_port
from servers import Nginx

ROUTES = """
upstream python {{ server http://127.0.0.1:{python}; }}
route / {{ upstream api; access anonymous; request_body 64m; }}
route /python/ {{ upstream python; access anonymous; strip_prefix; request_body 64m; }}
"""
NGINX = """
# Without gzip_proxied nginx compresses nothing that has come through a proxy: a request with Via.
gzip on; gzip_proxied any; gzip_types *; gzip_min_length 100; keepalive_timeout 30s;
server {{
    listen 127.0.0.1:{port};
    root {files};
    location /upload/ {{
        dav_methods PUT DELETE;
        create_full_put_path on;
    }}
    location = /moved {{ return 301 /text.txt; }}
    location = /nothing {{ return 204; }}
    location = /old {{ add_header X-Old yes; return 404 "gone for good"; }}
    location /once/ {{ alias {files}/; keepalive_timeout 0; }}
}}
"""
MEGABYTE = 1 << 20


def setUpModule():
    global files, port, nginx, python, gateway, bodies
    files = directory()
    chance = random.Random(3)
    bodies = {
        "empty.bin": b"",
        "one.bin": b"\0",
        "text.txt": b"It was a dark and stormy night. " * 4000,
        "large.bin": chance.randbytes(12 * MEGABYTE + 1),
    }
    for size in (16383, 16384, 16385, 65535, 65536, 65537):
        bodies[f"{size}.bin"] = chance.randbytes(size)
    for name, body in bodies.items():
        with open(os.path.join(files, name), "wb") as file:
            file.write(body)
    os.chmod(files, 0o755)
    port = free_port()
    text = NGINX.format(port=port, files=files)
    has_put = "http_dav_module" in subprocess.run(["nginx", "-V"], capture_output=True, text=True).stderr
    if not has_put:
        text = text.replace("dav_methods PUT DELETE;", "").replace("create_full_put_path on;", "")
    nginx = Nginx(text, [port])
    nginx.takes_uploads = has_put
    handler = functools.partial(Quiet, directory=files)
    python = http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler)
    threading.Thread(target=python.serve_forever, daemon=True).start()
    gateway = Gateway(port, routes=ROUTES.format(python=python.server_address[1]))


def tearDownModule():
    gateway.stop()
    nginx.stop()
    python.shutdown()


class Quiet(http.server.SimpleHTTPRequestHandler):
    def log_message(self, *_):
        pass

    def do_POST(self):
        body = self.rfile.read(int(self.headers["Content-Length"]))
        self.send_response(200)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)


class Files(unittest.TestCase):
    def both(self, path, *arguments, **options):
        """The same request with the gateway and without it."""
        direct = curl(f"http://127.0.0.1:{port}{path}", *arguments, **options)
        through = curl(gateway.base + path, *arguments, **options)
        self.assertEqual(through.status, direct.status, path)
        self.assertEqual(through.body, direct.body, path)
        for name in ("content-type", "content-length", "etag", "last-modified", "content-range",
                     "content-encoding", "vary", "accept-ranges", "x-old"):
            self.assertEqual(through.all(name), direct.all(name), f"{path}: {name}")
        return through

    def test_whole_files(self):
        for name, body in bodies.items():
            for prefix in ("/", "/once/"):
                self.assertEqual(self.both(prefix + name).body, body)
            self.assertEqual(curl(gateway.base + "/python/" + name).body, body)

    def test_head_has_the_fields_and_no_body(self):
        for name, body in bodies.items():
            reply = self.both("/" + name, method="HEAD")
            self.assertEqual((reply.one("content-length"), reply.body), (str(len(body)), b""))

    def test_ranges(self):
        body = bodies["large.bin"]
        for text, part in (
            ("0-0", body[:1]),
            ("5-70000", body[5:70001]),
            ("-100", body[-100:]),
            (f"{len(body) - 3}-", body[-3:]),
        ):
            reply = self.both("/large.bin", "-r", text)
            self.assertEqual((reply.status, reply.body), (206, part))
        self.assertEqual(self.both("/large.bin", "-r", f"{len(body)}-").status, 416)
        several = curl(gateway.base + "/large.bin", "-r", "0-1,5-6")
        self.assertEqual(several.status, 206)
        self.assertIn("multipart/byteranges", several.one("content-type"))

    def test_gzip_in_chunks(self):
        for path in ("/text.txt", "/65536.bin"):
            reply = self.both(path, headers=["Accept-Encoding: gzip"])
            self.assertEqual(reply.one("content-encoding"), "gzip")
            self.assertEqual(gzip.decompress(reply.body), bodies[path[1:]])
            raw = Raw(gateway.port)
            raw.send(f"GET {path} HTTP/1.1\r\nHost: a\r\nAccept-Encoding: gzip\r\n\r\n")
            answer = raw.response()
            self.assertEqual(answer.one("transfer-encoding"), "chunked")
            self.assertEqual(answer.body, reply.body)
            raw.close()
        old = Raw(gateway.port).send("GET /text.txt HTTP/1.0\r\nAccept-Encoding: gzip\r\n\r\n").rest()
        self.assertNotIn(b"chunked", old.split(b"\r\n\r\n")[0])

    def test_conditional_requests(self):
        whole = self.both("/text.txt")
        for header, status in (
            ("If-None-Match: " + whole.one("etag"), 304),
            ('If-None-Match: "another"', 200),
            ("If-Modified-Since: " + whole.one("last-modified"), 304),
            ('If-Match: "another"', 412),
        ):
            self.assertEqual(self.both("/text.txt", headers=[header]).status, status, header)
        # A 304 has no body, whatever its fields say, and the connection goes on.
        raw = Raw(gateway.port)
        request = f"GET /text.txt HTTP/1.1\r\nHost: a\r\nIf-None-Match: {whole.one('etag')}\r\n\r\n"
        for _ in range(3):
            self.assertEqual(raw.send(request).response().status, 304)
        raw.close()

    def test_other_answers(self):
        self.assertIn("/text.txt", self.both("/moved").one("location"))
        self.assertEqual(self.both("/nothing").status, 204)
        self.assertEqual(self.both("/old").body, b"gone for good")
        self.assertEqual(self.both("/missing").status, 404)
        self.assertEqual(self.both("/text.txt", method="POST", data="x").status, 405)

    def test_one_connection_takes_them_all(self):
        raw = Raw(gateway.port)
        for _ in range(3):
            for name, body in bodies.items():
                self.assertEqual(raw.send(f"GET /{name} HTTP/1.1\r\nHost: a\r\n\r\n").response().body, body)
                head = raw.send(f"HEAD /{name} HTTP/1.1\r\nHost: a\r\n\r\n").response("HEAD")
                self.assertEqual(head.one("content-length"), str(len(body)))
        raw.close()
        raw = Raw(gateway.port)
        raw.send("".join(f"GET /{name} HTTP/1.1\r\nHost: a\r\n\r\n" for name in bodies))
        for name, body in bodies.items():
            self.assertEqual(raw.response().body, body, name)
        raw.close()


class Uploads(unittest.TestCase):
    def upload(self, name, path, *arguments):
        """curl's own way of sending a file: it waits for the 100 where the file is not small."""
        done = subprocess.run(
            ["curl", "-sS", "-v", "--max-time", "20", *arguments, gateway.base + path],
            capture_output=True,
        )
        self.assertEqual(done.returncode, 0, done.stderr[-500:])
        return done.stdout, done.stderr.decode("latin-1")

    def test_files_put_into_nginx_come_back_as_they_were(self):
        if not nginx.takes_uploads:
            self.skipTest("this nginx has no WebDAV module")
        for name, body in bodies.items():
            for number, more in enumerate(([], ["-H", "Transfer-Encoding: chunked"])):
                if number and not body:
                    # curl 7.88 never sends the last chunk of an empty file that has waited for a 100.
                    continue
                target = f"/upload/{number}-{name}"
                arguments = ["-H", "Expect: 100-continue", *more, "-T", os.path.join(files, name)]
                _, said = self.upload(name, target, *arguments)
                self.assertRegex(said, r"< HTTP/1.1 (201|204)", target)
                if body:
                    self.assertIn("< HTTP/1.1 100", said, target)
                with open(files + target, "rb") as file:
                    self.assertEqual(file.read(), body, target)
                self.assertEqual(curl(gateway.base + target).body, body, target)

    def test_bodies_come_back_from_python(self):
        for name in ("one.bin", "65537.bin", "large.bin"):
            path = "@" + os.path.join(files, name)
            for expect in ("Expect:", "Expect: 100-continue"):
                body, _ = self.upload(name, "/python/echo", "-H", expect, "--data-binary", path)
                self.assertEqual(body, bodies[name], name)

    def test_an_upload_that_is_refused_is_not_sent(self):
        _, said = self.upload(
            "large.bin", "/text.txt", "-H", "Expect: 100-continue", "--data-binary",
            "@" + os.path.join(files, "large.bin"),
        )
        self.assertIn("< HTTP/1.1 405", said)


if __name__ == "__main__":
    unittest.main()
