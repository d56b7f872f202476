package io.softcall.api;

import io.softcall.SoftcallException;
import io.softcall.SoftcallException.Reason;
import io.softcall.inference.Classification;
import io.softcall.inference.ClassificationRequest;
import io.softcall.inference.Classifier;
import io.softcall.inference.model.InferenceConfig;
import io.softcall.task.TaskName;
import jakarta.inject.Singleton;
import java.util.ArrayList;
import java.util.Collections;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.OptionalInt;
import java.util.concurrent.CompletableFuture;
import java.util.concurrent.ExecutorService;
import java.util.concurrent.Executors;

/**
 * Classifies requests that arrived together. Those of one task become one call: their texts share runs, and the store is asked
 * once. Each call has an outcome of its own all the same.
 */
@Singleton
public class Coalescer {

    private final Classifier classifier;
    private final int texts;

    Coalescer(Classifier classifier, InferenceConfig config) {
        this.classifier = classifier;
        this.texts = config.limits().texts();
    }

    /** What became of a request. */
    public sealed interface Outcome {}

    public record Answered(Classification answer) implements Outcome {}

    public record Failed(SoftcallException problem) implements Outcome {}

    /** Calls that may be one: of the same task, and cut alike. */
    private record Kind(TaskName task, OptionalInt truncateTokens) {}

    /** A call with its place among those that arrived. */
    private record Member(int index, ClassificationRequest request) {}

    /** @return one outcome a call, in the order of the requests */
    public List<Outcome> classify(List<ClassificationRequest> requests) {
        Outcome[] outcomes = new Outcome[requests.size()];
        List<List<Member>> spoiled = sideBySide(groups(requests), outcomes);
        // Only the call whose text it is shall fail: each alone.
        sideBySide(spoiled.stream().flatMap(List::stream).map(List::of).toList(), outcomes);
        return List.of(outcomes);
    }

    /** @return groups without an outcome: one of their texts is wrong */
    private List<List<Member>> sideBySide(List<List<Member>> groups, Outcome[] outcomes) {
        List<List<Member>> spoiled = Collections.synchronizedList(new ArrayList<>());
        try (ExecutorService threads = Executors.newVirtualThreadPerTaskExecutor()) {
            for (List<Member> group : groups) {
                threads.execute(() -> {
                    if (!classify(group, outcomes)) {
                        spoiled.add(group);
                    }
                });
            }
        }
        return spoiled;
    }

    /** Calls of one kind, together at most as many texts as one call may have. */
    private List<List<Member>> groups(List<ClassificationRequest> requests) {
        List<List<Member>> groups = new ArrayList<>();
        Map<Kind, List<Member>> open = new LinkedHashMap<>();
        for (int i = 0; i < requests.size(); i++) {
            ClassificationRequest request = requests.get(i);
            List<Member> group = open.get(new Kind(request.task(), request.truncateTokens()));
            if (group == null || texts(group) + request.inputs().size() > texts) {
                group = new ArrayList<>();
                groups.add(group);
                open.put(new Kind(request.task(), request.truncateTokens()), group);
            }
            group.add(new Member(i, request));
        }
        return groups;
    }

    private static int texts(List<Member> group) {
        return group.stream()
                .mapToInt(member -> member.request().inputs().size())
                .sum();
    }

    /** @return false when one of several requests has a text that is wrong, so that none has an outcome yet */
    private boolean classify(List<Member> group, Outcome[] outcomes) {
        ClassificationRequest first = group.getFirst().request();
        List<List<String>> items = new ArrayList<>();
        group.forEach(member -> items.addAll(member.request().inputs()));
        try {
            Classification all = classifier.classify(
                    new ClassificationRequest(first.task(), items, first.truncateTokens()), new CompletableFuture<>());
            int from = 0;
            for (Member member : group) {
                int to = from + member.request().inputs().size();
                outcomes[member.index()] = new Answered(new Classification(
                        all.task(), all.staleness(), all.predictions().subList(from, to), all.timings()));
                from = to;
            }
        } catch (RuntimeException e) {
            SoftcallException problem = Errors.unwrap(e);
            boolean aText = problem.reason() == Reason.INVALID_REQUEST || problem.reason() == Reason.TEXT_TOO_LONG;
            if (aText && group.size() > 1) {
                return false;
            }
            group.forEach(member -> outcomes[member.index()] = new Failed(problem));
        }
        return true;
    }
}
