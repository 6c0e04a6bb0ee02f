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
    }

    // MARK: - Finding

    /// The credential in the cookies of a request.
    static func inCookies(_ connection: DownstreamConnection) -> Found? {
        let runtime = connection.shard.runtime
        if runtime.exchanges.isEmpty || connection.head.block.first(.cookie) == nil { return nil }
        for target in runtime.exchanges where !target.isOver(at: connection.shard.wallTime) {
            guard let name = target.cookieName else { continue }
            let value = connection.head.block.withBytes { bytes in
                CookieFields.values(of: name, in: connection.head.block, bytes).first.map {
                    [UInt8](copying: bytes.extracting($0.offsets))
                }
            }
            if let value, !value.isEmpty { return Found(target: target, bytes: value) }
        }
        return nil
    }

    /// The credential that was presented where refresh tokens are: in the body, or as a bearer token.
    static func presented(_ token: [UInt8], _ connection: DownstreamConnection) -> Found? {
        let target = connection.shard.runtime.exchanges.first {
            $0.trusted != nil && $0.cookieName == nil && !$0.isOver(at: connection.shard.wallTime)
        }
        return target.map { Found(target: $0, bytes: token) }
    }

    // MARK: - Beginning

    /// Begins a session, or says why there is none.
    static func begin(_ found: Found, _ demand: Demand, _ connection: DownstreamConnection) {
        switch found.target.configuration.kind {
        case .token(let token): beginByToken(found, token, demand, connection)
        case .cookie(let cookie): ask(found, cookie, demand, connection)
        }
    }

    private static func beginByToken(
        _ found: Found, _ configuration: LegacyTokenConfiguration, _ demand: Demand,
        _ connection: DownstreamConnection
    ) {
        // Of several blocks for tokens, the one whose key has signed it.
        let targets = connection.shard.runtime.exchanges.filter {
            $0.cookieName == found.target.cookieName && !$0.isOver(at: connection.shard.wallTime)
        }
        for target in targets {
            guard let trusted = target.trusted, case .token(let configuration) = target.configuration.kind,
                let verifier = try? TokenVerifier(keys: trusted.keys, policy: trusted.policy),
                case .accepted(let verified) = verifier.verify(
                    found.bytes.span, now: connection.shard.wallTime)
            else { continue }
            if target.cookieName != nil { connection.exchange.spentCookie = target.cookieName ?? [] }
            submit(
                found, subject: verified.subject, claims: claims(configuration.claims, of: verified),
                label: "",
                demand, connection)
            return
        }
        refuse(demand, connection)
    }

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
        let log = connection.shard.runtime.services.log
        switch outcome {
        case .answered(let answer) where answer.status == 200:
            guard let document = try? JSONDocument(parsing: answer.body),
                let subject = document.root["subject"]?.string, SessionSignal.isSubject(subject)
            else {
                log.error("exchange cookie: the upstream's answer is no JSON object with a 'subject'")
                fail(demand, connection)
                return
            }
            let claims = document.root["claims"].map { Array($0.text) } ?? Array("{}".utf8)
            submit(
                found, subject: subject, claims: claims, label: document.root["label"]?.string ?? "", demand,
                connection)
        case .answered(let answer) where [401, 403, 404, 410].contains(answer.status):
            refuse(demand, connection)
        case .answered(let answer):
            log.warning("exchange cookie: the upstream answered \(answer.status)")
            fail(demand, connection)
        case .failed(let reason), .unreachable(let reason):
            log.warning("exchange cookie: the upstream cannot be asked: \(reason)")
            fail(demand, connection)
        }
    }

    private static func submit(
        _ found: Found, subject: String, claims: [UInt8], label: String, _ demand: Demand,
        _ connection: DownstreamConnection
    ) {
        switch SessionClaims.check(claims, subject: subject, connection.shard.runtime.claimsRoom) {
        case .failure(let problem):
            connection.shard.runtime.services.log.error(
                "exchange: no session can be begun: \(problem.reason)")
            connection.audit(.loginRefused, reason: problem.reason, subject: subject)
            refuse(demand, connection)
        case .success(let checked):
            let new = NewSession(
                subject: subject, claims: checked, client: connection.clientDescription(label), replacing: nil
            )
            // Under another name the same bytes are another credential.
            let credential = (found.target.cookieName ?? []) + [0] + found.bytes
            connection.awaitReply(
                demand.awaited, .exchange(new, credential: credential, delivery: demand.delivery))
        }
    }

    private static func refuse(_ demand: Demand, _ connection: DownstreamConnection) {
        answer(.rejected(.notGenuine), demand, connection)
    }

    /// An outage is never a refusal: the credential stays good.
    private static func fail(_ demand: Demand, _ connection: DownstreamConnection) {
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
