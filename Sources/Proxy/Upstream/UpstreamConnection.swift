// A connection to an upstream: it sends one request at a time, reads the response and hands it to the
// client's connection. This file is its life: events, deadlines, the request's way out and reuse; the
// response is read in `BodyRelay`, and what a failure leads to is in `UpstreamOutcome`.
//
// Owned by: one shard. Nothing that an upstream sends is believed before it is parsed, and a connection on
// which anything surprising was seen is never used again (response queue poisoning).

import Configuration
import Observability
import HTTP
import Network
import Primitives
import TLS

/// Where an upstream connection stands.
enum UpstreamPhase: UInt8 {
    case idle
    /// A request is on its way, or its answer's head is awaited.
    case awaitingHead
    /// The head is held back until the refresh service has answered.
    case held
    case readingBody
    /// HTTP has ended (101); bytes pass both ways.
    case tunnelling
    case closed
}

/// A connection to an upstream.
final class UpstreamConnection: EventTarget {
    let pool: UpstreamPool
    let server: PooledServer
    let shard: Shard
    /// What it was agreed on under; a reload may have changed the server's since.
    let tls: ClientTLS?
    /// The place that this connection takes at a server with a limit.
    private let quota: ConnectionQuota?
    var transport: Transport
    var input = ByteBuffer()
    var output = ByteBuffer()
    var head = ResponseHead()
    var scanner = HeadScanner()
    var headIsPartial = false
    var phase = UpstreamPhase.idle
    var reader = BodyReader(.none)
    var interimCount = 0
    /// The client's connection whose exchange this one serves.
    private(set) var downstream: DownstreamConnection?
    private(set) var isEstablished = false
    /// Whether an earlier exchange was served: then the upstream may have closed it unseen.
    private(set) var isReused = false
    private(set) var hasReceived = false
    /// The exchange shows whether a server that failures have taken out is back.
    var isTrial = false
    /// The last read took all the room there was.
    private var isBulk = false
    private var responseTimeoutMilliseconds: Int64 = 0
    private var idleTimeoutMilliseconds: Int64 = 0
    /// The response waits because the client reads slowly.
    var isBlocked = false
    /// Nothing was asked of it for a moment: only what it needs to wait is left of it.
    private var hasRested = false
    /// `receive` is at work: whoever unblocks the response leaves the rest to it.
    private var isReceiving = false

    init(_ transport: consuming Transport, pool: UpstreamPool, server: PooledServer) {
        self.transport = transport
        self.pool = pool
        self.server = server
        tls = server.shared.tls
        quota = server.shared.quota
        shard = pool.shard
    }

    func open() throws(SystemError) { try shard.loop.add(self, transport) }

    // MARK: - The request

    /// Sends the request head of an exchange.
    func begin(_ downstream: DownstreamConnection) {
        self.downstream = downstream
        downstream.exchange.upstream = self
        downstream.exchange.server = server.shared
        downstream.exchange.sentMicroseconds = shard.loop.microseconds
        let route = downstream.exchange.route
        // Each by itself: a copy of the whole configuration would count references for every list in it.
        responseTimeoutMilliseconds =
            route?.configuration.responseTimeoutMilliseconds
            ?? pool.target.configuration.responseTimeoutMilliseconds
        idleTimeoutMilliseconds =
            route?.configuration.idleTimeoutMilliseconds ?? pool.target.configuration.idleTimeoutMilliseconds
        phase = .awaitingHead
        hasRested = false
        hasReceived = false
        interimCount = 0
        isBlocked = false
        shard.buffers.supply(&output)
        RequestWriting.write(
            downstream.head, exchange: downstream.exchange, peer: downstream.peerText,
            scheme: downstream.scheme, certificate: downstream.transport.tls?.peer,
            authority: server.shared.authority,
            to: &output)
        if !isEstablished {
            shard.loop.setDeadline(self, milliseconds: pool.target.configuration.connectTimeoutMilliseconds)
            return
        }
        // A request with a body leaves with its first piece: the downstream's pump comes back at once.
        if downstream.exchange.requestIsComplete { flush() } else { awaitUpstream() }
    }

    /// Whether more of the request's body can be taken. None before the connection stands: should it fail,
    /// the whole request goes to another server.
    var acceptsContent: Bool { isEstablished && phase != .closed && output.count < Self.outputBytesMax }

    /// Whether anything waits for the upstream to take it.
    var hasUnsent: Bool { !output.isEmpty }

    /// Adds a piece of the request's body.
    func appendContent(_ content: Span<UInt8>, framing: BodyFraming) {
        var sent = 0
        if content.count >= DownstreamConnection.directBytesMin, output.isEmpty, framing != .chunked,
            isEstablished
        {
            sent = transport.send(content)
            if sent > 0 { awaitUpstream() }
        }
        BodyWriter.append(content.extracting(sent..<content.count), framing: framing, to: &output)
    }

    /// The request's body is complete.
    func endContent(framing: BodyFraming) { BodyWriter.appendEnd(framing: framing, to: &output) }

    /// Sends what waits, as far as the upstream takes it.
    func flush() {
        if !isEstablished || phase == .closed { return }
        while !output.isEmpty && transport.maySend {
            switch transport.send(from: &output) {
            case .bytes: awaitUpstream()
            case .wouldBlock: return
            case .ended, .failed:
                // An upstream may refuse a body and close while its answer is on the way to us: read that
                // first.
                output.removeAll()
                transport.note(.ending)
                receive()
                return
            }
        }
    }

    // MARK: - Events

    override func becameReady(_ readiness: Readiness) {
        transport.note(readiness)
        if !isEstablished {
            establish()
            return
        }
        if !output.isEmpty {
            flush()
            downstream?.pump()
        }
        receive()
    }

    override func deadlinePassed() {
        switch phase {
        case .idle where !hasRested && restsWhileIdle:
            hasRested = true
            head.block.release()
            let left = pool.target.configuration.keepaliveMilliseconds - UpstreamPool.restMilliseconds
            shard.loop.setDeadline(self, milliseconds: left)
        case .idle:
            pool.forget(self)
            close()
        case .awaitingHead where !isEstablished: fail(.upstreamConnectTimeout)
        case .tunnelling: fail(.upstreamTimeout)
        case .awaitingHead, .readingBody:
            // Not the upstream's delay while the client has not sent its whole request.
            if let downstream, !downstream.exchange.requestIsComplete, output.isEmpty, phase == .awaitingHead
            {
                awaitUpstream()
            } else {
                fail(.upstreamTimeout)
            }
        case .held, .closed: break
        }
    }

    private var restsWhileIdle: Bool {
        pool.target.configuration.keepaliveMilliseconds > UpstreamPool.restMilliseconds
    }

    private func establish() {
        if let error = transport.connectionError {
            if let problem = transport.tlsError {
                shard.runtime.services.log.warning(
                    "\(pool.target.text(of: server.shared)): \(problem.logWord): \(problem.reason)")
                fail(.upstreamTLS)
            } else {
                pool.warn(server, error)
                fail(.upstreamConnect)
            }
            return
        }
        // Nothing goes out, and nothing that comes is believed, before the handshake is done (CVE-2026-1642).
        if !transport.isEstablished { return }
        isEstablished = true
        pool.metrics.connects.add()
        awaitUpstream()
        // The first piece of a body leaves with the head.
        downstream?.pump()
        flush()
        receive()
    }

    /// Reads and relays until the upstream has no more, or the client takes no more.
    func receive() {
        if isReceiving { return }
        isReceiving = true
        var goesOn: Bool
        var turns = 0
        repeat {
            relayResponse()
            let waited = isBlocked
            downstream?.flush()
            turns += 1
            if turns > Self.turnsMax && !isBlocked && transport.mayReceive {
                shard.loop.callAgain(self)
                break
            }
            goesOn = !isBlocked && (waited || fill())
        } while goesOn
        isReceiving = false
        switch phase {
        case .readingBody: isBlocked ? shard.loop.clearDeadline(self) : awaitUpstream()
        case .tunnelling: settleTunnel()
        default: break
        }
    }

    /// Reads what has arrived; false when there is nothing to relay.
    private func fill() -> Bool {
        if !transport.mayReceive || phase == .held || phase == .closed { return false }
        shard.buffers.supply(&input)
        if isBulk && input.isEmpty { input.reserve(Self.bulkBytes) }
        let room = input.fillCount
        switch transport.receive(into: &input) {
        case .bytes(let count):
            isBulk = count == room
            if phase == .idle {
                // Nothing was asked: whatever this is, it must not become the answer to the next request.
                pool.forget(self)
                close()
                return false
            }
            hasReceived = true
            return true
        case .wouldBlock: break
        case .ended: connectionEnded()
        case .failed: connectionBroken()
        }
        return false
    }

    private func connectionEnded() {
        switch phase {
        case .idle:
            pool.forget(self)
            close()
        case .readingBody:
            if reader.connectionEnded() { completeResponse() } else { fail(.upstreamClosed) }
        case .awaitingHead, .held: fail(.upstreamClosed)
        case .tunnelling: downstream?.upstreamEndedTunnel()
        case .closed: break
        }
    }

    private func connectionBroken() {
        if phase == .idle {
            pool.forget(self)
            close()
        } else if phase != .closed {
            fail(.upstreamClosed)
        }
    }

    /// Starts the upstream's time anew: something has moved.
    func awaitUpstream() {
        shard.loop.setDeadline(
            self,
            milliseconds: phase == .awaitingHead ? responseTimeoutMilliseconds : idleTimeoutMilliseconds)
    }

    // MARK: - The end of an exchange

    /// The response is complete: the connection goes back to the pool, if nothing speaks against it.
    func completeResponse() {
        guard let downstream else { return }
        let isClean =
            head.isPersistent && !downstream.hasUnexpectedBody && downstream.exchange.requestIsComplete
            && output.isEmpty && input.isEmpty
            && reader.isComplete && head.framing != .untilClose && !transport.mayReceive
        detach()
        phase = .idle
        if let resumption = transport.tls?.takeResumption() { server.resumptions.keep(resumption) }
        isReused = true
        isBlocked = false
        if isClean && pool.keep(self) {
            let keepalive = pool.target.configuration.keepaliveMilliseconds
            shard.loop.setDeadline(self, milliseconds: min(UpstreamPool.restMilliseconds, keepalive))
        } else {
            close()
        }
        downstream.endResponse()
    }

    /// The connection and the exchange part.
    func detach() {
        if downstream == nil { return }
        downstream = nil
        pool.exchangeEnded(on: self)
    }

    /// The client's side has given the exchange up.
    func abandon() {
        detach()
        close()
    }

    func close() {
        if phase == .closed { return }
        // RFC 9112 §9.8: "Clients MUST send a closure alert before closing the connection." What is cut off
        // must look it, though.
        if phase == .idle { transport.sayGoodbye() }
        phase = .closed
        input = ByteBuffer()
        output = ByteBuffer()
        shard.loop.remove(self)
        if let quota { pool.connectionClosed(quota) }
    }

    private static let outputBytesMax = 64 * 1024
    /// What is read at once where there is much: a quarter of the system calls of a common block.
    static let bulkBytes = 64 * 1024
    /// Reads in one go: 256 kB. Where proxy and peers are as fast as each other, a transfer would never pause
    /// for the other connections of the shard.
    private static let turnsMax = 16
}
