// What the gateway refuses, by the words of its log: a closed list, so that nothing that is sent here can
// make a metric longer.

import HTTP
import JOSE
import Observability

/// Refusals by their words. Written by one shard alone.
final class RefusalMetrics: Sendable {
    private let counters = CounterBlock()

    /// - Parameter word: of the access log.
    func count(_ word: String) { counters.add(Self.places[word] ?? Self.words.count - 1) }

    func value(_ place: Int) -> UInt64 { counters.value(place) }

    /// Every word, and one for what has none here.
    static let words: [String] = {
        var words: [String] = []
        for word in failures + gate + endpoints where !words.contains(word) { words.append(word) }
        words.append("_OTHER")
        precondition(words.count <= CounterBlock.count, "there are more refusals than counters")
        return words
    }()

    private static let places = Dictionary(
        uniqueKeysWithValues: words.enumerated().map { ($0.element, $0.offset) })

    private static let failures: [String] = {
        let plain: [ProxyError] = [
            .pathRefused, .bodyTooLarge, .headTimeout, .bodyTimeout, .clientClosed, .clientStalled,
            .clientTooSlow, .rateLimited(retryAfterSeconds: 0), .loop, .noRoute, .methodNotAllowed,
            .streamRevoked, .streamExpired, .upstreamConnect, .upstreamConnectTimeout, .upstreamTLS,
            .upstreamTimeout, .upstreamClosed, .upstreamUnavailable, .upstreamQueueFull,
            .upstreamQueueTimeout, .upstreamSession, .sessionsUnavailable, .shuttingDown,
        ]
        let violations = ProtocolViolation.allCases
        return plain.map(\.word) + violations.map(\.word)
            + violations.map { ProxyError.upstreamViolation($0).word }
    }()

    private static let gate: [String] = {
        let plain: [GateRefusal] = [
            .noCredential, .ambiguousCredential, .misplacedRefreshToken, .crossOrigin, .missingScope([]),
            .missingClaim, .keysUnavailable(retryAfterSeconds: 0),
        ]
        return plain.map(\.code) + TokenRejection.allCases.map(\.code)
    }()

    /// The codes of the gateway's own endpoints.
    private static let endpoints = [
        "refresh_token_invalid", "session_ended", "session_expired", "refresh_token_reused",
        "credential_exchanged", "access_denied", "invalid_request", "unsupported_grant_type", "return_to",
        "no_session", "except", "content_type", "claims", "subject", "token", "control_secret",
        "control_origin", "draining", "store_unavailable", "no_signing_key",
    ]
}
