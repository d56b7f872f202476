package io.softcall.api.lambda;

import io.quarkus.amazon.lambda.runtime.AbstractLambdaPollLoop;
import io.quarkus.amazon.lambda.runtime.AmazonLambdaContext;
import io.quarkus.amazon.lambda.runtime.AmazonLambdaMapperRecorder;
import io.quarkus.amazon.lambda.runtime.AmazonLambdaRecorder;
import io.quarkus.amazon.lambda.runtime.LambdaInputReader;
import io.quarkus.amazon.lambda.runtime.LambdaOutputWriter;
import io.quarkus.arc.properties.UnlessBuildProperty;
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
 * Fetches events from Lambda's runtime API, one after the other, and posts the answers of Quarkus's handler. Quarkus
 * itself starts this loop only in native executables; docs/lambda.md explains why it is started here too.
 */
@Singleton
@UnlessBuildProperty(name = "quarkus.native.enabled", stringValue = "true", enableIfMissing = true)
class LambdaLoop {

    private final Deque<Runnable> atShutdown = new ArrayDeque<>();

    void start(@Observes StartupEvent event) {
        // In tests and in development mode, Quarkus starts the loop.
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

    /** Passes streams to the configured handler, which reads and writes JSON itself. */
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
            throw new UnsupportedOperationException("events are read as streams");
        }

        @Override
        protected LambdaInputReader<?> getInputReader() {
            throw new UnsupportedOperationException("events are read as streams");
        }

        @Override
        protected LambdaOutputWriter getOutputWriter() {
            throw new UnsupportedOperationException("events are read as streams");
        }
    }
}
