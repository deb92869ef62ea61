// The end of the channel's pipeline: bytes to the decoder, replies and events to the link.
internal import NIOCore

/// Decodes what arrives for one connection of a link.
final class RedisChannelHandler: ChannelInboundHandler {
    typealias InboundIn = ByteBuffer

    private let link: RedisLink
    private let reader: ReplyReader

    init(link: RedisLink) throws(RedisError) {
        self.link = link
        reader = try ReplyReader()
    }

    func channelRead(context: ChannelHandlerContext, data: NIOAny) {
        do {
            link.beginReplies()
            try reader.read(unwrapInboundIn(data)) { link.receive($0) }
            link.endReplies()
        } catch {
            link.lose(context.channel, because: error)
        }
    }

    func channelWritabilityChanged(context: ChannelHandlerContext) {
        link.scheduleFlush()
        context.fireChannelWritabilityChanged()
    }

    func errorCaught(context: ChannelHandlerContext, error: any Error) {
        link.lose(context.channel, because: RedisError(.connection("\(error)")))
    }

    func channelInactive(context: ChannelHandlerContext) {
        link.lose(context.channel, because: RedisError(.connection("Redis closed the connection")))
        context.fireChannelInactive()
    }
}
