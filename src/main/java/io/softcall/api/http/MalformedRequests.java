package io.softcall.api.http;

import io.netty.buffer.Unpooled;
import io.netty.channel.ChannelDuplexHandler;
import io.netty.channel.ChannelHandlerContext;
import io.netty.channel.ChannelPromise;
import io.netty.handler.codec.TooLongFrameException;
import io.netty.handler.codec.http.DefaultFullHttpResponse;
import io.netty.handler.codec.http.FullHttpResponse;
import io.netty.handler.codec.http.HttpHeaderNames;
import io.netty.handler.codec.http.HttpRequest;
import io.netty.handler.codec.http.HttpResponse;
import io.netty.handler.codec.http.HttpResponseStatus;
import io.netty.handler.codec.http.HttpVersion;
import io.netty.handler.codec.http.LastHttpContent;
import io.netty.util.ReferenceCountUtil;
import io.softcall.SoftcallException;
import io.softcall.api.Errors;
import io.vertx.core.json.JsonObject;
import java.util.concurrent.TimeUnit;

/**
 * Answers data that cannot be decoded as HTTP with the same body as every error, and closes the connection; the answer
 * of Vert.x has no body. While earlier requests still wait for their answers, the answer of Vert.x is used, because it
 * keeps the order.
 */
final class MalformedRequests extends ChannelDuplexHandler {

    private int unanswered;

    @Override
    public void channelRead(ChannelHandlerContext context, Object message) {
        if (message instanceof HttpRequest request) {
            if (request.decoderResult().isFailure() && unanswered == 0) {
                refuse(context, request.decoderResult().cause());
                ReferenceCountUtil.release(message);
                return;
            }
            unanswered++;
        }
        context.fireChannelRead(message);
    }

    @Override
    public void write(ChannelHandlerContext context, Object message, ChannelPromise promise) {
        boolean interim =
                message instanceof HttpResponse response && HttpResponseStatus.CONTINUE.equals(response.status());
        if (message instanceof LastHttpContent && !interim) {
            unanswered--;
        }
        context.write(message, promise);
    }

    private static void refuse(ChannelHandlerContext context, Throwable cause) {
        SoftcallException problem = SoftcallException.invalid(
                cause instanceof TooLongFrameException
                        ? "the request's line or headers are longer than accepted"
                        : "the request is not HTTP/1.1");
        FullHttpResponse response = new DefaultFullHttpResponse(
                HttpVersion.HTTP_1_1,
                HttpResponseStatus.valueOf(Errors.status(problem.reason())),
                Unpooled.wrappedBuffer(
                        JsonObject.mapFrom(Errors.body(problem)).toBuffer().getBytes()));
        response.headers()
                .set(HttpHeaderNames.CONTENT_TYPE, "application/json")
                .set(HttpHeaderNames.CONTENT_LENGTH, response.content().readableBytes())
                .set(HttpHeaderNames.CONNECTION, "close");
        context.writeAndFlush(response);
        context.executor().schedule(() -> context.close(), RouterErrors.CLOSE_AFTER_MS, TimeUnit.MILLISECONDS);
    }
}
