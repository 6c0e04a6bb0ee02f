// What the audit log is told of single requests. What happens to sessions is told by the refresh service,
// which knows it to be true.

import Observability
import Primitives

/// An event of a request.
enum RequestEvent: String {
    /// A login was accepted by an upstream, and no session could be begun for it.
    case loginRefused = "login_refused"
    /// A refresh token stood where none belongs.
    case refreshTokenMisplaced = "refresh_token_misplaced"
}

extension DownstreamConnection {
    /// Writes an event of the request at hand. The reason is ours and holds nothing of what was sent.
    func audit(_ event: RequestEvent, reason: String, subject: String? = nil) {
        shard.runtime.services.audit.record(
            event.rawValue,
            [
                ("user.id", subject), ("event.reason", reason),
                ("source.ip", String(decoding: clientText, as: UTF8.self)),
                ("gateway.route", exchange.route.map { String(decoding: $0.label, as: UTF8.self) }),
            ])
    }
}
