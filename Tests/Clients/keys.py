# What the tests of our own keys share: the keys command, the files in the state directory, and tokens taken apart.

import base64
import json
import os
import signal
import subprocess

from clients import curl
from harness import GATEWAY, wait_until


def command(gateway, *arguments):
    """`auth-gateway keys …` on the gateway's configuration; its exit code and all that it said."""
    done = subprocess.run(
        [GATEWAY, "keys", *arguments, "-c", gateway.config], capture_output=True, text=True, timeout=60
    )
    said = done.stdout + done.stderr
    # Whatever is printed, no key is.
    for name in os.listdir(os.path.join(gateway.state, "keys")):
        if name.endswith((".pem", ".secret")):
            with open(os.path.join(gateway.state, "keys", name)) as file:
                lines = [line for line in file.read().split("\n") if len(line) > 20]
            if any(line in said for line in lines):
                raise AssertionError(f"keys {arguments}: prints a key")
    return done.returncode, said


def change(gateway, *arguments):
    """A command that succeeds, put in force by SIGHUP."""
    code, said = command(gateway, *arguments)
    if code != 0:
        raise AssertionError(f"keys {arguments}: {code} {said}")
    hang_up(gateway)
    return said


def hang_up(gateway):
    """SIGHUP, until the gateway has answered it and what it brings for the keys is in force."""
    offset = len(gateway.service_log())
    gateway.process.send_signal(signal.SIGHUP)
    wait_until(lambda: " reloaded " in gateway.service_log()[offset:], 5, "an answer to SIGHUP")


def listed(gateway):
    """The signing keys by state, as `keys list --json` has them."""
    code, said = command(gateway, "list", "--json")
    if code != 0:
        raise AssertionError(said)
    return {key["state"]: key for key in json.loads(said)["signing_keys"]}


def manifest(gateway):
    with open(os.path.join(gateway.state, "keys", "keys.json")) as file:
        return json.load(file)


def edit_manifest(gateway, edit):
    """Replaces the list of keys by one that has been edited."""
    path = os.path.join(gateway.state, "keys", "keys.json")
    document = manifest(gateway)
    edit(document)
    with open(path + ".edited", "w") as file:
        json.dump(document, file)
    os.rename(path + ".edited", path)


def published(gateway):
    """The published key set."""
    reply = curl(gateway.base + "/.well-known/jwks.json")
    if reply.status != 200:
        raise AssertionError(f"jwks.json: {reply.status}")
    return reply.json


def published_names(gateway):
    return {key["kid"] for key in published(gateway)["keys"]}


def decoded(part):
    return base64.urlsafe_b64decode(part + "=" * (-len(part) % 4))


def header(token):
    return json.loads(decoded(token.split(".")[0]))


def openssl(*arguments, text=None):
    done = subprocess.run(["openssl", *arguments], input=text, capture_output=True, timeout=60)
    if done.returncode != 0:
        raise AssertionError(f"openssl {arguments}: {done.stderr.decode()}")
    return done.stdout


def hang_up_refused(gateway):
    """SIGHUP, until the gateway has said that it stays as it was."""
    offset = len(gateway.service_log())
    gateway.process.send_signal(signal.SIGHUP)
    wait_until(lambda: "reload refused" in gateway.service_log()[offset:], 5, "a refusal of SIGHUP")
