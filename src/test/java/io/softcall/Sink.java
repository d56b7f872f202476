package io.softcall;

import com.sun.net.httpserver.HttpServer;
import io.cloudevents.CloudEvent;
import io.cloudevents.http.HttpMessageFactory;
import io.quarkus.test.common.QuarkusTestResourceLifecycleManager;
import java.io.IOException;
import java.io.UncheckedIOException;
import java.net.InetAddress;
import java.net.InetSocketAddress;
import java.util.List;
import java.util.Map;
import java.util.concurrent.CopyOnWriteArrayList;
import java.util.concurrent.atomic.AtomicInteger;

/** A receiver of events in place of a broker. It reads them with the CloudEvents SDK, and keeps them for the test. */
public final class Sink implements QuarkusTestResourceLifecycleManager {

    private final List<CloudEvent> events = new CopyOnWriteArrayList<>();
    private final AtomicInteger refusals = new AtomicInteger();
    private HttpServer server;

    @Override
    public Map<String, String> start() {
        try {
            server = HttpServer.create(new InetSocketAddress(InetAddress.getLoopbackAddress(), 0), 0);
        } catch (IOException e) {
            throw new UncheckedIOException(e);
        }
        server.createContext("/", exchange -> {
            byte[] body = exchange.getRequestBody().readAllBytes();
            int status = refusals.getAndUpdate(left -> Math.max(0, left - 1)) > 0 ? 503 : 202;
            if (status == 202) {
                events.add(HttpMessageFactory.createReader(
                                header -> exchange.getRequestHeaders()
                                        .forEach((name, values) -> header.accept(name, values.getFirst())),
                                body)
                        .toEvent());
            }
            exchange.sendResponseHeaders(status, -1);
            exchange.close();
        });
        server.start();
        return Map.of(
                "softcall.jobs.broker",
                "http://127.0.0.1:" + server.getAddress().getPort());
    }

    /** Returns all events since the last call. */
    public List<CloudEvent> take() {
        List<CloudEvent> taken = List.copyOf(events);
        events.clear();
        return taken;
    }

    /** Answers the next events with 503. */
    public void refuse(int times) {
        refusals.set(times);
    }

    @Override
    public void stop() {
        if (server != null) {
            server.stop(0);
        }
    }

    @Override
    public void inject(TestInjector injector) {
        injector.injectIntoFields(this, new TestInjector.MatchesType(Sink.class));
    }
}
