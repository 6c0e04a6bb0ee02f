// Puts described requests to the policy of a configuration, as a shard would: the head is parsed, the path
// normalised, the route chosen, the token verified and the request written by the same code, in the same
// order (`RequestDispatch`). What hangs on the moment is left out: rates, revocations, and whether an
// upstream answers.

package import Configuration
import HTTP
import JOSE
package import Primitives

/// Why a token was refused, as its code says.
package struct TokenRefusal: Sendable {
    let rejection: TokenRejection

    /// nil: no code of ours.
    package init?(code: String) {
        guard let rejection = TokenRejection(rawValue: code) else { return nil }
        self.rejection = rejection
    }
}

/// A configuration's policy, on trial. For one owner.
package final class PolicyTrial {
    let policy: RequestPolicy
    private let gatekeeper: Gatekeeper
    private let tokens: SampleTokens

    package init(_ configuration: GatewayConfiguration) throws(RuntimeError) {
        do throws(JOSEError) {
            tokens = try SampleTokens(configuration)
            gatekeeper = try Gatekeeper(tokens.issuers, sessionLifetimeSeconds: 0)
        } catch {
            throw RuntimeError(reason: "tokens for trying the policy cannot be made: \(error)")
        }
        policy = RequestPolicy(configuration, tokenHeads: tokens.tokenHeads)
    }

    /// What becomes of a request.
    ///
    /// - Parameter presented: the token that it carries, in place of one that is described.
    package func verdict(
        on sample: SampleRequest, presenting presented: TrialToken? = nil, now: WallTime
    ) -> TrialVerdict {
        var verdict = TrialVerdict()
        var head = RequestHead()
        let text = headText(of: sample, presented, now: now)
        do throws(ProtocolViolation) {
            let result = try RequestParser.parse(text.span, into: &head, limits: policy.messageLimits)
            guard case .complete = result else { throw .headTooLarge }
        } catch {
            verdict.refuse(.violation(error), rule: "request")
            return verdict
        }
        switch RequestPolicy.firstAnswer(to: head) {
        case .refused(let error): verdict.refuse(error, rule: "request")
        case .empty:
            verdict.note("request", .passed, "it asks for no path")
            verdict.outcome = .answered(status: 204)
        case nil: route(&head, isRefused: presented?.rejection, now: now, into: &verdict)
        }
        return verdict
    }

    private func headText(of sample: SampleRequest, _ presented: TrialToken?, now: WallTime) -> [UInt8] {
        var text = Array("\(sample.method) \(sample.target) HTTP/1.1\r\n".utf8)
        text += Array("Host: \(sample.authority ?? policy.configuration.publicURL.authority)\r\n".utf8)
        for field in sample.fields { text += Array("\(field.name): \(field.value)\r\n".utf8) }
        let token: [UInt8]
        switch presented {
        case .accepted(let claims), .refused(_, let claims?): token = tokens.token(claims: claims)
        case .refused(_, nil): token = Array("unreadable".utf8)
        case .unread(let given): token = Array(given.utf8)
        case nil:
            guard let described = sample.token else { return text + Array("\r\n".utf8) }
            token = tokens.token(described, now: now)
        }
        let isInCookie = sample.token?.isInCookie ?? false
        let opening =
            isInCookie
            ? Array("Cookie: ".utf8) + policy.cookieNames.access + [UInt8(ascii: "=")]
            : Array("Authorization: Bearer ".utf8)
        return text + opening + token + Array("\r\n\r\n".utf8)
    }

    // MARK: - Path and route

    private func route(
        _ head: inout RequestHead, isRefused rejection: TokenRejection?, now: WallTime,
        into verdict: inout TrialVerdict
    ) {
        let sent = head.block.withBytes { [UInt8](copying: $0.extracting(head.path.offsets)) }
        guard let path = policy.normalPath(of: sent) else {
            verdict.refuse(.pathRefused, rule: "path")
            return
        }
        let pathText = String(decoding: path, as: UTF8.self)
        verdict.note("path", .passed, path == sent ? pathText : "\(pathText), which is the normal form")
        if policy.isOwn(path.span) {
            verdict.note("path", .passed, "it belongs to the gateway itself, and no route takes it")
            return
        }
        let choice = head.block.withBytes {
            policy.choose(path: path.span, authority: $0.extracting(head.authority.offsets))
        }
        let route: Route
        switch choice {
        case .route(let chosen): route = chosen
        case .refused(let error):
            verdict.refuse(error, rule: "route")
            return
        }
        verdict.route = route.configuration
        verdict.note("route", .passed, "\(route.configuration.label) at \(route.configuration.place)")
        switch route.firstAnswer(to: head) {
        case .preflight(let answer):
            verdict.note(
                "cors", answer.status == 204 ? .passed : .refused,
                answer.status == 204 ? "a preflight, which is allowed" : "a preflight, which is not allowed")
            verdict.outcome =
                answer.status == 204
                ? .answered(status: answer.status) : .refused(status: answer.status, code: "preflight")
            return
        case .methodNotAllowed:
            let text = "the route takes \(route.allowText) alone"
            if !verdict.lets(route, .methodNotAllowed, rule: "methods", text: text) { return }
        case nil:
            if !route.configuration.methods.isEmpty {
                verdict.note("methods", .passed, "the route takes \(route.allowText)")
            }
        }
        if route.rate != nil { verdict.note("rate", .note, "not counted here") }
        admit(&head, path: path, route, rejection, now, into: &verdict)
    }

    // MARK: - The gate

    private func admit(
        _ head: inout RequestHead, path: [UInt8], _ route: Route, _ rejection: TokenRejection?,
        _ now: WallTime, into verdict: inout TrialVerdict
    ) {
        let exchange = Exchange()
        exchange.route = route
        let sent = head.block.withBytes { [UInt8](copying: $0.extracting(head.path.offsets)) }
        exchange.usesNormalPath = path != sent
        exchange.normalPath = path
        if let place = MisplacedToken.place(
            in: head, normalPath: exchange.usesNormalPath ? path : [], cookieNames: policy.cookieNames)
        {
            let refusal = GateRefusal.misplacedRefreshToken
            verdict.note("token", .refused, "a refresh token stands in the \(place.rawValue)")
            verdict.outcome = .refused(status: refusal.status, code: refusal.code)
            return
        }
        var admission = AccessRule.admit(
            head, route: route, gatekeeper: gatekeeper, memo: &exchange.memo, policy: policy, now: now)
        if let rejection, route.configuration.access != .anonymous {
            admission = .refused(.token(rejection), nil)
        }
        switch admission {
        case .admitted(let token, let passage):
            verdict.explain(route.configuration, token: token)
            exchange.token = token
            exchange.passage = passage
        case .refused(let refusal, let token):
            verdict.explain(refusal, route.configuration, token: token)
            guard refusal != .ambiguousCredential, route.configuration.isObserved else {
                turnAway(head, path, refusal, route, now, into: &verdict)
                return
            }
            verdict.observe(refusal.code)
            exchange.token = token
            exchange.passage = AccessRule.passage(ofUnjudged: head, policy)
        // No issuer of a trial is asked for keys.
        case .undecided: return
        }
        switch route.configuration.destination {
        case .fixed(let response): verdict.outcome = .answered(status: response.status)
        case .upstream(let index):
            if route.isTooLarge(head.framing) {
                verdict.refuse(.bodyTooLarge, rule: "request_body")
                return
            }
            RequestWriting.prepare(&head.block, exchange: exchange, policy: policy)
            let name = policy.configuration.upstreams[index].name
            verdict.outcome = .forwarded(Forwarding(head, exchange, policy, upstream: name))
        }
    }

    private func turnAway(
        _ head: borrowing RequestHead, _ path: [UInt8], _ refusal: GateRefusal, _ route: Route,
        _ now: WallTime, into verdict: inout TrialVerdict
    ) {
        let target = path + head.block.withBytes { [UInt8](copying: $0.extracting(head.query.offsets)) }
        let way = Bounce.way(
            of: head, { target }, refusal, route: route, gatekeeper: gatekeeper, policy: policy,
            hasOlder: carriesOlder(head, now))
        switch way {
        case .round(let location):
            verdict.note("bounce", .note, "a browser is sent to refresh its session, and back")
            verdict.outcome = .redirected(status: 307, location: location, code: refusal.code)
        case .toLogin(let page):
            verdict.note("login_page", .note, "a page navigation is sent there")
            verdict.outcome = .redirected(status: 303, location: page, code: refusal.code)
        case .out: verdict.outcome = .refused(status: refusal.status, code: refusal.code)
        }
    }

    /// Whether there is a cookie of before the gateway that the refresh endpoint would look at.
    private func carriesOlder(_ head: borrowing RequestHead, _ now: WallTime) -> Bool {
        for exchange in policy.configuration.refreshToken.exchanges
        where exchange.until * 1_000 > now.milliseconds {
            guard let name = exchange.cookieName else { continue }
            let values = head.block.withBytes {
                CookieFields.values(of: Array(name.utf8), in: head.block, $0)
            }
            if values.contains(where: { !$0.isEmpty }) { return true }
        }
        return false
    }
}

extension TrialToken {
    fileprivate var rejection: TokenRejection? {
        if case .refused(let refusal, _) = self { return refusal.rejection }
        return nil
    }
}

extension ExchangeConfiguration {
    /// The cookie that its credential comes in; nil where it comes in none.
    fileprivate var cookieName: String? {
        switch kind {
        case .token(let token): token.cookieName
        case .cookie(let cookie): cookie.name
        }
    }
}

extension Forwarding {
    /// Reads what the upstream is told from the request as it is written for it.
    fileprivate init(
        _ head: borrowing RequestHead, _ exchange: Exchange, _ policy: RequestPolicy, upstream: String
    ) {
        var output = ByteBuffer()
        RequestWriting.write(
            head, exchange: exchange, peer: Array("127.0.0.1".utf8),
            scheme: policy.configuration.publicURL.scheme, certificate: nil, authority: [], to: &output)
        let text = output.withReadable { String(lossy: $0) }
        let lines = text.split(separator: "\r\n")
        let words = (lines.first ?? "").split(separator: " ")
        let told = Set(exchange.route?.configuration.identityFields.map(\.fieldName) ?? [])
        self.upstream = upstream
        target = words.count > 1 ? String(words[1]) : ""
        hasToken =
            exchange.token != nil && lines.contains { $0.lowercased().hasPrefix("authorization: bearer") }
        identity = lines.dropFirst().compactMap { line in
            guard let colon = line.firstIndex(of: ":") else { return nil }
            let name = String(line[..<colon])
            guard name.hasPrefix("X-Auth-") || told.contains(name) else { return nil }
            return FieldText(name: name, value: String(line[colon...].dropFirst(2)))
        }
    }
}
