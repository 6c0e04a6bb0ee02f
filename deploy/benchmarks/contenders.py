# The contenders of the benchmarks: nginx without any check, the gateway, HAProxy with jwt_verify, each with one
# worker and no access log, in front of the same upstream.

import json
import os
import re
import shutil
import subprocess
import sys
import time
import urllib.error
import urllib.request

ROOT = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
UPSTREAM, GATEWAY, CONTROL, NGINX, HAPROXY, SINK = 19000, 19001, 19002, 19003, 19004, 19005
# The same three by TLS.
SECURE = 100

UPSTREAM_CONF = """
daemon off; master_process off; pid {dir}/upstream.pid; error_log /dev/null;
events {{ worker_connections 4096; }}
http {{ access_log off; keepalive_requests 100000000; client_max_body_size 0; sendfile on;
  server {{ listen 127.0.0.1:{upstream} backlog=4096; default_type application/json;
    location /files/ {{ alias {dir}/files/; default_type application/octet-stream; }}
    location / {{ return 200 '{{"items":["one","two","three"],"total":3,"next":null}}'; }} }} }}
"""

NGINX_CONF = """
daemon off; master_process off; pid {dir}/nginx.pid; error_log /dev/null;
events {{ worker_connections 12000; }} worker_rlimit_nofile 19000;
http {{ access_log off; keepalive_requests 100000000; client_max_body_size 0; keepalive_timeout 600s;
  proxy_request_buffering off; proxy_max_temp_file_size 0; client_body_temp_path {dir}/temp;
  upstream api {{ server 127.0.0.1:{upstream}; keepalive 128; keepalive_requests 100000000; }}
  server {{ listen 127.0.0.1:{nginx} backlog=4096; listen 127.0.0.1:{nginx_tls} ssl backlog=4096;
    ssl_certificate {dir}/tls.pem; ssl_certificate_key {dir}/tls.key; ssl_session_tickets on;
    location /sink {{ proxy_pass http://127.0.0.1:{sink}; proxy_http_version 1.1; }}
    location / {{ proxy_pass http://api; proxy_http_version 1.1; proxy_set_header Connection "";
      proxy_set_header Host $http_host; proxy_set_header X-Forwarded-For $remote_addr;
      proxy_set_header X-Forwarded-Proto $scheme; proxy_set_header X-Forwarded-Host $http_host; }} }} }}
"""

HAPROXY_CONF = """
global
  nbthread 1
  maxconn 4096
defaults
  mode http
  timeout connect 1s
  timeout client 75s
  timeout server 60s
  http-reuse always
frontend public
  bind 127.0.0.1:{haproxy}
  bind 127.0.0.1:{haproxy_tls} ssl crt {dir}/tls.both
  http-request set-var(txn.bearer) http_auth_bearer
  http-request set-var(txn.alg) var(txn.bearer),jwt_header_query('$.alg')
  http-request deny deny_status 401 unless {{ var(txn.alg) -m str ES256 }}
  http-request deny deny_status 401 unless {{ var(txn.bearer),jwt_verify(txn.alg,"{dir}/public.pem") 1 }}
  http-request set-header X-Forwarded-For %[src]
  use_backend sink if {{ path /sink }}
  default_backend api
backend sink
  server one 127.0.0.1:{sink}
backend api
  server one 127.0.0.1:{upstream}
"""

GATEWAY_CONF = """
listen 127.0.0.1:{gateway};
listen 127.0.0.1:{gateway_tls} tls;
tls {{ certificate {dir}/tls.pem; private_key {dir}/tls.key; }}
workers 1;
state_directory {dir}/state;
public_url http://localhost:{gateway};
control {{ listen 127.0.0.1:{control}; }}
limits {{ connections_per_address 20000; request_body 20g; }}
access_token {{ audience api; lifetime 2h; }}
logs {{ access off; audit off; level warning; }}
upstream api {{ server http://127.0.0.1:{upstream}; }}
upstream sink {{ server http://127.0.0.1:{sink}; }}
route /sink {{ upstream sink; }}
route / {{ upstream api; }}
"""


def need(program, package):
    if shutil.which(program) is None:
        sudo = [] if os.geteuid() == 0 else ["sudo"]
        subprocess.run(sudo + ["apt-get", "install", "-y", package], check=True, stdout=subprocess.DEVNULL)


def write(path, text):
    with open(path, "w") as file:
        file.write(text)
    return path


class Proxy:
    """One contender: its process, and what it has used so far."""

    def __init__(self, name, port, command):
        self.name, self.port = name, port
        self.process = subprocess.Popen(command, stdout=subprocess.DEVNULL)

    def cpu_seconds(self):
        with open(f"/proc/{self.process.pid}/stat") as file:
            fields = file.read().rsplit(")", 1)[1].split()
        return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")

    def resident_megabytes(self):
        with open(f"/proc/{self.process.pid}/status") as file:
            return int(re.search(r"VmRSS:\s+(\d+)", file.read()).group(1)) / 1024


def answers(port):
    try:
        urllib.request.urlopen(f"http://127.0.0.1:{port}/", timeout=1).read()
    except urllib.error.HTTPError:
        return True
    except OSError:
        return False
    return True


def await_port(port):
    for _ in range(100):
        if answers(port):
            return
        time.sleep(0.05)
    sys.exit(f"nothing answers on port {port}")


def issue_token():
    request = urllib.request.Request(
        f"http://127.0.0.1:{CONTROL}/sessions", data=json.dumps({"subject": "benchmark"}).encode(),
        headers={"Content-Type": "application/json"})
    return json.load(urllib.request.urlopen(request))["access_token"]


def make_certificate(folder):
    """Of a P-256 key, for localhost."""
    subprocess.run(
        ["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-days", "30",
         "-keyout", f"{folder}/tls.key", "-out", f"{folder}/tls.pem", "-subj", "/CN=localhost",
         "-addext", "subjectAltName=DNS:localhost", "-addext", "extendedKeyUsage=serverAuth"],
        check=True, capture_output=True)
    with open(f"{folder}/tls.both", "w") as both:
        both.write(open(f"{folder}/tls.pem").read() + open(f"{folder}/tls.key").read())


def start(folder, only):
    make_certificate(folder)
    names = dict(dir=folder, upstream=UPSTREAM, gateway=GATEWAY, control=CONTROL, nginx=NGINX, haproxy=HAPROXY,
                 sink=SINK, gateway_tls=GATEWAY + SECURE, nginx_tls=NGINX + SECURE,
                 haproxy_tls=HAPROXY + SECURE)
    upstream = Proxy("upstream", UPSTREAM,
                     ["nginx", "-c", write(f"{folder}/upstream.conf", UPSTREAM_CONF.format(**names))])
    sink = Proxy("sink", SINK, [sys.executable, os.path.join(os.path.dirname(__file__), "sink.py"), str(SINK)])
    gateway = Proxy("gateway", GATEWAY, [f"{ROOT}/.build/release/auth-gateway", "run", "-c",
                                         write(f"{folder}/gateway.conf", GATEWAY_CONF.format(**names))])
    contenders = [gateway]
    await_port(GATEWAY)
    with open(f"{folder}/state/keys/keys.json") as file:
        active = next(key["kid"] for key in json.load(file)["keys"] if key["state"] == "active")
    subprocess.run(["openssl", "ec", "-in", f"{folder}/state/keys/{active}.pem", "-pubout", "-out",
                    f"{folder}/public.pem"], check=True, capture_output=True)
    if "nginx" in only:
        contenders.insert(0, Proxy("nginx", NGINX, [
            "nginx", "-c", write(f"{folder}/nginx.conf", NGINX_CONF.format(**names))]))
    if "haproxy" in only:
        contenders.append(Proxy("haproxy", HAPROXY, [
            "haproxy", "-db", "-f", write(f"{folder}/haproxy.cfg", HAPROXY_CONF.format(**names))]))
    return [upstream, sink], contenders
