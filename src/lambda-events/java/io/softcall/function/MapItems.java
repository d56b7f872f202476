package io.softcall.function;

import com.amazonaws.services.lambda.runtime.Context;
import com.amazonaws.services.lambda.runtime.RequestHandler;
import com.fasterxml.jackson.annotation.JsonInclude;
import com.fasterxml.jackson.annotation.JsonProperty;
import com.fasterxml.jackson.databind.JsonNode;
import io.softcall.SoftcallException;
import io.softcall.inference.Classification;
import io.softcall.inference.Classifier;
import io.softcall.task.TaskName;
import jakarta.inject.Named;
import jakarta.inject.Singleton;
import java.util.ArrayList;
import java.util.List;
import java.util.OptionalInt;

/**
 * Items of a Step Functions Distributed Map, in batches: rows of a file. A row that is wrong has an error for an answer; where
 * a failure may pass, the call fails, and the state machine tries it again.
 */
@Named("items")
@Singleton
public class MapItems implements RequestHandler<MapItems.Batch, MapItems.Results> {

    private final Crowd crowd;

    MapItems(Crowd crowd) {
        this.crowd = crowd;
    }

    /** What the state {@code Map} sends with an {@code ItemBatcher}; {@code BatchInput.task} is the task of rows without one. */
    public record Batch(
            @JsonProperty("Items") List<JsonNode> items,
            @JsonProperty("BatchInput") JsonNode batchInput) {}

    /** One answer a row, in order. */
    public record Results(List<Result> results) {}

    /** A row's label, or what stood in its way. {@code id} is the row's. */
    @JsonInclude(JsonInclude.Include.NON_NULL)
    public record Result(JsonNode id, String task, String version, String label, Double score, Problem error) {}

    /** {@code code} is a type of the table of errors. */
    public record Problem(String code, String message) {}

    /** A row with its place, or with what is wrong with it. */
    private sealed interface Row {}

    private record Good(Classifier.Call call) implements Row {}

    private record Bad(SoftcallException problem) implements Row {}

    /** @throws SoftcallException what may pass; {@code INVALID_REQUEST} when these are no items */
    @Override
    public Results handleRequest(Batch batch, Context context) {
        if (batch.items() == null) {
            throw SoftcallException.invalid("the event has no Items, expected a batch of a Distributed Map");
        }
        List<Row> rows = batch.items().stream()
                .map(item -> parse(item, batch.batchInput()))
                .toList();
        List<Classifier.Call> calls = new ArrayList<>();
        rows.forEach(row -> {
            if (row instanceof Good(var call)) {
                calls.add(call);
            }
        });
        List<Crowd.Outcome> outcomes = crowd.classify(calls);
        List<Result> results = new ArrayList<>();
        int next = 0;
        for (int i = 0; i < rows.size(); i++) {
            JsonNode id = batch.items().get(i).get("id");
            results.add(
                    switch (rows.get(i)) {
                        case Bad(var problem) -> failed(id, problem);
                        case Good good -> result(id, outcomes.get(next++));
                    });
        }
        return new Results(results);
    }

    private static Row parse(JsonNode item, JsonNode batchInput) {
        try {
            JsonNode task = item.path("task");
            if (task.isMissingNode() && batchInput != null) {
                task = batchInput.path("task");
            }
            if (!task.isTextual()) {
                throw SoftcallException.invalid("the row has no task, and BatchInput.task names none");
            }
            return new Good(
                    new Classifier.Call(new TaskName(task.textValue()), List.of(texts(item)), OptionalInt.empty()));
        } catch (SoftcallException e) {
            return new Bad(e);
        }
    }

    private static List<String> texts(JsonNode item) {
        if (item.path("text").isTextual()) {
            return List.of(item.get("text").textValue());
        }
        if (item.path("text1").isTextual() && item.path("text2").isTextual()) {
            return List.of(item.get("text1").textValue(), item.get("text2").textValue());
        }
        throw SoftcallException.invalid("the row has neither text nor text1 and text2");
    }

    private static Result result(JsonNode id, Crowd.Outcome outcome) {
        return switch (outcome) {
            case Crowd.Answered(var answer) -> answered(id, answer);
            case Crowd.Failed(var problem) when Errors.isFinal(problem) -> failed(id, problem);
            case Crowd.Failed(var problem) -> throw problem.again();
        };
    }

    private static Result answered(JsonNode id, Classification answer) {
        Classification.Row row = answer.rows().getFirst();
        String label = row.abstained() ? null : answer.task().head().labels().get(row.best());
        return new Result(
                id,
                answer.task().name().value(),
                answer.task().version(),
                label,
                row.probabilities()[row.best()],
                null);
    }

    private static Result failed(JsonNode id, SoftcallException problem) {
        Errors.Error error = Errors.body(problem).error();
        return new Result(id, null, null, null, null, new Problem(error.type(), error.message()));
    }
}
