"""Another AMQP client for the tests: Debian's python3-amqp, with every kind of header.

    amqp_peer.py PORT VIRTUAL_HOST publish EXCHANGE ROUTING_KEY BODY HEADERS [PROPERTIES]
    amqp_peer.py PORT VIRTUAL_HOST get QUEUE       prints {"body": ..., "properties": {...}, "headers": [...]},
                                                   or null when the queue is empty after 20 s
    amqp_peer.py PORT VIRTUAL_HOST reject QUEUE    as get, but rejects the message without requeueing it

Headers are a JSON array of [name, kind, value], in the order of the wire; kind is the letter that RabbitMQ uses on the
wire. Values by kind:
    t bool; b B s u I i l L T integers; f d numbers; S text, or {"hex": ...} when it is no UTF-8; x {"hex": ...};
    D [scale, integer]; V null; F an array of headers; A an array of [kind, value]
py-amqp gives up the kinds when it reads and reads some of them differently from RabbitMQ, so the tables are read and
written here; frames and methods are py-amqp's. Properties are a JSON object with py-amqp's names.
"""
import json
import struct
import sys
import time

import amqp
import amqp.serialization

NUMBERS = {"b": ">b", "B": ">B", "s": ">h", "u": ">H", "I": ">i", "i": ">I", "l": ">q", "L": ">Q", "T": ">Q",
           "f": ">f", "d": ">d"}


def write_value(kind, value):
    if kind in NUMBERS:
        return struct.pack(NUMBERS[kind], value)
    if kind == "t":
        return b"\1" if value else b"\0"
    if kind in "Sx":
        data = bytes.fromhex(value["hex"]) if isinstance(value, dict) else value.encode()
    elif kind == "D":
        return struct.pack(">BI", *value)
    elif kind == "V":
        return b""
    elif kind == "F":
        data = b"".join(write_entry(*entry) for entry in value)
    elif kind == "A":
        data = b"".join(item_kind.encode() + write_value(item_kind, item) for item_kind, item in value)
    else:
        raise SystemExit(f"amqp_peer.py: unknown kind {kind!r}")
    return struct.pack(">I", len(data)) + data


def write_entry(name, kind, value):
    data = name.encode()
    return bytes([len(data)]) + data + kind.encode() + write_value(kind, value)


def read_sized(buffer, offset):
    size, = struct.unpack_from(">I", buffer, offset)
    return bytes(buffer[offset + 4:offset + 4 + size]), offset + 4 + size


def read_item(buffer, offset):
    kind = chr(buffer[offset])
    offset += 1
    if kind in NUMBERS:
        value, = struct.unpack_from(NUMBERS[kind], buffer, offset)
        return (kind, value), offset + struct.calcsize(NUMBERS[kind])
    if kind == "t":
        return (kind, buffer[offset] != 0), offset + 1
    if kind == "D":
        return (kind, list(struct.unpack_from(">BI", buffer, offset))), offset + 5
    if kind == "V":
        return (kind, None), offset
    data, offset = read_sized(buffer, offset)
    if kind == "x":
        return (kind, {"hex": data.hex()}), offset
    if kind == "S":
        try:
            return (kind, data.decode()), offset
        except UnicodeDecodeError:
            return (kind, {"hex": data.hex()}), offset
    items = []
    position = 0
    while position < len(data):
        name = None
        if kind == "F":
            name = data[position + 1:position + 1 + data[position]].decode()
            position += 1 + data[position]
        item, position = read_item(data, position)
        items.append((name,) + item if kind == "F" else item)
    return (kind, items), offset


def write_item(pair, write, bits):
    kind, value = pair
    write(kind.encode() + write_value(kind, value))


def get(channel, queue):
    deadline = time.monotonic() + 20
    while time.monotonic() < deadline:
        message = channel.basic_get(queue)
        if message is not None:
            return message
        time.sleep(0.02)
    return None


def printable(message):
    if message is None:
        return None
    properties = dict(message.properties)
    headers = [[name, kind, value] for name, (kind, value) in properties.pop("application_headers", {}).items()]
    body = message.body
    if not isinstance(body, str):
        body = {"hex": bytes(body).hex()}
    return {"body": body, "properties": {k: str(v) for k, v in properties.items()}, "headers": headers,
            "exchange": message.delivery_info["exchange"], "routing_key": message.delivery_info["routing_key"],
            "redelivered": bool(message.delivery_info["redelivered"])}


def main(port, virtual_host, command, *arguments):
    with amqp.Connection(f"127.0.0.1:{port}", userid="guest", password="guest", virtual_host=virtual_host,
                         connect_timeout=60, read_timeout=60) as connection:
        channel = connection.channel()
        # From here on: the tables of the handshake are py-amqp's own.
        amqp.serialization._read_item = read_item
        amqp.serialization._write_item = write_item
        if command == "publish":
            exchange, routing_key, body, headers = arguments[:4]
            properties = json.loads(arguments[4]) if len(arguments) > 4 else {}
            table = {name: (kind, value) for name, kind, value in json.loads(headers)}
            channel.confirm_select()
            if table:
                properties["application_headers"] = table
            channel.basic_publish_confirm(amqp.Message(body, **properties), exchange=exchange, routing_key=routing_key)
        elif command in ("get", "reject"):
            message = get(channel, arguments[0])
            if message is not None and command == "get":
                channel.basic_ack(message.delivery_tag)
            elif message is not None:
                channel.basic_reject(message.delivery_tag, requeue=False)
            print(json.dumps(printable(message)))
        else:
            raise SystemExit(f"amqp_peer.py: unknown command {command!r}")


main(*sys.argv[1:])
