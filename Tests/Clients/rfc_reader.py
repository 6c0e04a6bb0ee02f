# A strict reader of RFC 9112 that knows nothing of the gateway's own: what a request is cannot be asked of
# the program under test.

import re

TOKEN = rb"[!#$%&'*+\-.^_`|~0-9A-Za-z]+"
REQUEST_LINE = re.compile(rb"(%s) ([\x21\x22\x24-\x7e]+) HTTP/1\.([01])" % TOKEN)
STATUS_LINE = re.compile(rb"HTTP/1\.([01]) ([1-5][0-9][0-9])(?: ([\t\x20-\x7e\x80-\xff]*))?")
FIELD = re.compile(rb"(%s):[ \t]*((?:[\x21-\x7e\x80-\xff](?:[\t\x20-\x7e\x80-\xff]*[\x21-\x7e\x80-\xff])?)?)"
                   rb"[ \t]*" % TOKEN)
SIZE = re.compile(rb"([0-9A-Fa-f]{1,15})(;[\t\x20-\x7e\x80-\xff]*)?")
HOST = re.compile(rb"(?:[\w-]+(?:\.[\w-]+)*\.?|\[[0-9A-Fa-f:.]+\])(?::[0-9]*)?", re.ASCII)


class Malformed(Exception):
    """The bytes are no message."""


class Incomplete(Exception):
    """The bytes are the beginning of one."""


class Message:
    """A request or a response as the strict reader sees it."""

    def __init__(self, start, lines, fields):
        self.start, self.lines, self.fields = start, lines, fields
        self.body, self.is_chunked, self.head_end, self.end = b"", False, 0, 0
        self.trailers = []

    def all(self, name):
        return [value for field, value in self.fields if field == name]

    @property
    def method(self):
        return self.start[0]

    @property
    def target(self):
        return self.start[1]

    @property
    def status(self):
        return int(self.start[1])


def _head(data, position, line):
    end = data.find(b"\r\n\r\n", position)
    text = data[position:] if end < 0 else data[position:end]
    lines = text.split(b"\r\n")
    if end < 0:
        raise Incomplete
    start = line.fullmatch(lines[0])
    if not start:
        raise Malformed(f"start line {lines[0]!r}")
    fields = []
    for text in lines[1:]:
        field = FIELD.fullmatch(text)
        if not field:
            raise Malformed(f"field {text!r}")
        fields.append((field.group(1).lower(), field.group(2)))
    message = Message(start.groups(), lines, fields)
    message.head_end = message.end = end + 4
    return message


def _framing(message, version):
    """The length, "chunked", or None where no field says one."""
    codings, lengths = message.all(b"transfer-encoding"), message.all(b"content-length")
    if codings:
        if lengths or version == b"0" or len(codings) > 1 or codings[0].lower() != b"chunked":
            raise Malformed("framing")
        return "chunked"
    if not lengths:
        return None
    if len(lengths) > 1 or not re.fullmatch(rb"[0-9]{1,18}", lengths[0]):
        raise Malformed(f"length {lengths}")
    return int(lengths[0])


def _content(message, data, length):
    if length != "chunked":
        message.body = data[message.end:message.end + length]
        message.end += length
        if len(data) < message.end:
            raise Incomplete
        return
    message.is_chunked, pieces, size = True, [], -1
    while size:
        end = data.find(b"\r\n", message.end)
        if end < 0:
            raise Incomplete
        match = SIZE.fullmatch(data[message.end:end])
        if not match:
            raise Malformed(f"chunk size {data[message.end:end]!r}")
        size = int(match.group(1), 16)
        pieces.append(data[end + 2:end + 2 + size])
        message.end = end + 2 + size
        if size:
            if len(data) < message.end + 2:
                raise Incomplete
            if data[message.end:message.end + 2] != b"\r\n":
                raise Malformed("end of a chunk")
            message.end += 2
    while True:
        end = data.find(b"\r\n", message.end)
        if end < 0:
            raise Incomplete
        line, message.end = data[message.end:end], end + 2
        if not line:
            break
        if not FIELD.fullmatch(line):
            raise Malformed(f"trailer {line!r}")
        message.trailers.append(line)
    message.body = b"".join(pieces)


def read_request(data, position=0, reads_body=True):
    """The request at the front of `data`, with one empty line before it as RFC 9112 §2.2 allows."""
    if data[position:position + 2] == b"\r\n":
        position += 2
    message = _head(data, position, REQUEST_LINE)
    hosts = message.all(b"host")
    if len(hosts) > 1 or (not hosts and message.start[2] == b"1") or not all(map(HOST.fullmatch, hosts)):
        raise Malformed(f"Host {hosts}")
    if reads_body:
        _content(message, data, _framing(message, message.start[2]) or 0)
    return message


def read_requests(data):
    """Every request at the front of `data`, up to the first that is not whole or not well-formed."""
    found, position = [], 0
    try:
        while position < len(data):
            found.append(read_request(data, position))
            position = found[-1].end
    except (Malformed, Incomplete):
        pass
    return found


def read_response(data, position=0, method=b"GET", has_ended=True):
    """The response at the front of `data`, interim ones before it left out."""
    while True:
        message = _head(data, position, STATUS_LINE)
        length = _framing(message, message.start[0])
        if message.status >= 200:
            break
        if message.status == 101:
            raise Malformed("101")
        position = message.end
    if method == b"HEAD" or message.status in (204, 304):
        return message
    if length is None:
        if not has_ended:
            raise Incomplete
        message.body, message.end = data[message.end:], len(data)
    else:
        _content(message, data, length)
    return message


def read_responses(data, method=b"GET"):
    """All that a client has received, the first as the answer to `method`; raises where it is not a row of
    whole responses."""
    found, position = [], 0
    while position < len(data):
        found.append(read_response(data, position, b"GET" if found else method))
        position = found[-1].end
    return found
