// The access check: before a refresh is granted, an upstream is asked whether the subject may still come in
// (PRODUCT 1). Its yes may carry other claims: this is where a change of role arrives. Its no ends the
// session. Anything else is an outage, and costs nobody anything but time.

import Configuration
import HTTP
import Network
import Observability
import Primitives
import Sessions

/// A refresh that is asked for.
struct RefreshDemand {
    let presented: PresentedTokens

    /// How the answer of the refresh service is turned into one for the client.
    var awaited: AwaitedReply { presented.isBounce ? .bounce : .refresh(presented.delivery) }
}

/// Asks before a refresh.
enum AccessCheck {
    /// Has the refresh service exchange what was presented, asking first where that is configured.
    static func refresh(_ presented: PresentedTokens, _ connection: DownstreamConnection) {
        let demand = RefreshDemand(presented: presented)
        if connection.shard.runtime.configuration.refreshToken.accessCheck == nil {
            submit(demand, .notNeeded, connection)
        } else {
            connection.awaitReply(.examination(demand), .examine(presented))
        }
    }

    /// Whose session it is, is known.
    static func examined(
        _ reply: SessionReply, _ demand: RefreshDemand, _ connection: DownstreamConnection
    ) {
        guard case .examined(let found) = reply else {
            answer(reply, demand, connection)
            return
        }
        // Nobody is asked, also where a reload has taken the check away meanwhile.
        guard let session = found, let check = connection.shard.runtime.configuration.refreshToken.accessCheck
        else {
            submit(demand, .withheld, connection)
            return
        }
        let question = UpstreamQuestion(
            path: check.path,
            // A subject is known to hold no control byte.
            fields: Array(
                "X-Auth-Subject: \(session.subject)\r\nX-Auth-Session: \(session.sid.text)\r\n".utf8),
            timeoutMilliseconds: check.timeoutMilliseconds)
        connection.awaitWord(of: check.upstream, question) { outcome, connection in
            take(outcome, session, demand, connection)
        }
    }

    private static func take(
        _ outcome: FetchOutcome, _ session: ExaminedSession, _ demand: RefreshDemand,
        _ connection: DownstreamConnection
    ) {
        let log = connection.shard.runtime.services.log
        switch outcome {
        case .answered(let granted) where granted.status == 200:
            guard let text = claims(in: granted.body) else {
                submit(demand, .granted(session.sid, claims: nil), connection)
                return
            }
            switch SessionClaims.check(text, subject: session.subject, connection.shard.runtime.claimsRoom) {
            case .success(let checked):
                submit(demand, .granted(session.sid, claims: checked), connection)
            case .failure(let problem):
                // What the rights are now, nobody can say.
                log.error("access_check: the claims in the answer cannot be used: \(problem.reason)")
                answer(.unavailable, demand, connection)
            }
        case .answered(let denied) where [401, 403, 404, 410].contains(denied.status):
            connection.awaitReply(.denial(demand), .end(session.sid, reason: .accessCheck))
        case .answered(let other):
            log.warning("access_check: the upstream answered \(other.status)")
            answer(.unavailable, demand, connection)
        case .failed(let reason), .unreachable(let reason):
            log.warning("access_check: the upstream cannot be asked: \(reason)")
            answer(.unavailable, demand, connection)
        }
    }

    /// The claims that take the place of the session's: the body, where it is a JSON object; nil where it is
    /// anything else, and the claims stay.
    private static func claims(in body: [UInt8]) -> [UInt8]? {
        guard let document = try? JSONDocument(parsing: body), document.root.kind == .object else {
            return nil
        }
        return body
    }

    /// The session has ended, because its subject may not come in any more.
    static func denied(
        _ reply: SessionReply, _ demand: RefreshDemand, _ connection: DownstreamConnection
    ) {
        if case .ended = reply {
            answer(.rejected(.ended(.accessCheck)), demand, connection)
        } else {
            answer(.unavailable, demand, connection)
        }
    }

    private static func submit(
        _ demand: RefreshDemand, _ leave: RefreshLeave, _ connection: DownstreamConnection
    ) {
        connection.awaitReply(
            demand.awaited,
            .refresh(demand.presented, client: connection.clientDescription(""), leave: leave))
    }

    private static func answer(
        _ reply: SessionReply, _ demand: RefreshDemand, _ connection: DownstreamConnection
    ) {
        if demand.presented.isBounce {
            Bounce.answer(connection, reply)
        } else {
            RefreshEndpoint.answerRefresh(connection, reply, demand.presented.delivery)
        }
    }
}
