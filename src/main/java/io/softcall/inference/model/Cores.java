package io.softcall.inference.model;

import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;

/**
 * The cores that this process may use.
 *
 * <p>Java counts what a container's quota and {@code taskset} leave of the machine's hardware threads. Two hardware threads of one
 * core share what multiplies matrices, so a core counts once. (ONNX Runtime, asked for its own choice, counts all cores of the
 * machine, and as many threads take turns on those that the process may use.)
 */
public final class Cores {

    private Cores() {}

    /** How many there are, at least one. */
    public static int usable() {
        return usable(Path.of("/sys/devices/system/cpu"), Runtime.getRuntime().availableProcessors());
    }

    /**
     * @param cpus Linux's description of the machine; where there is none, each hardware thread counts
     * @param threads hardware threads that this process may use
     */
    public static int usable(Path cpus, int threads) {
        try {
            int all = count(Files.readString(cpus.resolve("online")));
            int ofCore = count(Files.readString(cpus.resolve("cpu0/topology/thread_siblings_list")));
            return Math.max(1, Math.min(threads, all / ofCore));
        } catch (IOException | NumberFormatException e) {
            return threads;
        }
    }

    /** How many numbers a list such as {@code 0-3,8} names. */
    private static int count(String list) {
        int count = 0;
        for (String range : list.strip().split(",")) {
            String[] ends = range.split("-");
            count += Integer.parseInt(ends[ends.length - 1]) - Integer.parseInt(ends[0]) + 1;
        }
        return count;
    }
}
