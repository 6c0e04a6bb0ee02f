// A client's connection: it reads requests, has each answered, and writes the answers in order. This file is its life:
// events, deadlines, the pump that moves whatever can move, and its end.
//
// Owned by: one shard. Invariant: between two events, everything that could be done without waiting has been done,
// and the watched readiness says exactly what is waited for.

import Configuration
import HTTP
import Network
import Observability
import Primitives
import Sessions

/// A connection from a client.
final class DownstreamConnection: EventTarget {
    unowned let shard: Shard
    let role: ListenerRole
    let peer: SocketAddress
    /// The client's address as logs and X-Forwarded-For write it.
    let clientText: [UInt8]
    let transport: Transport
    var input = ByteBuffer()
    var output = ByteBuffer()
    var head = RequestHead()
    let exchange = Exchange()
    private var scanner = HeadScanner()
    /// Part of a head has arrived; its end is searched before it is parsed again.
    private var headIsPartial = false
    /// The client will send no more.
    private(set) var hasEnded = false
    private var isClosed = false
    private var isPumping = false
    private var mustPump = false
    private var lingered = 0

    init(_ accepted: Accepted, role: ListenerRole, shard: Shard) {
        self.shard = shard
        self.role = role
        peer = accepted.peer
        clientText = Array(accepted.peer.host.utf8)
        transport = Transport(FileDescriptor(accepted.descriptor))
    }

    /// Starts listening to the client.
    func open() {
        do throws(SystemError) {
            try shard.loop.add(self, transport, .readable)
            shard.loop.setDeadline(self, milliseconds: shard.limits.idleTimeoutMilliseconds)
        } catch {
            shard.runtime.services.log.warning("a connection could not be watched: \(error)")
            close()
        }
    }

    // MARK: - Events

    override func becameReady(_ readiness: Readiness) {
        if !readiness.isDisjoint(with: .broken) {
            abort(.clientClosed)
            return
        }
        if readiness.contains(.readable) { receive() }
        if !isClosed { pump() }
    }

    override func deadlinePassed() {
        switch exchange.phase {
        case .idle:
            if !headIsPartial {
                close()
                return
            }
            beginBrokenExchange()
            refuse(.headTimeout)
        case .collecting: refuse(.bodyTimeout)
        case .relaying where output.isEmpty: exchange.hasResponse ? abort(.clientStalled) : refuse(.bodyTimeout)
        case .relaying, .flushing: abort(.clientStalled)
        case .awaitingReply: return
        case .lingering: close()
        }
        if !isClosed { pump() }
    }

    private func receive() {
        shard.buffers.supply(&input)
        if input.freeCount == 0 { return }
        switch transport.receive(into: &input) {
        case .bytes, .wouldBlock: break
        case .ended: hasEnded = true
        case .failed: abort(.clientClosed)
        }
    }

    // MARK: - The pump

    /// Does everything that can be done now. Called again from within, it goes round once more instead of deeper.
    func pump() {
        if isPumping {
            mustPump = true
            return
        }
        isPumping = true
        repeat {
            mustPump = false
            while !isClosed && step() {}
            if !isClosed && !output.isEmpty { flush() }
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
                return false
            }
            return parseHead()
        case .collecting: return collectBody()
        case .relaying:
            relayRequestBody()
            return exchange.phase != .relaying
        case .awaitingReply: return false
        case .flushing:
            if !output.isEmpty { flush() }
            if isClosed || !output.isEmpty { return false }
            finish()
            return true
        case .lingering:
            lingered += input.count
            input.removeAll()
            if hasEnded || lingered > Self.lingerBytesMax { close() }
            return false
        }
    }

    /// Sets what is waited for, and until when.
    private func settle() {
        let phase = exchange.phase
        var interest: Readiness = []
        // Level-triggered: what cannot be taken now must not be watched, or it would wake us for nothing.
        if !hasEnded && (!input.hasBlock || input.freeCount > 0) { interest.insert(.readable) }
        if !output.isEmpty { interest.insert(.writable) }
        shard.loop.watch(self, interest)
        if !output.isEmpty {
            shard.loop.setDeadline(self, milliseconds: shard.limits.bodyTimeoutMilliseconds)
            return
        }
        switch phase {
        case .idle:
            if headIsPartial { return }
            shard.buffers.reclaim(&input)
            shard.buffers.reclaim(&output)
            shard.loop.setDeadline(self, milliseconds: shard.limits.idleTimeoutMilliseconds)
        case .collecting: shard.loop.setDeadline(self, milliseconds: shard.limits.bodyTimeoutMilliseconds)
        case .relaying where isWaitingForBody:
            shard.loop.setDeadline(self, milliseconds: shard.limits.bodyTimeoutMilliseconds)
        case .lingering: break
        default: shard.loop.clearDeadline(self)
        }
    }

    private var isWaitingForBody: Bool {
        !exchange.requestIsComplete && (exchange.upstream?.acceptsContent ?? false)
    }

    // MARK: - Heads

    private func parseHead() -> Bool {
        do throws(ProtocolViolation) {
            let limits = shard.runtime.messageLimits
            if headIsPartial {
                guard
                    try input.withReadable({ (bytes) throws(ProtocolViolation) in
                        try scanner.end(in: bytes, limits: limits)
                    }) != nil
                else { return awaitHead() }
            }
            let result = try input.withReadable { (bytes) throws(ProtocolViolation) in
                try RequestParser.parse(bytes, into: &head, limits: limits)
            }
            guard case .complete(let count) = result else { return awaitHead() }
            input.consume(count)
            headIsPartial = false
            exchange.begin(microseconds: Clock.microseconds, client: clientText)
            exchange.isPersistent = head.isPersistent && !shard.isDraining
            dispatchRequest()
        } catch {
            beginBrokenExchange()
            refuse(.violation(error))
        }
        return true
    }

    private func awaitHead() -> Bool {
        if hasEnded {
            close()
            return false
        }
        if !headIsPartial {
            headIsPartial = true
            scanner.reset()
            shard.loop.setDeadline(self, milliseconds: shard.limits.headerTimeoutMilliseconds)
        }
        // The parsers refuse a head that is too large, so this growth is bounded by their limit.
        if input.freeCount == 0 { input.reserve(input.capacity) }
        return false
    }

    /// An exchange for a request that could not be read: so that it is answered and logged like any other.
    private func beginBrokenExchange() {
        head.reset()
        headIsPartial = false
        exchange.begin(microseconds: Clock.microseconds, client: clientText)
        exchange.isPersistent = false
        // Where the next request would begin is unknown.
        exchange.requestIsComplete = false
    }

    // MARK: - The end

    /// The exchange is over and its answer has left: it is logged, and the connection goes on or closes.
    private func finish() {
        logExchange()
        if !exchange.isPersistent || shard.isDraining {
            // Closing over unread bytes would send a reset, which can overtake the answer.
            if exchange.requestIsComplete && input.isEmpty {
                close()
            } else {
                linger()
            }
            return
        }
        exchange.phase = .idle
        exchange.token = nil
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
            if exchange.entry.status == 0 { exchange.entry.status = 499 }
            exchange.entry.reason = error.word
            releaseUpstream()
            logExchange()
        }
        close()
    }

    func close() {
        if isClosed { return }
        isClosed = true
        releaseUpstream()
        exchange.phase = .lingering
        shard.loop.remove(self)
        shard.connectionClosed(self)
    }

    private func releaseUpstream() {
        let upstream = exchange.upstream
        exchange.upstream = nil
        upstream?.abandon()
    }

    private func logExchange() {
        exchange.entry.durationMicroseconds = Clock.microseconds - exchange.startedMicroseconds
        shard.log(exchange.entry, head)
    }

    private static let lingerMilliseconds: Int64 = 2_000
    private static let lingerBytesMax = 1024 * 1024
}
