package io.softcall.store;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import io.softcall.SoftcallException;
import io.softcall.SoftcallException.Reason;
import java.time.Duration;
import java.util.ArrayList;
import java.util.List;
import java.util.concurrent.CompletableFuture;
import java.util.concurrent.atomic.AtomicInteger;
import org.junit.jupiter.api.Test;

/** Large contents wait for each other, small ones do not wait, and one that exceeds the bound is the only large one. */
class LoadingTest {

    private static final Duration LONG = Duration.ofSeconds(60);
    private static final Duration SHORT = Duration.ofMillis(10);

    private final Loading loading = new Loading(1 << 20, 1 << 20);

    @Test
    void whatFindsNoRoomInTimeIsRefused() {
        try (Loading.Lease first = loading.lease(LONG)) {
            first.take(900_000);
            try (Loading.Lease small = loading.lease(SHORT)) {
                small.take(1_000);
            }
            try (Loading.Lease large = loading.lease(SHORT)) {
                SoftcallException e = assertThrows(SoftcallException.class, () -> large.take(900_000));
                assertEquals(Reason.OVERLOADED, e.reason());
            }
        }
        try (Loading.Lease large = loading.lease(SHORT)) {
            large.take(900_000);
            // The second reservation replaces the first one, as when a request is retried.
            large.take(900_000);
        }
        try (Loading.Lease huge = loading.lease(SHORT)) {
            huge.take(Long.MAX_VALUE);
            assertThrows(SoftcallException.class, () -> loading.lease(SHORT).take(300_000));
        }
    }

    /** Otherwise contents that are not quite as large could keep it waiting for ever. */
    @Test
    void aLargeContentGetsItsTurn() throws Exception {
        CompletableFuture<Void> taken = new CompletableFuture<>();
        try (Loading.Lease first = loading.lease(LONG)) {
            first.take(500_000);
            Thread large = Thread.ofPlatform().start(() -> {
                try (Loading.Lease lease = loading.lease(LONG)) {
                    lease.take(900_000);
                    taken.complete(null);
                }
            });
            while (large.getState() != Thread.State.TIMED_WAITING) {
                Thread.sleep(1);
            }
            try (Loading.Lease next = loading.lease(SHORT)) {
                assertThrows(SoftcallException.class, () -> next.take(300_000));
            }
        }
        taken.get();
    }

    /** The transfer of a large content may take half a minute. */
    @Test
    void smallContentsNeverWaitForLargeOnes() {
        try (Loading.Lease huge = loading.lease(LONG);
                Loading.Lease small = loading.lease(SHORT);
                Loading.Lease another = loading.lease(SHORT)) {
            huge.take(Long.MAX_VALUE);
            small.take(250_000);
            another.take(250_000);
        }
    }

    @Test
    void asManyAreThereAtOnceAsThereIsRoomFor() throws Exception {
        AtomicInteger atOnce = new AtomicInteger();
        AtomicInteger most = new AtomicInteger();
        List<CompletableFuture<Void>> all = new ArrayList<>();
        for (int i = 0; i < 60; i++) {
            CompletableFuture<Void> done = new CompletableFuture<>();
            all.add(done);
            Thread.startVirtualThread(() -> {
                try (Loading.Lease lease = loading.lease(LONG)) {
                    lease.take(300_000);
                    most.accumulateAndGet(atOnce.incrementAndGet(), Math::max);
                    lease.run(() -> {
                        Thread.sleep(1);
                        return null;
                    });
                    atOnce.decrementAndGet();
                    done.complete(null);
                } catch (InterruptedException | RuntimeException e) {
                    done.completeExceptionally(e);
                }
            });
        }
        for (CompletableFuture<Void> done : all) {
            done.get();
        }
        assertTrue(most.get() > 1 && most.get() <= 3, () -> most + " at once");
    }
}
