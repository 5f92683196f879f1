#!/usr/bin/env python3
"""A well-behaved driver in one program with subcommands: each job gets a box.

A box is a private directory on this machine; its scripts run in a session of their own, as they would in a container.
"""

import json
import os
import pathlib
import shutil
import signal
import subprocess
import sys

environment = os.environ
BUILD_FAILURE = int(environment.get("BUILD_FAILURE_EXIT_CODE", "1"))
SYSTEM_FAILURE = int(environment.get("SYSTEM_FAILURE_EXIT_CODE", "2"))


class SystemFailure(Exception):
    """The box, not the script, is to blame."""


def variable(name):
    """A CI variable of the job; empty if it has none of this name."""
    return environment.get("CUSTOM_ENV_" + name, "")


def box():
    """Where the box of this job is: a name made from ids, the same in every call."""
    state = environment.get("XDG_STATE_HOME") or environment.get("HOME", "/tmp") + "/.local/state"
    name = "runner-{}-project-{}-job-{}".format(*map(variable, ("CI_RUNNER_ID", "CI_PROJECT_ID", "CI_JOB_ID")))
    return pathlib.Path(state) / "python-boxes" / name


def kill_work(pid):
    """Ends a script with all that it started: the runner's signal does not reach another session."""
    try:
        os.killpg(pid, signal.SIGKILL)
    except ProcessLookupError:
        pass


def end_left_work():
    """Ends what a call that was killed has left."""
    pid_file = box() / "work.pid"
    if pid_file.exists():
        kill_work(int(pid_file.read_text()))
        pid_file.unlink()


def remove_box():
    end_left_work()
    if box().exists():
        shutil.rmtree(box())


def config():
    directories = {"builds_dir": str(box() / "builds"), "cache_dir": str(box() / "cache")}
    print(json.dumps({**directories, "job_env": {"BOX_BRANCH": variable("CI_COMMIT_REF_NAME")}}))


def prepare():
    remove_box()  # an earlier attempt may have left one
    for part in ("builds", "cache"):
        (box() / part).mkdir(parents=True)
    (box() / "ready").touch()
    print("the box is ready")


def unblock():
    signal.pthread_sigmask(signal.SIG_UNBLOCK, {signal.SIGTERM})


def begin_work():
    """Notes the number of the process before it is a script: it is found also if this driver is killed right then."""
    (box() / "work.pid").write_text(str(os.getpid()))
    unblock()


def run(script, _stage):
    code_file = pathlib.Path(environment.get("BUILD_EXIT_CODE_FILE", os.devnull))
    if code_file.is_file():
        code_file.unlink()
    if not (box() / "ready").exists():
        raise SystemFailure("there is no box")
    end_left_work()
    # A signal while the process is being started would be lost: it waits.
    signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGTERM})
    work = subprocess.Popen(["bash", script], stdin=subprocess.DEVNULL, start_new_session=True, preexec_fn=begin_work)
    try:
        unblock()
        code = work.wait()
    except BaseException:
        kill_work(work.pid)
        work.wait()
        raise
    (box() / "work.pid").unlink()
    if code != 0:
        code_file.write_text("{}\n".format(code if code > 0 else 128 - code))
        sys.exit(BUILD_FAILURE)


def on_term(_number, _frame):
    raise SystemFailure("terminated")


def main():
    signal.signal(signal.SIGTERM, on_term)
    program, arguments = sys.argv[1], sys.argv[2:]
    try:
        {"config": config, "prepare": prepare, "run": run, "cleanup": remove_box}[program](*arguments)
    except Exception as error:
        print("{}: {}".format(program, error), file=sys.stderr)
        sys.exit(SYSTEM_FAILURE)


if __name__ == "__main__":
    main()
