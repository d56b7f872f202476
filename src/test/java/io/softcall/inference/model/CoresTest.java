package io.softcall.inference.model;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;

class CoresTest {

    @TempDir
    private Path cpus;

    @ParameterizedTest
    @CsvSource(
            delimiter = '|',
            value = {
                "0-1      | 0     | 2  | 2", // two cores of a virtual machine
                "0-15     | 0     | 1  | 1", // a function's share of a large machine
                "0-15     | 0     | 2  | 2",
                "0-15     | 0,8   | 16 | 8", // two hardware threads a core
                "0-15     | 0-1   | 16 | 8",
                "0-15     | 0,8   | 3  | 3", // a quota, which says nothing about where
                "0-1      | 0-1   | 2  | 1",
                "0        | 0     | 1  | 1",
                "0-3,8-11 | 0     | 8  | 8",
            })
    void aCoreCountsOnceAndOnlyWhereTheProcessMayUseIt(String online, String siblings, int threads, int usable)
            throws IOException {
        Path topology = Files.createDirectories(cpus.resolve("cpu0/topology"));
        Files.writeString(cpus.resolve("online"), online + "\n");
        Files.writeString(topology.resolve("thread_siblings_list"), siblings + "\n");
        assertEquals(usable, Cores.usable(cpus, threads));
    }

    @Test
    void whereTheMachineIsNotDescribedEachHardwareThreadCounts() throws IOException {
        assertEquals(4, Cores.usable(cpus, 4));
        Files.writeString(cpus.resolve("online"), "none\n");
        assertEquals(4, Cores.usable(cpus, 4));
    }

    @Test
    void noMoreThanThereAreHere() {
        int threads = Runtime.getRuntime().availableProcessors();
        assertTrue(Cores.usable() >= 1 && Cores.usable() <= threads, () -> Cores.usable() + " of " + threads);
    }
}
