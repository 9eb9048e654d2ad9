"""The standard gRPC health service on a real gRPC server; answers in words of the command line.

grpc_server.py PORT SERVICE=STATUS... [--tls CERT KEY]
(Not to be called grpc_health.py: grpcio imports a module of that name.)
STATUS: 0 UNKNOWN, 1 SERVING, 2 NOT_SERVING; hang; any other service is NOT_FOUND.
Without any SERVICE the server has no health service at all.
"""
import sys
import time
from concurrent import futures

import grpc

port, words = sys.argv[1], sys.argv[2:]
tls = None
if "--tls" in words:
    at = words.index("--tls")
    tls, words = words[at + 1:], words[:at]
statuses = dict(word.rsplit("=", 1) for word in words)


def check(request, context):
    service = request[2:].decode() if request else ""
    status = statuses.get(service)
    if status == "hang":
        time.sleep(3600)
    if status is None:
        context.abort(grpc.StatusCode.NOT_FOUND, "unknown service")
    return bytes([8, int(status)]) if int(status) else b""


server = grpc.server(futures.ThreadPoolExecutor(max_workers=4))
if statuses:
    handler = grpc.unary_unary_rpc_method_handler(check)
    server.add_generic_rpc_handlers(
        (grpc.method_handlers_generic_handler("grpc.health.v1.Health", {"Check": handler}),))
if tls:
    cert, key = (open(name, "rb").read() for name in tls)
    server.add_secure_port("127.0.0.1:" + port, grpc.ssl_server_credentials([(key, cert)]))
else:
    server.add_insecure_port("127.0.0.1:" + port)
server.start()
print("ready", flush=True)
server.wait_for_termination()
