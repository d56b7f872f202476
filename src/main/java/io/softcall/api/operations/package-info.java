/** Health and metrics of the process. */
package io.softcall.api.operations;
