"""The program that tests.forked.python() names: has its command line run in a fork, and stands for that process.

It gives away its files, passes on signals, and ends as the fork ends. Imports little: it is started many times.
"""

import array
import os
import signal
import socket
import sys

ADDRESS = None  # filled in where the program is written
PASSED_ON = (signal.SIGTERM, signal.SIGINT, signal.SIGHUP, signal.SIGUSR1, signal.SIGUSR2)


def open_files() -> list[int]:
    found = []
    for name in os.listdir("/proc/self/fd"):  # noqa: PTH208
        try:
            if os.get_inheritable(int(name)):
                found.append(int(name))
        except OSError:  # the listing's own
            pass
    return found


def main() -> None:
    files = open_files()
    server = socket.socket(socket.AF_UNIX)
    for number in PASSED_ON:
        if signal.getsignal(number) != signal.SIG_IGN:
            signal.signal(number, lambda number, frame: server.send(bytes([number])))
    job = repr((files, sys.argv[1:], dict(os.environb), os.getcwdb())).encode()  # noqa: PTH109
    # Blocked until the whole job is sent: a signal sends a byte of its own.
    signal.pthread_sigmask(signal.SIG_BLOCK, PASSED_ON)
    server.connect(ADDRESS)
    sent = array.array("i", files)
    server.sendmsg([len(job).to_bytes(8, "big")], [(socket.SOL_SOCKET, socket.SCM_RIGHTS, sent)])
    server.sendall(job)
    for file in files:  # they are the fork's: an end of a pipe must not stay open here
        if file != server.fileno():
            os.close(file)
    signal.pthread_sigmask(signal.SIG_UNBLOCK, PASSED_ON)
    code = int(server.recv(16) or b"1")
    if code < 0:
        if -code != signal.SIGKILL:
            signal.signal(-code, signal.SIG_DFL)
        os.kill(os.getpid(), -code)
    os._exit(code)


main()
