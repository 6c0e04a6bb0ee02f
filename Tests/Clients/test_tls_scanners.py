# Scanners of other makers at listeners with TLS, one with each kind of certificate: testssl.sh, and sslyze by
# Mozilla's intermediate profile. What testssl.sh may find is listed with the reason; anything else fails.

import json
import os
import subprocess
import sys
import time
import unittest

from certificates import Authority, tls_block
from harness import Gateway, directory, free_port, launch
from servers import Nginx
from upstreams import Upstream

NAME = "gateway.example"
SECONDS_MAX = 120
ACCEPTED = {
    # Of the gateway.
    ("cipher_order", "HIGH"): "every suite is good, and a phone without AES in hardware knows best which is fast; "
    "Mozilla's intermediate profile says the same",
    # Of the certificate, which is a test's.
    ("cert_serialNumberLen", "LOW"): "the test authority counts from 1000",
    ("cert_revocation", "HIGH"): "the test authority has neither a list of what it revokes nor a server to ask",
    # Of the scanner's own openssl, which is the system's.
    ("engine_problem", "WARN"): "it has no GOST",
    ("RC4", "WARN"): "it has no RC4 to offer; sslyze does, and finds that it is refused",
    ("sessionresumption_ticket", "WARN"): "it says goodbye at once, and may be gone before its ticket has come",
    ("sessionresumption_ID", "WARN"): "likewise",
}
# One of every check that is to be made: a scan that was broken off has found nothing wrong either.
FOUND = {
    "SSLv2": "not offered", "SSLv3": "not offered", "TLS1": "not offered", "TLS1_1": "not offered",
    "TLS1_2": "offered", "TLS1_3": "offered with final",
    "cipherlist_NULL": "not offered", "cipherlist_AVERAGE": "not offered", "cipherlist_STRONG": "offered",
    "PFS": "offered", "PFS_ECDHE_curves": "prime256v1 secp384r1 X25519",
    "cert_chain_of_trust": "passed", "cert_trust": "Ok via SAN",
    "GREASE": "No bugs found",
    "HSTS_time": "365 days", "cookie_secure": "All (2)", "cookie_httponly": "All (2)",
    "heartbleed": "not vulnerable", "CCS": "not vulnerable", "ticketbleed": "not vulnerable",
    "secure_renego": "supported", "secure_client_renego": "not vulnerable", "CRIME_TLS": "not vulnerable",
    "fallback_SCSV": "no protocol below TLS 1.2", "SWEET32": "not vulnerable", "LUCKY13": "not vulnerable",
}


class Scan:
    """testssl.sh at work."""

    def __init__(self, port):
        home = directory()
        self.path, self.said = os.path.join(home, "findings.json"), os.path.join(home, "said")
        # It sleeps after each thing that it sends, and a connection to ourselves needs none of that.
        speed = {"USLEEP_SND": "0.01", "USLEEP_REC": "0.02"}
        command = [
            "testssl", "--quiet", "--fast", "--color", "0", "--warnings", "off", "--nodns", "none",
            "--ip", "127.0.0.1", "--add-ca", authority.file, "--jsonfile", self.path,
            "-p", "-s", "-f", "-P", "-S", "-h", "-U", "-g", f"https://{NAME}:{port}/"]
        with open(self.said, "w") as said:
            self.process = launch(
                command, stdin=subprocess.DEVNULL, stdout=said, stderr=said, env={**os.environ, **speed})
        self.end = time.monotonic() + SECONDS_MAX

    def findings(self):
        self.process.wait(max(1, self.end - time.monotonic()))
        with open(self.path) as file:
            return json.load(file)


def setUpModule():
    global authority, upstream, gateways, scans, pairs, ports
    authority = Authority(directory())
    # A login by a plain GET, which is all that a scanner makes, whose answer sets the cookies.
    upstream = Upstream(
        lambda request, connection: b"HTTP/1.1 200 OK\r\nSession-Start: alice\r\nContent-Length: 0\r\n\r\n")
    pairs = {kind: authority.issue(NAME, kind=kind, days=90) for kind in ("ec", "rsa")}
    gateways, ports = {}, {}
    for kind, pair in pairs.items():
        ports[kind] = free_port()
        gateways[kind] = Gateway(
            upstream.port, routes="route / { upstream api; access anonymous; login; }", refresh="delivery cookie;",
            main=f"listen 127.0.0.1:{ports[kind]} tls;\n" + tls_block(pair), scheme="https", host=NAME)
    # Both at once: they mostly wait.
    scans = {kind: Scan(port) for kind, port in ports.items()}


def tearDownModule():
    for gateway in gateways.values():
        gateway.stop()
    upstream.stop()


def sslyze(port):
    """What sslyze finds, and whether that is all right by Mozilla's profile."""
    path = os.path.join(directory(), "found.json")
    done = subprocess.run(
        [sys.executable, "-m", "sslyze", "--mozilla_config", "intermediate", "--certinfo_ca_file", authority.file,
         "--resum", "--early_data", "--http_headers", "--json_out", path, f"{NAME}:{port}{{127.0.0.1}}"],
        capture_output=True, text=True, timeout=SECONDS_MAX)
    with open(path) as file:
        (result,) = json.load(file)["server_scan_results"]
    return done, result["scan_result"]


class Scanners(unittest.TestCase):
    def test_sslyze_has_nothing_to_complain_of(self):
        for kind, port in ports.items():
            with self.subTest(kind):
                done, found = sslyze(port)
                self.assertEqual({part["status"] for part in found.values()}, {"COMPLETED"})
                self.assertEqual(done.returncode, 0, done.stdout[-1000:])
                self.assertIn("OK - Compliant", done.stdout)
                found = {name: part["result"] for name, part in found.items()}
                self.assertFalse(found["session_renegotiation"]["is_vulnerable_to_client_renegotiation_dos"])
                self.assertFalse(found["tls_1_3_early_data"]["supports_early_data"])
                self.assertEqual(found["session_resumption"]["tls_ticket_resumption_result"], "FULLY_SUPPORTED")
                self.assertEqual(found["session_resumption"]["session_id_resumption_result"], "NOT_SUPPORTED")
                self.assertEqual(
                    found["http_headers"]["strict_transport_security_header"]["max_age"], 365 * 86400)

    def test_sslyze_complains_of_a_server_that_deserves_it(self):
        port = free_port()
        chain, key = pairs["rsa"]
        server = Nginx(
            f"server {{ listen 127.0.0.1:{port} ssl; ssl_certificate {chain}; ssl_certificate_key {key};"
            " ssl_protocols TLSv1.2; ssl_ciphers AES128-SHA:ECDHE-RSA-AES128-GCM-SHA256; return 204; }", [port])
        self.addCleanup(server.stop)
        done, _ = sslyze(port)
        self.assertEqual(done.returncode, 1)
        self.assertIn("TLS_RSA_WITH_AES_128_CBC_SHA", done.stdout[done.stdout.index("FAILED - Not compliant"):])

    def test_testssl_finds_nothing_but_what_is_accepted(self):
        for kind, scan in scans.items():
            with self.subTest(kind):
                findings = scan.findings()
                by_name = {finding["id"]: finding["finding"] for finding in findings}
                other = {
                    name: by_name.get(name) for name, text in FOUND.items()
                    if not by_name.get(name, "").startswith(text)}
                self.assertEqual(other, {})
                wrong = {
                    (finding["id"], finding["severity"]): finding["finding"] for finding in findings
                    if finding["severity"] not in ("OK", "INFO")
                    and (finding["id"], finding["severity"]) not in ACCEPTED}
                self.assertEqual(wrong, {})


if __name__ == "__main__":
    unittest.main()
