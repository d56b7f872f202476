package io.softcall.inference.model;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assumptions.assumeTrue;

import java.io.IOException;
import java.nio.file.DirectoryStream;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.HashSet;
import java.util.Set;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;

class CoresTest {

    private static final Path MACHINE = Path.of("/sys/devices/system/cpu");

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
                "0-15     | 0,8   | 3  | 3", // a quota, which does not name cores
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

    /** Each core of this machine has its own list of hardware threads. */
    @Test
    void asManyAsThisMachineHas() throws IOException {
        assumeTrue(Files.exists(MACHINE.resolve("cpu0/topology/thread_siblings_list")));
        Set<String> cores = new HashSet<>();
        try (DirectoryStream<Path> threads = Files.newDirectoryStream(MACHINE, "cpu[0-9]*")) {
            for (Path thread : threads) {
                Path siblings = thread.resolve("topology/thread_siblings_list");
                if (Files.exists(siblings)) {
                    cores.add(Files.readString(siblings));
                }
            }
        }
        assumeTrue(cores.stream().map(String::length).distinct().count() == 1, "all cores are alike");
        assertEquals(Math.min(cores.size(), Runtime.getRuntime().availableProcessors()), Cores.usable());
    }
}
