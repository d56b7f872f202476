/** Functions over plain HTTP. */
package io.softcall.api.funqy;
