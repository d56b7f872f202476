/** The command {@code classify}, for devices without a port. docs/edge.md describes it. */
package io.softcall.api.cli;
