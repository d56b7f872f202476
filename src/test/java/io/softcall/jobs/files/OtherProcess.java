package io.softcall.jobs.files;

import java.io.IOException;
import java.nio.charset.StandardCharsets;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;

/**
 * Runs a program in a process with a temporary folder of its own. Java keeps one temporary folder per process, which all tests
 * share.
 */
public final class OtherProcess {

    private OtherProcess() {}

    /**
     * Returns what a program prints.
     *
     * @param before a command of the shell that runs first
     */
    public static String run(String before, Path temporary, Class<?> program, String... arguments)
            throws IOException, InterruptedException {
        List<String> command = new ArrayList<>(List.of(
                "sh",
                "-c",
                before + " exec \"$0\" -Xshare:off -XX:-UsePerfData --enable-native-access=ALL-UNNAMED \"$@\"",
                Path.of(System.getProperty("java.home"), "bin/java").toString(),
                "-Djava.io.tmpdir=" + temporary,
                "-cp",
                System.getProperty("java.class.path"),
                program.getName()));
        command.addAll(List.of(arguments));
        Process process = new ProcessBuilder(command)
                .redirectError(ProcessBuilder.Redirect.INHERIT)
                .start();
        String out = new String(process.getInputStream().readAllBytes(), StandardCharsets.UTF_8);
        process.waitFor();
        return out.strip();
    }
}
