package io.softcall.api.http;

import io.netty.bootstrap.ChannelInitializerExtension;
import io.netty.channel.Channel;
import io.netty.channel.ChannelHandlerContext;
import io.netty.channel.ChannelInboundHandlerAdapter;
import io.netty.handler.codec.http.HttpRequest;
import io.netty.handler.codec.http.LastHttpContent;
import io.netty.util.concurrent.Future;
import io.quarkus.runtime.StartupEvent;
import io.quarkus.runtime.annotations.RegisterForReflection;
import io.softcall.api.HttpConfig;
import jakarta.enterprise.event.Observes;
import jakarta.inject.Singleton;
import java.time.Duration;
import java.util.concurrent.TimeUnit;

/**
 * Closes connections on which the headers of a request do not arrive in time. The time begins when a connection opens,
 * and for later requests with their first byte. Vert.x has no such bound: its idle timeout restarts with each byte. So
 * this class is a Netty server extension ({@code -Dio.netty.bootstrap.extensions=serviceload}, which {@code Server}
 * sets). It also installs {@link MalformedRequests} on each connection.
 */
@RegisterForReflection
public final class HeaderDeadline extends ChannelInitializerExtension {

    /** Vert.x's name of the handler. */
    private static final String DECODER = "httpDecoder";

    private static final String ENCODER = "httpEncoder";

    /** Static, because Netty creates the instance before the configuration exists. */
    private static volatile Duration limit = Duration.ofSeconds(30);

    /** Sets the configured time at startup. */
    @Singleton
    static final class Setting {

        void start(@Observes StartupEvent event, HttpConfig config) {
            limit = config.headerTime();
        }
    }

    @Override
    public void postInitializeServerChildChannel(Channel connection) {
        connection.pipeline().addFirst(new Clock());
    }

    /** Sees the bytes of a connection as they arrive. */
    private static final class Clock extends ChannelInboundHandlerAdapter {

        private Future<?> deadline;
        private boolean headersAreRead;
        private boolean inRequest;

        @Override
        public void channelActive(ChannelHandlerContext context) {
            start(context);
            context.fireChannelActive();
        }

        @Override
        public void channelRead(ChannelHandlerContext context, Object bytes) {
            if (!headersAreRead && context.pipeline().get(DECODER) != null) {
                context.pipeline().addAfter(ENCODER, "malformed", new MalformedRequests());
                context.pipeline().addAfter(DECODER, "headers", new Headers());
                headersAreRead = true;
            }
            if (!inRequest && deadline == null) {
                start(context);
            }
            context.fireChannelRead(bytes);
        }

        @Override
        public void channelInactive(ChannelHandlerContext context) {
            stop();
            context.fireChannelInactive();
        }

        private void start(ChannelHandlerContext context) {
            deadline = context.executor().schedule(() -> context.close(), limit.toMillis(), TimeUnit.MILLISECONDS);
        }

        private void stop() {
            if (deadline != null) {
                deadline.cancel(false);
                deadline = null;
            }
        }

        /** Sees the decoded messages. */
        private final class Headers extends ChannelInboundHandlerAdapter {

            @Override
            public void channelRead(ChannelHandlerContext context, Object message) {
                if (message instanceof HttpRequest) {
                    stop();
                    inRequest = true;
                }
                if (message instanceof LastHttpContent) {
                    inRequest = false;
                }
                context.fireChannelRead(message);
            }
        }
    }
}
