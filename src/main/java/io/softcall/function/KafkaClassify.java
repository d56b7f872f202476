package io.softcall.function;

import java.util.ArrayList;
import java.util.List;
import java.util.Optional;
import org.apache.kafka.clients.consumer.ConsumerRecord;

/** Classification: a request a record, a call for all records of one task. */
final class KafkaClassify implements KafkaWork<KafkaRequest> {

    private final Crowd crowd;

    KafkaClassify(Crowd crowd) {
        this.crowd = crowd;
    }

    @Override
    public KafkaRequest parse(ConsumerRecord<byte[], byte[]> message) {
        return KafkaRequest.parse(message);
    }

    @Override
    public List<Outcome> attempt(List<KafkaRequest> requests) {
        List<Crowd.Outcome> outcomes = crowd.classify(
                requests.stream().map(one -> one.request().call()).toList());
        List<Outcome> told = new ArrayList<>();
        for (int i = 0; i < outcomes.size(); i++) {
            told.add(outcome(requests.get(i), outcomes.get(i)));
        }
        return told;
    }

    private static Outcome outcome(KafkaRequest request, Crowd.Outcome outcome) {
        return switch (outcome) {
            case Crowd.Failed(var problem) -> new Failed(problem);
            case Crowd.Answered(var answer) -> {
                ClassifyResponse body =
                        ClassifyResponse.of(request.request(), answer).withId(request.id());
                yield new Done(List.of(
                        request.content().reply(request.answerId(), Events.CLASSIFIED, Optional.empty(), body)));
            }
        };
    }
}
