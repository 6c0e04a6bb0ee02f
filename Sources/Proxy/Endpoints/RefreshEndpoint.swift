// `POST /refresh`, `/refresh/logout` and `/refresh/revoke`: what a client may ask of the refresh service. The
// request is read here; the decision is the service's, on its own queue; the answer comes back by the
// mailbox.

import Configuration
import Observability
import HTTP
import Primitives
import Sessions

/// The endpoints that refresh tokens go to.
enum RefreshEndpoint {
    /// Exchanges a refresh token: from a form or JSON body, else from the cookie.
    static func refresh(_ connection: DownstreamConnection) {
        if !Endpoint.allows([.post], "POST", connection) { return }
        guard let parameters = EndpointParameters(connection) else {
            respond(connection, OAuthError.invalidRequest("The body is neither a form nor a JSON object"))
            return
        }
        if let grant = parameters["grant_type"], grant != "refresh_token" {
            respond(connection, OAuthError.unsupportedGrantType)
            return
        }
        if let token = parameters["refresh_token"].map({ Array($0.utf8) }) ?? bearerToken(connection) {
            let candidate = opaque(token, connection)
            if !RefreshTokenMint.looksLikeToken(candidate.span),
                let found = LegacyExchange.presented(candidate, connection)
            {
                LegacyExchange.begin([found], .init(awaited: .refresh(.body), delivery: .body), connection)
            } else {
                submit(connection, [candidate], .body)
            }
            return
        }
        let candidates = cookieTokens(connection)
        let found = candidates.isEmpty ? LegacyExchange.inCookies(connection) : []
        if candidates.isEmpty && found.isEmpty {
            respond(connection, OAuthError.invalidRequest("The request carries no refresh token"))
            return
        }
        // The cookie comes along with every request that some page makes: only our own pages may use it, and
        // those that may use the other one.
        let origins = connection.shard.runtime.policy.refreshOrigins(for: connection.head)
        if origins?.allowsStateChange(connection.head) != true, !isSameOrigin(connection) { return }
        if !found.isEmpty {
            LegacyExchange.begin(found, .init(awaited: .refresh(.cookie), delivery: .cookie), connection)
        } else {
            submit(connection, candidates, .cookie)
        }
    }

    private static func submit(
        _ connection: DownstreamConnection, _ candidates: [[UInt8]], _ delivery: Delivery
    ) {
        AccessCheck.refresh(
            PresentedTokens(
                candidates: candidates, session: candidates.count > 1 ? connection.presentedSession : nil,
                delivery: delivery),
            connection)
    }

    /// Ends the session. Cookies are cleared where they, or nothing, were presented, and by a page of ours: a
    /// form on another site must not be able to log anybody out.
    static func logout(_ connection: DownstreamConnection) {
        if !Endpoint.allows([.post], "POST", connection) { return }
        if let token = EndpointParameters(connection)?["refresh_token"] {
            connection.awaitReply(
                .logout(clearsCookies: false),
                .endByToken(token: opaque(Array(token.utf8), connection), reason: .logout))
            return
        }
        let credentials = Credentials.find(
            in: connection.head, cookieNames: connection.shard.runtime.cookieNames)
        if let token = anyBearer(connection),
            RefreshTokenMint.looksLikeToken(token.span) || SignedRefreshToken.looksLikeToken(token.span)
        {
            connection.awaitReply(
                .logout(clearsCookies: false), .endByToken(token: opaque(token, connection), reason: .logout))
            return
        }
        if case .bearer = credentials {
            guard let sid = connection.presentedSession else {
                respond(connection, OAuthError.invalidGrant(.notGenuine, inCookieMode: false))
                return
            }
            connection.awaitReply(.logout(clearsCookies: false), .end(sid, reason: .logout))
            return
        }
        let candidates = cookieTokens(connection)
        let session = connection.presentedSession
        if candidates.isEmpty && session == nil {
            let isOurPage = SameOrigin.isShown(
                by: connection.head, connection.shard.runtime.policy.publicOrigin)
            connection.respond(loggedOut(connection, clearsCookies: isOurPage))
        } else if isSameOrigin(connection) {
            connection.awaitReply(
                .logout(clearsCookies: true),
                .endByTokens(candidates: candidates, session: session, reason: .logout))
        }
    }

    /// RFC 7009: a token is to be good no longer. Refresh tokens and our access tokens alike end their
    /// session; a token that nobody knows is as revoked as it can be (§2.2: 200).
    static func revoke(_ connection: DownstreamConnection) {
        if !Endpoint.allows([.post], "POST", connection) { return }
        guard let token = EndpointParameters(connection)?["token"] else {
            respond(connection, OAuthError.invalidRequest("The request carries no token"))
            return
        }
        let bytes = opaque(Array(token.utf8), connection)
        if RefreshTokenMint.looksLikeToken(bytes.span) {
            connection.awaitReply(.revocation, .endByToken(token: bytes, reason: .logout))
        } else if let sid = connection.shard.gatekeeper.session(
            of: bytes.span, now: connection.shard.wallTime)
        {
            connection.awaitReply(.revocation, .end(sid, reason: .logout))
        } else {
            connection.respond(.empty(200))
        }
    }

    // MARK: - Answers

    static func answerRefresh(_ connection: DownstreamConnection, _ reply: SessionReply, _ delivery: Delivery)
    {
        let tokens = TokenDelivery(connection.shard.runtime)
        switch reply {
        case .issued(let issued):
            connection.exchange.loggedSession = (Array(issued.subject.utf8), Array(issued.sid.text.utf8))
            var stale = delivery == .cookie ? tokens.expiringDuplicates(in: connection.head) : []
            stale += tokens.clearing(spent: connection.exchange.spentCookie, for: connection.head)
            connection.respond(
                delivery == .cookie
                    ? tokens.cookieResponse(issued, stale: stale) : tokens.bodyResponse(issued))
        case .rejected(.tooOften(let seconds)):
            connection.refuse(.rateLimited(retryAfterSeconds: seconds))
        case .rejected(let rejection):
            let error = OAuthError.invalidGrant(rejection, inCookieMode: delivery == .cookie)
            let clears = delivery == .cookie && rejection.isSessionOver
            respond(connection, error, cookies: clears ? tokens.clearing(for: connection.head) : [])
        case .ended, .sessions, .examined, .copied, .unavailable: respond(connection, OAuthError.unavailable)
        }
    }

    static func answerLogout(_ connection: DownstreamConnection, _ reply: SessionReply, clearsCookies: Bool) {
        switch reply {
        case .ended: connection.respond(loggedOut(connection, clearsCookies: clearsCookies))
        case .rejected where clearsCookies:
            // Cookies that name no session: gone is what the page asked for.
            connection.respond(loggedOut(connection, clearsCookies: true))
        case .rejected(let rejection):
            respond(connection, OAuthError.invalidGrant(rejection, inCookieMode: false))
        case .issued, .sessions, .examined, .copied, .unavailable: respond(connection, OAuthError.unavailable)
        }
    }

    /// RFC 7009 §2.2.1: 503 tells the client that the token must be taken to live on.
    static func answerRevocation(_ connection: DownstreamConnection, _ reply: SessionReply) {
        if case .unavailable = reply {
            respond(connection, OAuthError.unavailable)
        } else {
            connection.respond(.empty(200))
        }
    }

    private static func loggedOut(_ connection: DownstreamConnection, clearsCookies: Bool) -> LocalResponse {
        var response = LocalResponse.empty(204)
        response.fields += TokenDelivery.noStore
        if clearsCookies {
            let delivery = TokenDelivery(connection.shard.runtime)
            // The API may still set its own cookie at log-in: it would log its bearer in again at once.
            let older = LegacyExchange.inCookies(connection).compactMap(\.target.cookieName).flatMap {
                delivery.clearing(spent: $0, for: connection.head)
            }
            for cookie in delivery.clearing(for: connection.head) + older {
                response.fields.append(("Set-Cookie", cookie))
            }
        }
        return response
    }

    static func respond(
        _ connection: DownstreamConnection, _ error: OAuthError, cookies: [String] = []
    ) {
        var response = error.response
        for cookie in cookies { response.fields.append(("Set-Cookie", cookie)) }
        connection.exchange.reason = error.code
        connection.respond(response)
    }

    // MARK: - What the request carries

    /// Every refresh cookie: one of another path or domain may stand beside ours, and each is a candidate. A
    /// single token is in the access cookie; where such are made, a refresh cookie is one of before.
    static func cookieTokens(_ connection: DownstreamConnection) -> [[UInt8]] {
        let names = connection.shard.runtime.cookieNames
        if connection.head.block.first(.cookie) == nil { return [] }
        let refresh = cookies(names.refresh, connection).map { opaque($0, connection) }
        let isSingle = connection.shard.runtime.configuration.accessToken.useExpiry != nil
        if !refresh.isEmpty && !isSingle { return refresh }
        return refresh + cookies(names.access, connection).compactMap { carried(in: $0, connection) }
    }

    private static func cookies(_ name: [UInt8], _ connection: DownstreamConnection) -> [[UInt8]] {
        connection.head.block.withBytes { bytes in
            CookieFields.values(of: name, in: connection.head.block, bytes).prefix(candidatesMax).map {
                [UInt8](copying: bytes.extracting($0.offsets))
            }
        }
    }

    /// A single token, or one of another system, that stands where access tokens stand.
    private static func bearerToken(_ connection: DownstreamConnection) -> [UInt8]? {
        guard let token = anyBearer(connection) else { return nil }
        if let carried = carried(in: token, connection) { return carried }
        return LegacyExchange.presented(token, connection) == nil ? nil : token
    }

    private static func anyBearer(_ connection: DownstreamConnection) -> [UInt8]? {
        guard let range = Credentials.bearerOfAnyKind(in: connection.head) else { return nil }
        return connection.head.block.withBytes { [UInt8](copying: $0.extracting(range.offsets)) }
    }

    /// The opaque token of whatever was presented as a refresh token; what carries none is refused as it is.
    static func opaque(_ presented: [UInt8], _ connection: DownstreamConnection) -> [UInt8] {
        if RefreshTokenMint.looksLikeToken(presented.span) { return presented }
        return carried(in: presented, connection) ?? presented
    }

    private static func carried(in token: [UInt8], _ connection: DownstreamConnection) -> [UInt8]? {
        connection.shard.gatekeeper.refreshToken(in: token.span, now: connection.shard.wallTime)
    }

    static let candidatesMax = 4

    static func isSameOrigin(_ connection: DownstreamConnection) -> Bool {
        if SameOrigin.isShown(by: connection.head, connection.shard.runtime.policy.publicOrigin) {
            return true
        }
        connection.exchange.reason = GateRefusal.crossOrigin.code
        connection.respond(.refusal(.crossOrigin))
        return false
    }
}

/// The errors of RFC 6749 §5.2, with a stable `code` beside the broad `error`.
struct OAuthError {
    let status: Int
    let error: String
    let code: String
    let explanation: String

    static func invalidRequest(_ explanation: String) -> OAuthError {
        OAuthError(status: 400, error: "invalid_request", code: "invalid_request", explanation: explanation)
    }

    static let unsupportedGrantType = OAuthError(
        status: 400, error: "unsupported_grant_type", code: "unsupported_grant_type",
        explanation: "The grant type here is refresh_token")

    /// An outage never looks like an ended session.
    static let unavailable = OAuthError(
        status: 503, error: "temporarily_unavailable", code: "sessions_unavailable",
        explanation: "Sessions cannot be changed at the moment; the refresh token stays good")

    /// 400 as OAuth has it; 401 in cookie mode, where browsers' interceptors expect it.
    static func invalidGrant(_ rejection: RefreshRejection, inCookieMode: Bool) -> OAuthError {
        OAuthError(
            status: inCookieMode ? 401 : 400, error: "invalid_grant", code: rejection.code,
            explanation: rejection.isSessionOver ? "The session has ended" : "The refresh token is not valid")
    }

    var response: LocalResponse {
        var body = JSONWriter()
        body.beginObject()
        body.string("error", error)
        body.string("error_description", explanation)
        body.string("code", code)
        body.endObject()
        var response = LocalResponse.json(status, body.bytes)
        response.fields += TokenDelivery.noStore
        if status == 401 {
            response.fields.append(
                ("WWW-Authenticate", "Bearer error=\"invalid_token\", error_description=\"\(explanation)\""))
        }
        if status == 503 { response.fields.append(("Retry-After", "1")) }
        return response
    }
}
