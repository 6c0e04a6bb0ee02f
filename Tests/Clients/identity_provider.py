# An identity provider on loopback, by http or https: makes keys of every algorithm, publishes them as OpenID
# Connect has it, signs whatever it is asked to, and fails in every way that a provider can fail.
#
# Keys and signatures are joserfc's. What is published stands apart from what is signed with, so that a test can
# be ahead of, or behind, what a gateway knows.

import base64
import json
import socket
import ssl
import threading
import time

from joserfc.jwk import ECKey, OctKey, OKPKey, RSAKey
from joserfc.jws import JWSRegistry

from clients import Raw, curl
from harness import free_port, listen

# RFC 7518 §3.1 without "none", and RFC 8037 §3.1.
PUBLIC_ALGORITHMS = ("RS256", "RS384", "RS512", "PS256", "PS384", "PS512", "ES256", "ES384", "ES512", "EdDSA")
ALGORITHMS = ("HS256", "HS384", "HS512") + PUBLIC_ALGORITHMS
CURVES = {"ES256": "P-256", "ES384": "P-384", "ES512": "P-521"}


def base64url(data):
    return base64.urlsafe_b64encode(data).rstrip(b"=").decode()


def compact(value):
    """JSON as it is signed; bytes and text are taken for what they are."""
    if isinstance(value, (bytes, str)):
        return value if isinstance(value, bytes) else value.encode()
    return json.dumps(value, separators=(",", ":")).encode()


class Key:
    """A key of one algorithm. `published` are the members of its JWK beside the public ones."""

    def __init__(self, alg, kid="main", published=None):
        self.alg, self.kid = alg, kid
        if alg.startswith("HS"):
            # Letters and digits, so that a configuration can hold it as text.
            self.secret = base64url(OctKey.generate_key(int(alg[2:])).raw_value)
            self.key = OctKey.import_key(self.secret)
        elif alg in CURVES:
            self.key = ECKey.generate_key(CURVES[alg])
        elif alg == "EdDSA":
            self.key = OKPKey.generate_key("Ed25519")
        else:
            self.key = RSAKey.generate_key(2048)
        self.published = {"use": "sig", "alg": alg} if published is None else published

    @property
    def jwk(self):
        name = {} if self.kid is None else {"kid": self.kid}
        return self.key.as_dict(private=False) | name | self.published

    @property
    def pem(self):
        return self.key.as_pem(private=False)

    def sign(self, header, payload, alg=None):
        """A token of any header and payload, with a good signature."""
        head = base64url(compact(header)) + "." + base64url(compact(payload))
        return head + "." + base64url(JWSRegistry.algorithms[alg or self.alg].sign(head.encode(), self.key))


class Secret:
    """Bytes as a secret, also such as joserfc would not take for one: a public key's, as an attacker does."""

    def __init__(self, secret):
        self.secret = secret

    def get_op_key(self, operation):
        return self.secret

    def check_key_op(self, operation):
        pass

    key_type = "oct"


class Provider:
    """An identity provider. `pair` is a certificate with its key and makes it https."""

    def __init__(self, *algorithms, path="", pair=None, host="127.0.0.1", kid=None):
        self.host, self.path, self.port = host, path, free_port()
        self.tls = None
        if pair:
            self.tls = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
            self.tls.load_cert_chain(*pair)
        self.origin = f"{'https' if pair else 'http'}://{host}:{self.port}"
        self.issuer = self.origin + path
        self.keys = [Key(alg, kid or alg) for alg in algorithms or ("ES256",)]
        # What it does in place of answering; see `Faults`.
        self.fault = None
        self.fields, self.description = [], {}
        self.paths, self.open = [], []
        self.lock = threading.Lock()
        self.come_back()

    # MARK: What it issues

    @property
    def key(self):
        return self.keys[0]

    def claims(self, **changes):
        """Claims that are accepted for the audience `api`; one that is None is left out."""
        now = int(time.time())
        claims = {"iss": self.issuer, "sub": "alice", "aud": "api", "iat": now, "exp": now + 600} | changes
        return {name: value for name, value in claims.items() if value is not None}

    def token(self, key=None, header=None, **claims):
        key = key or self.key
        named = {} if key.kid is None else {"kid": key.kid}
        return key.sign({"alg": key.alg, "typ": "JWT"} | named | (header or {}), self.claims(**claims))

    def rotate(self, kid, alg=None, keeps=True):
        """A new key signs from now on; the old ones stay published or do not."""
        key = Key(alg or self.key.alg, kid)
        self.keys = [key] + (self.keys if keeps else [])
        return key

    # MARK: What it publishes

    @property
    def jwks(self):
        return {"keys": [key.jwk for key in self.keys if not key.alg.startswith("HS")]}

    def document(self):
        return {"issuer": self.issuer, "jwks_uri": self.origin + "/keys"} | self.description

    def fetches(self, what="/keys"):
        return sum(path == what for path in self.paths)

    def block(self, *lines, audience="api", keys=None):
        """The `issuer` block for it."""
        source = f"jwks {self.origin}/keys;" if keys is None else keys
        audience = f"audience {audience};" if audience else ""
        return f"issuer {self.issuer} {{ {audience} {source} {' '.join(lines)} }}\n"

    # MARK: Serving

    def come_back(self):
        """Listens, again if it was away."""
        self.listener = socket.create_server(("127.0.0.1", self.port), backlog=64)
        threading.Thread(target=self._accept, args=(self.listener,), daemon=True).start()

    def go_away(self):
        """Connections are refused from now on."""
        self.listener.shutdown(socket.SHUT_RDWR)
        self.listener.close()

    def stop(self):
        try:
            self.go_away()
        except OSError:
            pass
        for connection in self.open:
            connection.close()

    def _accept(self, listener):
        while True:
            try:
                connection, _ = listener.accept()
            except OSError:
                return
            threading.Thread(target=self._serve, args=(connection,), daemon=True).start()

    def _serve(self, connection):
        try:
            if self.tls:
                connection.settimeout(10)
                connection = self.tls.wrap_socket(connection, server_side=True)
            self.open.append(connection)
            head = b""
            while b"\r\n\r\n" not in head:
                data = connection.recv(65536)
                if not data:
                    return
                head += data
            path = head.split(b" ")[1].decode()
            with self.lock:
                self.paths.append(path)
            (self.fault or Provider.answer)(self, path, connection)
        except OSError:
            pass
        finally:
            connection.close()

    def answer(self, path, connection):
        if path.endswith("/.well-known/openid-configuration"):
            body = self.document()
        elif path == "/keys":
            body = self.jwks
        else:
            self.reply(connection, {}, status="404 Not Found")
            return
        self.reply(connection, body)

    def reply(self, connection, body, status="200 OK", fields=()):
        body = compact(body)
        lines = [f"HTTP/1.1 {status}", "Content-Type: application/json", f"Content-Length: {len(body)}"]
        head = "\r\n".join(lines + list(self.fields) + list(fields)) + "\r\n\r\n"
        connection.sendall(head.encode() + body)


class Faults:
    """Ways to answer badly, each for `Provider.fault`."""

    @staticmethod
    def hangs(provider, path, connection):
        connection.recv(1)

    @staticmethod
    def server_error(provider, path, connection):
        provider.reply(connection, {"keys": []}, status="500 Internal Server Error")

    @staticmethod
    def no_http(provider, path, connection):
        connection.sendall(b"220 mail.example ESMTP\r\n" * 9)

    @staticmethod
    def no_json(provider, path, connection):
        provider.reply(connection, b"<html>We'll be back soon</html>")

    @staticmethod
    def no_keys(provider, path, connection):
        provider.reply(connection, {"keys": []})

    @staticmethod
    def not_found(provider, path, connection):
        provider.reply(connection, {"error": "not_found"}, status="404 Not Found")

    @staticmethod
    def endless(provider, path, connection):
        """Ten megabytes of a good beginning."""
        connection.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: 10485760\r\n\r\n{\"keys\":[\"")
        for _ in range(160):
            connection.sendall(b"x" * 65536)

    @staticmethod
    def endless_head(provider, path, connection):
        connection.sendall(b"HTTP/1.1 200 OK\r\n")
        for _ in range(160):
            connection.sendall(b"X-Padding: " + b"x" * 65536 + b"\r\n")

    @staticmethod
    def truncated(provider, path, connection):
        """Ends short of what Content-Length says."""
        body = compact(provider.jwks)
        connection.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n%s" % (len(body) + 1, body))

    @staticmethod
    def broken_off(provider, path, connection):
        """By TLS: a body that ends with the connection, and the connection ends without a close_notify."""
        connection.sendall(b"HTTP/1.1 200 OK\r\n\r\n" + compact(provider.jwks))
        connection.shutdown(socket.SHUT_RDWR)

    @staticmethod
    def redirects_to(url):
        def answer(provider, path, connection):
            provider.reply(connection, {}, status="302 Found", fields=[f"Location: {url}"])

        return answer


class Trap:
    """A listener that nobody is to come to."""

    def __init__(self):
        self.listener = listen()
        self.port = self.listener.getsockname()[1]
        self.visits = 0
        threading.Thread(target=self._accept, daemon=True).start()

    def _accept(self):
        while True:
            try:
                connection, _ = self.listener.accept()
            except OSError:
                return
            self.visits += 1
            connection.close()

    def stop(self):
        self.listener.shutdown(socket.SHUT_RDWR)
        self.listener.close()


def ask(gateway, token=None, path="/", **options):
    """What the gateway says to a token."""
    return curl(gateway.base + path, token=token, **options)


def ask_at_once(gateway, tokens, path="/"):
    """The statuses of many requests, each on a connection of its own, all of them sent before any answer is read."""
    connections = [Raw(gateway.port) for _ in tokens]
    for connection, token in zip(connections, tokens):
        connection.send(f"GET {path} HTTP/1.1\r\nHost: a\r\nAuthorization: Bearer {token}\r\n\r\n")
    replies = [connection.response() for connection in connections]
    for connection in connections:
        connection.close()
    return [reply.status for reply in replies]
