// What a client's bytes begin with: the handshake of TLS, the PROXY header of its connection, where a proxy
// in front of us sends one, and the head of each request. What breaks the rules here is answered like any
// other request, and logged, and is the last one: where the next would begin is unknown.

import Configuration
import HTTP
import Network
import Observability
import Primitives
import TLS

extension DownstreamConnection {
    /// false: more must come, or there will be no connection.
    func goOnShakingHands(_ readiness: Readiness = []) -> Bool {
        // Told once: without this a client that resets would hold its place until the deadline.
        if !readiness.isDisjoint(with: .broken) {
            shard.metrics.handshakes.failed(HandshakeMetrics.gone)
            close()
            return false
        }
        if transport.isEstablished {
            isSecured = true
            if let session = transport.tls { shard.metrics.handshakes.succeeded(session) }
            shard.loop.setDeadline(self, milliseconds: shard.limits.idleTimeoutMilliseconds)
            return true
        }
        if let error = transport.tlsError {
            let client = String(decoding: peerText, as: UTF8.self)
            shard.runtime.services.log.debug("TLS with \(client): \(error.logWord)")
            shard.metrics.handshakes.failed(error.logWord)
            close()
        }
        return false
    }

    var handshakeTimeoutMilliseconds: Int64 {
        shard.runtime.configuration.tls?.handshakeTimeoutMilliseconds
            ?? shard.limits.headerTimeoutMilliseconds
    }

    /// Learns from the first bytes who the client is. A peer that may not say so, or says it badly, is sent
    /// away without a word: it speaks no HTTP yet.
    func readProxyHeader() -> Bool {
        let mayNameClients = peerIsTrusted || shard.runtime.configuration.trustedProxies.isEmpty
        guard mayNameClients,
            let result = try? input.withReadable({ (bytes) throws(ProxyProtocolFault) in
                try ProxyProtocol.parse(bytes)
            })
        else {
            close()
            return false
        }
        guard case .complete(let consumed, let source) = result else {
            if hasEnded { close() }
            return receive()
        }
        input.consume(consumed)
        awaitsProxyHeader = false
        if let source {
            peer = source
            peerText = Array(source.host.utf8)
        }
        // Where the proxy does not say whom it speaks for, nothing that comes through it is its own word.
        peerIsTrusted = source.map(shard.runtime.trusts) ?? false
        if let limit = shard.runtime.services.census.identify(peer) {
            shard.metrics.admissions.count(limit)
            close()
            return false
        }
        countedPeer = peer
        if let tls {
            // What has come behind the header is the client's hello.
            transport.startTLS(tls.makeSession(), received: &input)
            shard.loop.setDeadline(self, milliseconds: handshakeTimeoutMilliseconds)
        }
        return true
    }

    func parseHead() -> Bool {
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
            exchange.begin(microseconds: shard.loop.microseconds)
            shard.metrics.begun.add()
            exchange.isPersistent = head.isPersistent && shard.keepsConnections
            dispatchRequest()
        } catch {
            beginBrokenExchange()
            refuse(.violation(error))
        }
        return true
    }

    private func awaitHead() -> Bool {
        if hasEnded {
            // RFC 9112 §8: the client gave up in mid-head; there is nobody to answer.
            close()
            return false
        }
        if !headIsPartial {
            headIsPartial = true
            scanner.reset()
            shard.loop.setDeadline(self, milliseconds: shard.limits.headerTimeoutMilliseconds)
        }
        // The parsers refuse a head that is too large, so this growth is bounded by their limit.
        if input.freeCount == 0 { input.reserve(input.count + 1) }
        return receive()
    }

    /// An exchange for a request that could not be read: so that it is answered and logged like any other.
    func beginBrokenExchange() {
        head.reset()
        headIsPartial = false
        exchange.requestID = .received(.empty)
        exchange.begin(microseconds: shard.loop.microseconds)
        shard.metrics.begun.add()
        exchange.isPersistent = false
        // Where the next request would begin is unknown.
        exchange.requestIsComplete = false
    }
}
