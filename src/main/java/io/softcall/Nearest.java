package io.softcall;

import java.util.Collection;

/** Finds the name that somebody probably meant. */
public final class Nearest {

    private Nearest() {}

    /**
     * Returns the known name with the smallest Levenshtein distance, the first among equals.
     *
     * @param known at least one name
     */
    public static String of(String name, Collection<String> known) {
        String nearest = "";
        for (String candidate : known) {
            boolean nearer = nearest.isEmpty() || distance(name, candidate) < distance(name, nearest);
            nearest = nearer ? candidate : nearest;
        }
        return nearest;
    }

    /** Returns the Levenshtein distance: the number of characters to insert, delete or replace. */
    private static int distance(String a, String b) {
        int[] row = new int[b.length() + 1];
        for (int j = 0; j <= b.length(); j++) {
            row[j] = j;
        }
        for (int i = 1; i <= a.length(); i++) {
            int diagonal = row[0];
            row[0] = i;
            for (int j = 1; j <= b.length(); j++) {
                int above = row[j];
                int replaced = diagonal + (a.charAt(i - 1) == b.charAt(j - 1) ? 0 : 1);
                row[j] = Math.min(replaced, 1 + Math.min(above, row[j - 1]));
                diagonal = above;
            }
        }
        return row[b.length()];
    }
}
