// Where an exchange waits for the refresh service: orders go out with a handle and never a reference, and a
// reply for an exchange that is over finds nobody.

import JOSE
import Observability
import Configuration
import HTTP
import Primitives
import Sessions

extension DownstreamConnection {
    /// Hands an order to the refresh service; the exchange goes on when the reply comes.
    func awaitReply(_ awaited: AwaitedReply, _ order: SessionOrder) {
        exchange.awaited = awaited
        exchange.phase = .awaitingReply
        shard.submit(order, for: self)
    }

    /// The refresh service's reply.
    func take(_ reply: SessionReply, serial: UInt32) {
        guard exchange.serial == serial else { return }
        if exchange.binding?.isAsking == true {
            continueStream(reply)
            return
        }
        guard exchange.phase == .awaitingReply else { return }
        let awaited = exchange.awaited
        exchange.awaited = .none
        switch awaited {
        case .none: return
        case .refresh(let delivery): RefreshEndpoint.answerRefresh(self, reply, delivery)
        case .bounce: Bounce.answer(self, reply)
        case .logout(let clearsCookies):
            RefreshEndpoint.answerLogout(self, reply, clearsCookies: clearsCookies)
        case .revocation: RefreshEndpoint.answerRevocation(self, reply)
        case .ownSessions(let isByCookie): OwnSessions.answerList(self, reply, isByCookie: isByCookie)
        case .ownSessionEnd(let isByCookie, let endsOwn):
            OwnSessions.answerEnd(self, reply, isByCookie: isByCookie, endsOwn: endsOwn)
        case .sessionStart(let delivery): finishLogin(reply, delivery)
        case .sessionEnd(let clearsCookies): finishSessionEnd(reply, clearsCookies: clearsCookies)
        case .control(let call): ControlEndpoint.answer(self, reply, call)
        case .examination(let demand): AccessCheck.examined(reply, demand, self)
        case .denial(let demand): AccessCheck.denied(reply, demand, self)
        case .keys, .confirmation: return
        }
        pump()
    }

    /// How the client describes itself, for lists of sessions.
    func clientDescription(_ label: String) -> ClientDescription {
        ClientDescription(
            userAgent: head.block.text(.userAgent) ?? "",
            address: String(decoding: clientText, as: UTF8.self),
            label: label)
    }

    // MARK: - Login

    /// The upstream has accepted a login: its answer waits until the session is on disk.
    func beginSession(_ start: SessionSignal.SessionStart) {
        let delivery = TokenDelivery.choice(
            for: head, configured: shard.runtime.configuration.refreshToken.delivery)
        let new = NewSession(
            subject: start.subject, claims: start.claims, client: clientDescription(start.label),
            replacing: exchange.heldSession)
        awaitReply(.sessionStart(delivery), .begin(new))
    }

    /// The session whose access token the request carries, also when the token has expired.
    var presentedSession: SessionID? {
        let ranges: [ByteRange]
        switch Credentials.find(in: head, cookieNames: shard.runtime.cookieNames) {
        case .bearer(let range): ranges = [range]
        case .cookies(let found): ranges = found
        case .none, .ambiguous: return nil
        }
        for range in ranges {
            let sid = head.block.withBytes { bytes in
                shard.gatekeeper.session(of: bytes.extracting(range.offsets), now: shard.wallTime)
            }
            if let sid { return sid }
        }
        return nil
    }

    private func finishLogin(_ reply: SessionReply, _ delivery: Delivery) {
        guard case .issued(let tokens) = reply else {
            audit(.loginRefused, reason: ProxyError.sessionsUnavailable.word)
            refuse(.sessionsUnavailable)
            return
        }
        exchange.loggedSession = (Array(tokens.subject.utf8), Array(tokens.sid.text.utf8))
        let answer = TokenDelivery(shard.runtime)
        if delivery == .cookie {
            releaseHeld(cookies: answer.cookies(tokens))
            return
        }
        // The tokens are the answer: the upstream's body has nowhere to go.
        dropUpstream()
        respond(answer.bodyResponse(tokens))
    }

    // MARK: - Session-End

    /// The upstream ends sessions: its answer waits until that is in force.
    func endSessions(_ scope: SessionSignal.SessionEndScope) {
        // A foreign issuer's subject is nobody of ours, whatever its name.
        guard let token = exchange.token, token.isOurs else {
            // Nobody's session: an anonymous request on such a route ends nothing.
            shard.runtime.services.log.warning("Session-End in the answer to a request without a session")
            releaseHeld(cookies: [])
            return
        }
        let clears = TokenDelivery.choice(
            for: head, configured: shard.runtime.configuration.refreshToken.delivery)
        let clearsCookies = clears == .cookie && (scope == .session || scope == .subject)
        switch (scope, token.sessionID) {
        case (.session, let sid?):
            awaitReply(.sessionEnd(clearsCookies: clearsCookies), .end(sid, reason: .upstream))
        case (.session, nil), (.others, nil): releaseHeld(cookies: [])
        case (.subject, _):
            awaitReply(
                .sessionEnd(clearsCookies: clearsCookies),
                .endSubject(token.subject, sparing: nil, reason: .upstream))
        case (.others, let sid?):
            awaitReply(
                .sessionEnd(clearsCookies: false), .endSubject(token.subject, sparing: sid, reason: .upstream)
            )
        case (.access, _):
            awaitReply(.sessionEnd(clearsCookies: false), .expireAccess(token.subject, reason: .upstream))
        }
    }

    private func finishSessionEnd(_ reply: SessionReply, clearsCookies: Bool) {
        if case .unavailable = reply {
            // The upstream's answer says that something has ended; it has not.
            refuse(.sessionsUnavailable)
            return
        }
        releaseHeld(cookies: clearsCookies ? TokenDelivery(shard.runtime).clearing(for: head) : [])
    }

    // MARK: - The held answer

    private func releaseHeld(cookies: [String]) {
        exchange.phase = .relaying
        exchange.upstream?.releaseHeld(cookies: cookies)
    }
}
