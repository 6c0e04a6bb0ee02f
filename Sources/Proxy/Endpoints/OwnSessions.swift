// `GET /refresh/sessions` and `DELETE /refresh/sessions/{sid}`: users see where they are logged in, and end
// what they do not know. A refresh token or an access token shows whose they are; a cookie counts only in the
// hands of our own pages.

import HTTP
import JOSE
import Primitives
import Sessions

/// The sessions of whoever asks.
enum OwnSessions {
    /// Answers a request below the refresh path; `rest` is what follows `/sessions`.
    static func handle(_ connection: DownstreamConnection, _ rest: Substring) {
        if rest.isEmpty || rest == "/" {
            if Endpoint.allows([.get, .head], "GET, HEAD", connection) { list(connection) }
        } else if rest.first == "/" {
            if Endpoint.allows([.delete], "DELETE", connection) { end(connection, rest.dropFirst()) }
        } else {
            connection.refuse(.noRoute)
        }
    }

    private static func list(_ connection: DownstreamConnection) {
        guard let (proof, isByCookie) = proof(connection) else { return }
        connection.awaitReply(.ownSessions(isByCookie: isByCookie), .listOwn(proof, limit: listMax))
    }

    private static func end(_ connection: DownstreamConnection, _ text: Substring) {
        guard let (proof, isByCookie) = proof(connection) else { return }
        guard let sid = SessionID(text: String(text)) else {
            refuseUnknown(connection)
            return
        }
        connection.awaitReply(
            .ownSessionEnd(isByCookie: isByCookie, endsOwn: isByCookie && cookies(of: connection, name: sid)),
            .endOwn(sid, proof))
    }

    /// Whether the cookies of a request are those of a session. Whether they are genuine does not matter once
    /// that session has ended.
    private static func cookies(of connection: DownstreamConnection, name sid: SessionID) -> Bool {
        connection.presentedSession == sid
            || RefreshEndpoint.cookieTokens(connection).contains {
                RefreshTokenMint.namedSession(in: $0) == sid
            }
    }

    // MARK: - Answers

    static func answerList(_ connection: DownstreamConnection, _ reply: SessionReply, isByCookie: Bool) {
        guard case .sessions(let sessions) = reply else {
            refuse(connection, reply, isByCookie: isByCookie)
            return
        }
        var body = JSONWriter(reserving: 300 * sessions.count)
        body.beginObject()
        body.beginArray("sessions")
        for (index, stored) in sessions.enumerated() {
            write(stored.session, isCurrent: index == 0, to: &body)
        }
        body.endArray()
        body.endObject()
        var response = LocalResponse.json(200, body.bytes)
        response.fields += TokenDelivery.noStore
        connection.respond(response)
    }

    /// - Parameter endsOwn: the cookies that the request carries are those of the session to end.
    static func answerEnd(
        _ connection: DownstreamConnection, _ reply: SessionReply, isByCookie: Bool, endsOwn: Bool
    ) {
        switch reply {
        case .ended(0): refuseUnknown(connection)
        case .ended: RefreshEndpoint.answerLogout(connection, reply, clearsCookies: endsOwn)
        default: refuse(connection, reply, isByCookie: isByCookie)
        }
    }

    /// Never claims, and nothing that opens a door.
    private static func write(_ session: Session, isCurrent: Bool, to body: inout JSONWriter) {
        body.beginObject()
        body.string("sid", session.sid.text)
        body.string("label", session.client.label)
        body.string("user_agent", session.client.userAgent)
        body.string("address", session.client.address)
        body.string("created", CivilTime(session.created).rfc3339)
        body.string("refreshed", CivilTime(session.refreshed).rfc3339)
        body.string("idle_deadline", CivilTime(session.idleDeadline).rfc3339)
        body.string("final_deadline", CivilTime(session.finalDeadline).rfc3339)
        if isCurrent { body.boolean("current", true) }
        body.endObject()
    }

    private static func refuse(
        _ connection: DownstreamConnection, _ reply: SessionReply, isByCookie: Bool
    ) {
        guard case .rejected(let rejection) = reply else {
            RefreshEndpoint.respond(connection, .unavailable)
            return
        }
        let clears = isByCookie && rejection.isSessionOver
        let delivery = TokenDelivery(connection.shard.runtime)
        RefreshEndpoint.respond(
            connection, .invalidGrant(rejection, inCookieMode: true),
            cookies: clears ? delivery.clearing(for: connection.head) : [])
    }

    private static func refuseUnknown(_ connection: DownstreamConnection) {
        connection.exchange.reason = "no_session"
        connection.respond(.problem(404, code: "no_session", detail: "You have no such session"))
    }

    // MARK: - Who asks

    /// What the request shows of its session; nil when it has been refused.
    private static func proof(_ connection: DownstreamConnection) -> (SessionProof, isByCookie: Bool)? {
        let credentials = Credentials.find(
            in: connection.head, cookieNames: connection.shard.runtime.cookieNames)
        switch credentials {
        case .ambiguous:
            refuse(connection, .ambiguousCredential)
            return nil
        case .bearer(let range):
            switch judge(range, connection) {
            case .success(let proof): return (proof, false)
            case .failure(let rejection):
                refuse(connection, .token(rejection))
                return nil
            }
        case .none, .cookies:
            return cookieProof(connection, credentials).map { ($0, true) }
        }
    }

    /// A good access cookie, else the refresh cookies.
    private static func cookieProof(
        _ connection: DownstreamConnection, _ credentials: Credentials
    ) -> SessionProof? {
        var refusal = GateRefusal.noCredential
        if case .cookies(let ranges) = credentials {
            for range in ranges.prefix(RefreshEndpoint.candidatesMax) {
                switch judge(range, connection) {
                case .success(let proof): return RefreshEndpoint.isSameOrigin(connection) ? proof : nil
                case .failure(let rejection): refusal = .token(rejection)
                }
            }
        }
        let candidates = RefreshEndpoint.cookieTokens(connection)
        if candidates.isEmpty {
            refuse(connection, refusal)
            return nil
        }
        if !RefreshEndpoint.isSameOrigin(connection) { return nil }
        let session = candidates.count > 1 ? connection.presentedSession : nil
        return .tokens(candidates, session: session)
    }

    /// What one presented token shows.
    private static func judge(
        _ range: ByteRange, _ connection: DownstreamConnection
    ) -> Result<SessionProof, TokenRejection> {
        let token = connection.head.block.withBytes { [UInt8](copying: $0.extracting(range.offsets)) }
        switch connection.shard.gatekeeper.inspect(token.span, now: connection.shard.wallTime) {
        case .accepted(let verified):
            // Sessions of other issuers are not here.
            return verified.sessionID.map { .success(.session($0)) } ?? .failure(.wrongIssuer)
        case .undecided: return .failure(.unknownKey)
        case .refused(let rejection):
            let opaque = RefreshEndpoint.opaque(token, connection)
            if !RefreshTokenMint.looksLikeToken(opaque.span) { return .failure(rejection) }
            return .success(.tokens([opaque], session: nil))
        }
    }

    private static func refuse(_ connection: DownstreamConnection, _ refusal: GateRefusal) {
        connection.exchange.reason = refusal.code
        connection.respond(.refusal(refusal))
    }

    /// How many sessions are shown: more than anybody reads.
    private static let listMax = 100
}
