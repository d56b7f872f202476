/** Text around generation: chats become token ids, and tokens become text as they arrive. */
package io.softcall.inference.text;
