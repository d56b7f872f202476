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
 * Items of a Step Functions Distributed Map, in batches: rows, as those of a job's file. A row that is wrong has an error for an
 * answer; where a failure may pass, the call fails, and the state machine tries it again. As a stream, so that the rows' ids stay as
 * they were written.
 */
@Named("items")
@Singleton
public class MapItems implements RequestStreamHandler {

    /** More than Lambda hands over. */
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
     * What the state {@code Map} sends with an {@code ItemBatcher}.
     *
     * @param task {@code BatchInput.task}: the task of rows without one
     */
    private record Batch(Optional<List<Row>> rows, Optional<String> task) {}

    /** What is asked for a row, or what is wrong with it. */
    private sealed interface Asked {

        RowId id();

        record Good(RowId id, ClassificationRequest classification) implements Asked {}

        record Bad(RowId id, SoftcallException problem) implements Asked {}
    }

    /** @throws SoftcallException what may pass; {@code INVALID_REQUEST} when these are no items */
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
                calls.add(good.call());
            }
        });
        List<Coalescer.Outcome> outcomes = coalescer.classify(calls);
        // Complete before anything of it leaves: a call that fails has no answer.
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
        // A list, which is no batch.
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
