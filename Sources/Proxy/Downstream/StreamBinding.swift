// Streams live as long as the session that opened them: a WebSocket or a stream of events is one request, and
// without this it would outlive logout, revocation and every token by days.
//
// A revocation cuts at once. When the token that opened the stream has expired, and a grace has passed, the
// refresh service is asked whether the session has been refreshed meanwhile: if so the stream lives on for as
// long as the newer token does.

import Configuration
import HTTP
import JOSE
import Network
import Primitives
import Sessions

/// What a stream lives as long as.
struct StreamBinding {
    let token: VerifiedToken
    /// When it is to be judged again.
    var endsAt: MonotonicInstant
    /// The refresh service has been asked.
    var isAsking = false
}

extension DownstreamConnection {
    /// Ties the exchange to the token that it was let in with; one of an anonymous visitor is tied to
    /// nothing.
    func bindStream() {
        guard let token = exchange.token else { return }
        var left = max(0, token.expiresAt - shard.wallTime.seconds) * 1000 + graceMilliseconds
        // The session may have ended while the upstream made up its mind: then no revocation will come.
        if shard.gatekeeper.isRevoked(token) { left = 0 }
        exchange.binding = StreamBinding(token: token, endsAt: shard.loop.now.advanced(byMilliseconds: left))
        shard.streams[slot] = self
        awaitStreamEnd(orMilliseconds: nil)
    }

    func unbindStream() {
        if exchange.binding == nil { return }
        exchange.binding = nil
        shard.streams[slot] = nil
    }

    /// Sets the deadline to the stream's end, or to a nearer one.
    func awaitStreamEnd(orMilliseconds milliseconds: Int64?) {
        guard let binding = exchange.binding else {
            if let milliseconds {
                shard.loop.setDeadline(self, milliseconds: milliseconds)
            } else {
                shard.loop.clearDeadline(self)
            }
            return
        }
        let left = binding.endsAt.milliseconds - shard.loop.now.milliseconds
        let wait = min(left, milliseconds ?? left)
        shard.loop.setDeadline(self, milliseconds: max(0, wait))
    }

    /// The token has expired, and so has the grace; or it was revoked before there was a stream.
    func streamExpired() {
        guard let binding = exchange.binding, !binding.isAsking else { return }
        if shard.gatekeeper.isRevoked(binding.token) {
            cutStream(.streamRevoked)
            return
        }
        guard let sid = binding.token.sessionID else {
            cutStream(.streamExpired)
            return
        }
        exchange.binding?.isAsking = true
        exchange.binding?.endsAt = .never
        shard.submit(.find(sid), for: self)
        pump()
    }

    /// What the refresh service knows of the session.
    func continueStream(_ reply: SessionReply) {
        exchange.binding?.isAsking = false
        switch reply {
        case .sessions(let found):
            guard let stored = found.first, case .live = stored.state(at: shard.wallTime) else {
                cutStream(.streamRevoked)
                return
            }
            let lifetime = shard.runtime.configuration.accessToken.lifetimeMilliseconds
            let left = stored.session.refreshed.milliseconds + lifetime - shard.wallTime.milliseconds
            if left + graceMilliseconds <= 0 {
                cutStream(.streamExpired)
                return
            }
            exchange.binding?.endsAt = shard.loop.now.advanced(byMilliseconds: left + graceMilliseconds)
        default:
            // An outage ends nobody's stream.
            exchange.binding?.endsAt = shard.loop.now.advanced(byMilliseconds: Self.askAgainMilliseconds)
        }
        pump()
    }

    /// Ends the stream: one of events in good order, so that the browser connects again and is told why; a
    /// tunnel by closing it, since its bytes are not ours to add to.
    func cutStream(_ error: ProxyError) {
        unbindStream()
        guard exchange.phase == .relaying, exchange.responseFraming == .chunked else {
            abort(error)
            return
        }
        dropUpstream()
        exchange.reason = error.word
        exchange.isPersistent = false
        endResponse()
    }

    private var graceMilliseconds: Int64 {
        max(
            shard.runtime.configuration.accessToken.streamGraceMilliseconds,
            shard.runtime.configuration.accessToken.leewayMilliseconds)
    }

    private static let askAgainMilliseconds: Int64 = 5_000
}
