// The gateway's own doors on the public side: everything under the refresh path, and what is published.
// Which of them a request is for, and what is common to all.

import JOSE
import Network
import Observability
import HTTP
import Primitives

/// The local endpoints of the public listener.
enum Endpoint {
    /// Whether a request is for the gateway itself.
    static func isLocal(_ connection: DownstreamConnection) -> Bool {
        connection.withPath { connection.shard.runtime.policy.isOwn($0) }
    }

    /// Answers a request whose body has been taken in.
    static func handle(_ connection: DownstreamConnection) {
        let published = connection.withPath { Publication.document(at: $0, connection.shard.runtime) }
        if let published {
            Publication.answer(connection, published)
            return
        }
        let path = connection.withPath { String(lossy: $0) }
        let refreshPath = String(decoding: connection.shard.runtime.refreshPath, as: UTF8.self)
        let rest = path.dropFirst(refreshPath.count)
        connection.exchange.isRefresh = (rest == "" || rest == "/") && !Bounce.isArrival(connection)
        if connection.exchange.isRefresh,
            let answer = connection.shard.runtime.policy.refreshOrigins(for: connection.head)?
                .preflightAnswer(to: connection.head)
        {
            connection.respond(answer)
            return
        }
        if let limiter = connection.shard.runtime.refreshRate,
            case .refused(let seconds) = limiter.admit(
                connection.addressKey, now: connection.shard.loop.now)
        {
            connection.refuse(.rateLimited(retryAfterSeconds: seconds))
            return
        }
        switch rest {
        case "" where Bounce.isArrival(connection): Bounce.refresh(connection)
        case "", "/": RefreshEndpoint.refresh(connection)
        case "/logout": RefreshEndpoint.logout(connection)
        case "/revoke": RefreshEndpoint.revoke(connection)
        case Publication.clientPath[...]: Publication.answer(connection, Publication.client)
        case let rest where rest.hasPrefix("/sessions"):
            OwnSessions.handle(connection, rest.dropFirst("/sessions".count))
        default: connection.refuse(.noRoute)
        }
    }

    /// Answers 405 unless the request has one of these methods (RFC 9110 §15.5.6: Allow is required).
    static func allows(_ methods: [Method], _ text: String, _ connection: DownstreamConnection) -> Bool {
        if methods.contains(connection.head.method) { return true }
        connection.respondMethodNotAllowed(text)
        return false
    }

    /// What an endpoint takes in: tokens and small JSON.
    static let bodyBytesMax = 16 * 1024
}

/// The parameters of a request to an endpoint: `application/x-www-form-urlencoded` as OAuth has it, or a JSON
/// object.
struct EndpointParameters {
    private let values: [String: String]

    /// nil: the body is neither, is malformed, or repeats a name (RFC 6749 §3.2: "parameters MUST NOT be
    /// included more than once").
    init?(_ connection: DownstreamConnection) {
        let body = connection.exchange.collected
        if body.isEmpty {
            values = [:]
            return
        }
        let type = connection.head.block.text(.contentType)?.prefix { $0 != ";" }.lowercased() ?? ""
        let parsed: [String: String]?
        switch type.trimmingBlanks() {
        case "application/json": parsed = Self.json(body)
        case "application/x-www-form-urlencoded": parsed = Self.form(body)
        default: parsed = nil
        }
        guard let parsed else { return nil }
        values = parsed
    }

    subscript(_ name: String) -> String? { values[name] }

    private static func json(_ body: [UInt8]) -> [String: String]? {
        guard let document = try? JSONDocument(parsing: body, depthMax: 4, nodesMax: 64),
            document.root.kind == .object
        else {
            return nil
        }
        var values: [String: String] = [:]
        for member in document.root.members { values[member.name] = member.value.string }
        return values
    }

    private static func form(_ body: [UInt8]) -> [String: String]? {
        var values: [String: String] = [:]
        for pair in body.split(separator: UInt8(ascii: "&")) {
            let parts = pair.split(
                separator: UInt8(ascii: "="), maxSplits: 1, omittingEmptySubsequences: false)
            guard let name = PercentDecoding.text(parts[0], plusIsSpace: true),
                let value = PercentDecoding.text(parts.count > 1 ? parts[1] : [], plusIsSpace: true),
                values[name] == nil
            else { return nil }
            values[name] = value
        }
        return values
    }
}

/// Percent-decoding of one component: a form value, a query value, a path segment.
enum PercentDecoding {
    /// nil: a broken escape, or not UTF-8.
    static func text(_ bytes: some Collection<UInt8>, plusIsSpace: Bool) -> String? {
        var output: [UInt8] = []
        var iterator = bytes.makeIterator()
        while let byte = iterator.next() {
            if byte == UInt8(ascii: "+") && plusIsSpace {
                output.append(0x20)
            } else if byte == UInt8(ascii: "%") {
                guard let high = iterator.next().flatMap(ASCII.hexadecimalValue),
                    let low = iterator.next().flatMap(ASCII.hexadecimalValue)
                else { return nil }
                output.append(high << 4 | low)
            } else {
                output.append(byte)
            }
        }
        return String(validating: output, as: UTF8.self)
    }

    /// The value of a query parameter; nil when it is absent or broken.
    static func query(_ name: String, in query: [UInt8]) -> String? {
        for pair in query.drop(while: { $0 == UInt8(ascii: "?") }).split(separator: UInt8(ascii: "&")) {
            let parts = pair.split(
                separator: UInt8(ascii: "="), maxSplits: 1, omittingEmptySubsequences: false)
            if text(parts[0], plusIsSpace: true) == name {
                return text(parts.count > 1 ? parts[1] : [], plusIsSpace: true)
            }
        }
        return nil
    }
}

extension String {
    fileprivate func trimmingBlanks() -> String {
        func isBlank(_ byte: UInt8) -> Bool { byte == UInt8(ascii: " ") || byte == UInt8(ascii: "\t") }
        let text = utf8.drop(while: isBlank)
        guard let last = text.lastIndex(where: { !isBlank($0) }) else { return "" }
        return String(decoding: text[...last], as: UTF8.self)
    }
}
