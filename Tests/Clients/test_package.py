# The Debian package: what is in it, and what a machine has of it from its installation to its purge. It is built
# around the program under test, which needs the toolchain's libraries; a release has them in it.

import atexit
import grp
import gzip
import os
import pwd
import re
import shutil
import stat
import subprocess
import unittest

from clients import curl
from harness import GATEWAY, ROOT, Demo, directory, free_port, launch, wait_until

USER = "auth-gateway"
CONFIGURATION = "/etc/auth-gateway/gateway.conf"
LEFT = ("/etc/auth-gateway", "/etc/logrotate.d/auth-gateway", "/var/lib/auth-gateway", "/var/log/auth-gateway",
        "/usr/bin/auth-gateway", "/usr/share/doc/auth-gateway", "/lib/systemd/system/auth-gateway.service")


def call(*arguments, **options):
    done = subprocess.run(arguments, capture_output=True, text=True, timeout=60, **options)
    assert done.returncode == 0, (arguments, done.stdout, done.stderr)
    return done.stdout


def is_installed():
    done = subprocess.run(["dpkg-query", "-W", "-f", "${Status}", "auth-gateway"], capture_output=True, text=True)
    return done.returncode == 0


def as_user(*arguments):
    return ["setpriv", f"--reuid={USER}", f"--regid={USER}", "--clear-groups", "--inh-caps=-all", *arguments]


def setUpModule():
    global package
    # Only how small it gets is another matter than in a release.
    quick = {**os.environ, "DPKG_DEB_COMPRESSOR_TYPE": "gzip", "DPKG_DEB_COMPRESSOR_LEVEL": "1"}
    build = os.path.join(ROOT, "deploy/debian/build")
    package = call(build, "--binary", GATEWAY, "--output", directory(), env=quick).strip()


class Contents(unittest.TestCase):
    def files(self):
        """The path of each file, with its mode."""
        found = {}
        for line in call("dpkg-deb", "-c", package).splitlines():
            mode, owner, _, _, _, path = line.split(maxsplit=5)
            self.assertEqual(owner, "root/root")
            found[path.removeprefix(".")] = mode
        return found

    def test_it_has_what_it_should_and_nothing_elsewhere(self):
        files = self.files()
        self.assertEqual(files["/"], "drwxr-xr-x")
        for path, mode in files.items():
            self.assertRegex(path, r"^/(usr/|etc/|lib/|$)")
            if mode[0] == "d":
                self.assertEqual(mode, "drwxr-xr-x", path)
        executable = {path for path, mode in files.items() if mode == "-rwxr-xr-x"}
        self.assertEqual(executable, {"/usr/bin/auth-gateway"})
        # It may come to hold secrets.
        self.assertEqual(files[CONFIGURATION], "-rw-r-----")
        for path in ("lib/systemd/system/auth-gateway.service", "lib/systemd/system/auth-gateway.socket",
                     "etc/logrotate.d/auth-gateway", "usr/share/man/man1/auth-gateway.1.gz",
                     "usr/share/man/man5/gateway.conf.5.gz", "usr/share/bash-completion/completions/auth-gateway",
                     "usr/share/zsh/vendor-completions/_auth-gateway",
                     "usr/share/fish/vendor_completions.d/auth-gateway.fish", "usr/share/doc/auth-gateway/copyright",
                     "usr/share/doc/auth-gateway/changelog.gz", "usr/share/doc/auth-gateway/README.md"):
            self.assertEqual(files["/" + path], "-rw-r--r--", path)

    def test_its_fields_say_what_it_needs(self):
        fields = dict(re.findall(r"^ (\S+): (.*)$", call("dpkg-deb", "-I", package), re.M))
        version = call(GATEWAY, "version").removeprefix("auth-gateway ").strip()
        self.assertEqual((fields["Package"], fields["Version"]), ("auth-gateway", version))
        self.assertEqual(fields["Architecture"], call("dpkg", "--print-architecture").strip())
        self.assertRegex(fields["Maintainer"], r"^[\w -]+ <\S+@\S+\.\S+>$")
        needed = {entry.split()[0] for entry in fields["Depends"].split(", ")}
        self.assertEqual(needed, {"adduser", "libc6", "libgcc-s1", "libstdc++6", "libssl3", "libsqlite3-0"})
        self.assertEqual(call("dpkg-deb", "-I", package, "conffiles").split(),
                         [CONFIGURATION, "/etc/logrotate.d/auth-gateway"])
        for script in ("postinst", "prerm", "postrm"):
            text = call("dpkg-deb", "-I", package, script)
            subprocess.run(["sh", "-n"], input=text, text=True, check=True)
            self.assertIn("\nset -e\n", text)

    def test_pages_and_completions_are_those_of_the_program(self):
        home = directory()
        call("dpkg-deb", "-x", package, home)
        share = os.path.join(home, "usr/share")
        for path, words in (("man/man1/auth-gateway.1.gz", ["help", "--man"]),
                            ("man/man5/gateway.conf.5.gz", ["help", "directives", "--man"])):
            with gzip.open(os.path.join(share, path), "rt") as file:
                self.assertEqual(file.read(), call(GATEWAY, *words))
        for path, shell in (("bash-completion/completions/auth-gateway", "bash"),
                            ("zsh/vendor-completions/_auth-gateway", "zsh"),
                            ("fish/vendor_completions.d/auth-gateway.fish", "fish")):
            with open(os.path.join(share, path)) as file:
                self.assertEqual(file.read(), call(GATEWAY, "completion", shell))
        with gzip.open(os.path.join(share, "doc/auth-gateway/changelog.gz"), "rt") as file:
            self.assertTrue(file.readline().startswith("auth-gateway ("))


@unittest.skipIf(os.path.isdir("/run/systemd/system"), "its scripts would start and stop a service of this machine")
@unittest.skipUnless(os.geteuid() == 0, "only root can install a package")
class Installation(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        if is_installed() or any(os.path.exists(path) for path in LEFT):
            raise unittest.SkipTest("a gateway is installed here, and stays as it is")
        cls.had_user = any(entry.pw_name == USER for entry in pwd.getpwall())
        # Whatever happens, nothing of it stays.
        atexit.register(cls.purge)
        cls.addClassCleanup(cls.purge)
        cls.install()

    @classmethod
    def install(cls):
        # Images of Debian may be told to leave pages and documents out.
        return call("dpkg", "--path-include=/usr/share/man/*", "--path-include=/usr/share/doc/*", "-i", package)

    @classmethod
    def purge(cls):
        if is_installed():
            call("dpkg", "--purge", "auth-gateway")
        if not cls.had_user and any(entry.pw_name == USER for entry in pwd.getpwall()):
            call("deluser", "--quiet", "--system", USER)
            if any(entry.gr_name == USER for entry in grp.getgrall()):
                call("delgroup", "--quiet", "--system", USER)

    def setUp(self):
        if not is_installed():
            self.install()

    def standing(self, path):
        found = os.stat(path)
        return pwd.getpwuid(found.st_uid).pw_name, grp.getgrgid(found.st_gid).gr_name, stat.S_IMODE(found.st_mode)

    def test_the_program_and_its_pages_are_found(self):
        self.assertEqual(call("auth-gateway", "version"), call(GATEWAY, "version"))
        self.assertEqual(call("man", "-w", "auth-gateway").strip(), "/usr/share/man/man1/auth-gateway.1.gz")
        self.assertEqual(call("man", "-w", "5", "gateway.conf").strip(), "/usr/share/man/man5/gateway.conf.5.gz")

    def test_its_user_owns_what_it_writes_and_reads_what_it_must(self):
        user = pwd.getpwnam(USER)
        self.assertEqual((user.pw_dir, user.pw_shell), ("/var/lib/auth-gateway", "/usr/sbin/nologin"))
        self.assertEqual(grp.getgrgid(user.pw_gid).gr_name, USER)
        self.assertEqual(self.standing("/etc/auth-gateway"), ("root", USER, 0o750))
        self.assertEqual(self.standing(CONFIGURATION), ("root", USER, 0o640))
        self.assertEqual(self.standing("/var/lib/auth-gateway"), (USER, USER, 0o700))
        self.assertEqual(self.standing("/var/log/auth-gateway"), (USER, USER, 0o750))

    def test_the_configuration_is_valid_for_its_user_and_nobody_elses_business(self):
        done = subprocess.run(as_user("auth-gateway", "check", "--strict"), capture_output=True, text=True, timeout=20)
        self.assertEqual((done.returncode, done.stderr), (0, ""))
        nobody = ["setpriv", "--reuid=nobody", "--regid=nogroup", "--clear-groups"]
        done = subprocess.run([*nobody, "auth-gateway", "check"], capture_output=True, text=True, timeout=20)
        self.assertEqual(done.returncode, 78)
        self.assertIn("Permission denied", done.stderr)

    def test_it_serves_as_its_user(self):
        demo = Demo()
        self.addCleanup(demo.stop)
        port, control = free_port(), free_port()
        # The ports of the example may be taken here.
        with open(CONFIGURATION) as file:
            text = file.read()
        for old, new in (("127.0.0.1:8080", port), ("127.0.0.1:9901", control), ("127.0.0.1:9000", demo.port)):
            self.assertIn(old, text)
            text = text.replace(old, f"127.0.0.1:{new}")
        path = "/etc/auth-gateway/other.conf"
        with open(path, "w") as file:
            file.write(text)
        shutil.chown(path, "root", USER)
        os.chmod(path, 0o640)
        log = open(os.path.join(directory(), "log"), "wb")
        self.addCleanup(log.close)
        process = launch(as_user("auth-gateway", "run", "-c", path), stdout=log, stderr=log, cwd="/")
        self.addCleanup(process.kill)
        self.addCleanup(os.unlink, path)

        def is_ready():
            if process.poll() is not None:
                with open(log.name) as file:
                    self.fail(file.read())
            return subprocess.run(["auth-gateway", "healthcheck", "-c", path], capture_output=True).returncode == 0

        wait_until(is_ready, 10, "a gateway that is ready")
        self.assertEqual(curl(f"http://127.0.0.1:{port}/public/x").status, 200)
        self.assertEqual(curl(f"http://127.0.0.1:{port}/items").status, 401)
        self.assertEqual(self.standing("/var/lib/auth-gateway/sessions.db"), (USER, USER, 0o600))
        process.terminate()
        self.assertEqual(process.wait(30), 0)

    def test_its_logs_are_rotated_by_its_user(self):
        path = "/var/log/auth-gateway/access.log"
        with open(path, "w") as file:
            file.write("a line\n")
        shutil.chown(path, USER, USER)
        for options in (["-d"], ["-f", "-s", os.path.join(directory(), "state")]):
            done = subprocess.run(["logrotate", *options, "/etc/logrotate.d/auth-gateway"], capture_output=True,
                                  text=True, timeout=20)
            self.assertEqual(done.returncode, 0, done.stderr)
            self.assertNotRegex(done.stderr, "(?m)^error:")
        self.assertEqual((self.standing(path), os.path.getsize(path)), ((USER, USER, 0o640), 0))
        with open(path + ".1") as file:
            self.assertEqual(file.read(), "a line\n")

    def test_a_removal_keeps_sessions_and_configuration_and_a_purge_keeps_nothing(self):
        kept = "/var/lib/auth-gateway/kept"
        with open(kept, "w"):
            pass
        call("dpkg", "--remove", "auth-gateway")
        self.assertFalse(os.path.exists("/usr/bin/auth-gateway"))
        self.assertTrue(os.path.exists(kept))
        self.assertTrue(os.path.exists(CONFIGURATION))
        # Back again, with what there was; and again over itself, as an upgrade is.
        self.install()
        self.install()
        self.assertTrue(os.path.exists(kept))
        self.assertEqual(self.standing(CONFIGURATION), ("root", USER, 0o640))
        call("dpkg", "--purge", "auth-gateway")
        self.assertEqual([path for path in LEFT if os.path.exists(path)], [])
        self.assertFalse(is_installed())
