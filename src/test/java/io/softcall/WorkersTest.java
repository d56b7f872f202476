package io.softcall;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertSame;
import static org.junit.jupiter.api.Assertions.assertThrows;

import io.softcall.SoftcallException.Reason;
import java.io.IOException;
import java.time.Duration;
import java.util.ArrayList;
import java.util.List;
import java.util.concurrent.CompletableFuture;
import java.util.concurrent.CountDownLatch;
import java.util.concurrent.atomic.AtomicInteger;
import org.junit.jupiter.api.Test;

/** The bounds on running and waiting work, and the threads that do it. */
class WorkersTest {

    @Test
    void moreThanMayWaitAreRefusedAtOnce() throws Exception {
        Workers workers = new Workers("tests", 2, 3);
        CountDownLatch hold = new CountDownLatch(1);
        CountDownLatch begun = new CountDownLatch(2);
        AtomicInteger atOnce = new AtomicInteger();
        AtomicInteger most = new AtomicInteger();
        List<CompletableFuture<Integer>> answers = new ArrayList<>();
        Workers.Work<Integer, InterruptedException> work = () -> {
            most.accumulateAndGet(atOnce.incrementAndGet(), Math::max);
            begun.countDown();
            hold.await();
            return atOnce.decrementAndGet();
        };
        for (int i = 0; i < 5; i++) {
            CompletableFuture<Integer> answer = new CompletableFuture<>();
            answers.add(answer);
            CountDownLatch asked = new CountDownLatch(1);
            Thread.startVirtualThread(() -> {
                asked.countDown();
                try {
                    answer.complete(workers.call(work));
                } catch (InterruptedException | RuntimeException e) {
                    answer.completeExceptionally(e);
                }
            });
            asked.await();
        }
        begun.await();
        awaitQueue(workers, 3);
        SoftcallException refused = assertThrows(SoftcallException.class, () -> workers.call(work));
        assertEquals(Reason.OVERLOADED, refused.reason());
        assertEquals(Duration.ofSeconds(1), refused.retryAfter());
        hold.countDown();
        for (CompletableFuture<Integer> answer : answers) {
            answer.get();
        }
        assertEquals(2, most.get());
    }

    private static void awaitQueue(Workers workers, int waiting) throws InterruptedException {
        while (workers.waiting() < waiting) {
            Thread.sleep(1);
        }
    }

    @Test
    void whatTheWorkThrowsReachesWhoeverAsked() {
        Workers workers = new Workers("tests", 1, 1);
        IOException problem = new IOException("no");
        assertSame(
                problem,
                assertThrows(
                        IOException.class,
                        () -> workers.call(() -> {
                            throw problem;
                        })));
        assertThrows(
                StackOverflowError.class,
                () -> workers.call(() -> {
                    throw new StackOverflowError();
                }));
    }

    @Test
    void whoeverCannotWaitLongerIsToldSo() throws Exception {
        Workers workers = new Workers("tests", 1, 1);
        CountDownLatch hold = new CountDownLatch(1);
        SoftcallException late = new SoftcallException(Reason.STORE_UNAVAILABLE, "late");
        assertSame(
                late,
                assertThrows(
                        SoftcallException.class,
                        () -> workers.call(
                                () -> {
                                    hold.await();
                                    return 1;
                                },
                                Duration.ofMillis(10),
                                () -> late)));
        // The work was interrupted, so the thread is free again.
        assertEquals(2, workers.call(() -> 2));
        assertFalse(workers.call(() -> Thread.currentThread().isVirtual()));
    }
}
