// The exchange of a credential of before the gateway, at the refresh endpoint and where a browser is sent
// round by it: whoever holds one gets a session, once. The token is judged here; a cookie is an upstream's to
// judge.

import Configuration
import HTTP
import JOSE
import Network
import Observability
import Primitives
import Sessions

/// Begins sessions for older credentials.
enum LegacyExchange {
    /// A credential that was found in a request.
    struct Found {
        let target: ExchangeTarget
        let bytes: [UInt8]
    }

    /// What a request is to get where its credential is good, and how.
    struct Demand {
        let awaited: AwaitedReply
        let delivery: Delivery
        /// What else was found: one that is no good must not stand in the way of another.
        var others: [Found] = []
    }

    // MARK: - Finding

    /// The credentials in the cookies of a request, in the configuration's order. Of two values under one
    /// name neither is taken: a neighbouring host can plant a cookie, for the refresh path alone, and would
    /// make of its visitor somebody else.
    static func inCookies(_ connection: DownstreamConnection) -> [Found] {
        let runtime = connection.shard.runtime
        if runtime.exchanges.isEmpty || connection.head.block.first(.cookie) == nil { return [] }
        var found: [Found] = []
        for target in runtime.exchanges where !target.isOver(at: connection.shard.wallTime) {
            guard let name = target.cookieName, !found.contains(where: { $0.target.cookieName == name })
            else { continue }
            let values = connection.head.block.withBytes { bytes in
                Set(
                    CookieFields.values(of: name, in: connection.head.block, bytes).map {
                        [UInt8](copying: bytes.extracting($0.offsets))
                    })
            }
            if values.count == 1, let value = values.first, !value.isEmpty {
                found.append(Found(target: target, bytes: value))
            }
        }
        return found
    }

    /// The credential that was presented where refresh tokens are: in the body, or as a bearer token.
    static func presented(_ token: [UInt8], _ connection: DownstreamConnection) -> Found? {
        let target = connection.shard.runtime.exchanges.first {
            $0.trusted != nil && $0.cookieName == nil && !$0.isOver(at: connection.shard.wallTime)
        }
        return target.map { Found(target: $0, bytes: token) }
    }

    // MARK: - Beginning

    /// Begins a session for the first of these that is good, or says why there is none.
    static func begin(_ all: [Found], _ demand: Demand, _ connection: DownstreamConnection) {
        guard let found = all.first else {
            answer(.rejected(.notGenuine), demand, connection)
            return
        }
        var demand = demand
        demand.others = Array(all.dropFirst())
        switch found.target.configuration.kind {
        case .token: beginByToken(found, demand, connection)
        case .cookie(let cookie): ask(found, cookie, demand, connection)
        }
    }

    private static func beginByToken(
        _ found: Found, _ demand: Demand, _ connection: DownstreamConnection
    ) {
        // Of several blocks for tokens, the one whose key has signed it.
        let targets = connection.shard.runtime.exchanges.filter {
            $0.cookieName == found.target.cookieName && !$0.isOver(at: connection.shard.wallTime)
        }
        for target in targets {
            guard let trusted = target.trusted, case .token(let configuration) = target.configuration.kind,
                let verifier = try? TokenVerifier(keys: trusted.keys, policy: trusted.policy),
                case .accepted(let verified) = verifier.verify(
                    found.bytes.span, now: connection.shard.wallTime),
                !isOfOurMaking(verified)
            else { continue }
            connection.exchange.spentCookie = target.cookieName ?? []
            // A signature can be spelled in more than one way (ECDSA takes s and n-s alike): what counts is
            // what was signed, and not where the token came.
            let signed = found.bytes.prefix(found.bytes.lastIndex(of: UInt8(ascii: ".")) ?? 0)
            let credential = OlderCredential(
                identity: [0] + signed, issued: WallTime(seconds: verified.issuedAt ?? 0),
                remembered: remembered(target))
            submit(
                credential, subject: verified.subject, claims: claims(configuration.claims, of: verified),
                label: "", demand, connection)
            return
        }
        refuse(demand, connection)
    }

    /// Who moves may go on signing with the old key. Then a token of ours has a good signature as well, and
    /// an access token of a few minutes, or of a session that has ended, must not be good for a new session.
    private static func isOfOurMaking(_ token: VerifiedToken) -> Bool {
        guard let sid = token.claim("sid")?.string, SessionID(text: Array(sid.utf8).span) != nil
        else { return false }
        return token.claim(TokenStyle.refreshClaim) != nil
            || token.claim("client_id")?.string == AccessTokenClaims.clientID
    }

    /// The last day may be put off, and nothing that was exchanged may come to life again by that.
    private static func remembered(_ target: ExchangeTarget) -> WallTime {
        WallTime(seconds: target.configuration.until + rememberedSeconds)
    }

    private static let warningMilliseconds: Int64 = 1000
    private static let rememberedSeconds: Int64 = 366 * 86_400

    /// The claims that pass into the session.
    private static func claims(_ names: [String], of token: VerifiedToken) -> [UInt8] {
        var writer = JSONWriter()
        writer.beginObject()
        for name in names {
            if let value = token.claim(name) { writer.json(name, value.text) }
        }
        writer.endObject()
        return writer.bytes
    }

    /// Asks the upstream whose cookie it is.
    private static func ask(
        _ found: Found, _ configuration: LegacyCookieConfiguration, _ demand: Demand,
        _ connection: DownstreamConnection
    ) {
        let shard = connection.shard
        let (slot, serial) = (connection.slot, connection.exchange.serial)
        connection.exchange.awaited = .confirmation
        connection.exchange.phase = .awaitingReply
        let question = UpstreamQuestion(
            path: configuration.path,
            // A cookie's value in a request that was parsed has no control byte in it.
            fields: Array("Cookie: \(configuration.name)=".utf8) + found.bytes + [0x0D, 0x0A],
            timeoutMilliseconds: configuration.timeoutMilliseconds)
        UpstreamCall.ask(shard.pool(configuration.upstream), question) { [unowned shard] outcome in
            guard let connection = shard.loop.target(slot: slot) as? DownstreamConnection,
                connection.exchange.serial == serial, case .confirmation = connection.exchange.awaited
            else { return }
            connection.exchange.awaited = .none
            take(outcome, found, demand, connection)
            connection.pump()
        }
    }

    private static func take(
        _ outcome: FetchOutcome, _ found: Found, _ demand: Demand, _ connection: DownstreamConnection
    ) {
        switch outcome {
        case .answered(let answer) where answer.status == 200:
            guard let document = try? JSONDocument(parsing: answer.body),
                let subject = document.root["subject"]?.string, SessionSignal.isSubject(subject)
            else {
                fail("the upstream's answer is no JSON object with a 'subject'", found, demand, connection)
                return
            }
            let claims = document.root["claims"].map { Array($0.text) } ?? Array("{}".utf8)
            // Under another name the same bytes are another credential.
            let credential = OlderCredential(
                identity: (found.target.cookieName ?? []) + [0] + found.bytes, issued: nil,
                remembered: remembered(found.target))
            submit(
                credential, subject: subject, claims: claims,
                label: document.root["label"]?.string ?? "", demand, connection)
        case .answered(let answer) where [401, 403, 404, 410].contains(answer.status):
            refuse(demand, connection)
        case .answered(let answer):
            fail("the upstream answered \(answer.status)", found, demand, connection)
        case .failed(let reason), .unreachable(let reason):
            fail("the upstream cannot be asked: \(reason)", found, demand, connection)
        }
    }

    private static func submit(
        _ credential: OlderCredential, subject: String, claims: [UInt8], label: String, _ demand: Demand,
        _ connection: DownstreamConnection
    ) {
        switch SessionClaims.check(claims, subject: subject, connection.shard.runtime.claimsRoom) {
        case .failure(let problem):
            connection.shard.runtime.services.log.error(
                "exchange: no session can be begun: \(problem.reason)")
            refuse(demand, connection)
        case .success(let checked):
            let new = NewSession(
                subject: subject, claims: checked, client: connection.clientDescription(label), replacing: nil
            )
            connection.awaitReply(
                demand.awaited, .exchange(new, credential, delivery: demand.delivery))
        }
    }

    private static func refuse(_ demand: Demand, _ connection: DownstreamConnection) {
        begin(demand.others, demand, connection)
    }

    /// An outage is never a refusal: the credential stays good.
    private static func fail(
        _ reason: String, _ found: Found, _ demand: Demand, _ connection: DownstreamConnection
    ) {
        if case .cookie(let cookie) = found.target.configuration.kind {
            let (pool, now) = (connection.shard.pool(cookie.upstream), connection.shard.loop.now)
            // Anybody can have it fail.
            if now >= pool.questionWarnedAt.advanced(byMilliseconds: warningMilliseconds) {
                pool.questionWarnedAt = now
                connection.shard.runtime.services.log.warning("exchange cookie \(cookie.name): \(reason)")
            }
        }
        answer(.unavailable, demand, connection)
    }

    private static func answer(
        _ reply: SessionReply, _ demand: Demand, _ connection: DownstreamConnection
    ) {
        if case .bounce = demand.awaited {
            Bounce.answer(connection, reply)
        } else {
            RefreshEndpoint.answerRefresh(connection, reply, demand.delivery)
        }
    }
}
