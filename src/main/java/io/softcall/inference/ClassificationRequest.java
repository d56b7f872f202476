package io.softcall.inference;

import io.softcall.task.TaskName;
import java.util.List;
import java.util.OptionalInt;

/**
 * What to classify, whatever protocol brought it.
 *
 * @param inputs each has one text, or two for a task on pairs
 * @param truncateTokens cut texts to this many tokens, template included; empty: refuse long texts
 */
public record ClassificationRequest(TaskName task, List<List<String>> inputs, OptionalInt truncateTokens) {}
