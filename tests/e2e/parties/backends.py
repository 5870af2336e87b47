"""One HTTP server of many kinds: python backends.py KIND PORT.

Each answers with JSON that says what it read: method, target, body in hex. The code beside the
server is as little as can be, so that what is told is what the server's own parser read.
"""

import asyncio
import json
import sys


def told(method, target, body):
    return json.dumps({"method": method, "target": target, "body": body.hex()}).encode()


async def asgi(scope, receive, send):
    if scope["type"] == "lifespan":
        while True:
            message = await receive()
            await send({"type": message["type"] + ".complete"})
            if message["type"] == "lifespan.shutdown":
                return
    body = b""
    more = True
    while more:
        message = await receive()
        body += message.get("body", b"")
        more = message.get("more_body", False)
    target = scope["raw_path"].split(b"?")[0]
    if scope["query_string"]:
        target += b"?" + scope["query_string"]
    content = told(scope["method"], target.decode("latin-1"), body)
    length = str(len(content)).encode()
    await send({"type": "http.response.start", "status": 200, "headers": [(b"content-length", length)]})
    await send({"type": "http.response.body", "body": content})


def wsgi(environ, start_response):
    body = environ["wsgi.input"].read()
    target = environ.get("RAW_URI") or environ.get("REQUEST_URI")
    content = told(environ["REQUEST_METHOD"], target, body)
    start_response("200 OK", [("Content-Length", str(len(content)))])
    return [] if environ["REQUEST_METHOD"] == "HEAD" else [content]


def uvicorn(parser):
    import uvicorn

    uvicorn.run(asgi, host="127.0.0.1", port=PORT, http=parser, log_level="critical", lifespan="off")


def hypercorn():
    from hypercorn.asyncio import serve
    from hypercorn.config import Config

    config = Config()
    config.bind = [f"127.0.0.1:{PORT}"]
    asyncio.run(serve(asgi, config))


def gunicorn():
    from gunicorn.app.base import BaseApplication

    class App(BaseApplication):
        def load_config(self):
            settings = {"bind": f"127.0.0.1:{PORT}", "worker_class": "gthread", "threads": 4}
            settings["loglevel"] = "critical"
            for name, value in settings.items():
                self.cfg.set(name, value)

        def load(self):
            return wsgi

    App().run()


def waitress():
    import waitress

    waitress.serve(wsgi, host="127.0.0.1", port=PORT, _quiet=True)


def aiohttp():
    from aiohttp import web

    async def handle(request):
        body = await request.read()
        return web.Response(body=told(request.method, request.raw_path, body))

    app = web.Application()
    app.router.add_route("*", "/{rest:.*}", handle)
    web.run_app(app, host="127.0.0.1", port=PORT, print=None, access_log=None)


def tornado():
    import tornado.web

    class Handler(tornado.web.RequestHandler):
        SUPPORTED_METHODS = ("GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS")

        def any(self):
            self.finish(told(self.request.method, self.request.uri, self.request.body))

        get = head = post = put = patch = delete = options = any

    async def main():
        tornado.web.Application([(r".*", Handler)], log_function=lambda _: None).listen(PORT, "127.0.0.1")
        await asyncio.Event().wait()

    asyncio.run(main())


def http_server():
    from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def any(self):
            if self.headers.get("Transfer-Encoding"):
                # This server leaves reading chunks to the app, and there is none.
                self.close_connection = True
                self.send_error(411)
                return
            body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
            content = told(self.command, self.path, body)
            self.send_response(200)
            self.send_header("Content-Length", str(len(content)))
            self.end_headers()
            if self.command != "HEAD":
                self.wfile.write(content)

        do_GET = do_HEAD = do_POST = do_PUT = do_PATCH = do_DELETE = do_OPTIONS = any

        def log_message(self, *_):
            pass

    ThreadingHTTPServer(("127.0.0.1", PORT), Handler).serve_forever()


KINDS = {
    "uvicorn-h11": lambda: uvicorn("h11"),
    "uvicorn-httptools": lambda: uvicorn("httptools"),
    "hypercorn": hypercorn,
    "gunicorn": gunicorn,
    "waitress": waitress,
    "aiohttp": aiohttp,
    "tornado": tornado,
    "http.server": http_server,
}
PORT = int(sys.argv[2])
if __name__ == "__main__":
    KINDS[sys.argv[1]]()
