package io.softcall.inference;

import io.softcall.task.TaskName;
import java.util.List;
import java.util.OptionalInt;

/**
 * A request for classification, independent of its protocol.
 *
 * @param inputs each has one text, or two for a task on pairs
 * @param truncateTokens the number of tokens, with the template, to which longer texts are cut; if empty, long texts are
 *     refused
 */
public record ClassificationRequest(TaskName task, List<List<String>> inputs, OptionalInt truncateTokens) {}
