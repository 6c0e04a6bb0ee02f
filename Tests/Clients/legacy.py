# What the tests of token styles and exchanges share: tokens of another system, signed here, and what is in
# tokens.

import base64
import hashlib
import hmac
import json
import time

from joserfc import jws
from joserfc.jwk import ECKey, RSAKey

ALGORITHMS = ("HS256", "RS256", "ES256")
SECRET = "the secret of the system before this one"
# Of the group of P-256 (SEC 2 §2.4.2).
ORDER = 0xFFFFFFFF00000000FFFFFFFFFFFFFFFFBCE6FAADA7179E84F3B9CAC2FC632551


def make_key(algorithm):
    if algorithm.startswith("HS"):
        return SECRET.encode()
    return RSAKey.generate_key(2048) if algorithm.startswith("RS") else ECKey.generate_key("P-256")


def key_lines(algorithm, key, home):
    """The directive that names the key, with its file."""
    path = f"{home}/old-{algorithm}"
    with open(path, "wb") as file:
        file.write(SECRET.encode() if algorithm.startswith("HS") else key.as_pem(private=False))
    return f"{'secret' if algorithm.startswith('HS') else 'public_key'} {algorithm} " + (
        f"file:{path};" if algorithm.startswith("HS") else f"{path};"
    )


def token(algorithm, key, header=None, **claims):
    """A token as the system before this one made it."""
    now = int(time.time())
    payload = {"sub": "alice", "iat": now - 60, "exp": now + 3600} | claims
    payload = {name: value for name, value in payload.items() if value is not None}
    return signed(algorithm, key, {"typ": "JWT"} | (header or {}), payload)


def signed(algorithm, key, header, payload):
    """A token with exactly this in it."""
    header, text = {"alg": algorithm} | header, json.dumps(payload)
    if algorithm != "HS256":
        return jws.serialize_compact(header, text, key, algorithms=[algorithm])
    # By hand: the library refuses to make what only an attacker would.
    body = encoded(json.dumps(header).encode()) + "." + encoded(text.encode())
    return body + "." + encoded(hmac.new(key, body.encode(), hashlib.sha256).digest())


def sign_as(gateway, algorithm, header, payload):
    """A token under the gateway's own key, as a fault in it could make one."""
    with open(f"{gateway.state}/keys/{header['kid']}.pem", "rb") as file:
        return signed(algorithm, ECKey.import_key(file.read()), header, payload)


def other_spelling(es256):
    """The same token with the other signature that ECDSA takes for it: n-s instead of s."""
    signed, _, signature = es256.rpartition(".")
    raw = decoded(signature)
    s = ORDER - int.from_bytes(raw[32:], "big")
    return signed + "." + encoded(raw[:32] + s.to_bytes(32, "big"))


def encoded(data):
    return base64.urlsafe_b64encode(data).rstrip(b"=").decode()


def decoded(part):
    return base64.urlsafe_b64decode(part + "=" * (-len(part) % 4))


def header(jwt):
    return json.loads(decoded(jwt.split(".")[0]))


def claims(jwt):
    return json.loads(decoded(jwt.split(".")[1]))


def forged(jwt, header_changes=None, **changes):
    """The token with other claims under the old signature."""
    head, _, signature = jwt.split(".")
    head = encoded(json.dumps(header(jwt) | (header_changes or {})).encode())
    return f"{head}.{encoded(json.dumps(claims(jwt) | changes).encode())}.{signature}"
