// Node's http server: node backend.mjs PORT. Answers with what it read.
import http from "node:http";

const server = http.createServer((request, response) => {
  const parts = [];
  request.on("data", (part) => parts.push(part));
  request.on("end", () => {
    const body = Buffer.concat(parts).toString("hex");
    const told = JSON.stringify({ method: request.method, target: request.url, body });
    response.setHeader("Content-Length", Buffer.byteLength(told));
    response.end(told);
  });
});
server.listen(Number(process.argv[2]), "127.0.0.1");
