/** JSON of classification requests and answers, which several protocols share. */
package io.softcall.api.json;
