// The gate: what a route demands, what the request shows, and the verdict. Every refusal is a value with its
// status, its code for machines and its word for the log.

import Configuration
import HTTP
import JOSE
import Primitives

/// What the gate says about a request.
enum Admission {
    /// Forward it, with the identity that was verified, if any.
    case admitted(VerifiedToken?, TokenPassage)
    /// With the token where it is a good one that does not suffice here.
    case refused(GateRefusal, VerifiedToken?)
    /// The key of its token is not known yet; the issuer may be asked for it.
    case undecided(issuer: Int)
}

/// What becomes of the token that a request carries, on its way to the upstream.
enum TokenPassage {
    /// It goes on as it is, and so does what is no token.
    case asSent
    /// It goes no further.
    case withheld
    /// It came in our cookie, and goes on as a bearer token.
    case asBearer
}

/// Why a request is not let in.
enum GateRefusal: Equatable {
    /// No credential, where one is required.
    case noCredential
    case token(TokenRejection)
    /// Two credentials in one request.
    case ambiguousCredential
    case misplacedRefreshToken
    /// A request that changes state, carried by a cookie, from another origin.
    case crossOrigin
    case missingScope([String])
    case missingClaim
    /// The key of the token is not known, and its issuer cannot be asked for it.
    case keysUnavailable(retryAfterSeconds: Int64)

    /// The status that answers it (RFC 6750 §3.1).
    var status: Int {
        switch self {
        case .noCredential, .token, .misplacedRefreshToken: 401
        case .ambiguousCredential: 400
        case .crossOrigin, .missingScope, .missingClaim: 403
        // An outage of the identity provider says nothing of the token.
        case .keysUnavailable: 503
        }
    }

    /// The stable code for machines; also the word of the access log.
    var code: String {
        switch self {
        case .noCredential: "token_missing"
        case .token(let rejection): rejection.code
        case .ambiguousCredential: "token_ambiguous"
        case .misplacedRefreshToken: "refresh_token_misplaced"
        case .crossOrigin: "cross_origin"
        case .missingScope: "insufficient_scope"
        case .missingClaim: "insufficient_claim"
        case .keysUnavailable: "keys_unavailable"
        }
    }

    /// A fixed sentence for people.
    var explanation: String {
        switch self {
        case .noCredential: "This resource needs an access token"
        case .token(let rejection): rejection.explanation.description
        case .ambiguousCredential: "The request carries more than one Authorization field"
        case .misplacedRefreshToken: "A refresh token is accepted by the refresh endpoint only"
        case .crossOrigin: "A request with cookies that changes state must come from the same origin"
        case .missingScope: "The access token lacks a scope that this resource needs"
        case .missingClaim: "The access token lacks a claim that this resource needs"
        case .keysUnavailable: "The keys of the access token's issuer cannot be had at the moment"
        }
    }

    /// The value of WWW-Authenticate; nil where RFC 6750 has none. Without a credential the challenge is bare
    /// (§3.1: "the resource server SHOULD NOT include an error code").
    var challenge: String? {
        switch self {
        case .noCredential: "Bearer"
        case .token, .misplacedRefreshToken:
            "Bearer error=\"invalid_token\", error_description=\"\(explanation)\""
        case .ambiguousCredential: "Bearer error=\"invalid_request\", error_description=\"\(explanation)\""
        case .missingScope(let scopes):
            "Bearer error=\"insufficient_scope\", error_description=\"\(explanation)\", "
                + "scope=\"\(scopes.joined(separator: " "))\""
        case .missingClaim: "Bearer error=\"insufficient_scope\", error_description=\"\(explanation)\""
        case .crossOrigin, .keysUnavailable: nil
        }
    }
}

/// Applies a route's demands to a request.
enum AccessRule {
    static func admit(
        _ head: borrowing RequestHead, route: Route, gatekeeper: Gatekeeper, memo: inout TokenMemo,
        policy: RequestPolicy, now: WallTime
    ) -> Admission {
        let access = route.configuration.access
        let credentials = Credentials.find(in: head, cookieNames: policy.cookieNames)
        if access == .anonymous {
            // An anonymous route forwards no identity, whatever the request carries; and no token of ours
            // either: which of two is ours, and to be withheld, is not for an upstream to find out.
            if credentials == .ambiguous { return .refused(.ambiguousCredential, nil) }
            return .admitted(nil, passage(ofUnjudged: head, policy))
        }
        let verdict: TokenVerdict
        switch credentials {
        case .none:
            return access == .required ? .refused(.noCredential, nil) : .admitted(nil, .asSent)
        case .ambiguous: return .refused(.ambiguousCredential, nil)
        case .bearer(let range):
            verdict = head.block.withBytes {
                gatekeeper.check($0.extracting(range.offsets), memo: &memo, now: now)
            }
        case .cookies(let ranges):
            verdict = firstAccepted(head, ranges, gatekeeper, &memo, now)
        }
        // "optional" means no credential, never a bad one (CVE-2021-21378).
        let token: VerifiedToken
        switch verdict {
        case .accepted(let verified): token = verified
        case .refused(let rejection): return .refused(.token(rejection), nil)
        case .undecided(let issuer): return .undecided(issuer: issuer)
        }
        return admit(head, credentials, token, route: route, policy: policy)
    }

    /// What a route says to a token that is good.
    private static func admit(
        _ head: borrowing RequestHead, _ credentials: Credentials, _ token: VerifiedToken, route: Route,
        policy: RequestPolicy
    ) -> Admission {
        // A WebSocket handshake is a GET, and no same-origin policy stands in a foreign page's way: it counts
        // as unsafe.
        if case .cookies = credentials, !head.method.isSafe || head.asksForWebSocket,
            !SameOrigin.isShown(by: head, policy.publicOrigin),
            route.crossOrigin?.allowsStateChange(head) != true
        {
            return .refused(.crossOrigin, token)
        }
        if let refusal = refusal(of: token, route.configuration) { return .refused(refusal, token) }
        let isForwarded = policy.forwards(token)
        if case .cookies = credentials { return .admitted(token, isForwarded ? .asBearer : .asSent) }
        return .admitted(token, isForwarded ? .asSent : .withheld)
    }

    /// Whether a bearer token is one that we have issued, by the look of it: good enough to withhold it.
    private static func isOurs(
        _ credentials: Credentials, _ head: borrowing RequestHead, _ policy: RequestPolicy
    ) -> Bool {
        switch credentials {
        case .bearer(let range): return isOurs(range, head, policy)
        case .ambiguous:
            return Credentials.anyBearer(in: head) { one in
                if case .bearer(let range) = one { isOurs(range, head, policy) } else { false }
            }
        case .none, .cookies: return false
        }
    }

    private static func isOurs(
        _ token: ByteRange, _ head: borrowing RequestHead, _ policy: RequestPolicy
    ) -> Bool {
        head.block.withBytes { bytes in
            policy.tokenHeads.contains { tokenHead in
                let count = tokenHead.count
                if token.count < count { return false }
                return bytes.extracting(token.start..<token.start + count).equals(tokenHead.span)
            }
        }
    }

    /// What becomes of the token of a request that is let through without its being judged.
    static func passage(
        ofUnjudged head: borrowing RequestHead, _ policy: RequestPolicy
    ) -> TokenPassage {
        if policy.configuration.accessToken.isForwarded { return .asSent }
        let credentials = Credentials.find(in: head, cookieNames: policy.cookieNames)
        return isOurs(credentials, head, policy) ? .withheld : .asSent
    }

    /// Several cookies of our name: one may be a stale one of another path or domain, so each is tried.
    private static func firstAccepted(
        _ head: borrowing RequestHead, _ ranges: [ByteRange], _ gatekeeper: Gatekeeper,
        _ memo: inout TokenMemo,
        _ now: WallTime
    ) -> TokenVerdict {
        head.block.withBytes { bytes in
            var verdict = TokenVerdict.refused(.malformed)
            for range in ranges.prefix(cookiesMax) {
                let next = gatekeeper.check(bytes.extracting(range.offsets), memo: &memo, now: now)
                if case .accepted = next { return next }
                // One that has expired says more than a stranger's beside it: it can be refreshed. And one
                // that nobody can judge at the moment says more than a bad one.
                switch (verdict, next) {
                case (.refused(.expired), _): continue
                case (.undecided, .refused(let rejection)) where rejection != .expired: continue
                default: verdict = next
                }
            }
            return verdict
        }
    }

    /// Why a good token does not suffice for a route; nil when it does.
    private static func refusal(of token: VerifiedToken, _ route: RouteConfiguration) -> GateRefusal? {
        if !route.requiredScopes.allSatisfy({ has($0, token) }) {
            return .missingScope(route.requiredScopes)
        }
        return unmet(route, by: token) == nil ? nil : .missingClaim
    }

    /// Whether a token grants a scope. Bytes are compared: `String` would take the Kelvin sign for a K.
    static func has(_ scope: String, _ token: VerifiedToken) -> Bool {
        token.scopes.contains { $0.utf8.elementsEqual(scope.utf8) }
    }

    /// The first claim of a route's that a token does not have.
    static func unmet(_ route: RouteConfiguration, by token: VerifiedToken) -> ClaimRequirement? {
        for requirement in route.requiredClaims {
            guard let claim = token.claim(at: requirement.claim.parts), claim.isOne(of: requirement.values)
            else { return requirement }
        }
        return nil
    }

    private static let cookiesMax = 4
}

/// The defence against cross-site requests that ride on a cookie.
enum SameOrigin {
    /// Whether a request shows that it comes from our own origin, or from nobody's page: `Sec-Fetch-Site`,
    /// which no script can set, else `Origin`, which browsers send with every unsafe request and with every
    /// WebSocket handshake. Neither is no evidence. Of several host names of ours each is its own origin:
    /// cookies are of one host, and no page can have its browser write another `Host`.
    static func isShown(by head: borrowing RequestHead, _ publicOrigin: [UInt8]) -> Bool {
        if head.block.first(.secFetchSite) != nil {
            return head.block.count(of: .secFetchSite) == 1
                && (head.block.equals(.secFetchSite, lowercase: "same-origin")
                    || head.block.equals(.secFetchSite, lowercase: "none"))
        }
        guard let index = head.block.first(.origin), head.block.count(of: .origin) == 1 else { return false }
        let value = head.block.fields[index].value
        let host = head.authority
        return head.block.withBytes { bytes in
            let sent = bytes.extracting(value.offsets)
            if sent.equals(publicOrigin.span) { return true }
            // RFC 6454 §6.2: scheme and authority. The scheme is that of the public URL. A proxy in front may
            // have taken the port off, and the public URL's tells two services of one host apart.
            guard let colon = publicOrigin.firstIndex(of: UInt8(ascii: ":")) else { return false }
            let schemeCount = colon + "://".utf8.count
            let isPublicHost =
                RouteTable.hostName(bytes.extracting(host.offsets))
                == RouteTable.hostName(publicOrigin.span.extracting(schemeCount...))
            return !isPublicHost && !host.isEmpty && sent.count == schemeCount + host.count
                && sent.extracting(0..<schemeCount).equals(publicOrigin.span.extracting(0..<schemeCount))
                && sent.extracting(schemeCount...).equals(bytes.extracting(host.offsets))
        }
    }
}
