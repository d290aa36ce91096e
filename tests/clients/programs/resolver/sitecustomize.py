"""On PYTHONPATH, a hosts file: every name that begins with ``runtime-`` is this machine."""

import socket

_getaddrinfo = socket.getaddrinfo


def getaddrinfo(host, *arguments, **keywords):
    return _getaddrinfo("127.0.0.1" if str(host).startswith("runtime-") else host, *arguments, **keywords)


socket.getaddrinfo = getaddrinfo
