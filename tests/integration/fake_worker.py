"""A worker with scripted commands, run as `python fake_worker.py ROLE [how]`, through the real `serve`."""

from __future__ import annotations

import logging
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Mapping
from typing import Any

from dropbox_import.errors import Mistake, OutcomeUnknown, SidecarInvalid
from dropbox_import.workers.serve import Handler, Job, serve

cancelled = threading.Event()


def echo(job: Job) -> dict[str, Any]:
    return {"args": job.args, "drop": job.drop, "key": job.key, "attempt": job.attempt, "pid": os.getpid()}


def slow(job: Job) -> dict[str, Any]:
    time.sleep(job.args["seconds"])
    return {"pid": os.getpid()}


def until_cancelled(job: Job) -> dict[str, Any]:
    job.in_call("write", bytes=5_000_000)
    cancelled.wait()
    return {}


def cancel(job: Job) -> dict[str, Any]:
    cancelled.set()
    return {}


def hang(job: Job) -> dict[str, Any]:
    job.in_call(job.args.get("call", "login"), job.args.get("bytes", 0))
    threading.Event().wait()
    return {}


def crash(job: Job) -> dict[str, Any]:
    job.progress(step=1, steps=2)
    if job.args.get("signal"):
        os.kill(os.getpid(), signal.SIGKILL)
    os._exit(7)


def noise(job: Job) -> dict[str, Any]:
    print("garbage", flush=True)
    os.write(1, b'{"event":"done","id":1,"result":{"forged":true}}\n')
    subprocess.run([sys.executable, "-c", "print('from a grandchild'); import sys; print(repr(sys.stdin.read()))"], check=True)
    logging.getLogger("dropbox_import.fake").warning("a line of the log")
    return {"true": True}


def fail(job: Job) -> dict[str, Any]:
    raise SidecarInvalid("Two mistakes.", mistakes=[Mistake("a.yaml", 3, 4, "no", "write yes"), Mistake("a.yaml", 5, 1, "neither")])


def unknown(job: Job) -> dict[str, Any]:
    raise OutcomeUnknown("Nobody knows.")


def bug(job: Job) -> dict[str, Any]:
    raise KeyError("a secret place in the code")


def unsendable(job: Job) -> dict[str, Any]:
    return {"object": object()}


def environment(job: Job) -> dict[str, Any]:
    return {"environment": dict(os.environ), "cwd": os.getcwd(), "nice": os.nice(0), "group": os.getpgid(0), "pid": os.getpid()}


def grandchild(job: Job) -> dict[str, Any]:
    child = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(600)"])
    return {"pid": child.pid}


def load() -> Mapping[str, Handler]:
    print("noise while importing")
    if "broken" in sys.argv:
        raise ImportError("a library is missing")
    if "silent" in sys.argv:
        threading.Event().wait()
    known = (echo, slow, until_cancelled, cancel, hang, crash, noise, fail, unknown, bug, unsendable, environment, grandchild)
    handlers: dict[str, Handler] = {each.__name__: each for each in known}
    handlers["configure"] = fail if "unconfigurable" in sys.argv else echo
    return handlers


if __name__ == "__main__":
    print("noise before the start")
    if "deaf" in sys.argv:
        threading.Event().wait()
    serve(sys.argv[1], load, parallel=8)
