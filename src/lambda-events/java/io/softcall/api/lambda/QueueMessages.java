package io.softcall.api.lambda;

import com.amazonaws.services.lambda.runtime.Context;
import com.amazonaws.services.lambda.runtime.RequestHandler;
import com.amazonaws.services.lambda.runtime.events.SQSBatchResponse;
import com.amazonaws.services.lambda.runtime.events.SQSEvent;
import io.softcall.SoftcallException;
import io.softcall.api.Coalescer;
import io.softcall.api.json.ClassifyRequest;
import io.softcall.api.json.ClassifyResponse;
import io.softcall.inference.ClassificationRequest;
import jakarta.inject.Named;
import jakarta.inject.Singleton;
import java.nio.charset.StandardCharsets;
import java.util.ArrayList;
import java.util.HashSet;
import java.util.List;
import java.util.Optional;
import java.util.Set;
import org.jboss.logging.Logger;

/**
 * Handles messages of SQS. The body of a message is a request of {@code /v1/classify}; its answer, in the same format,
 * goes to the queue of results. Messages without an answer are reported as failed, and SQS delivers only these again.
 */
@Named("sqs")
@Singleton
public class QueueMessages implements RequestHandler<SQSEvent, SQSBatchResponse> {

    private static final Logger LOG = Logger.getLogger(QueueMessages.class);

    private final Coalescer coalescer;
    private final ResultsQueue results;

    QueueMessages(Coalescer coalescer, ResultsQueue results) {
        this.coalescer = coalescer;
        this.results = results;
    }

    /** A message and the request that it contains. */
    private record Asked(SQSEvent.SQSMessage message, ClassifyRequest request) {}

    /** @throws SoftcallException {@code INVALID_REQUEST} when the event does not come from SQS */
    @Override
    public SQSBatchResponse handleRequest(SQSEvent event, Context context) {
        if (event.getRecords() == null) {
            throw SoftcallException.invalid("the event has no Records, expected messages of SQS");
        }
        Failures failures = new Failures();
        List<Asked> asked = new ArrayList<>();
        for (SQSEvent.SQSMessage message : event.getRecords()) {
            try {
                String body = Optional.ofNullable(message.getBody())
                        .orElseThrow(() -> SoftcallException.invalid("the message has no body, expected JSON"));
                asked.add(new Asked(message, ClassifyRequest.parse(body.getBytes(StandardCharsets.UTF_8))));
            } catch (SoftcallException e) {
                failures.add(message, e);
            }
        }
        List<ClassificationRequest> calls =
                asked.stream().map(one -> one.request().classification()).toList();
        List<Coalescer.Outcome> outcomes = coalescer.classify(calls);
        List<ResultsQueue.Result> answers = new ArrayList<>();
        for (int i = 0; i < outcomes.size(); i++) {
            SQSEvent.SQSMessage message = asked.get(i).message();
            switch (outcomes.get(i)) {
                case Coalescer.Answered(var answer) ->
                    answers.add(new ResultsQueue.Result(
                            message.getMessageId(),
                            group(message),
                            ClassifyResponse.of(asked.get(i).request(), answer)));
                case Coalescer.Failed(var problem) -> failures.add(message, problem);
            }
        }
        deliver(event.getRecords(), answers, failures);
        return failures.response();
    }

    /**
     * Sends the answers. Messages after a failure in the same group fail too; otherwise the group would lose its order.
     */
    private void deliver(List<SQSEvent.SQSMessage> messages, List<ResultsQueue.Result> answers, Failures failures) {
        failures.spread(messages);
        List<ResultsQueue.Result> due = answers.stream()
                .filter(answer -> !failures.contains(answer.id()))
                .toList();
        Set<String> sent = results.send(due);
        for (SQSEvent.SQSMessage message : messages) {
            if (!failures.contains(message.getMessageId()) && !sent.contains(message.getMessageId())) {
                failures.add(message.getMessageId());
            }
        }
    }

    /** Returns the group of a message from a FIFO queue. */
    private static Optional<String> group(SQSEvent.SQSMessage message) {
        return Optional.ofNullable(message.getAttributes()).map(attributes -> attributes.get("MessageGroupId"));
    }

    /** The ids of messages that SQS should deliver again. */
    private static final class Failures {

        private final Set<String> ids = new HashSet<>();
        private final List<SQSBatchResponse.BatchItemFailure> items = new ArrayList<>();

        void add(SQSEvent.SQSMessage message, SoftcallException problem) {
            LOG.warnf(
                    "message %s fails and will be delivered again: %s: %s",
                    message.getMessageId(), problem.reason(), problem.getMessage());
            add(message.getMessageId());
        }

        void add(String id) {
            ids.add(id);
            items.add(new SQSBatchResponse.BatchItemFailure(id));
        }

        boolean contains(String id) {
            return ids.contains(id);
        }

        /** Adds the messages that follow a failure in the same group. */
        void spread(List<SQSEvent.SQSMessage> messages) {
            Set<String> stopped = new HashSet<>();
            for (SQSEvent.SQSMessage message : messages) {
                group(message).ifPresent(group -> {
                    if (contains(message.getMessageId())) {
                        stopped.add(group);
                    } else if (stopped.contains(group)) {
                        add(message.getMessageId());
                    }
                });
            }
        }

        SQSBatchResponse response() {
            return new SQSBatchResponse(items);
        }
    }
}
