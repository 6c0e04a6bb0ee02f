// A question of the gateway's own to an upstream: on a connection for it alone, to a server that the
// upstream's own choice gives, and to another one where the first cannot be reached. Never retried once it
// was asked.
//
// Owned by: the shard that asks.

import Configuration
import HTTP
import Network
import Primitives
import TLS

/// What an upstream is asked.
struct UpstreamQuestion {
    /// Path and query, as they go onto the wire.
    let path: String
    /// Whole field lines, with their ends; nothing in them comes from a client unchecked.
    var fields: [UInt8] = []
    var timeoutMilliseconds: Int64
    var answerBytesMax = 64 * 1024
}

/// Asks an upstream once, whoever else wants to know the same.
final class UpstreamCall {
    private let pool: UpstreamPool
    private let question: UpstreamQuestion
    private let done: (FetchOutcome) -> Void
    private var tried: [Int] = []
    private let endsAt: MonotonicInstant

    /// - Parameter done: called once. The call lives until then.
    static func ask(
        _ pool: UpstreamPool, _ question: UpstreamQuestion, done: @escaping (FetchOutcome) -> Void
    ) {
        // The requests of one page come together, and with one cookie.
        let text = Array(question.path.utf8) + [0x0D, 0x0A] + question.fields
        if pool.questions[text] != nil {
            pool.questions[text]?.append(done)
            return
        }
        // Anybody can have one asked, and they go past the queue: a stranger must not be able to open
        // connections to an upstream without limit.
        if pool.questions.count >= atOnceMax {
            done(.failed("\(atOnceMax) questions are under way"))
            return
        }
        pool.questions[text] = [done]
        let call = UpstreamCall(pool, question) { outcome in
            for waiting in pool.questions.removeValue(forKey: text) ?? [] { waiting(outcome) }
        }
        call.ask(because: "no server")
    }

    private init(_ pool: UpstreamPool, _ question: UpstreamQuestion, _ done: @escaping (FetchOutcome) -> Void)
    {
        self.pool = pool
        self.question = question
        self.done = done
        endsAt = pool.shard.loop.now.advanced(byMilliseconds: question.timeoutMilliseconds)
    }

    private func ask(because reason: String) {
        let left = endsAt.milliseconds - pool.shard.loop.now.milliseconds
        if left <= 0 {
            done(.failed("no answer in time"))
            return
        }
        let outcome = pool.choice.next(pool.shard.loop.now, excluding: tried) { _ in true }
        guard case .server(let place) = outcome, tried.count < Self.triesMax else {
            done(.failed(reason))
            return
        }
        let server = pool.servers[place]
        tried.append(server.id)
        do throws(SystemError) {
            let transport = try Transport.connecting(
                to: server.shared.address, tls: server.shared.tls?.makeSession())
            let fetch = Fetch(
                transport,
                request: Fetch.request(
                    "GET", question.path, authority: server.shared.authority, agent: "auth-gateway",
                    accept: "application/json", fields: question.fields),
                part: .whole(bytesMax: question.answerBytesMax),
                timeoutMilliseconds: left,
                connectMilliseconds: min(left, pool.target.configuration.connectTimeoutMilliseconds),
                loop: pool.shard.loop
            ) { [self] outcome in
                if case .unreachable(let reason) = outcome { ask(because: reason) } else { done(outcome) }
            }
            // The loop keeps it, and it keeps this call, until there is an outcome.
            try fetch.start()
        } catch {
            ask(because: error.reason)
        }
    }

    private static let triesMax = 3
    /// Of one shard to one upstream.
    private static let atOnceMax = 128
}

extension DownstreamConnection {
    /// Has the exchange wait for an upstream's word.
    ///
    /// - Parameter take: called with it, unless the client has gone meanwhile.
    func awaitWord(
        of upstream: Int, _ question: UpstreamQuestion,
        take: @escaping (FetchOutcome, DownstreamConnection) -> Void
    ) {
        let (slot, serial, shard) = (slot, exchange.serial, shard)
        exchange.awaited = .confirmation
        exchange.phase = .awaitingReply
        UpstreamCall.ask(shard.pool(upstream), question) { [unowned shard] outcome in
            guard let connection = shard.loop.target(slot: slot) as? DownstreamConnection,
                connection.exchange.serial == serial, case .confirmation = connection.exchange.awaited
            else { return }
            connection.exchange.awaited = .none
            take(outcome, connection)
            connection.pump()
        }
    }
}
