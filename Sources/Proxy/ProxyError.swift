// Everything that can go wrong with an exchange, in one closed list: the status that answers it, the word
// that logs and metrics use, and the phrase that the client sees. Details are for the log.

import HTTP

/// Why the gateway itself ended or answered an exchange.
enum ProxyError: Equatable {
    // The client's side.
    case violation(ProtocolViolation)
    case pathRefused
    case bodyTooLarge
    case headTimeout
    case bodyTimeout
    /// The client went away before the answer was complete.
    case clientClosed
    /// The client did not take the answer in time.
    case clientStalled
    /// It sends, or takes, less than the least rate.
    case clientTooSlow
    /// The client asks more often than it may.
    case rateLimited(retryAfterSeconds: Int64)
    /// The request has been here before.
    case loop
    case noRoute
    case methodNotAllowed
    /// The session behind a stream of events or a WebSocket has ended, or its access was revoked.
    case streamRevoked
    /// The access token behind it has expired, and its session was not refreshed.
    case streamExpired
    // The upstream's side.
    case upstreamConnect
    case upstreamConnectTimeout
    /// Its TLS handshake has failed: its certificate, most likely.
    case upstreamTLS
    case upstreamTimeout
    case upstreamClosed
    /// None of its servers may be used.
    case upstreamUnavailable
    /// Every server has all the connections it may have, and as many requests wait as may.
    case upstreamQueueFull
    /// The request has waited too long for one of them.
    case upstreamQueueTimeout
    case upstreamViolation(ProtocolViolation)
    /// Its Session-Start or Session-Claims cannot be used.
    case upstreamSession
    // Ours.
    case sessionsUnavailable
    case shuttingDown

    /// The status that answers it; 0 where nothing can be answered any more.
    var status: Int {
        switch self {
        case .violation(let violation): violation.status
        case .pathRefused: 400
        case .bodyTooLarge: 413
        case .headTimeout, .bodyTimeout, .clientTooSlow: 408
        case .rateLimited: 429
        case .loop: 508
        case .clientClosed, .clientStalled, .streamRevoked, .streamExpired: 0
        case .noRoute: 404
        case .methodNotAllowed: 405
        case .upstreamConnect, .upstreamTLS, .upstreamClosed, .upstreamViolation, .upstreamSession: 502
        case .upstreamUnavailable, .upstreamQueueFull, .upstreamQueueTimeout: 503
        case .sessionsUnavailable, .shuttingDown: 503
        case .upstreamConnectTimeout, .upstreamTimeout: 504
        }
    }

    /// The word for logs, metrics and the `code` of the answer.
    var word: String {
        switch self {
        case .violation(let violation): violation.word
        case .pathRefused: "path"
        case .bodyTooLarge: "body_too_large"
        case .headTimeout: "head_timeout"
        case .bodyTimeout: "body_timeout"
        case .clientClosed: "client_closed"
        case .clientStalled: "client_stalled"
        case .clientTooSlow: "client_too_slow"
        case .rateLimited: "rate_limited"
        case .loop: "loop"
        case .noRoute: "no_route"
        case .methodNotAllowed: "method_not_allowed"
        case .streamRevoked: "stream_revoked"
        case .streamExpired: "stream_expired"
        case .upstreamConnect: "upstream_connect"
        case .upstreamConnectTimeout: "upstream_connect_timeout"
        case .upstreamTLS: "upstream_tls"
        case .upstreamTimeout: "upstream_timeout"
        case .upstreamClosed: "upstream_closed"
        case .upstreamUnavailable: "upstream_unavailable"
        case .upstreamQueueFull: "upstream_queue_full"
        case .upstreamQueueTimeout: "upstream_queue_timeout"
        case .upstreamViolation(let violation): "upstream_\(violation.word)"
        case .upstreamSession: "upstream_session"
        case .sessionsUnavailable: "sessions_unavailable"
        case .shuttingDown: "shutting_down"
        }
    }

    /// A fixed sentence for people.
    var explanation: String {
        switch self {
        case .violation: "The request is not well-formed HTTP/1.1, or exceeds a limit"
        case .pathRefused: "The path of the request cannot be read in one way only"
        case .bodyTooLarge: "The body of the request is too large"
        case .headTimeout: "The head of the request did not arrive in time"
        case .bodyTimeout: "The body of the request did not arrive in time"
        case .clientClosed, .clientStalled: "The client went away"
        case .clientTooSlow: "The request, or the taking of its answer, is too slow"
        case .rateLimited: "Too many requests from this client"
        case .loop: "The request has passed this gateway before"
        case .noRoute: "No route leads there"
        case .methodNotAllowed: "The resource does not have this method"
        case .streamRevoked, .streamExpired: "The session of the stream has ended"
        case .upstreamConnect: "The upstream cannot be reached"
        case .upstreamTLS: "No secure connection to the upstream can be made"
        case .upstreamConnectTimeout: "The upstream cannot be reached in time"
        case .upstreamTimeout: "The upstream did not answer in time"
        case .upstreamClosed: "The upstream closed the connection without an answer"
        case .upstreamUnavailable: "No server of the upstream is available"
        case .upstreamQueueFull, .upstreamQueueTimeout: "The upstream is busy"
        case .upstreamViolation: "The upstream's answer is not well-formed HTTP/1.1"
        case .upstreamSession: "The upstream's answer describes a session that cannot be begun"
        case .sessionsUnavailable: "Sessions cannot be changed at the moment"
        case .shuttingDown: "The gateway is shutting down"
        }
    }
}
