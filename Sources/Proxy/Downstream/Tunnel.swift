// What follows a 101: two connections that carry bytes which are nobody's business here, in two bounded
// buffers, each way at the pace of its reader. Only WebSockets get here, and only when the client asked, the
// gate let it in and the upstream agreed.
//
// A side that has sent its last byte is told so to the other, which may finish; silence on both ends it.

import HTTP
import Network
import Primitives

extension DownstreamConnection {
    /// The upstream has agreed.
    func startTunnel(_ response: borrowing ResponseHead) {
        sendSwitch(response)
        exchange.phase = .tunnelling
        bindStream()
    }

    /// Moves what the client has sent to the upstream, as far as it takes it.
    func relayTunnel() {
        var turns = 0
        while let upstream = exchange.upstream, upstream.acceptsContent {
            turns += 1
            if turns > Self.tunnelTurnsMax {
                shard.loop.callAgain(self)
                return
            }
            if input.isEmpty && !receive() { break }
            upstream.flush()
            if upstream !== exchange.upstream { return }
            exchange.requestBytes += UInt64(input.count)
            if !upstream.pass(&input) {
                upstream.fail(.upstreamClosed)
                return
            }
        }
        if isClosed || !hasEnded || !input.isEmpty { return }
        exchange.upstream?.endTunnel()
        finishTunnelWhenDone()
    }

    /// The upstream has sent its last byte.
    func upstreamEndedTunnel() {
        exchange.upstreamHasEnded = true
        pump()
    }

    /// The deadline of a tunnel: silence, a side that does not take what is sent to it, or a half-open end.
    func settleTunnel() {
        finishTunnelWhenDone()
        if isClosed { return }
        let isEnding = hasEnded || exchange.upstreamHasEnded
        awaitStreamEnd(
            orMilliseconds: isEnding
                ? Self.tunnelEndMilliseconds : exchange.tunnelTimeoutMilliseconds)
    }

    private func finishTunnelWhenDone() {
        if !exchange.upstreamHasEnded || !output.isEmpty || isClosed { return }
        if !hasEnded {
            transport.finishSending()
        } else if exchange.upstream?.hasUnsent != true {
            finishTunnel()
        }
    }

    /// Both sides are done, or one of them is gone.
    func finishTunnel() {
        concludeExchange()
        exchange.phase = .lingering
        close()
    }

    private static let tunnelTurnsMax = 16
    /// How long the other side of a half-closed tunnel may take to finish.
    private static let tunnelEndMilliseconds: Int64 = 10_000
}

extension UpstreamConnection {
    /// The head of a 101 has been read: both sides change over.
    func startTunnel(_ downstream: DownstreamConnection) {
        phase = .tunnelling
        Self.prepare(&head, route: downstream.exchange.route, shard.runtime.cookieNames)
        downstream.startTunnel(head)
    }

    /// Moves what the upstream has sent to the client, as far as it takes it.
    func relayTunnel() {
        guard let downstream, !input.isEmpty else { return }
        if downstream.acceptsContent {
            if !downstream.pass(&input) { downstream.abort(.clientClosed) }
        } else {
            isBlocked = true
        }
    }

    /// The time of an upstream that does not take what is sent to it; its silence is the tunnel's.
    func settleTunnel() {
        if output.isEmpty { shard.loop.clearDeadline(self) } else { awaitUpstream() }
        downstream?.pump()
    }

    /// Sends what the client has sent.
    fileprivate func pass(_ bytes: inout ByteBuffer) -> Bool {
        let isSound = send(&bytes, over: &transport, behind: &output, &shard.buffers)
        if hasUnsent { awaitUpstream() }
        return isSound
    }

    /// The client has sent its last byte: the upstream is told once all of them have left.
    func endTunnel() {
        if output.isEmpty { transport.finishSending() }
    }
}

extension DownstreamConnection {
    /// Sends what the upstream has sent.
    fileprivate func pass(_ bytes: inout ByteBuffer) -> Bool {
        exchange.responseBytes += UInt64(bytes.count)
        return send(&bytes, over: &transport, behind: &output, &shard.buffers)
    }
}

/// Sends bytes as they are: at once where nothing waits in front of them, else behind what does.
///
/// - Returns: false where the connection is broken. The end is the caller's to make: it clears both
///   connections' buffers, and `bytes` is one of them.
private func send(
    _ bytes: inout ByteBuffer, over transport: inout Transport, behind output: inout ByteBuffer,
    _ buffers: inout ByteBufferPool
) -> Bool {
    if output.isEmpty, transport.maySend {
        switch transport.send(from: &bytes) {
        case .bytes, .wouldBlock: break
        case .ended, .failed: return false
        }
    }
    if bytes.isEmpty { return true }
    buffers.supply(&output)
    bytes.withReadable { output.append($0) }
    bytes.removeAll()
    return true
}
