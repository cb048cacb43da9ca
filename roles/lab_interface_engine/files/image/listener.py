#!/usr/bin/python3
# SPDX-License-Identifier: GPL-3.0-or-later
"""Takes HL7 v2 messages over MLLP, and acknowledges one when the database has it.

Senders repeat until they are acknowledged, also to the other engine, so a message that is there already (the same
MSH-10) is acknowledged and not kept a second time. What cannot be kept is answered with AE, what is no message with AR.
"""

import socketserver

import psycopg2

DATABASE = "host=10.77.10.30 dbname=ehr user=portal password=of-the-lab-only connect_timeout=3"
KEEP = "INSERT INTO hl7_message (control_id, content) VALUES (%s, %s) ON CONFLICT (control_id) DO NOTHING"
START, END = b"\x0b", b"\x1c\r"
LONGEST = 1 << 20


def keep(control_id, content):
    """Keep one message once."""
    connection = psycopg2.connect(DATABASE)
    try:
        with connection, connection.cursor() as cursor:
            cursor.execute(KEEP, (control_id, content))
    finally:
        connection.close()


def answer(content):
    """The acknowledgement of one message."""
    fields = content.split("\r", 1)[0].split("|")
    if fields[0] != "MSH" or len(fields) < 12 or not fields[9]:
        return acknowledgement("AR", "", "no MSH segment with a control id")
    try:
        keep(fields[9], content)
    except psycopg2.Error as error:
        return acknowledgement("AE", fields[9], (str(error).splitlines() or ["not kept"])[0])
    return acknowledgement("AA", fields[9], "")


def acknowledgement(code, control_id, text):
    """An ACK message; what it says of an error holds no separator."""
    text = text.replace("|", " ")
    return f"MSH|^~\\&|ENGINE|LAB|||20260101||ACK|A{control_id}|P|2.5\rMSA|{code}|{control_id}|{text}\r"


class Connection(socketserver.StreamRequestHandler):
    """One sender; several messages, one after the other."""

    timeout = 60

    def handle(self):
        """Answer until the sender goes."""
        waiting = b""
        while len(waiting) < LONGEST:
            try:
                got = self.connection.recv(65536)
            except OSError:
                return
            if not got:
                return
            waiting += got
            while END in waiting:
                message, waiting = waiting.split(END, 1)
                content = message.partition(START)[2].decode(errors="replace")
                self.connection.sendall(START + answer(content).encode() + END)


class Server(socketserver.ThreadingTCPServer):
    """Listens for senders."""

    allow_reuse_address = True
    daemon_threads = True


if __name__ == "__main__":
    Server(("", 2575), Connection).serve_forever()
