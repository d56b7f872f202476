package io.softcall.api.openai;

import io.netty.channel.Channel;
import io.softcall.SoftcallException;
import io.softcall.SoftcallException.Reason;
import io.vertx.core.Context;
import io.vertx.core.buffer.Buffer;
import io.vertx.core.http.HttpServerRequest;
import io.vertx.core.http.HttpServerResponse;
import io.vertx.core.net.impl.ConnectionBase;
import java.time.Duration;
import java.util.concurrent.CompletableFuture;
import java.util.concurrent.TimeUnit;
import java.util.concurrent.locks.Condition;
import java.util.concurrent.locks.ReentrantLock;
import java.util.function.BooleanSupplier;

/**
 * The body of an answer, written by one virtual thread at the pace of its reader. The connection is used on its event loop
 * only. Bytes that the thread writes while the event loop is busy, or while the connection's queue is full, leave
 * together.
 */
final class PacedResponse {

    /** The bytes that may wait for the event loop, before the thread waits, too. The connection queues more of them. */
    private static final int MOST_WAITING = 16_384;

    private final HttpServerRequest request;
    private final HttpServerResponse response;
    private final Context eventLoop;
    private final Duration slowReader;
    private final CompletableFuture<Void> cancellation;

    private final ReentrantLock lock = new ReentrantLock();
    private final Condition changed = lock.newCondition();
    private Buffer waiting = Buffer.buffer();
    private boolean begun;
    private boolean ending;
    private boolean flushing;
    private boolean sent;
    private boolean gone;
    private long progressNanos = System.nanoTime();

    /**
     * @param eventLoop that of the connection
     * @param slowReader the time without progress after which the connection is closed
     * @param cancellation completes when the caller closes the connection
     */
    PacedResponse(
            HttpServerRequest request, Context eventLoop, Duration slowReader, CompletableFuture<Void> cancellation) {
        this.request = request;
        this.response = request.response();
        this.eventLoop = eventLoop;
        this.slowReader = slowReader;
        this.cancellation = cancellation;
        cancellation.thenRun(() -> locked(changed::signalAll));
    }

    /** Returns whether a part of the body was written, so that the status is sent, or will be. */
    boolean hasBegun() {
        lock.lock();
        try {
            return begun;
        } finally {
            lock.unlock();
        }
    }

    /**
     * Writes a part of the body. Waits if too much of it waits already.
     *
     * @throws SoftcallException {@code CANCELLED} if the caller has closed the connection, or does not read
     */
    void write(byte[] part) {
        locked(() -> {
            await(() -> waiting.length() < MOST_WAITING);
            add(part);
        });
    }

    /**
     * Writes the last part of the body, and waits until all of it has left. A body that ends already stays as it is.
     *
     * @throws SoftcallException {@code CANCELLED}, as {@link #write}
     */
    void end(byte[] part) {
        locked(() -> {
            await(() -> waiting.length() < MOST_WAITING);
            if (!ending) {
                ending = true;
                add(part);
            }
            await(() -> sent);
        });
    }

    private void add(byte[] part) {
        begun = true;
        waiting.appendBytes(part);
        if (!flushing) {
            flushing = true;
            eventLoop.runOnContext(on -> flush());
        }
    }

    /** Hands everything that waits to the connection, as soon as its queue has room. */
    private void flush() {
        if (response.closed()) {
            return;
        }
        if (response.writeQueueFull()) {
            response.drainHandler(drained -> flush());
            return;
        }
        locked(() -> {
            Buffer part = waiting;
            waiting = Buffer.buffer();
            flushing = false;
            progress();
            if (ending) {
                response.end(part)
                        .onComplete(left -> locked(() -> {
                            sent = left.succeeded();
                            gone = left.failed();
                            progress();
                        }));
            } else {
                response.write(part);
            }
        });
    }

    private void progress() {
        progressNanos = System.nanoTime();
        changed.signalAll();
    }

    private void await(BooleanSupplier condition) {
        long began = System.nanoTime();
        while (!condition.getAsBoolean()) {
            if (gone || cancellation.isDone()) {
                throw new SoftcallException(Reason.CANCELLED, "the caller has closed the connection");
            }
            long left = slowReader.toNanos() - (System.nanoTime() - Math.max(began, progressNanos));
            if (left <= 0) {
                closeNow();
                throw new SoftcallException(
                        Reason.CANCELLED,
                        "the caller has read nothing for %d ms (softcall.generation.slow-reader)"
                                .formatted(slowReader.toMillis()));
            }
            try {
                changed.await(left, TimeUnit.NANOSECONDS);
            } catch (InterruptedException e) {
                Thread.currentThread().interrupt();
                throw new SoftcallException(Reason.STOPPING, "the server is stopping", e);
            }
        }
    }

    /**
     * Closes the connection without what it still holds. Vert.x would first wait until the caller has read that; the first
     * handler of the connection is nearer to the socket than Vert.x.
     */
    private void closeNow() {
        Channel channel = ((ConnectionBase) request.connection()).channel();
        channel.pipeline().firstContext().close();
    }

    private void locked(Runnable action) {
        lock.lock();
        try {
            action.run();
        } finally {
            lock.unlock();
        }
    }
}
