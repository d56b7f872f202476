package io.softcall.api.kafka;

import io.softcall.api.Coalescer;
import io.softcall.api.events.Events;
import io.softcall.api.json.ClassifyResponse;
import java.util.ArrayList;
import java.util.List;
import java.util.Optional;
import org.apache.kafka.clients.consumer.ConsumerRecord;

/** Classifies records: each contains a request, and the requests for one task share a call. */
final class KafkaClassify implements KafkaWork<KafkaRequest> {

    private final Coalescer coalescer;

    KafkaClassify(Coalescer coalescer) {
        this.coalescer = coalescer;
    }

    @Override
    public KafkaRequest parse(ConsumerRecord<byte[], byte[]> message) {
        return KafkaRequest.parse(message);
    }

    @Override
    public List<Result> attempt(List<KafkaRequest> requests) {
        List<Coalescer.Outcome> outcomes = coalescer.classify(
                requests.stream().map(one -> one.request().classification()).toList());
        List<Result> results = new ArrayList<>();
        for (int i = 0; i < outcomes.size(); i++) {
            results.add(outcome(requests.get(i), outcomes.get(i)));
        }
        return results;
    }

    private static Result outcome(KafkaRequest request, Coalescer.Outcome outcome) {
        return switch (outcome) {
            case Coalescer.Failed(var problem) -> new Failed(problem);
            case Coalescer.Answered(var answer) -> {
                ClassifyResponse body =
                        ClassifyResponse.of(request.request(), answer).withId(request.id());
                yield new Done(List.of(
                        request.content().reply(request.answerId(), Events.CLASSIFIED, Optional.empty(), body)));
            }
        };
    }
}
