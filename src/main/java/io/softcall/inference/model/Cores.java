package io.softcall.inference.model;

import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;

/**
 * The cores that this process may use.
 *
 * <p>Java counts the hardware threads that a container's quota and {@code taskset} allow. Two hardware threads of one core
 * share the units that multiply matrices, so a core counts once. ONNX Runtime's own default would be all cores of the machine.
 * Its threads would then take turns on the cores that the process may use.
 */
public final class Cores {

    private Cores() {}

    /** Returns the number of usable cores, at least one. */
    public static int usable() {
        return usable(Path.of("/sys/devices/system/cpu"), Runtime.getRuntime().availableProcessors());
    }

    /**
     * @param cpus Linux's folder that describes the processors; if it is missing, each hardware thread counts
     * @param threads the number of hardware threads that this process may use
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

    /** Counts the numbers in a list such as {@code 0-3,8}. */
    private static int count(String list) {
        int count = 0;
        for (String range : list.strip().split(",")) {
            String[] ends = range.split("-");
            count += Integer.parseInt(ends[ends.length - 1]) - Integer.parseInt(ends[0]) + 1;
        }
        return count;
    }
}
