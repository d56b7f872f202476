/** Where artifacts lie: bytes and versions. The contracts that every store keeps. */
package io.softcall.store;
