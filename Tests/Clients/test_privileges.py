# What root gives up: the gateway opens its listeners, becomes the user of its configuration, and everything that it
# opens from then on is that user's. And what no crash leaves behind.

import os
import pwd
import signal
import socket
import stat
import unittest

from clients import curl, login
from harness import Demo, Gateway, StartFailed, directory, wait_until

USER = "nobody"


def status(pid, *names):
    with open(f"/proc/{pid}/status") as file:
        fields = dict(line.rstrip("\n").split(":\t", 1) for line in file if ":\t" in line)
    return [fields[name].split() for name in names]


@unittest.skipUnless(os.geteuid() == 0, "only root can give anything up")
class User(unittest.TestCase):
    def setUp(self):
        self.demo = Demo()
        self.addCleanup(self.demo.stop)

    def gateway(self, user=USER, **options):
        gateway = Gateway(self.demo.port, main=f"user {user};\n" + options.pop("main", ""), start=False, **options)
        self.user = pwd.getpwnam(USER)
        # What a package does for it.
        os.chown(gateway.home, self.user.pw_uid, self.user.pw_gid)
        self.addCleanup(lambda: gateway.process and gateway.process.poll() is None and gateway.stop())
        return gateway

    def test_it_is_nobody_but_its_user_and_serves_as_ever(self):
        port = next(port for port in range(600, 1000) if self.is_free(port))
        path = os.path.join(directory(), "http.sock")
        os.chmod(os.path.dirname(path), 0o777)
        gateway = self.gateway(main=f"listen 127.0.0.1:{port}; listen unix:{path};")
        gateway.start()
        user, group, groups, rights = status(gateway.process.pid, "Uid", "Gid", "Groups", "CapEff")
        self.assertEqual(set(user), {str(self.user.pw_uid)})
        self.assertEqual(set(group), {str(self.user.pw_gid)})
        self.assertNotIn("0", groups)
        self.assertEqual(int(rights[0], 16), 0)
        # Each of its threads, too: what root was is never to be had back.
        for thread in os.listdir(f"/proc/{gateway.process.pid}/task"):
            try:
                found = status(f"{gateway.process.pid}/task/{thread}", "Uid")[0]
            except FileNotFoundError:
                # It has ended since.
                continue
            self.assertEqual(set(found), {str(self.user.pw_uid)})
        for name in ("state", "state/sessions.db", "state/refresh.key", "access.log"):
            self.assertEqual(os.stat(os.path.join(gateway.home, name)).st_uid, self.user.pw_uid, name)
        self.assertEqual(stat.S_IMODE(os.stat(gateway.state).st_mode), 0o700)
        pair = login(gateway)
        answer = curl(f"http://127.0.0.1:{port}/items", token=pair["access_token"])
        self.assertEqual(answer.status, 200)
        self.assertEqual(curl("http://h/public/", "--unix-socket", path).status, 200)
        said = len(gateway.service_log())
        gateway.process.send_signal(signal.SIGHUP)
        wait_until(lambda: " reloaded " in gateway.service_log()[said:], 5, "a reload")
        gateway.stop()
        # The socket was given to it, too: it could remove it.
        self.assertFalse(os.path.exists(path))

    def test_nobody_of_that_name_is_an_error(self):
        for user in ("no-such-user", f"{USER} no-such-group"):
            gateway = self.gateway(user)
            with self.assertRaises(StartFailed) as failure:
                gateway.start()
            self.assertEqual(failure.exception.code, 1)
            self.assertIn("user: nobody is called", failure.exception.text)

    def test_who_is_not_root_stays_who_he_is(self):
        gateway = self.gateway("root")
        gateway.options["user"] = self.user.pw_uid
        os.chmod(gateway.config, 0o644)
        gateway.start()
        self.assertEqual(set(status(gateway.process.pid, "Uid")[0]), {str(self.user.pw_uid)})
        gateway.stop()

    def is_free(self, port):
        try:
            socket.create_server(("127.0.0.1", port)).close()
            return True
        except OSError:
            return False


class Crash(unittest.TestCase):
    def test_no_image_of_its_memory_can_be_written(self):
        demo = Demo()
        self.addCleanup(demo.stop)
        gateway = Gateway(demo.port)
        with open(f"/proc/{gateway.process.pid}/limits") as file:
            limits = next(line for line in file if line.startswith("Max core file size"))
        self.assertEqual(limits.split()[4:6], ["0", "0"])
        gateway.stop()


if __name__ == "__main__":
    unittest.main()
