// The JDK's own server: java Backend.java PORT. Answers with what it read.
import com.sun.net.httpserver.HttpServer;
import java.net.InetSocketAddress;
import java.util.HexFormat;
import java.util.concurrent.Executors;

public class Backend {
    public static void main(String[] arguments) throws Exception {
        int port = Integer.parseInt(arguments[0]);
        HttpServer server = HttpServer.create(new InetSocketAddress("127.0.0.1", port), 0);
        server.setExecutor(Executors.newFixedThreadPool(4));
        server.createContext("/", exchange -> {
            byte[] body = exchange.getRequestBody().readAllBytes();
            String target = exchange.getRequestURI().toString().replace("\\", "\\\\").replace("\"", "\\\"");
            String told = "{\"method\": \"" + exchange.getRequestMethod() + "\", \"target\": \"" + target
                + "\", \"body\": \"" + HexFormat.of().formatHex(body) + "\"}";
            boolean isHead = exchange.getRequestMethod().equals("HEAD");
            byte[] content = told.getBytes("UTF-8");
            exchange.sendResponseHeaders(200, isHead ? -1 : content.length);
            if (!isHead) {
                exchange.getResponseBody().write(content);
            }
            exchange.close();
        });
        server.start();
    }
}
