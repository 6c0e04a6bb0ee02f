// What happens to a request whose head has been read: an endpoint of the gateway's own, or a route; on a
// route the gate, and behind it the upstream. Every way of not getting there is an answer with a status and a
// word.

import Configuration
import HTTP
import JOSE
import Network
import Observability
import Primitives
import Sessions

extension DownstreamConnection {
    // MARK: - Dispatch

    /// Decides what happens to the request in `head`.
    func dispatchRequest() {
        exchange.requestBody = BodyReader(head.framing)
        exchange.requestIsComplete = exchange.requestBody.isComplete
        exchange.requestBytesMax = shard.limits.requestBodyBytes
        exchange.requestID = shard.requestIDs.id(of: head.block, isTrusted: peerIsTrusted)
        exchange.wantsTrailers = head.block.acceptsTrailers
        if peerIsTrusted {
            exchange.forwarded = ForwardedFields(
                head.block, peerIsTrusted: true, trusted: shard.runtime.trustedProxies)
        }
        switch RequestPolicy.firstAnswer(to: head) {
        case .refused(let error):
            refuse(error)
            return
        case .empty:
            respond(.empty(204))
            return
        case nil: exchange.maxForwards = MaxForwards.read(head).map { $0 - 1 }
        }
        if role.redirectsToHTTPS {
            let origin = head.block.withBytes {
                shard.runtime.redirect.origin(for: $0.extracting(head.authority.offsets))
            }
            // RFC 9110 §15.4.9: 308 keeps the method.
            respond(.redirect(308, to: origin + String(decoding: sentTarget, as: UTF8.self)))
            return
        }
        if role.isControl {
            exchange.countedAt = Shard.countedControl
            beginCollecting(bytesMax: Endpoint.bodyBytesMax)
            return
        }
        let outcome = head.block.withBytes { bytes in
            PathNormalization.normalise(bytes.extracting(head.path.offsets), into: &exchange.normalPath)
        }
        if outcome == .refused {
            refuse(.pathRefused)
            return
        }
        exchange.usesNormalPath = outcome == .rewritten
        if Endpoint.isLocal(self) {
            exchange.countedAt = Shard.countedEndpoints
            exchange.isDiscarding = Bounce.isArrival(self)
            beginCollecting(
                bytesMax: exchange.isDiscarding
                    ? Int(shard.runtime.configuration.refreshToken.bounceBodyBytes) : Endpoint.bodyBytesMax)
        } else {
            routeRequest()
        }
    }

    private func routeRequest() {
        let policy = shard.runtime.policy
        let choice = withPath { path in
            head.block.withBytes {
                policy.choose(path: path, authority: $0.extracting(head.authority.offsets))
            }
        }
        let route: Route
        switch choice {
        case .route(let chosen): route = chosen
        case .refused(let error):
            refuse(error)
            return
        }
        exchange.route = route
        exchange.countedAt = shard.routePlaces[route.index]
        exchange.requestBytesMax = route.requestBodyBytesMax
        switch route.firstAnswer(to: head) {
        case .preflight(let answer):
            respond(answer)
            return
        case .methodNotAllowed where !isObserved(route, ProxyError.methodNotAllowed.word):
            respondMethodNotAllowed(route.allowText)
            return
        case .methodNotAllowed, nil: break
        }
        if route.configuration.rate?.key == .address, !keepsRate(route) { return }
        askGate(route)
    }

    /// Whether the client keeps to the rate of a route; if not, it has been told so.
    private func keepsRate(_ route: Route) -> Bool {
        guard let limiter = route.rate else { return true }
        var key = addressKey
        if route.configuration.rate?.key == .subject, let token = exchange.token {
            // Two issuers may each have a subject of one name.
            let subject = (token.isOurs ? [] : Array("\(token.issuer) ".utf8)) + token.subjectBytes
            key = RateKey(subject: subject.span)
        }
        guard case .refused(let seconds) = limiter.admit(key, now: shard.loop.now) else { return true }
        let error = ProxyError.rateLimited(retryAfterSeconds: seconds)
        if isObserved(route, error.word) { return true }
        refuse(error)
        return false
    }

    /// Whether a refusal of an observed route is but written down. Of several it is the first, which is what
    /// the client would be told.
    private func isObserved(_ route: Route, _ word: String) -> Bool {
        if !route.configuration.isObserved { return false }
        if exchange.observed.isEmpty { exchange.observed = word }
        return true
    }

    /// RFC 9110 §9.3.1: "Although request message framing is independent of the method used, content received
    /// in a GET request has no generally defined semantics": an upstream may overlook it, and take it for the
    /// next request on its connection.
    var hasUnexpectedBody: Bool {
        switch head.method {
        case .get, .head, .delete, .options: head.framing != .none && head.framing != .length(0)
        default: false
        }
    }

    /// The bucket of the client's address.
    var addressKey: RateKey { exchange.forwarded.client.map(RateKey.init(address:)) ?? RateKey(peer: peer) }

    /// The client's address, as far as trusted proxies tell it.
    var clientText: [UInt8] {
        exchange.forwarded.clientText.isEmpty ? peerText : exchange.forwarded.clientText
    }

    private func askGate(_ route: Route) {
        if let place = MisplacedToken.place(
            in: head, normalPath: exchange.usesNormalPath ? exchange.normalPath : [],
            cookieNames: shard.runtime.cookieNames)
        {
            // It goes no further on any route, observed or not; a login page would get to see it as well.
            audit(.refreshTokenMisplaced, reason: place.rawValue)
            exchange.reason = GateRefusal.misplacedRefreshToken.code
            respond(.refusal(.misplacedRefreshToken))
            return
        }
        switch AccessRule.admit(
            head, route: route, gatekeeper: shard.gatekeeper, memo: &exchange.memo,
            policy: shard.runtime.policy, now: shard.wallTime)
        {
        case .refused(let refusal, let token):
            // Two credentials, of which one may be ours, go no further on any route, observed or not.
            if refusal == .ambiguousCredential || !isObserved(route, refusal.code) {
                turnAway(refusal, route)
                return
            }
            exchange.token = token
            exchange.passage = AccessRule.passage(ofUnjudged: head, shard.runtime.policy)
        case .undecided(let issuer):
            guard let refusal = askForKeys(issuer, route) else { return }
            if !isObserved(route, refusal.code) {
                turnAway(refusal, route)
                return
            }
            exchange.passage = AccessRule.passage(ofUnjudged: head, shard.runtime.policy)
        case .admitted(let token, let passage):
            exchange.token = token
            exchange.passage = passage
        }
        if route.configuration.rate?.key == .subject, !keepsRate(route) { return }
        switch route.configuration.destination {
        case .upstream(let index): forward(route, to: shard.pool(index))
        case .fixed(let response): respond(.fixed(response))
        }
    }

    /// The request's token is signed with a key that is not known.
    ///
    /// - Returns: why it is refused; nil where that is not decided here.
    private func askForKeys(_ issuer: Int, _ route: Route) -> GateRefusal? {
        switch shard.decide(issuer: issuer, for: self) {
        case .again: askGate(route)
        case .wait:
            exchange.awaited = .keys
            exchange.phase = .awaitingReply
        case .unknown: return .token(.unknownKey)
        case .unavailable(let seconds): return .keysUnavailable(retryAfterSeconds: seconds)
        }
        return nil
    }

    /// There is news of the keys that the exchange waits for.
    func keysHaveCome(serial: UInt32) {
        guard exchange.serial == serial, exchange.phase == .awaitingReply, case .keys = exchange.awaited
        else { return }
        exchange.awaited = .none
        exchange.phase = .idle
        if let route = exchange.route { askGate(route) } else { Introspection.answer(self) }
        pump()
    }

    /// The gate has refused the request: a browser may be sent to refresh its token, or to log in.
    private func turnAway(_ refusal: GateRefusal, _ route: Route) {
        exchange.reason = refusal.code
        let way = Bounce.way(
            of: head, { requestTarget }, refusal, route: route, gatekeeper: shard.gatekeeper,
            policy: shard.runtime.policy,
            hasOlder: refusal == .noCredential && !LegacyExchange.inCookies(self).isEmpty)
        switch way {
        case .round(let location):
            shard.metrics.bounces.add()
            respondAfterBody(.redirect(307, to: location))
        case .toLogin(let page):
            shard.metrics.loginRedirects.add()
            respond(.redirect(303, to: page))
        case .out: respond(.refusal(refusal))
        }
    }

    /// What the request asked for, with the path in its normal form: as it was sent, `//evil.example/` is a
    /// path to us and a host to a browser that is sent back there.
    var requestTarget: [UInt8] {
        let query = head.query
        return withPath { [UInt8](copying: $0) }
            + head.block.withBytes { [UInt8](copying: $0.extracting(query.offsets)) }
    }

    private var sentTarget: [UInt8] {
        head.block.withBytes { [UInt8](copying: $0.extracting(head.path.start..<head.query.end)) }
    }

    /// How the client came: by TLS with us, or as the public URL says where somebody in front ends it.
    var scheme: PublicURL.Scheme {
        if tls != nil { return .https }
        return shard.runtime.hasTLS ? .http : shard.runtime.configuration.publicURL.scheme
    }

    private func forward(_ route: Route, to pool: UpstreamPool) {
        if route.isTooLarge(head.framing) {
            refuse(.bodyTooLarge)
            return
        }
        // Looked up while the request still has its credentials, for the answer that may replace this
        // session.
        if route.configuration.isLogin { exchange.heldSession = presentedSession }
        RequestWriting.prepare(&head.block, exchange: exchange, policy: shard.runtime.policy)
        exchange.phase = .relaying
        exchange.pool = pool
        pool.assign(to: self)
    }

    /// Lends the path in its normal form.
    func withPath<Result>(_ body: (Span<UInt8>) -> Result) -> Result {
        if exchange.usesNormalPath {
            let path = exchange.normalPath
            return body(path.span)
        }
        return head.block.withBytes { bytes in body(bytes.extracting(head.path.offsets)) }
    }
}
