# A machine of a test's own, with Debian's systemd as its first process: this machine's programs and libraries under
# an overlay, so that whatever is installed or written there is gone with it. Its network is this machine's, so that
# clients are outside and the gateway is inside.

import os
import re
import signal
import subprocess

from harness import directory, launch, wait_until

# $0 is an empty folder. Nothing of this machine's kernel is changed from inside: /sys and /proc/sys are read-only,
# and the units that would set something there are masked.
BOOT = r"""
set -e
mount --make-rprivate /
mount -t tmpfs -o mode=755 machine "$0"
mkdir "$0/upper" "$0/work" "$0/root"
mount -t overlay overlay -o "lowerdir=/,upperdir=$0/upper,workdir=$0/work" "$0/root"
cd "$0/root"
mount -t proc proc proc
mount --bind proc/sys proc/sys
mount -o remount,bind,ro proc/sys
mount -t sysfs -o ro sysfs sys
mount -t cgroup2 cgroup2 sys/fs/cgroup
for name in dev run tmp; do mount -t tmpfs -o mode=755 "$name" "$name"; done
chmod 1777 tmp
for name in null zero full random urandom tty; do touch "dev/$name"; mount --bind "/dev/$name" "dev/$name"; done
mkdir dev/pts dev/shm
mount -t devpts -o newinstance,ptmxmode=0666,mode=620 devpts dev/pts
mount -t tmpfs shm dev/shm
ln -s pts/ptmx dev/ptmx
ln -s /proc/self/fd dev/fd
: > etc/machine-id
rm -rf etc/systemd/system/*.wants var/log/journal
for unit in systemd-sysctl.service systemd-modules-load.service systemd-remount-fs.service systemd-udevd.service \
    sys-kernel-debug.mount sys-kernel-tracing.mount sys-fs-fuse-connections.mount dev-hugepages.mount; do
    ln -sf /dev/null "etc/systemd/system/$unit"
done
# As a first process that is in no container would have it: what its services are given is mounted apart, and shows here.
mount --make-rshared "$0/root"
exec env -i container=test PATH=/usr/sbin:/usr/bin:/sbin:/bin unshare --root="$0/root" \
    /lib/systemd/systemd --system --unit=basic.target --log-target=console --show-status=no
"""


def can_be_made():
    with open("/proc/filesystems") as file:
        return os.geteuid() == 0 and re.search(r"\toverlay$", file.read(), re.M) is not None


class Machine:
    def __init__(self):
        self.log = open(os.path.join(directory(), "console"), "w+")
        self.process = launch(
            ["unshare", "-m", "-p", "-i", "-u", "-C", "--fork", "--kill-child", "sh", "-c", BOOT, directory()],
            stdin=subprocess.DEVNULL, stdout=self.log, stderr=self.log, start_new_session=True)
        wait_until(self._is_up, 20, "a machine")

    def _is_up(self):
        if self.process.poll() is not None:
            self.log.seek(0)
            raise AssertionError(self.log.read())
        with open(f"/proc/{self.process.pid}/task/{self.process.pid}/children") as file:
            children = file.read().split()
        if not children:
            return False
        self.first = int(children[0])
        return self.ask("systemctl", "is-system-running").stdout.strip() in ("running", "degraded")

    def ask(self, *arguments, **options):
        """A command in the machine, however it ends."""
        return subprocess.run(
            ["nsenter", "-t", str(self.first), "-a", "-r", "-w", *arguments], capture_output=True, text=True,
            timeout=60, **options)

    def do(self, *arguments):
        """What a command in the machine prints; it has to end well."""
        done = self.ask(*arguments)
        if done.returncode != 0:
            journal = self.ask("journalctl", "--no-pager", "-n", "30").stdout
            raise AssertionError(f"{arguments}: {done.returncode}\n{done.stdout}{done.stderr}\n{journal}")
        return done.stdout

    def path(self, path):
        """A path of the machine as this one sees it."""
        return f"/proc/{self.first}/root{path}"

    def write(self, path, text, mode=0o644):
        with open(self.path(path), "w") as file:
            file.write(text)
        os.chmod(file.name, mode)

    def read(self, path):
        with open(self.path(path)) as file:
            return file.read()

    def stop(self):
        if self.process.poll() is None:
            # With the first process of a machine all others go.
            os.kill(self.first, signal.SIGKILL)
            self.process.wait(20)
        self.log.close()
