"""A server that hands out one file by FTP, as far as urllib asks for it."""

import contextlib
import socket
import socketserver
import threading
from collections.abc import Iterator

_ANSWERS = {
    "USER": "331 which password",
    "PASS": "230 come in",
    "TYPE": "200 bytes",
    "CWD": "250 there",
    "QUIT": "221 bye",
}


@contextlib.contextmanager
def serving(content: bytes | None) -> Iterator[str]:
    """Yields the address of a folder; files in it have the content, or begin and never come."""

    class Handler(socketserver.StreamRequestHandler):
        def say(self, line: str) -> None:
            self.wfile.write(f"{line}\r\n".encode())

        def handle(self) -> None:
            self.say("220 here")
            with socket.create_server(("127.0.0.1", 0)) as data:
                port = data.getsockname()[1]
                for line in self.rfile:
                    match line.decode().split()[0]:
                        case "PASV":
                            self.say(f"227 at (127,0,0,1,{port >> 8},{port & 255})")
                        case "RETR":
                            self.send(data)
                        case command:
                            self.say(_ANSWERS.get(command, "502 not here"))

        def send(self, data: socket.socket) -> None:
            with data.accept()[0] as connection:
                self.say("150 it comes")
                with contextlib.suppress(OSError):  # who only asked hangs up
                    if content is None:
                        connection.settimeout(3)
                        connection.recv(1)
                    connection.sendall(content or b"")
            self.say("226 that was it")

    class Server(socketserver.ThreadingTCPServer):
        daemon_threads = True

        def handle_error(self, request, client_address):
            pass  # who hung up

    with Server(("127.0.0.1", 0), Handler) as server:
        threading.Thread(target=server.serve_forever, args=(0.02,), daemon=True).start()
        try:
            yield f"ftp://reader:reader@127.0.0.1:{server.server_address[1]}"
        finally:
            server.shutdown()
