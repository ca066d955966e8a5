"""The server behind the proxies: nginx with one worker and answers of 100 bytes, or a small one in Python."""

from __future__ import annotations

import sys
from pathlib import Path

from bench.network import listens
from bench.process import Process, wait_until
from bench.scenario import Address
from bench.tools import find
from mizzen.runtime.address import unused_port

BODY = "x" * 99 + "\n"
PORTS = 2

NGINX = """
daemon off;
worker_processes 1;
pid {folder}/nginx.pid;
error_log {folder}/nginx-error.log;
events {{ worker_connections 4096; }}
http {{
  access_log off;
  keepalive_requests 1000000000;
  keepalive_timeout 1h;
  client_body_temp_path {folder}/body; proxy_temp_path {folder}/proxy; fastcgi_temp_path {folder}/fastcgi;
  uwsgi_temp_path {folder}/uwsgi; scgi_temp_path {folder}/scgi;
  server {{
    {listen}
    default_type text/plain;
    location / {{ return 200 "{body}"; }}
  }}
}}
"""


class Backend:
    """A running HTTP server on some ports of 127.0.0.1; each stands for an endpoint."""

    def __init__(self, folder: Path, core: set[int]) -> None:
        self.endpoints = tuple(Address("127.0.0.1", unused_port()) for _ in range(PORTS))
        nginx = find("nginx")
        if nginx:
            listen = " ".join(f"listen {address};" for address in self.endpoints)
            config = folder / "nginx.conf"
            config.write_text(NGINX.format(folder=folder, listen=listen, body=BODY.replace("\n", "\\n")))
            command = [nginx, "-e", f"{folder}/nginx-error.log", "-c", str(config)]
        else:
            command = [sys.executable, str(Path(__file__).with_name("pybackend.py"))]
            command += [str(address.port) for address in self.endpoints]
        self.process = Process("backend", command, core, folder)
        wait_until(lambda: all(listens(a.host, a.port) for a in self.endpoints), self.process, "listening")

    def stop(self) -> None:
        self.process.stop()
