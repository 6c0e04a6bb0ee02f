// The response on its way from the upstream to the client, in two bounded buffers: when the client's is full,
// the upstream is not read until it has drained. What a response says about sessions is taken out here and
// acted on before any of it reaches the client.

import Configuration
import Observability
import HTTP
import Network
import Primitives

extension UpstreamConnection {
    /// Moves what has arrived of the response to the client, as far as it takes it.
    func relayResponse() {
        while true {
            switch phase {
            case .awaitingHead:
                if input.isEmpty || !readHead() { return }
            case .readingBody:
                if !relayBody() { return }
            case .tunnelling:
                relayTunnel()
                return
            case .idle, .held, .closed: return
            }
        }
    }

    /// The client's connection has drained: go on, if it had made us wait.
    func resumeResponse() {
        guard isBlocked, phase == .readingBody || phase == .tunnelling, let downstream,
            downstream.acceptsContent
        else { return }
        isBlocked = false
        receive()
    }

    /// The refresh service has answered: the held response may go, with these cookies.
    func releaseHeld(cookies: [String]) {
        guard phase == .held, let downstream else { return }
        startBody(downstream, cookies: cookies)
        receive()
    }

    // MARK: - The head

    /// Reads a head; false when more must arrive.
    private func readHead() -> Bool {
        guard let downstream else { return false }
        let limits = pool.shard.runtime.messageLimits
        let isHead = downstream.head.method == .head
        do throws(ProtocolViolation) {
            if headIsPartial {
                guard
                    try input.withReadable({ (bytes) throws(ProtocolViolation) in
                        try scanner.end(in: bytes, limits: limits)
                    }) != nil
                else { return awaitHead() }
            }
            let result = try input.withReadable { (bytes) throws(ProtocolViolation) in
                try ResponseParser.parse(
                    bytes, into: &head, isHead: isHead, mayUpgrade: downstream.head.asksForWebSocket,
                    limits: limits)
            }
            guard case .complete(let count) = result else { return awaitHead() }
            input.consume(count)
            headIsPartial = false
            if head.isInterim {
                interimCount += 1
                if interimCount > limits.interimResponsesMax { throw .interimFlood }
                Self.prepare(&head, route: downstream.exchange.route, pool.shard.runtime.cookieNames)
                downstream.sendInterim(head)
                return phase == .awaitingHead
            }
            pool.answered(by: server)
            downstream.noteAnswer(status: head.status)
            if head.status == 101 {
                startTunnel(downstream)
                return true
            }
            takeFinalHead(downstream)
        } catch {
            pool.shard.runtime.services.log.warning(
                "upstream \(pool.target.configuration.name): its response was refused: \(error.word)")
            headIsPartial = false
            fail(.upstreamViolation(error))
        }
        return phase == .readingBody
    }

    private func awaitHead() -> Bool {
        if !headIsPartial {
            headIsPartial = true
            scanner.reset()
        }
        if input.freeCount == 0 { input.reserve(input.count + 1) }
        return false
    }

    private func takeFinalHead(_ downstream: DownstreamConnection) {
        reader =
            head.framing == .chunked && downstream.exchange.wantsTrailers
            ? BodyReader(.chunked, refusedTrailers: Persistence.fieldsNamed(by: head.block))
            : BodyReader(head.framing)
        let signal = SessionSignal.read(
            head, route: downstream.exchange.route, pool.shard.runtime.claimsRoom)
        Self.prepare(&head, route: downstream.exchange.route, pool.shard.runtime.cookieNames)
        switch signal {
        case .none: startBody(downstream, cookies: [])
        case .refusedStart(let subject, let reason):
            pool.shard.runtime.services.log.error(
                "upstream \(pool.target.configuration.name): no session can be begun: \(reason)")
            downstream.audit(.loginRefused, reason: reason, subject: subject)
            fail(.upstreamSession)
        case .malformed(let reason):
            pool.shard.runtime.services.log.error(
                "upstream \(pool.target.configuration.name): its answer cannot be used: \(reason)")
            fail(.upstreamSession)
        case .start(let start):
            hold()
            downstream.beginSession(start)
        case .end(let scope):
            hold()
            downstream.endSessions(scope)
        }
    }

    /// The wait is ours now, not the upstream's.
    private func hold() {
        phase = .held
        pool.shard.loop.clearDeadline(self)
    }

    /// Takes out of a response's head what is not for the client.
    static func prepare(_ head: inout ResponseHead, route: Route?, _ names: CookieNames) {
        Persistence.removeHopByHop(&head.block)
        head.block.removeAliases(sessionFields)
        // RFC 9110 §8.6: no Content-Length in a 204 or an interim response.
        if head.status == 204 || head.isInterim { head.block.remove(contentLength) }
        if head.block.first(.setCookie) != nil {
            SetCookieFields.removeOurs(from: &head.block, names: names)
        }
        if route?.crossOrigin != nil { CrossOrigin.removeFields(of: &head.block) }
    }

    private func startBody(_ downstream: DownstreamConnection, cookies: [String]) {
        phase = .readingBody
        // RFC 6749 §5.1: an answer with tokens MUST NOT be stored, whatever the upstream says of its own.
        if !cookies.isEmpty { head.block.remove(Self.cacheControl) }
        // RFC 6797 §7.1: one such field, and on this connection it is ours to say.
        if downstream.tls != nil && !shard.runtime.strictTransportLine.isEmpty {
            head.block.removeAliases(Self.strictTransport)
        }
        downstream.sendHead(head, cookies: cookies)
    }

    // MARK: - The body

    /// Moves what is there of the body; false when something must be waited for, or the response is complete.
    private func relayBody() -> Bool {
        guard let downstream else { return false }
        let limits = pool.shard.runtime.messageLimits
        while !reader.isComplete {
            if input.isEmpty { return false }
            if !downstream.acceptsContent {
                isBlocked = true
                return false
            }
            do throws(ProtocolViolation) {
                let step = try input.withReadable { (bytes) throws(ProtocolViolation) in
                    let step = try reader.step(bytes, from: 0, limits: limits)
                    downstream.sendContent(bytes.extracting(step.content.offsets))
                    return step
                }
                input.consume(step.consumed)
            } catch {
                fail(.upstreamViolation(error))
                return false
            }
        }
        completeResponse()
        return false
    }

    private static let sessionFields = FieldNameSet([
        .sessionStart, .sessionClaims, .sessionLabel, .sessionEnd,
    ])
    private static let strictTransport = FieldNameSet([.strictTransportSecurity])
    private static let cacheControl = FieldNameSet([.cacheControl])
    private static let contentLength = FieldNameSet([.contentLength])
}

/// Set-Cookie fields of an upstream.
enum SetCookieFields {
    /// Removes those that would set one of our cookies: only the gateway speaks under these names.
    static func removeOurs(from block: inout HeaderBlock, names: CookieNames) {
        for index in block.fields.indices where block.fields[index].known == .setCookie {
            let value = block.fields[index].value
            let isOurs = block.withBytes { bytes in
                var start = value.start
                while start < value.end, bytes[start] == 0x20 || bytes[start] == 0x09 { start += 1 }
                var end = start
                while end < value.end, bytes[end] != UInt8(ascii: "="), bytes[end] != UInt8(ascii: ";") {
                    end += 1
                }
                while end > start, bytes[end - 1] == 0x20 || bytes[end - 1] == 0x09 { end -= 1 }
                let name = bytes.extracting(start..<end)
                // A cookie without a name comes back from browsers as its bare value: `=access=x` as
                // `access=x`.
                return name.isEmpty || names.contains(name)
            }
            if isOurs { block.remove(at: index) }
        }
    }
}
