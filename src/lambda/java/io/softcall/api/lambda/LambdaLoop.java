package io.softcall.api.lambda;

import io.quarkus.amazon.lambda.runtime.AbstractLambdaPollLoop;
import io.quarkus.amazon.lambda.runtime.AmazonLambdaContext;
import io.quarkus.amazon.lambda.runtime.AmazonLambdaMapperRecorder;
import io.quarkus.amazon.lambda.runtime.AmazonLambdaRecorder;
import io.quarkus.amazon.lambda.runtime.LambdaInputReader;
import io.quarkus.amazon.lambda.runtime.LambdaOutputWriter;
import io.quarkus.runtime.LaunchMode;
import io.quarkus.runtime.ShutdownContext;
import io.quarkus.runtime.ShutdownEvent;
import io.quarkus.runtime.StartupEvent;
import jakarta.enterprise.event.Observes;
import jakarta.inject.Singleton;
import java.io.IOException;
import java.io.InputStream;
import java.io.OutputStream;
import java.util.ArrayDeque;
import java.util.Deque;

/**
 * Fetches events from Lambda's runtime API, one after the other, and posts what Quarkus's handler makes of each. Quarkus
 * starts this loop of its own in native executables alone; docs/lambda.md says why it is started here too.
 */
@Singleton
class LambdaLoop {

    private final Deque<Runnable> atShutdown = new ArrayDeque<>();

    void start(@Observes StartupEvent event) {
        // In tests and in dev mode Quarkus does.
        if (LaunchMode.current() == LaunchMode.NORMAL) {
            new Loop().startPollLoop(new ShutdownContext() {
                @Override
                public void addShutdownTask(Runnable task) {
                    atShutdown.push(task);
                }

                @Override
                public void addLastShutdownTask(Runnable task) {
                    atShutdown.add(task);
                }
            });
        }
    }

    void stop(@Observes ShutdownEvent event) {
        atShutdown.forEach(Runnable::run);
    }

    /** Hands streams to the handler, whichever it is; it reads and writes JSON itself. */
    private static final class Loop extends AbstractLambdaPollLoop {

        Loop() {
            super(
                    AmazonLambdaMapperRecorder.objectMapper,
                    AmazonLambdaMapperRecorder.cognitoIdReader,
                    AmazonLambdaMapperRecorder.clientCtxReader,
                    LaunchMode.NORMAL);
        }

        @Override
        protected boolean isStream() {
            return true;
        }

        @Override
        protected void processRequest(InputStream input, OutputStream output, AmazonLambdaContext context)
                throws IOException {
            AmazonLambdaRecorder.handle(input, output, context);
        }

        @Override
        protected Object processRequest(Object input, AmazonLambdaContext context) {
            throw new UnsupportedOperationException("events are streams here");
        }

        @Override
        protected LambdaInputReader<?> getInputReader() {
            throw new UnsupportedOperationException("events are streams here");
        }

        @Override
        protected LambdaOutputWriter getOutputWriter() {
            throw new UnsupportedOperationException("events are streams here");
        }
    }
}
