"""A client of the newest OpenSSL, with the settings it comes with: what does a handshake settle?

Usage: tls_client.py PORT NAME TRUST; prints version, suite, group and protocol.
"""

import socket
import sys

from OpenSSL import SSL

port, name, trust = int(sys.argv[1]), sys.argv[2], sys.argv[3]
context = SSL.Context(SSL.TLS_CLIENT_METHOD)
context.load_verify_locations(trust)
context.set_verify(SSL.VERIFY_PEER)
context.set_alpn_protos([b"h2", b"http/1.1"])
connection = SSL.Connection(context, socket.create_connection(("127.0.0.1", port), 10))
connection.setblocking(True)
connection.set_tlsext_host_name(name.encode())
connection.set_connect_state()
connection.do_handshake()
version = connection.get_protocol_version_name()
suite, group = connection.get_cipher_name(), connection.get_group_name()
print(version, suite, group, connection.get_alpn_proto_negotiated().decode())
