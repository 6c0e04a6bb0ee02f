# Real proxies and servers of other makers, each with a configuration of the test's in a temporary directory.

import os
import shutil
import subprocess

from clients import Raw
from harness import directory, launch, wait_until

NGINX = """
daemon off; master_process off; worker_processes 1; pid {home}/pid; error_log {home}/errors warn;
events {{ worker_connections 1024; }}
http {{
    access_log off;
    default_type application/octet-stream;
    client_max_body_size 0;
    client_body_temp_path {home}/body; proxy_temp_path {home}/proxy; fastcgi_temp_path {home}/fastcgi;
    uwsgi_temp_path {home}/uwsgi; scgi_temp_path {home}/scgi;
    {http}
}}
"""
HAPROXY = """
defaults
    mode tcp
    timeout connect 2s
    timeout client 10s
    timeout server 10s
    timeout check 2s
{sections}
"""


class Nginx:
    """nginx with the `server` blocks of a test."""

    def __init__(self, http, ports, home=None):
        self.home = home or directory()
        # Without root's power its worker must still reach the files.
        os.chmod(self.home, 0o755)
        path = os.path.join(self.home, "nginx.conf")
        with open(path, "w") as file:
            file.write(NGINX.format(home=self.home, http=http))
        self.process = _start(["nginx", "-c", path, "-p", self.home, "-e", self.home + "/errors"], ports)

    def stop(self):
        _stop(self.process)


class HAProxy:
    """HAProxy with the sections of a test."""

    def __init__(self, sections, ports):
        self.home = directory()
        path = os.path.join(self.home, "haproxy.cfg")
        with open(path, "w") as file:
            file.write(HAPROXY.format(sections=sections))
        self.process = _start(["haproxy", "-db", "-f", path], ports)

    def stop(self):
        _stop(self.process)


def _start(command, ports):
    if not shutil.which(command[0]):
        raise AssertionError(f"{command[0]} is not installed")
    process = launch(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)

    def listens(port):
        try:
            Raw(port).close()
            return True
        except OSError:
            return False

    for port in ports:
        wait_until(lambda port=port: listens(port) or process.poll() is not None, 5, f"{command[0]} listens")
    if process.poll() is not None:
        raise AssertionError(f"{' '.join(command)}: exit {process.returncode}")
    return process


def _stop(process):
    process.terminate()
    process.wait(10)
