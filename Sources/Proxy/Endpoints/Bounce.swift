// The bounce: a browser whose access token has expired is sent to the refresh endpoint and back, with its
// method and its body, and neither page nor script notices. 307 does that for documents, forms, fetch, images
// and event streams alike, and the refresh cookie still goes to one path only.
//
// Who may be sent round is decided here, twice alike: where the request first came, and where it arrives.

import Configuration
import HTTP
import JOSE
import Primitives
import Sessions

/// Sends browsers round by the refresh endpoint.
enum Bounce {
    /// What becomes of a request that the gate has refused.
    enum Way: Equatable {
        /// To the refresh endpoint, and back from there.
        case round(String)
        /// A person is sent to the login page.
        case toLogin(String)
        /// It is told the refusal.
        case out
    }

    /// - Parameters:
    ///   - target: what it asked for, with the path in its normal form; most refusals need not know.
    ///   - hasOlder: whether it carries a credential of before the gateway that may be exchanged.
    static func way(
        of head: borrowing RequestHead, _ target: () -> [UInt8], _ refusal: GateRefusal, route: Route,
        gatekeeper: Gatekeeper, policy: RequestPolicy, hasOlder: Bool
    ) -> Way {
        let mayGo = mayGoRound(head, refusal, gatekeeper, policy, hasOlder: hasOlder)
        if !mayGo, refusal.status != 401 || route.configuration.loginPage == nil { return .out }
        let target = target()
        let isTargetLocal = isLocal(target, refreshPath: policy.refreshPath)
        // Otherwise it would be refused on arrival.
        if mayGo, isTargetLocal {
            let path = String(decoding: policy.refreshPath, as: UTF8.self)
            return .round("\(path)?return_to=\(PercentEncoding.text(target))")
        }
        if refusal.status == 401,
            let page = LoginPage.location(for: head, route: route, target: isTargetLocal ? target : nil)
        {
            return .toLogin(page)
        }
        return .out
    }

    private static func mayGoRound(
        _ head: borrowing RequestHead, _ refusal: GateRefusal, _ gatekeeper: Gatekeeper,
        _ policy: RequestPolicy, hasOlder: Bool
    ) -> Bool {
        switch refusal {
        // A browser that has just come back and still has no better token would go round for ever.
        // "Issued in the future" is a token of before the clock was set back.
        case .token(.expired) where !hasJustReturned(head, policy),
            .token(.issuedInFuture) where !hasJustReturned(head, policy):
            break
        // Taken back with a change of rights, while the session goes on.
        case .token(.revoked): break
        // A visitor whose session is of before the gateway.
        case .noCredential where !hasJustReturned(head, policy) && hasOlder: break
        default: return false
        }
        return isFit(head) && hasSmallBody(head, policy.configuration)
            && (refusal == .noCredential || isByCookie(head, gatekeeper, policy))
    }

    /// Whether a request to the refresh endpoint is one that has been sent here.
    static func isArrival(_ connection: DownstreamConnection) -> Bool {
        let refreshPath = connection.shard.runtime.refreshPath
        let isHere = connection.withPath { $0.equals(refreshPath.span) }
        return isHere && !connection.head.query.isEmpty && returnTarget(connection) != nil
    }

    /// Rotates the cookies of a request that has been sent here.
    static func refresh(_ connection: DownstreamConnection) {
        guard let target = returnTarget(connection),
            isLocal(target, refreshPath: connection.shard.runtime.refreshPath)
        else {
            connection.exchange.reason = "return_to"
            connection.respond(
                .problem(400, code: "return_to", detail: "The target to return to is no path of this origin"))
            return
        }
        guard isFit(connection.head) else {
            connection.exchange.reason = GateRefusal.crossOrigin.code
            connection.respond(.refusal(.crossOrigin))
            return
        }
        let candidates = RefreshEndpoint.cookieTokens(connection)
        let found = candidates.isEmpty ? LegacyExchange.inCookies(connection) : []
        if !found.isEmpty {
            LegacyExchange.begin(found, .init(awaited: .bounce, delivery: .cookie), connection)
            return
        }
        if candidates.isEmpty {
            end(connection, .refusal(.noCredential), cookies: [])
            return
        }
        AccessCheck.refresh(
            PresentedTokens(
                candidates: candidates, session: candidates.count > 1 ? connection.presentedSession : nil,
                delivery: .cookie, isBounce: true),
            connection)
    }

    /// The refresh service has answered: back to where the request came from, or to the login.
    static func answer(_ connection: DownstreamConnection, _ reply: SessionReply) {
        let delivery = TokenDelivery(connection.shard.runtime)
        switch reply {
        case .issued(let issued):
            connection.exchange.loggedSession = (Array(issued.subject.utf8), Array(issued.sid.text.utf8))
            let stale = delivery.expiringDuplicates(in: connection.head)
            let spent = delivery.clearing(spent: connection.exchange.spentCookie, for: connection.head)
            goBack(connection, cookies: spent + stale + delivery.cookies(issued))
        case .rejected(.tooOften(let seconds)):
            connection.refuse(.rateLimited(retryAfterSeconds: seconds))
        case .rejected(let rejection):
            connection.exchange.reason = rejection.code
            let error = OAuthError.invalidGrant(rejection, inCookieMode: true)
            end(
                connection, error.response,
                cookies: rejection.isSessionOver ? delivery.clearing(for: connection.head) : [])
        case .ended, .sessions, .examined, .copied, .unavailable:
            connection.exchange.reason = OAuthError.unavailable.code
            connection.respond(OAuthError.unavailable.response)
        }
    }

    /// There is no session any more. Where none is needed the visitor goes back without one; a navigation
    /// goes to the login page of the route; everything else gets the refusal.
    private static func end(
        _ connection: DownstreamConnection, _ refusal: LocalResponse, cookies: [String]
    ) {
        let route = returnTarget(connection).flatMap {
            connection.shard.runtime.route(ofTarget: $0, connection)
        }
        if let route, route.configuration.access != .required, !cookies.isEmpty {
            goBack(connection, cookies: cookies)
            return
        }
        var response = refusal
        if let route, let page = LoginPage.location(for: connection.head, route: route, target: nil) {
            response = .redirect(303, to: page)
        }
        for cookie in cookies { response.fields.append(("Set-Cookie", cookie)) }
        connection.respond(response)
    }

    private static func goBack(_ connection: DownstreamConnection, cookies: [String]) {
        var response = LocalResponse.redirect(
            307, to: String(decoding: returnTarget(connection) ?? [], as: UTF8.self))
        let mark = TokenDelivery(connection.shard.runtime).returnMark
        for cookie in cookies + [mark] { response.fields.append(("Set-Cookie", cookie)) }
        connection.respond(response)
    }

    // MARK: - Who may be sent round

    /// A request that a page of ours made, or a person who opened one: never a prefetch, a frame in somebody
    /// else's page, or a WebSocket handshake, which follows no redirect.
    private static func isFit(_ head: borrowing RequestHead) -> Bool {
        if head.asksForWebSocket || head.block.first(.secPurpose) != nil || head.block.first(.purpose) != nil
        {
            return false
        }
        if head.block.count(of: .secFetchSite) != 1 { return false }
        if head.block.equals(.secFetchSite, lowercase: "same-origin") { return true }
        // A link on another site, or an address typed in: the browser sends the cookies along, because they
        // are SameSite=Lax, for a safe method only.
        return head.method.isSafe && head.block.equals(.secFetchMode, lowercase: "navigate")
            && head.block.equals(.secFetchDest, lowercase: "document")
    }

    private static func hasJustReturned(
        _ head: borrowing RequestHead, _ policy: RequestPolicy
    ) -> Bool {
        head.block.withBytes {
            !CookieFields.values(of: policy.cookieNames.returned, in: head.block, $0).isEmpty
        }
    }

    /// Whether the token is one of ours, expired or not, in our cookie.
    private static func isByCookie(
        _ head: borrowing RequestHead, _ gatekeeper: Gatekeeper, _ policy: RequestPolicy
    ) -> Bool {
        let found = Credentials.find(in: head, cookieNames: policy.cookieNames)
        guard case .cookies(let ranges) = found else { return false }
        // Of another issuer's token there is no session to refresh. One of ours may be of a key that is gone.
        return head.block.withBytes { bytes in
            ranges.contains { gatekeeper.claimsToBeOurs(bytes.extracting($0.offsets)) }
        }
    }

    /// The browser sends the body anew at each step: a large one is refused instead, and one of unknown
    /// length cannot be sent twice.
    private static func hasSmallBody(
        _ head: borrowing RequestHead, _ configuration: GatewayConfiguration
    ) -> Bool {
        let bytesMax = configuration.refreshToken.bounceBodyBytes
        return switch head.framing {
        case .none: bytesMax > 0
        case .length(let length): length <= bytesMax && bytesMax > 0
        case .chunked, .untilClose: false
        }
    }

    // MARK: - Where it goes back to

    private static func returnTarget(_ connection: DownstreamConnection) -> [UInt8]? {
        let query = connection.head.block.withBytes { bytes in
            [UInt8](copying: bytes.extracting(connection.head.query.offsets))
        }
        return PercentDecoding.query("return_to", in: query).map { Array($0.utf8) }
    }

    /// RFC 9700 §4.11: no open redirector. One slash, since two begin a host name, and no backslash in the
    /// path, which browsers take for a slash; and not the refresh endpoint again.
    static func isLocal(_ target: [UInt8], refreshPath: [UInt8]) -> Bool {
        guard target.count <= targetBytesMax, target.first == UInt8(ascii: "/"),
            target.dropFirst().first != UInt8(ascii: "/"),
            target.allSatisfy({ $0 > 0x20 && $0 < 0x7F && $0 != UInt8(ascii: "#") })
        else { return false }
        let path = Array(target.prefix { $0 != UInt8(ascii: "?") })
        if path.contains(UInt8(ascii: "\\")) { return false }
        var normal: [UInt8] = []
        switch PathNormalization.normalise(path.span, into: &normal) {
        case .refused: return false
        case .unchanged: normal = path
        case .rewritten: break
        }
        return
            !(normal.starts(with: refreshPath)
            && (normal.count == refreshPath.count || normal[refreshPath.count] == UInt8(ascii: "/")))
    }

    /// Longer targets are refused: encoded they would not fit into a request line everywhere.
    static let targetBytesMax = 4096
}

/// Where a person without a session is sent.
enum LoginPage {
    /// The login page of a route, for a page navigation only: a script that follows a redirect finds a page
    /// where it wanted data.
    ///
    /// - Parameter target: what the person wanted to see; told to the login page as `return_to`.
    static func location(for head: borrowing RequestHead, route: Route, target: [UInt8]?) -> String? {
        guard let page = route.configuration.loginPage,
            head.block.equals(.secFetchMode, lowercase: "navigate")
        else { return nil }
        guard let target, head.method == .get, target.count <= targetBytesMax else { return page }
        return "\(page)\(page.contains("?") ? "&" : "?")return_to=\(PercentEncoding.text(target))"
    }

    /// A longer target is not told, so that the address of the login page stays one that servers take.
    static let targetBytesMax = 2048
}

/// Percent-encoding of one component (RFC 3986 §2.1).
enum PercentEncoding {
    static func text(_ bytes: [UInt8]) -> String {
        var output: [UInt8] = []
        output.reserveCapacity(bytes.count + 16)
        for byte in bytes {
            if ASCII.unreserved.contains(byte) || byte == UInt8(ascii: "/") {
                output.append(byte)
            } else {
                output += [UInt8(ascii: "%"), upperDigit(byte >> 4), upperDigit(byte & 15)]
            }
        }
        return String(decoding: output, as: UTF8.self)
    }

    /// §2.1: "should use uppercase hexadecimal digits for all percent-encodings".
    private static func upperDigit(_ value: UInt8) -> UInt8 { value < 10 ? 48 + value : 55 + value }
}
