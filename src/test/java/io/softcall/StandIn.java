package io.softcall;

import com.sun.net.httpserver.HttpExchange;
import com.sun.net.httpserver.HttpServer;
import java.io.IOException;
import java.io.UncheckedIOException;
import java.net.InetAddress;
import java.net.InetSocketAddress;
import java.net.URI;
import java.nio.charset.StandardCharsets;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.concurrent.CopyOnWriteArrayList;
import java.util.concurrent.ExecutorService;
import java.util.concurrent.Executors;
import java.util.function.Function;

/** An HTTP server with prepared answers: a proxy's page in place of a store, or a service that issues credentials. */
public final class StandIn implements AutoCloseable {

    private final HttpServer server;
    private final ExecutorService threads = Executors.newCachedThreadPool();
    private final List<Request> requests = new CopyOnWriteArrayList<>();

    /** A request. The names of headers are as the JDK's server writes them: {@code If-none-match}. */
    public record Request(String method, URI uri, Map<String, List<String>> headers, String body) {

        public Optional<String> header(String name) {
            return headers.getOrDefault(name, List.of()).stream().findFirst();
        }
    }

    /**
     * A prepared answer.
     *
     * @param sized whether the answer states the length of its body
     * @param sent the number of bytes of its body after which the connection ends
     */
    public record Reply(int status, Map<String, String> headers, byte[] body, boolean sized, int sent) {

        public static Reply of(int status, Map<String, String> headers, String body) {
            return of(status, headers, body.getBytes(StandardCharsets.UTF_8));
        }

        public static Reply of(int status, Map<String, String> headers, byte[] body) {
            return new Reply(status, headers, body, true, body.length);
        }

        /** Returns the same answer without a length, in chunks. */
        public Reply chunked() {
            return new Reply(status, headers, body, false, sent);
        }

        /** Returns the same answer, whose connection ends after {@code bytes} of its body. */
        public Reply brokenAfter(int bytes) {
            return new Reply(status, headers, body, sized, Math.min(bytes, body.length));
        }
    }

    public StandIn(Function<Request, Reply> answers) throws IOException {
        server = HttpServer.create(new InetSocketAddress(InetAddress.getLoopbackAddress(), 0), 0);
        server.setExecutor(threads);
        server.createContext("/", exchange -> answer(exchange, answers));
        server.start();
    }

    private void answer(HttpExchange exchange, Function<Request, Reply> answers) throws IOException {
        try (exchange) {
            Request request = new Request(
                    exchange.getRequestMethod(),
                    exchange.getRequestURI(),
                    Map.copyOf(exchange.getRequestHeaders()),
                    new String(exchange.getRequestBody().readAllBytes(), StandardCharsets.UTF_8));
            requests.add(request);
            Reply reply = answers.apply(request);
            reply.headers().forEach(exchange.getResponseHeaders()::set);
            if (request.method().equals("HEAD") && reply.sized()) {
                exchange.getResponseHeaders().set("Content-Length", Integer.toString(reply.body().length));
            }
            boolean none = reply.body().length == 0 || request.method().equals("HEAD") || reply.status() == 304;
            exchange.sendResponseHeaders(reply.status(), none ? -1 : reply.sized() ? reply.body().length : 0);
            if (!none) {
                exchange.getResponseBody().write(reply.body(), 0, reply.sent());
                if (reply.sent() < reply.body().length) {
                    exchange.getResponseBody().flush();
                }
            }
        } catch (RuntimeException e) {
            throw new UncheckedIOException(new IOException(e));
        }
    }

    public URI uri() {
        return URI.create("http://127.0.0.1:" + server.getAddress().getPort());
    }

    public List<Request> requests() {
        return requests;
    }

    @Override
    public void close() {
        server.stop(0);
        threads.shutdownNow();
    }
}
