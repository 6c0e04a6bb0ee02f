# As the image of deploy/container runs it: a root that cannot be written, nobody in particular, no rights at all, one
# folder for its state, and its own health check. Without a container engine: by the namespaces that one would use.

import os
import re
import subprocess
import unittest

from clients import curl, login
from harness import GATEWAY, ROOT, Demo, Gateway, StartFailed

NOBODY = "65532"
# Read-only but for one folder; then no user's rights.
SCRIPT = (
    'mount --bind "$0" "$0" && mount -o remount,bind,ro / && '
    f'exec setpriv --reuid {NOBODY} --regid {NOBODY} --clear-groups --no-new-privs --bounding-set -all "$@"')


@unittest.skipUnless(os.geteuid() == 0, "mounts are root's")
class Container(unittest.TestCase):
    def setUp(self):
        self.demo = Demo()
        self.addCleanup(self.demo.stop)
        self.gateway = Gateway(self.demo.port, start=False)
        os.chown(self.gateway.home, int(NOBODY), int(NOBODY))
        self.command = ["unshare", "-m", "sh", "-c", SCRIPT, self.gateway.home]

    def start(self):
        self.gateway.options = {"command": list(self.command)}
        self.gateway.start()

    def test_it_serves_says_how_it_is_and_ends(self):
        self.start()
        with open(f"/proc/{self.gateway.process.pid}/status") as file:
            status = file.read()
        self.assertIn(f"Uid:\t{NOBODY}\t{NOBODY}", status)
        self.assertIn("CapEff:\t0000000000000000", status)
        self.assertIn("NoNewPrivs:\t1", status)
        # The root is as it is said to be.
        self.assertRegex(self.mounts(), r"(?m)^\S+ \S+ \S+ / / ro")
        pair = login(self.gateway)
        self.assertEqual(curl(self.gateway.base + "/items", token=pair["access_token"]).status, 200)
        self.assertEqual(self.health().returncode, 0)
        self.gateway.stop()
        self.assertEqual(self.health().returncode, 1)

    def test_one_that_is_told_to_stop_is_not_ready_and_lives(self):
        with open(self.gateway.config, "a") as file:
            file.write("drain_delay 2s;\n")
        self.start()
        self.gateway.process.terminate()
        for _ in range(100):
            if self.health().returncode == 1:
                break
        self.assertEqual(self.health().returncode, 1)
        self.assertEqual(self.health("--live").returncode, 0)
        self.assertEqual(self.gateway.process.wait(10), 0)

    def test_a_folder_that_is_not_its_own_is_refused_with_whose_it_has_to_be(self):
        os.mkdir(self.gateway.state)
        with self.assertRaises(StartFailed) as failed:
            self.start()
        self.assertEqual(failed.exception.code, 1)
        self.assertIn(f"{self.gateway.state}/keys cannot be made: Permission denied", failed.exception.text)
        self.assertIn(f"user {NOBODY} has to own", failed.exception.text)
        os.chown(self.gateway.state, int(NOBODY), int(NOBODY))
        self.start()
        self.gateway.stop()

    def health(self, *options):
        return subprocess.run(
            self.command + [GATEWAY, "healthcheck", "-c", self.gateway.config, *options], capture_output=True)

    def mounts(self):
        with open(f"/proc/{self.gateway.process.pid}/mountinfo") as file:
            return file.read()


class Image(unittest.TestCase):
    def setUp(self):
        self.dockerfile = read("deploy/container/Dockerfile")
        self.copied = re.findall(r"(?m)^COPY (?!--from)(\S+)", self.dockerfile)

    def test_its_file_says_what_is_tried_here(self):
        self.assertRegex(self.dockerfile, rf"(?m)^USER {NOBODY}:{NOBODY}$")
        self.assertRegex(self.dockerfile, r"(?m)^HEALTHCHECK .*auth-gateway\", \"healthcheck\"\]$")
        self.assertIn("--static-swift-stdlib", self.dockerfile)

    def test_its_build_has_what_the_package_needs(self):
        manifest = read("Package.swift")
        builder = self.dockerfile.split("\nFROM ")[1]
        for package in re.findall(r"\.apt\(\[\"([^\"]+)", manifest):
            self.assertIn(f" {package} ", builder)
        for folder in ["Package.swift", "Sources", "Tests"]:
            self.assertIn(folder, self.copied)
        for path in re.findall(r"path: \"([^\"]+)", manifest):
            self.assertIn(path.split("/")[0], self.copied)
        tools = re.search(r"swift-tools-version: (\d+)\.(\d+)", manifest)
        toolchain = re.match(r"swift:(\d+)\.(\d+)-", builder)
        self.assertGreaterEqual(numbers(toolchain), numbers(tools))

    def test_only_what_it_copies_goes_along(self):
        lines = read("deploy/container/Dockerfile.dockerignore").splitlines()
        rules = [line for line in lines if not line.startswith("#")]
        self.assertEqual(rules[0], "*")
        self.assertCountEqual([rule[1:] for rule in rules if rule.startswith("!")], self.copied)
        for source in self.copied:
            self.assertTrue(os.path.exists(os.path.join(ROOT, source)), source)
        # No target of the package is kept back.
        manifest = read("Package.swift")
        for kept in [rule for rule in rules[1:] if not rule.startswith("!")]:
            self.assertNotIn(f'"{os.path.basename(kept)}"', manifest)


def read(path):
    with open(os.path.join(ROOT, path)) as file:
        return file.read()


def numbers(match):
    return tuple(map(int, match.groups()))


if __name__ == "__main__":
    unittest.main()
