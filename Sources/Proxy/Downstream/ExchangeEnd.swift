// What an exchange leaves behind when it is over: its numbers, and its line in the access log. Once for each,
// however it ends.

import HTTP
import Network
import Observability

extension DownstreamConnection {
    /// Counts the exchange and logs it.
    func concludeExchange() {
        let microseconds = Clock.microseconds - exchange.startedMicroseconds
        count(microseconds: microseconds)
        logExchange(microseconds: microseconds)
    }

    /// The head of an upstream's answer has come.
    func countUpstreamAnswer() {
        shard.counted[exchange.countedAt].upstreamAnswered(
            status: exchange.upstreamStatus,
            microseconds: exchange.answeredMicroseconds - exchange.sentMicroseconds)
    }

    private func count(microseconds: Int64) {
        let metrics = shard.metrics
        metrics.concluded.add()
        shard.counted[exchange.countedAt].concluded(
            head.method, status: exchange.status, microseconds: microseconds)
        if !exchange.reason.isEmpty { metrics.refusals.count(exchange.reason) }
        if !exchange.observed.isEmpty, let route = exchange.route {
            metrics.observed(String(decoding: route.label, as: UTF8.self)).count(exchange.observed)
        }
    }
}
