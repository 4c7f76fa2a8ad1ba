"""`untrimmed review` as a user starts it, and requests to it."""

import http.client
import json
import os
import signal
import subprocess
import sys
from contextlib import contextmanager
from urllib.parse import parse_qs, urlsplit


class Server:
    def __init__(self, process, address):
        self.process, self.address = process, address
        parts = urlsplit(address)
        self.port, self.token = parts.port, parse_qs(parts.query)["token"][0]

    def ask(self, method, path, body=None, *, token=True, headers=(), host=None):
        """(status, headers, body). `body` is sent as JSON unless it is bytes."""
        line = http.client.HTTPConnection("127.0.0.1", self.port, timeout=20)
        sent = body if body is None or isinstance(body, bytes) else json.dumps(body).encode()
        line.putrequest(method, path, skip_host=True)
        given = {"Host": host or f"127.0.0.1:{self.port}", **dict(headers)}
        if token:
            given.setdefault("X-Token", self.token if token is True else token)
        if sent is not None:
            given.setdefault("Content-Type", "application/json")
            given.setdefault("Content-Length", str(len(sent)))
        for name, value in given.items():
            line.putheader(name, value)
        line.endheaders(sent)
        answer = line.getresponse()
        try:
            return answer.status, dict(answer.getheaders()), answer.read()
        finally:
            line.close()

    def json(self, method, path, body=None, **more):
        status, _, answer = self.ask(method, path, body, **more)
        assert status == 200, answer
        return json.loads(answer)

    def save(self, video, revision=0, **marks):
        body = {"video": video, "revision": revision, "marks": {"checked": False, **marks}, "what": "a test"}
        status, _, answer = self.ask("POST", "/api/marks", body)
        return status, answer.decode() if status == 400 else json.loads(answer)

    def stop(self):
        """What it says when it is stopped by Ctrl-C."""
        self.process.send_signal(signal.SIGINT)
        out, err = self.process.communicate(timeout=20)
        assert self.process.returncode == 0, err
        return out


@contextmanager
def serving(source, *options):
    # A shell lets what it starts in the background ignore Ctrl-C.
    begin = "import signal, sys; signal.signal(signal.SIGINT, signal.default_int_handler)"
    run = "from untrimmed.cli import main; main(sys.argv[1:])"
    command = [sys.executable, "-c", f"{begin}; {run}", "review", str(source), "--no-open", "--port", "0", *map(str, options)]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, env=os.environ.copy())
    try:
        address = process.stdout.readline().strip()
        if not address:
            raise AssertionError(process.communicate(timeout=20)[1])
        yield Server(process, address)
    finally:
        if process.poll() is None:
            process.kill()
        process.communicate()
