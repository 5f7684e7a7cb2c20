"""Python's part of `ci/check bench syscalls`: see src/bin/syscalls.rs."""

import os
import selectors
import socket
import threading
import time

WHO = "Python"


def mark(text):
    try:
        os.write(-1, text.encode())
    except OSError:
        pass


def task(name, work):
    begin = f"begin {name}\t{WHO}"
    mark(begin)
    kept = work()
    mark("end")
    return kept


def later(peer):
    def write():
        time.sleep(0.05)
        peer.send(b"!")
        time.sleep(0.05)

    threading.Thread(target=write).start()


def accept(listener):
    connection, _ = listener.accept()
    connection.setblocking(False)
    return connection


def main():
    one, other = socket.socketpair()
    task("make a descriptor non-blocking", lambda: one.setblocking(False))
    listener = socket.create_server(("127.0.0.1", 0))
    listener.setblocking(False)
    _client = socket.create_connection(listener.getsockname())
    task("accept a connection ready for use", lambda: accept(listener))
    other.send(b"!")
    task("read when data is there", lambda: one.recv(8))
    task("write that fits", lambda: one.send(b"!"))

    selector = selectors.DefaultSelector()
    selector.register(one, selectors.EVENT_READ)

    def wait():
        selector.select(10)
        one.recv(8)

    def try_first():
        try:
            one.recv(8)
        except BlockingIOError:
            wait()

    later(other)
    task("read that must wait: wait, then read", wait)
    later(other)
    task("read that must wait, for 10 s at most: try, wait, read", try_first)

    pairs = [socket.socketpair() for _ in range(64)]
    pairs[40][1].send(b"!")

    def first():
        many = selectors.DefaultSelector()
        for one, _ in pairs:
            many.register(one, selectors.EVENT_READ)
        assert len(many.select()) == 1
        return many

    many = task("wait for one of 64, the first time", first)
    task("wait for one of 64, again", many.select)
    task("wait for one of 64, and read it", lambda: many.select(10)[0][0].fileobj.recv(8))


main()
