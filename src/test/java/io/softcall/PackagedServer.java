package io.softcall;

import java.io.BufferedReader;
import java.io.IOException;
import java.io.InputStreamReader;
import java.io.UncheckedIOException;
import java.net.URI;
import java.nio.charset.StandardCharsets;
import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import java.util.concurrent.CopyOnWriteArrayList;
import java.util.concurrent.TimeUnit;
import java.util.regex.Matcher;
import java.util.regex.Pattern;

/** The packaged server on the tiny base, as a separate process on a free port. */
public final class PackagedServer implements AutoCloseable {

    private static final Pattern LISTENS = Pattern.compile("Listening on: http://[^:]+:([0-9]+)");

    private final Process process;
    private final List<String> log = new CopyOnWriteArrayList<>();
    private final URI uri;

    /**
     * Starts the server, and waits until it listens.
     *
     * @param settings in addition to those of {@link Tiny}
     * @throws IllegalStateException if it ends before it listens; the message contains its log
     */
    public PackagedServer(Map<String, String> settings) throws IOException {
        ProcessBuilder builder = process();
        builder.environment().putAll(Tiny.environment(settings));
        process = builder.redirectErrorStream(true).start();
        BufferedReader out =
                new BufferedReader(new InputStreamReader(process.getInputStream(), StandardCharsets.UTF_8));
        uri = URI.create("http://localhost:" + port(out));
        Thread.ofVirtual().start(() -> out.lines().forEach(log::add));
    }

    /**
     * Returns a process of the packaged program that is not started yet, on the tiny base and a free port. It is the native
     * executable in the Maven profile {@code native}.
     *
     * @param arguments of the program: none for the server
     */
    public static ProcessBuilder process(String... arguments) {
        List<String> command = new ArrayList<>();
        String executable = System.getProperty("native.image.path");
        if (executable == null) {
            command.addAll(List.of("target/quarkus-app/softcall-server", "-XX:TieredStopAtLevel=1", "--"));
        } else {
            command.add(executable);
        }
        command.addAll(List.of(arguments));
        ProcessBuilder builder = new ProcessBuilder(command);
        builder.environment().putAll(Tiny.environment(Tiny.SETTINGS));
        builder.environment().putAll(Map.of("JAVA_HOME", System.getProperty("java.home"), "QUARKUS_HTTP_PORT", "0"));
        return builder;
    }

    private String port(BufferedReader out) throws IOException {
        String line = out.readLine();
        while (line != null) {
            log.add(line);
            Matcher listens = LISTENS.matcher(line);
            if (listens.find()) {
                return listens.group(1);
            }
            line = out.readLine();
        }
        throw new IllegalStateException("the server ended: " + String.join("\n", log));
    }

    public URI uri() {
        return uri;
    }

    public List<String> log() {
        return List.copyOf(log);
    }

    /** Sends a signal, such as {@code TERM}. */
    public void signal(String name) {
        try {
            new ProcessBuilder("kill", "-" + name, Long.toString(process.pid()))
                    .start()
                    .waitFor();
        } catch (IOException e) {
            throw new UncheckedIOException(e);
        } catch (InterruptedException e) {
            Thread.currentThread().interrupt();
        }
    }

    /**
     * Waits for the end of the server, and returns its exit status.
     *
     * @throws IllegalStateException if it runs for longer
     */
    public int awaitEnd(int seconds) throws InterruptedException {
        if (!process.waitFor(seconds, TimeUnit.SECONDS)) {
            throw new IllegalStateException("the server goes on: " + String.join("\n", log));
        }
        return process.exitValue();
    }

    @Override
    public void close() {
        process.destroyForcibly();
    }
}
