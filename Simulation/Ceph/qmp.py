"""Listens to a QEMU and prints each event as one line: qmp.py SOCKET. Ends with the QEMU."""
import json, socket, sys

connection = socket.socket(socket.AF_UNIX)
connection.connect(sys.argv[1])
connection.sendall(b'{"execute": "qmp_capabilities"}\n')
for line in connection.makefile():
    message = json.loads(line)
    if "event" in message:
        print(message["event"], json.dumps(message.get("data", {})), flush=True)
