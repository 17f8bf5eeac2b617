"""Servers on this machine that give a file to whoever asks."""

import http.server


class QuietHandler(http.server.SimpleHTTPRequestHandler):
    def log_message(self, *args):
        pass


def send_once(server, data):
    connection, _ = server.accept()
    with connection:
        connection.sendall(data)
