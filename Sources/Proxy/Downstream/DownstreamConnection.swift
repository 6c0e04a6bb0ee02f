// A client's connection: it reads requests, has each answered, and writes the answers in order. This file is
// its life: events, deadlines, the pump that moves whatever can move, and its end.
//
// Owned by: one shard. Invariant: between two events, everything that could be done without waiting has been
// done.

import JOSE
import Configuration
import HTTP
import Network
import Observability
import Primitives
import Sessions
import TLS

/// A connection from a client.
final class DownstreamConnection: EventTarget {
    let shard: Shard
    let role: ListenerRole
    /// The client, or the last proxy in front of us.
    var peer: SocketAddress
    /// The peer's address as logs and X-Forwarded-For write it.
    var peerText: [UInt8]
    /// Whether what the peer says of its clients is believed.
    var peerIsTrusted: Bool
    /// The address that the connection is counted for.
    var countedPeer: SocketAddress?
    /// The first bytes are to be a PROXY header.
    var awaitsProxyHeader: Bool
    /// What the listener speaks; nil for plain HTTP.
    let tls: ServerTLS?
    /// The handshake of TLS is not done yet.
    var isShakingHands: Bool { tls != nil && !awaitsProxyHeader && !isSecured }
    var isSecured = false
    var transport: Transport
    var input = ByteBuffer()
    var output = ByteBuffer()
    var head = RequestHead()
    let exchange = Exchange()
    var scanner = HeadScanner()
    /// Part of a head has arrived; its end is searched before it is parsed again.
    var headIsPartial = false
    /// The client will send no more.
    private(set) var hasEnded = false
    private(set) var isClosed = false
    /// The deadline of an idle connection is its last: it has nothing left to give back.
    var hasRested = true
    private var isPumping = false
    private var mustPump = false
    private var lingered = 0
    /// The last read took all the room there was.
    private var isBulk = false
    /// Requests begun since the last event: a client that pipelines without end must let others have their
    /// turn.
    private var requestsInTurn = 0

    init(_ accepted: Accepted, role: ListenerRole, tls: ServerTLS?, shard: Shard) {
        self.shard = shard
        self.role = role
        peer = accepted.peer
        peerText = Array(accepted.peer.host.utf8)
        peerIsTrusted = shard.runtime.trusts(accepted.peer)
        awaitsProxyHeader = role.expectsProxyHeader
        countedPeer = role.isControl || role.expectsProxyHeader ? nil : accepted.peer
        self.tls = tls
        transport = Transport(
            FileDescriptor(accepted.descriptor), tls: role.expectsProxyHeader ? nil : tls?.makeSession())
        transport.limitUnsent(bytes: Self.unsentBytesMax)
    }

    /// Starts listening to the client.
    func open() {
        do throws(SystemError) {
            try shard.loop.add(self, transport)
            shard.loop.setDeadline(
                self,
                milliseconds: awaitsProxyHeader
                    ? shard.limits.headerTimeoutMilliseconds
                    : tls == nil ? shard.limits.idleTimeoutMilliseconds : handshakeTimeoutMilliseconds)
        } catch {
            shard.runtime.services.log.warning("a connection could not be watched: \(error)")
            close()
        }
    }

    // MARK: - Events

    override func becameReady(_ readiness: Readiness) {
        requestsInTurn = 0
        transport.note(readiness)
        if isShakingHands && !goOnShakingHands(readiness) { return }
        if !readiness.isDisjoint(with: .broken) {
            if exchange.phase != .tunnelling {
                abort(.clientClosed)
                return
            }
            if readiness.contains(.failed) {
                finishTunnel()
                return
            }
            // Both sides have said that they are done: what the client sent before that is still to be read.
        }
        // A half-close elsewhere; but who waits for events and says that it is done has closed the page. The
        // stream may be silent for long, and nothing else would tell.
        if exchange.isEventStream, exchange.phase == .relaying, readiness.contains(.ending) {
            abort(.clientClosed)
            return
        }
        pump()
    }

    override func deadlinePassed() {
        if let binding = exchange.binding, shard.loop.now >= binding.endsAt {
            streamExpired()
            return
        }
        switch exchange.phase {
        case .idle where !headIsPartial:
            if isShakingHands { shard.metrics.handshakes.failed(HandshakeMetrics.timeout) }
            hasRested || awaitsProxyHeader || isShakingHands ? close() : rest()
            return
        case .idle:
            beginBrokenExchange()
            refuse(.headTimeout)
        case .collecting: refuse(.bodyTimeout)
        case .relaying where output.isEmpty:
            exchange.hasResponse ? abort(.clientStalled) : refuse(.bodyTimeout)
        case .relaying, .flushing: abort(.clientStalled)
        case .tunnelling: output.isEmpty ? finishTunnel() : abort(.clientStalled)
        case .awaitingReply: return
        case .lingering: close()
        }
        if !isClosed { pump() }
    }

    /// Reads what has arrived, where there is room; false when nothing came of it.
    func receive() -> Bool {
        if !transport.mayReceive || hasEnded { return false }
        shard.buffers.supply(&input)
        if exchange.phase == .relaying || exchange.phase == .tunnelling, isBulk, input.isEmpty {
            input.reserve(UpstreamConnection.bulkBytes)
        }
        if input.freeCount == 0 { return false }
        let room = input.fillCount
        switch transport.receive(into: &input) {
        case .bytes(let count):
            isBulk = count == room
            exchange.pace.moved(count, shard.loop.now)
            return true
        case .wouldBlock: return false
        case .ended:
            hasEnded = true
            return true
        case .failed:
            abort(.clientClosed)
            return false
        }
    }

    // MARK: - The pump

    /// Does everything that can be done now. Called again from within, it goes round once more instead of
    /// deeper.
    func pump() {
        if isPumping {
            mustPump = true
            return
        }
        isPumping = true
        repeat {
            mustPump = false
            while !isClosed && step() {}
            if !isClosed { flush() }
        } while mustPump && !isClosed
        isPumping = false
        if !isClosed { settle() }
    }

    /// One step; false when something must be waited for.
    private func step() -> Bool {
        switch exchange.phase {
        case .idle:
            if input.isEmpty {
                if hasEnded { close() }
                return receive()
            }
            if requestsInTurn >= Self.requestsPerTurnMax {
                shard.loop.callAgain(self)
                return false
            }
            if awaitsProxyHeader { return readProxyHeader() }
            if isShakingHands { return goOnShakingHands() }
            requestsInTurn += 1
            return parseHead()
        case .collecting: return collectBody()
        case .relaying:
            relayRequestBody()
            return exchange.phase != .relaying
        case .tunnelling:
            relayTunnel()
            return false
        case .awaitingReply: return false
        case .flushing:
            flush()
            if isClosed || !output.isEmpty { return false }
            finish()
            return true
        case .lingering:
            lingered += input.count
            input.removeAll()
            if hasEnded || lingered > Self.lingerBytesMax { close() }
            return !isClosed && receive()
        }
    }

    /// Sets until when whatever is waited for must come.
    private func settle() {
        if exchange.phase != .idle && endsSlowClient() { return }
        // A client that drips keeps moving the deadline on, and would never be asked.
        if let binding = exchange.binding, shard.loop.now >= binding.endsAt {
            streamExpired()
            return
        }
        if !output.isEmpty {
            exchange.pace.wait(shard.loop.now)
            // How slowly a client takes its stream does not put off the stream's end.
            awaitStreamEnd(orMilliseconds: shard.limits.bodyTimeoutMilliseconds)
            return
        }
        switch exchange.phase {
        case .idle:
            if headIsPartial || awaitsProxyHeader || isShakingHands { return }
            // Soon, and not now: a busy connection would give up and get anew with each request.
            hasRested = false
            shard.loop.setDeadline(self, milliseconds: Self.restMilliseconds)
        case .collecting:
            exchange.pace.wait(shard.loop.now)
            shard.loop.setDeadline(self, milliseconds: shard.limits.bodyTimeoutMilliseconds)
        case .relaying where isWaitingForBody:
            exchange.pace.wait(shard.loop.now)
            awaitStreamEnd(orMilliseconds: shard.limits.bodyTimeoutMilliseconds)
        case .lingering: break
        case .tunnelling: settleTunnel()
        case .relaying where exchange.binding != nil: awaitStreamEnd(orMilliseconds: nil)
        default: shard.loop.clearDeadline(self)
        }
    }

    private var isWaitingForBody: Bool {
        !exchange.requestIsComplete && (exchange.upstream?.acceptsContent ?? false)
    }

    // MARK: - The end

    /// The exchange is over and its answer has left: it is logged, and the connection goes on or closes.
    private func finish() {
        concludeExchange()
        unbindStream()
        // Who has been told that the connection goes on may have sent the next request.
        if !exchange.isPersistent {
            // Closing over unread bytes would send a reset, which can overtake the answer.
            exchange.requestIsComplete && input.isEmpty && transport.sayGoodbye() ? close() : linger()
            return
        }
        exchange.phase = .idle
        // Among few connections a block that stays where it is costs nothing; ten thousand that come and go
        // would each hold two.
        if shard.isCrowded {
            shard.buffers.reclaim(&input)
            shard.buffers.reclaim(&output)
        }
        exchange.token = nil
        // It may have held a refresh token.
        if !exchange.collected.isEmpty { exchange.collected = [] }
    }

    private func linger() {
        exchange.phase = .lingering
        transport.finishSending()
        shard.loop.setDeadline(self, milliseconds: Self.lingerMilliseconds)
    }

    /// Ends the connection without another word. An exchange that is under way is logged.
    func abort(_ error: ProxyError) {
        if isClosed { return }
        switch exchange.phase {
        case .idle, .lingering: break
        default:
            if exchange.status == 0 { exchange.status = 499 }
            exchange.reason = error.word
            if exchange.hasResponse && exchange.responseFraming == .untilClose { transport.resetOnClose() }
            dropUpstream()
            concludeExchange()
        }
        close(saysGoodbye: false)
    }

    /// RFC 9112 §9.8: "Servers MUST attempt to initiate an exchange of closure alerts with the client before
    /// closing the connection". But not in the middle of an answer: it would look whole.
    func close(saysGoodbye: Bool = true) {
        if isClosed { return }
        if saysGoodbye { transport.sayGoodbye() }
        isClosed = true
        unbindStream()
        dropUpstream()
        exchange.phase = .lingering
        shard.loop.remove(self)
        shard.connectionClosed(self)
    }

    private static let requestsPerTurnMax = 64
    private static let unsentBytesMax: Int32 = 64 * 1024
    private static let lingerMilliseconds: Int64 = 2_000
    private static let lingerBytesMax = 1024 * 1024
}
