package io.softcall.api.cli;

import com.fasterxml.jackson.core.JsonGenerator;
import com.fasterxml.jackson.databind.json.JsonMapper;
import io.quarkus.arc.Unremovable;
import io.quarkus.runtime.QuarkusApplication;
import io.softcall.SoftcallException;
import io.softcall.api.Errors;
import io.softcall.inference.Classification;
import io.softcall.inference.Classifier;
import io.softcall.inference.Classifier.Outcome;
import io.softcall.inference.model.InferenceConfig;
import io.softcall.jobs.files.ResultFields;
import io.softcall.task.Task;
import io.softcall.task.catalog.Tasks;
import jakarta.inject.Singleton;
import java.io.BufferedOutputStream;
import java.io.BufferedReader;
import java.io.IOException;
import java.io.InputStreamReader;
import java.io.PrintStream;
import java.io.StringWriter;
import java.nio.charset.StandardCharsets;
import java.time.Duration;
import java.util.ArrayList;
import java.util.List;
import java.util.Locale;
import java.util.Optional;
import java.util.concurrent.CompletionException;

/**
 * The command {@code classify}. Each line of standard input is a text, or two texts with a tab between them for a task
 * on pairs. For each line it writes a line of JSON, in order. It opens no port. The exit status is 0 when every line
 * was classified, 1 when not, and 2 for wrong options.
 */
@Singleton
@Unremovable
public class ClassifyLines implements QuarkusApplication {

    private static final JsonMapper JSON = new JsonMapper();
    private static final int FAILED = 1;
    private static final int MISUSED = 2;

    private final Tasks tasks;
    private final Classifier classifier;
    private final int chunk;

    ClassifyLines(Tasks tasks, Classifier classifier, InferenceConfig config) {
        this.tasks = tasks;
        this.classifier = classifier;
        this.chunk = config.limits().texts();
    }

    /** Configures Quarkus for a process that uses standard input and output. */
    public static void configure() {
        System.setProperty("quarkus.http.host-enabled", "false");
        System.setProperty("quarkus.log.console.stderr", "true");
        System.setProperty("quarkus.log.level", "WARN");
    }

    @Override
    public int run(String... arguments) throws IOException {
        ClassifyOptions options;
        try {
            options = ClassifyOptions.parse(arguments);
        } catch (SoftcallException e) {
            System.err.println("classify: " + e.getMessage());
            return MISUSED;
        }
        var out = new PrintStream(new BufferedOutputStream(System.out), false, StandardCharsets.UTF_8);
        try (var in = new BufferedReader(new InputStreamReader(System.in, StandardCharsets.UTF_8))) {
            return run(options, in, out) ? 0 : FAILED;
        } catch (SoftcallException e) {
            System.err.println("classify: " + e.getMessage());
            return FAILED;
        } finally {
            out.flush();
        }
    }

    /** Returns whether every line was classified. */
    boolean run(ClassifyOptions options, BufferedReader in, PrintStream out) throws IOException {
        boolean good = true;
        for (List<String> lines = next(in); !lines.isEmpty(); lines = next(in)) {
            try (Tasks.Use use = tasks.revalidate(options.task())) {
                good &= classify(options, lines, validated(use), out);
            }
            out.flush();
        }
        return good;
    }

    /** Waits for a line, then returns the lines that are available, at most as many as share a batch. */
    private List<String> next(BufferedReader in) throws IOException {
        List<String> lines = new ArrayList<>();
        String line = in.readLine();
        while (line != null) {
            lines.add(line);
            line = lines.size() < chunk && in.ready() ? in.readLine() : null;
        }
        return lines;
    }

    private boolean classify(ClassifyOptions options, List<String> lines, Tasks.Validated validated, PrintStream out)
            throws IOException {
        boolean good = true;
        Task task = validated.stored().task();
        int fields = task.classification().template().fields();
        List<List<String>> rows =
                lines.stream().map(line -> List.of(line.split("\t", fields))).toList();
        for (Outcome outcome :
                classifier.start(validated.stored(), rows, options.truncate()).await()) {
            good &= outcome instanceof Outcome.Answered;
            out.println(json(outcome, task, validated.staleness(), options.scores()));
        }
        return good;
    }

    private static Tasks.Validated validated(Tasks.Use use) {
        try {
            return use.validated().join();
        } catch (CompletionException e) {
            throw Errors.unwrap(e);
        }
    }

    private static String json(Outcome outcome, Task task, Optional<Duration> staleness, boolean scores)
            throws IOException {
        StringWriter line = new StringWriter();
        try (JsonGenerator out = JSON.createGenerator(line)) {
            out.writeStartObject();
            switch (outcome) {
                case Outcome.Answered(Classification.Prediction row) -> ResultFields.label(out, task, row, scores);
                case Outcome.Refused(SoftcallException problem) -> {
                    out.writeObjectFieldStart("error");
                    out.writeStringField("message", problem.getMessage());
                    out.writeStringField("type", problem.reason().name().toLowerCase(Locale.ROOT));
                    out.writeEndObject();
                }
            }
            out.writeStringField("version", task.version());
            if (staleness.isPresent()) {
                out.writeNumberField("stale_ms", staleness.get().toMillis());
            }
            out.writeEndObject();
        }
        return line.toString();
    }
}
