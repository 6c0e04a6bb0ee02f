# Certificates for tests, made by openssl: authorities, servers, clients, and whatever is wrong with them.

import os
import subprocess


class Authority:
    """A certificate authority in a directory."""

    def __init__(self, home, name="Test Authority"):
        self.home, self.number = home, 0
        self.file = os.path.join(home, name.replace(" ", "-") + ".pem")
        self.key = self.file.replace(".pem", ".key")
        openssl(
            "req", "-x509", *EC, "-keyout", self.key, "-out", self.file, "-days", "30", "-subj", f"/CN={name}",
            "-addext", "basicConstraints=critical,CA:TRUE", "-addext", "keyUsage=critical,keyCertSign,cRLSign")

    def issue(self, *names, kind="ec", days=30, usage="serverAuth", subject=None, file=None):
        """The files of a certificate for these names and of its key."""
        self.number += 1
        stem = file or self.file.replace(".pem", f"-{self.number}")
        chain, key, request = stem + ".pem", stem + ".key", stem + ".csr"
        key_arguments = EC if kind == "ec" else ["-newkey", "rsa:2048", "-nodes"]
        openssl("req", *key_arguments, "-keyout", key, "-out", request, "-subj", subject or f"/CN={names[0]}")
        extensions = stem + ".ext"
        with open(extensions, "w") as out:
            alternatives = ",".join(("IP:" if name[0].isdigit() else "DNS:") + name for name in names)
            out.write(f"extendedKeyUsage={usage}\nbasicConstraints=CA:FALSE\n")
            if names:
                out.write(f"subjectAltName={alternatives}\n")
        openssl(
            "x509", "-req", "-in", request, "-CA", self.file, "-CAkey", self.key, "-out", chain, "-days", str(days),
            "-extfile", extensions, "-set_serial", str(1000 + self.number))
        return chain, key


def tls_block(*pairs, more=""):
    """The `tls` block of a gateway that shows these certificates."""
    lines = "".join(f"certificate {chain}; private_key {key}; " for chain, key in pairs)
    return f"tls {{ {lines} {more} }}\n"


EC = ["-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes"]


def openssl(*arguments):
    done = subprocess.run(["openssl", *arguments], capture_output=True, text=True)
    if done.returncode:
        raise AssertionError(f"openssl {arguments[0]}: {done.stderr}")
    return done.stdout


def s_client(port, *arguments, say="", seconds=10):
    """What openssl's client says of a handshake; also of one that fails."""
    # With something to say it stays until the server ends: a ticket of TLS 1.3 comes behind the handshake.
    stays = ["-ign_eof"] if say.startswith("GET") else []
    command = ["openssl", "s_client", "-connect", f"127.0.0.1:{port}", *stays, *arguments]
    done = subprocess.run(command, input=say, capture_output=True, text=True, timeout=seconds, errors="replace")
    return done.stdout + done.stderr
