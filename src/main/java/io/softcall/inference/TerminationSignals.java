package io.softcall.inference;

import io.quarkus.runtime.LaunchMode;
import io.quarkus.runtime.Quarkus;
import io.quarkus.runtime.StartupEvent;
import jakarta.enterprise.event.Observes;
import java.lang.reflect.Proxy;
import java.util.Map;

/**
 * Lets calls that are under way end before the process does.
 *
 * <p>ONNX Runtime closes itself in a shutdown hook of its own. Hooks run side by side, so on a bare SIGTERM it would go away
 * under a run, and the process would crash. Here a signal stops the application first, gracefully, and only then exits.
 */
final class TerminationSignals {

    /** Exit statuses as a shell reports them: 128 and the number of the signal. */
    private static final Map<String, Integer> STATUSES = Map.of("TERM", 143, "INT", 130);

    void register(@Observes StartupEvent event) {
        if (LaunchMode.current() == LaunchMode.NORMAL) {
            STATUSES.forEach((name, status) -> handle(name, () -> Quarkus.asyncExit(status)));
        }
    }

    /** {@code sun.misc.Signal.handle}, by reflection: javac's warning of that class cannot be switched off by name. */
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
