"""gRPC of the PyPI package `grpcio`, without generated code: an app, and a client.

serve [AGE]                   prints its port; with AGE, each connection gets a GOAWAY after so many ms
call ADDRESS CA_FILE TOKEN    makes calls of every kind through the gateway, and says `fine`
keep ADDRESS CA_FILE TOKEN    calls for some seconds, all of which must succeed
"""

import concurrent.futures
import sys
import threading
import time

import grpc

SEEN = {}


def unary(request, context):
    SEEN.update((k, v) for k, v in context.invocation_metadata())
    context.send_initial_metadata((("x-initial", "1"),))
    context.set_trailing_metadata((("x-trailing", "2"), ("x-trailing-bin", b"\x00\xff")))
    return request


def seen(request, context):
    return repr(sorted(SEEN)).encode()


def many(request, context):
    for n in range(int(request)):
        yield str(n).encode()


def count(requests, context):
    return str(sum(len(request) for request in requests)).encode()


def both(requests, context):
    for request in requests:
        yield request


def fail(request, context):
    context.set_trailing_metadata((("x-why", "because"),))
    context.abort(grpc.StatusCode.FAILED_PRECONDITION, "not so: \u00e4")


def slow(request, context):
    left = context.time_remaining()
    if request == b"left":
        return str(left).encode()
    cancelled = threading.Event()
    context.add_callback(cancelled.set)
    cancelled.wait(10)
    SEEN["cancelled"] = ""
    return b""


HANDLERS = {
    "Unary": grpc.unary_unary_rpc_method_handler(unary),
    "Seen": grpc.unary_unary_rpc_method_handler(seen),
    "Many": grpc.unary_stream_rpc_method_handler(many),
    "Count": grpc.stream_unary_rpc_method_handler(count),
    "Both": grpc.stream_stream_rpc_method_handler(both),
    "Fail": grpc.unary_unary_rpc_method_handler(fail),
    "Slow": grpc.unary_unary_rpc_method_handler(slow),
}


def serve(age=None):
    options = [("grpc.max_connection_age_ms", int(age))] if age else []
    server = grpc.server(concurrent.futures.ThreadPoolExecutor(64), options=options)
    server.add_generic_rpc_handlers((grpc.method_handlers_generic_handler("test.Test", HANDLERS),))
    port = server.add_insecure_port("127.0.0.1:0")
    server.start()
    print(port, flush=True)
    server.wait_for_termination()


def refused(code, call):
    try:
        call()
    except grpc.RpcError as error:
        assert error.code() == code, (error.code(), error.details())
        return error
    raise AssertionError(f"no {code}")


def opened(address, authority, token):
    credentials = grpc.ssl_channel_credentials(open(authority, "rb").read())
    options = [("grpc.ssl_target_name_override", "api.test"), ("grpc.default_authority", "api.test")]
    channel = grpc.secure_channel(address, credentials, options)
    metadata = (("authorization", f"Bearer {token}"), ("x-kept", "1"))
    return channel, metadata, lambda kind, name: getattr(channel, kind)(f"/test.Test/{name}")


def keep(*place):
    _, metadata, method = opened(*place)
    end, calls = time.monotonic() + 3, 0
    while time.monotonic() < end:
        pair = [method("unary_unary", "Unary").future(b"x", metadata=metadata) for _ in range(4)]
        assert [one.result() for one in pair] == [b"x"] * 4
        calls += 4
    print("fine", calls)


def call(*place):
    channel, metadata, method = opened(*place)

    # One message each way, with metadata at both ends.
    answer, done = method("unary_unary", "Unary").with_call(b"hello", metadata=metadata)
    assert answer == b"hello"
    assert dict(done.initial_metadata())["x-initial"] == "1"
    trailing = dict(done.trailing_metadata())
    assert trailing["x-trailing"] == "2" and trailing["x-trailing-bin"] == b"\x00\xff", trailing
    assert method("unary_unary", "Unary")(b"x" * 3_000_000, metadata=metadata) == b"x" * 3_000_000
    fields = method("unary_unary", "Seen")(b"", metadata=metadata).decode()
    assert "x-kept" in fields and "authorization" not in fields, fields

    # Streams of each kind.
    assert len(list(method("unary_stream", "Many")(b"500", metadata=metadata))) == 500
    pieces = (b"x" * 1000 for _ in range(300))
    assert method("stream_unary", "Count")(pieces, metadata=metadata) == b"300000"
    # Each message waits for the answer to the one before.
    turn = threading.Semaphore(1)

    def questions():
        for n in range(20):
            assert turn.acquire(timeout=5), f"no answer to {n - 1}"
            yield str(n).encode()

    got = []
    for message in method("stream_stream", "Both")(questions(), metadata=metadata):
        got.append(message)
        turn.release()
    assert got == [str(n).encode() for n in range(20)], got

    # Errors of the app, of the gateway, of time.
    error = refused(grpc.StatusCode.FAILED_PRECONDITION, lambda: method("unary_unary", "Fail")(b"", metadata=metadata))
    assert error.details() == "not so: \u00e4" and dict(error.trailing_metadata())["x-why"] == "because"
    refused(grpc.StatusCode.UNIMPLEMENTED, lambda: method("unary_unary", "None")(b"", metadata=metadata))
    refused(grpc.StatusCode.UNAUTHENTICATED, lambda: method("unary_unary", "Unary")(b""))
    refused(grpc.StatusCode.UNAUTHENTICATED, lambda: list(method("unary_stream", "Many")(b"5")))
    refused(grpc.StatusCode.UNIMPLEMENTED, lambda: channel.unary_unary("/other.Other/X")(b"", metadata=metadata))
    left = float(method("unary_unary", "Slow")(b"left", metadata=metadata, timeout=30))
    assert 20 < left < 31, left
    refused(grpc.StatusCode.DEADLINE_EXCEEDED, lambda: method("unary_unary", "Slow")(b"", metadata=metadata, timeout=0.5))
    for _ in range(40):
        if "cancelled" in method("unary_unary", "Seen")(b"", metadata=metadata).decode():
            break
        time.sleep(0.1)
    else:
        raise AssertionError("the app did not hear of the cancellation")

    # A thousand at once.
    send = method("unary_unary", "Unary")
    calls = [send.future(str(n).encode(), metadata=metadata, timeout=30) for n in range(1000)]
    assert [call.result() for call in calls] == [str(n).encode() for n in range(1000)]
    print("fine")


{"serve": serve, "keep": keep, "call": call}[sys.argv[1]](*sys.argv[2:])
