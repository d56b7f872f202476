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
 * Classifies requests that arrived together. Requests for the same task become one call, so that their texts share
 * forward passes and the task is revalidated once. Each request still has its own outcome.
 */
@Singleton
public class Coalescer {

    private final Classifier classifier;
    private final int texts;

    Coalescer(Classifier classifier, InferenceConfig config) {
        this.classifier = classifier;
        this.texts = config.limits().texts();
    }

    /** The outcome of a request. */
    public sealed interface Outcome {}

    public record Answered(Classification answer) implements Outcome {}

    public record Failed(SoftcallException problem) implements Outcome {}

    /** Requests of one kind can share a call: they have the same task and the same truncation. */
    private record Kind(TaskName task, OptionalInt truncateTokens) {}

    /** A request with its index among those that arrived. */
    private record Member(int index, ClassificationRequest request) {}

    /** @return one outcome for each request, in their order */
    public List<Outcome> classify(List<ClassificationRequest> requests) {
        Outcome[] outcomes = new Outcome[requests.size()];
        List<List<Member>> unresolved = concurrently(groups(requests), outcomes);
        // An invalid text must fail only its own request, so each request is classified alone.
        concurrently(unresolved.stream().flatMap(List::stream).map(List::of).toList(), outcomes);
        return List.of(outcomes);
    }

    /** @return the groups without an outcome, because one of their texts is invalid */
    private List<List<Member>> concurrently(List<List<Member>> groups, Outcome[] outcomes) {
        List<List<Member>> unresolved = Collections.synchronizedList(new ArrayList<>());
        try (ExecutorService threads = Executors.newVirtualThreadPerTaskExecutor()) {
            for (List<Member> group : groups) {
                threads.execute(() -> {
                    if (!classify(group, outcomes)) {
                        unresolved.add(group);
                    }
                });
            }
        }
        return unresolved;
    }

    /** Groups requests by kind, each group with at most as many texts as one call may have. */
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

    /** @return false when a group of several requests contains an invalid text; then none of them has an outcome yet */
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
