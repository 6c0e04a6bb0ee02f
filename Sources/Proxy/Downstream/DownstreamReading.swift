// Requests coming in: which of the gateway's doors a request takes, and the way of its body upstream or into
// an endpoint's hands.

import Configuration
import Observability
import JOSE
import HTTP
import Network
import Primitives
import Sessions

extension DownstreamConnection {
    // MARK: - Dispatch

    /// Decides what happens to the request in `head`.
    func dispatchRequest() {
        exchange.requestBody = BodyReader(head.framing)
        exchange.requestIsComplete = exchange.requestBody.isComplete
        exchange.requestBytesMax = shard.limits.requestBodyBytes
        // RFC 9110 §9.3.8: TRACE sends the request back to who sent it, with the identity that we add to it.
        if head.method == .trace {
            refuse(.methodNotAllowed)
            return
        }
        if head.targetForm == .asterisk {
            respond(.empty(204))
            return
        }
        if role == .control {
            beginCollecting(bytesMax: Endpoint.bodyBytesMax)
            return
        }
        let outcome = head.block.withBytes { bytes in
            PathNormalization.normalise(bytes.extracting(head.path.offsets), into: &exchange.normalPath)
        }
        if outcome == .refused {
            refuse(.pathRefused)
            return
        }
        exchange.usesNormalPath = outcome == .rewritten
        if Endpoint.isLocal(self) {
            beginCollecting(bytesMax: Endpoint.bodyBytesMax)
        } else {
            routeRequest()
        }
    }

    private func routeRequest() {
        let runtime = shard.runtime
        let (route, isAmbiguous) = withPath { path in
            head.block.withBytes { bytes in
                let authority = bytes.extracting(head.authority.offsets)
                let route = runtime.routes.route(path: path, authority: authority)
                guard let loose = PathNormalization.looseReading(of: path) else { return (route, false) }
                return (route, runtime.routes.route(path: loose.span, authority: authority) !== route)
            }
        }
        guard let route else {
            refuse(.noRoute)
            return
        }
        if isAmbiguous {
            refuse(.pathRefused)
            return
        }
        exchange.route = route
        exchange.requestBytesMax = route.requestBodyBytesMax
        switch AccessRule.admit(
            head, route: route, gatekeeper: shard.gatekeeper, memo: &exchange.memo, runtime: runtime,
            now: shard.wallTime)
        {
        case .refused(let refusal):
            if refusal == .misplacedRefreshToken { auditMisplacedToken() }
            exchange.reason = refusal.code
            respond(.refusal(refusal))
        case .admitted(let token, let bearerIsOurs):
            exchange.token = token
            exchange.bearerIsOurs = bearerIsOurs
            switch route.configuration.destination {
            case .upstream(let index): forward(route, to: shard.pool(index))
            case .fixed(let response): respond(.fixed(response))
            }
        }
    }

    private func auditMisplacedToken() {
        shard.runtime.services.audit.record(
            "refresh_token_misplaced", [("source.ip", String(decoding: clientText, as: UTF8.self))])
    }

    private func forward(_ route: Route, to pool: UpstreamPool) {
        if case .length(let length) = head.framing, length > exchange.requestBytesMax {
            refuse(.bodyTooLarge)
            return
        }
        // Looked up while the request still has its credentials, for the answer that may replace this
        // session.
        if route.configuration.isLogin { exchange.heldSession = presentedSession }
        RequestWriting.prepare(&head.block, exchange: exchange, runtime: shard.runtime)
        exchange.phase = .relaying
        exchange.pool = pool
        pool.assign(to: self)
    }

    /// Lends the path in its normal form.
    func withPath<Result>(_ body: (Span<UInt8>) -> Result) -> Result {
        if exchange.usesNormalPath {
            let path = exchange.normalPath
            return body(path.span)
        }
        return head.block.withBytes { bytes in body(bytes.extracting(head.path.offsets)) }
    }

    // MARK: - Bodies going upstream

    /// Moves what has arrived of the request's body to the upstream, as long as it takes it.
    func relayRequestBody() {
        var turns = 0
        while !exchange.requestIsComplete, let upstream = exchange.upstream {
            turns += 1
            if turns > Self.relayTurnsMax {
                shard.loop.callAgain(self)
                return
            }
            relay(to: upstream)
            guard exchange.phase == .relaying, upstream === exchange.upstream else { return }
            upstream.flush()
            // Told once of what has arrived, so on until one side has no more to give or to take.
            if !upstream.acceptsContent || (input.isEmpty && !transport.mayReceive) { return }
        }
    }

    private func relay(to upstream: UpstreamConnection) {
        let limits = shard.runtime.messageLimits
        // Up to a full output of the upstream at a time: the caller counts the turns.
        while !exchange.requestIsComplete && upstream.acceptsContent {
            if input.isEmpty && !receive() { break }
            if input.isEmpty { break }
            do throws(ProtocolViolation) {
                let step = try input.withReadable { (bytes) throws(ProtocolViolation) in
                    let step = try exchange.requestBody.step(bytes, from: 0, limits: limits)
                    upstream.appendContent(bytes.extracting(step.content.offsets), framing: head.framing)
                    return step
                }
                input.consume(step.consumed)
                exchange.requestBytes += UInt64(step.content.count)
                exchange.requestIsComplete = step.isComplete
            } catch {
                refuse(.violation(error))
                return
            }
            if exchange.requestBytes > exchange.requestBytesMax {
                refuse(.bodyTooLarge)
                return
            }
        }
        if exchange.requestIsComplete {
            upstream.endContent(framing: head.framing)
        } else if hasEnded && input.isEmpty {
            abort(.clientClosed)
        }
    }

    /// Rounds in one go, of at most 64 kB each; then other connections have their turn.
    private static let relayTurnsMax = 8

    // MARK: - Bodies for endpoints

    private func beginCollecting(bytesMax: Int) {
        exchange.requestBytesMax = UInt64(bytesMax)
        if case .length(let length) = head.framing, length > exchange.requestBytesMax {
            refuse(.bodyTooLarge)
            return
        }
        exchange.phase = .collecting
        // RFC 9110 §10.1.1: nobody else will tell the client to go on.
        if head.expectsContinue && input.isEmpty { output.append("HTTP/1.1 100 Continue\r\n\r\n") }
    }

    /// Takes a small body in; once it is whole, the endpoint answers. false: more must arrive.
    func collectBody() -> Bool {
        let limits = shard.runtime.messageLimits
        while !exchange.requestIsComplete {
            if input.isEmpty {
                if hasEnded {
                    abort(.clientClosed)
                    return false
                }
                return receive()
            }
            do throws(ProtocolViolation) {
                let step = try input.withReadable { (bytes) throws(ProtocolViolation) in
                    let step = try exchange.requestBody.step(bytes, from: 0, limits: limits)
                    exchange.collected += [UInt8](copying: bytes.extracting(step.content.offsets))
                    return step
                }
                input.consume(step.consumed)
                exchange.requestIsComplete = step.isComplete
            } catch {
                refuse(.violation(error))
                return true
            }
            if exchange.collected.count > Int(exchange.requestBytesMax) {
                refuse(.bodyTooLarge)
                return true
            }
        }
        if role == .control {
            ControlEndpoint.handle(self)
        } else {
            Endpoint.handle(self)
        }
        return exchange.phase != .collecting
    }
}
