package io.softcall.api.lambda;

import com.amazonaws.services.lambda.runtime.Context;
import com.amazonaws.services.lambda.runtime.RequestStreamHandler;
import com.fasterxml.jackson.core.JsonGenerator;
import com.fasterxml.jackson.core.JsonParser;
import com.fasterxml.jackson.core.JsonToken;
import com.fasterxml.jackson.databind.json.JsonMapper;
import io.softcall.SoftcallException;
import io.softcall.StrictJson;
import io.softcall.api.Coalescer;
import io.softcall.api.Errors;
import io.softcall.inference.Classification;
import io.softcall.inference.ClassificationRequest;
import io.softcall.jobs.files.ResultFields;
import io.softcall.jobs.files.Row;
import io.softcall.jobs.files.RowId;
import io.softcall.task.TaskName;
import jakarta.inject.Named;
import jakarta.inject.Singleton;
import java.io.ByteArrayOutputStream;
import java.io.IOException;
import java.io.InputStream;
import java.io.OutputStream;
import java.nio.ByteBuffer;
import java.util.ArrayList;
import java.util.List;
import java.util.Optional;
import java.util.OptionalInt;

/**
 * Handles the items of a Step Functions Distributed Map, in batches. Items are rows, in the same format as in a job's
 * file. A row with a final failure has an error as its answer. A transient failure fails the whole call, and the state
 * machine retries it. The event is read as a stream, so that the ids of rows stay as they were written.
 */
@Named("items")
@Singleton
public class MapItems implements RequestStreamHandler {

    /** Maximum size of an event, more than Lambda delivers. */
    private static final int MAX_BYTES = 8 << 20;

    private static final int MAX_DEPTH = 64;
    private static final long MAX_TOKENS = 1_000_000;
    private static final StrictJson JSON = new StrictJson(MAX_DEPTH, MAX_TOKENS);
    private static final JsonMapper ANSWERS = new JsonMapper();

    private final Coalescer coalescer;

    MapItems(Coalescer coalescer) {
        this.coalescer = coalescer;
    }

    /**
     * The event that the state {@code Map} sends with an {@code ItemBatcher}.
     *
     * @param task {@code BatchInput.task}: the task of rows that name none
     */
    private record Batch(Optional<List<Row>> rows, Optional<String> task) {}

    /** The request in a row, or the row's problem. */
    private sealed interface Asked {

        RowId id();

        record Good(RowId id, ClassificationRequest classification) implements Asked {}

        record Bad(RowId id, SoftcallException problem) implements Asked {}
    }

    /**
     * @throws SoftcallException the transient failure of a row; {@code INVALID_REQUEST} when the event contains no
     *     items
     */
    @Override
    public void handleRequest(InputStream event, OutputStream answer, Context context) throws IOException {
        Batch batch = read(event.readNBytes(MAX_BYTES));
        List<Asked> asked = batch
                .rows()
                .orElseThrow(() ->
                        SoftcallException.invalid("the event has no Items, expected a batch of a Distributed Map"))
                .stream()
                .map(row -> asked(row, batch.task()))
                .toList();
        List<ClassificationRequest> calls = new ArrayList<>();
        asked.forEach(one -> {
            if (one instanceof Asked.Good good) {
                calls.add(good.classification());
            }
        });
        List<Coalescer.Outcome> outcomes = coalescer.classify(calls);
        // The answer is complete before any of it is sent: a call that fails must have no answer.
        ByteArrayOutputStream complete = new ByteArrayOutputStream();
        write(asked, outcomes, complete);
        complete.writeTo(answer);
    }

    private static Batch read(byte[] event) {
        try {
            return JSON.read(ByteBuffer.wrap(event), MapItems::batch);
        } catch (StrictJson.MalformedException e) {
            throw SoftcallException.invalid("the event %s", e.getMessage());
        }
    }

    private static Batch batch(JsonParser event) throws IOException {
        Optional<List<Row>> rows = Optional.empty();
        Optional<String> task = Optional.empty();
        boolean isObject = event.currentToken() == JsonToken.START_OBJECT;
        while (isObject && event.nextToken() == JsonToken.FIELD_NAME) {
            String name = event.currentName();
            JsonToken value = event.nextToken();
            if (name.equals("Items") && value == JsonToken.START_ARRAY) {
                rows = Optional.of(rows(event));
            } else if (name.equals("BatchInput") && value == JsonToken.START_OBJECT) {
                task = task(event);
            } else {
                event.skipChildren();
            }
        }
        // Skips a list, which is not a batch.
        event.skipChildren();
        return new Batch(rows, task);
    }

    private static List<Row> rows(JsonParser items) throws IOException {
        List<Row> rows = new ArrayList<>();
        while (items.nextToken() != JsonToken.END_ARRAY) {
            rows.add(Row.of(items));
        }
        return rows;
    }

    private static Optional<String> task(JsonParser batchInput) throws IOException {
        Optional<String> task = Optional.empty();
        while (batchInput.nextToken() == JsonToken.FIELD_NAME) {
            boolean isTask = batchInput.currentName().equals("task");
            if (batchInput.nextToken() == JsonToken.VALUE_STRING && isTask) {
                task = Optional.of(batchInput.getText());
            }
            batchInput.skipChildren();
        }
        return task;
    }

    private static Asked asked(Row row, Optional<String> batchTask) {
        return switch (row) {
            case Row.Bad(RowId id, String problem) -> new Asked.Bad(id, SoftcallException.invalid("%s", problem));
            case Row.Texts(RowId id, Optional<TaskName> task, List<String> texts) -> {
                try {
                    TaskName name = task.or(() -> batchTask.map(TaskName::new))
                            .orElseThrow(() ->
                                    SoftcallException.invalid("the row has no task, and BatchInput.task names none"));
                    yield new Asked.Good(id, new ClassificationRequest(name, List.of(texts), OptionalInt.empty()));
                } catch (SoftcallException e) {
                    yield new Asked.Bad(id, e);
                }
            }
        };
    }

    private static void write(List<Asked> asked, List<Coalescer.Outcome> outcomes, OutputStream answer)
            throws IOException {
        int next = 0;
        try (JsonGenerator out = ANSWERS.createGenerator(answer)) {
            out.writeStartObject();
            out.writeArrayFieldStart("results");
            for (Asked one : asked) {
                out.writeStartObject();
                ResultFields.id(out, one.id());
                switch (one) {
                    case Asked.Bad(RowId id, SoftcallException problem) -> write(out, problem);
                    case Asked.Good good -> write(out, outcomes.get(next++));
                }
                out.writeEndObject();
            }
            out.writeEndArray();
            out.writeEndObject();
        }
    }

    private static void write(JsonGenerator out, Coalescer.Outcome outcome) throws IOException {
        switch (outcome) {
            case Coalescer.Answered(Classification answer) -> {
                ResultFields.task(out, answer.task().name());
                ResultFields.answer(out, answer.task(), answer.predictions().getFirst(), false);
            }
            case Coalescer.Failed(SoftcallException problem) when Errors.isFinal(problem) -> write(out, problem);
            case Coalescer.Failed(SoftcallException problem) -> throw problem.again();
        }
    }

    private static void write(JsonGenerator out, SoftcallException problem) throws IOException {
        Errors.Error error = Errors.body(problem).error();
        ResultFields.error(out, error.type(), error.message());
    }
}
