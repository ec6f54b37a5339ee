from __future__ import annotations

import os
import subprocess
import sys

from exp.run.process import lives, started, this_process


def test_a_process_lives_until_it_ends_and_its_id_is_not_enough():
    child = subprocess.Popen([sys.executable, "-c", "import sys; sys.stdin.read()"], stdin=subprocess.PIPE)
    writer = {**this_process(), "pid": child.pid}
    writer["started"] = started(child.pid)
    assert lives(writer) is True
    assert lives({**writer, "started": writer["started"] - 100}) is False  # the id is used again
    child.kill()
    os.waitid(os.P_PID, child.pid, os.WEXITED | os.WNOWAIT)
    assert lives(writer) is False  # a zombie: nobody has asked for its exit code
    child.wait()
    assert lives(writer) is False


def test_what_cannot_be_known_from_here():
    assert lives({**this_process(), "host": "elsewhere", "machine": "another/kernel"}) is None
    assert lives({"host": this_process()["host"]}) is None
    assert lives({"pid": True, "host": this_process()["host"]}) is None
    assert lives({**this_process(), "machine": "before-the-reboot/pid:[1]"}) is False


def test_a_record_of_the_first_version_has_only_the_id():
    assert lives({"pid": os.getpid(), "host": this_process()["host"]}) is True
