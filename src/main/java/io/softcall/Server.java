package io.softcall;

import io.quarkus.runtime.ApplicationLifecycleManager;
import io.quarkus.runtime.LaunchMode;
import io.quarkus.runtime.Quarkus;
import io.quarkus.runtime.StartupEvent;
import io.quarkus.runtime.annotations.QuarkusMain;
import io.softcall.api.cli.ClassifyLines;
import io.softcall.api.http.Draining;
import io.softcall.inference.generation.Generator;
import io.softcall.inference.opening.EarlyOpening;
import jakarta.enterprise.event.Observes;
import jakarta.enterprise.inject.spi.CDI;
import java.lang.reflect.Proxy;
import java.time.Duration;
import java.util.Arrays;
import java.util.Map;
import java.util.logging.LogManager;

/**
 * Starts the server or the command line. On SIGTERM and SIGINT, lets calls in progress end before the process exits.
 *
 * <p>ONNX Runtime closes itself in a shutdown hook, and the JVM runs all hooks at the same time. On a plain SIGTERM,
 * ONNX Runtime could therefore close during a forward pass, or while it opens the base, and the process would crash.
 * Here a signal first stops the application gracefully, and only then exits. A signal that arrives before the
 * application can be stopped waits until it can. An exit for any other reason waits until the base is open.
 */
@QuarkusMain
public final class Server {

    /** Exit statuses as a shell reports them: 128 and the number of the signal. */
    private static final Map<String, Integer> STATUSES = Map.of("TERM", 143, "INT", 130);

    /** The rest of quarkus.shutdown.timeout is for sending what was written. */
    private static final Duration TIME_OF_ANSWERS = Duration.ofSeconds(7);

    private static boolean started;
    private static int awaited;

    /** @param args none for the server; {@code classify} and its options for standard input and output */
    public static void main(String... args) {
        // HeaderDeadline needs this property before Netty's first class is loaded.
        System.setProperty("io.netty.bootstrap.extensions", "serviceload");
        if (!isDevelopment()) {
            listen();
            ApplicationLifecycleManager.setDefaultExitCodeHandler(Server::leave);
        }
        NativeLibraries.find();
        // Before there are other threads: Java's and JBoss's log managers initialise each other's classes, and two
        // threads
        // that begin with one each would wait for each other for ever.
        LogManager.getLogManager();
        EarlyOpening.begin();
        if (args.length > 0 && args[0].equals("classify")) {
            ClassifyLines.configure();
            Quarkus.run(ClassifyLines.class, Arrays.copyOfRange(args, 1, args.length));
        } else {
            Quarkus.run(args);
        }
    }

    /**
     * Returns whether Quarkus runs in development mode, which restarts the application within one process and has its
     * own signal handlers. The class loader reveals it: {@link LaunchMode} is set later.
     */
    private static boolean isDevelopment() {
        return Server.class.getClassLoader().getClass().getName().startsWith("io.quarkus.bootstrap.classloading.");
    }

    /** Exits once the base is open. Quarkus also calls this when the start failed while the base was being opened. */
    private static void leave(int status) {
        EarlyOpening.awaitEnd();
        System.exit(status);
    }

    void start(@Observes StartupEvent event) {
        if (LaunchMode.current() == LaunchMode.NORMAL) {
            listen(); // again: in a native executable, Quarkus has replaced the handlers
            started();
        }
    }

    private static void listen() {
        STATUSES.forEach((name, status) -> handle(name, () -> exit(status)));
    }

    private static synchronized void exit(int status) {
        if (started) {
            CDI.current().select(Draining.class).get().begin();
            CDI.current().select(Generator.class).get().endWithin(TIME_OF_ANSWERS);
            Quarkus.asyncExit(status);
        } else {
            awaited = status;
        }
    }

    private static synchronized void started() {
        started = true;
        if (awaited != 0) {
            Quarkus.asyncExit(awaited);
        }
    }

    /**
     * Calls {@code sun.misc.Signal.handle} by reflection: javac's warning about that class cannot be suppressed by
     * name.
     */
    private static void handle(String name, Runnable action) {
        try {
            Class<?> signal = Class.forName("sun.misc.Signal");
            Class<?> handler = Class.forName("sun.misc.SignalHandler");
            Object proxy =
                    Proxy.newProxyInstance(handler.getClassLoader(), new Class<?>[] {handler}, (self, method, args) -> {
                        action.run();
                        return null;
                    });
            signal.getMethod("handle", signal, handler)
                    .invoke(null, signal.getConstructor(String.class).newInstance(name), proxy);
        } catch (ReflectiveOperationException e) {
            throw new IllegalStateException("this Java runtime has no sun.misc.Signal", e);
        }
    }
}
