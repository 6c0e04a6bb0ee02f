// What shards count: each status and method in a place of its own, each refusal under its word, and both of
// closed lists.

import HTTP
import Observability
import Testing

@testable import Proxy

@Suite("Metrics of routes")
struct RouteMetricsTests {
    private func counted(_ metrics: RouteMetrics) -> [String] {
        RouteMetrics.methods.enumerated().flatMap { method, name in
            RouteMetrics.codes.compactMap { place, code in
                let count = metrics.count(method, place)
                return count == 0 ? nil : "\(name) \(code) \(count)"
            }
        }
    }

    @Test("every registered status has a place of its own, for every method")
    func places() {
        #expect(Set(RouteMetrics.codes.map(\.place)).count == RouteMetrics.codes.count)
        let metrics = RouteMetrics()
        for status in 100..<600 { metrics.concluded(.patch, status: status, microseconds: 1) }
        let lines = counted(metrics)
        #expect(lines.contains("PATCH 200 1") && lines.contains("PATCH 499 1"))
        #expect(lines.count == RouteMetrics.codes.count)
        #expect(lines.dropLast().allSatisfy { $0.hasPrefix("PATCH ") && $0.hasSuffix(" 1") })
    }

    @Test("a status that nobody knows is one of others", arguments: [-1, 0, 99, 299, 450, 512, 600, 65_535])
    func others(_ status: Int) {
        let metrics = RouteMetrics()
        metrics.concluded(.other, status: status, microseconds: 5)
        #expect(counted(metrics) == ["_OTHER _OTHER 1"])
    }

    @Test(
        "durations go by the class of the status",
        arguments: [(101, 0), (204, 1), (307, 2), (499, 3), (503, 4)])
    func classes(_ status: Int, _ place: Int) {
        let metrics = RouteMetrics()
        metrics.concluded(.get, status: status, microseconds: 5)
        metrics.upstreamAnswered(status: status, microseconds: 7)
        for index in 0..<RouteMetrics.classCount {
            let sum = RouteSum(label: "/", parts: [metrics])
            #expect(sum.duration(ofClass: index).microseconds == (index == place ? 5 : 0))
            #expect(sum.upstreamDuration(ofClass: index).microseconds == (index == place ? 7 : 0))
        }
    }

    @Test("a route has its numbers back when a later configuration has it again")
    func survival() {
        let shard = ShardMetrics()
        shard.route("/a").concluded(.get, status: 200, microseconds: 1)
        #expect(counted(shard.route("/a")) == ["GET 200 1"] && counted(shard.route("/b")).isEmpty)
    }
}

@Suite("Metrics of refusals")
struct RefusalMetricsTests {
    @Test("a word is counted under itself", arguments: RefusalMetrics.words.dropLast())
    func words(_ word: String) {
        let metrics = RefusalMetrics()
        metrics.count(word)
        let counted = RefusalMetrics.words.indices.filter { metrics.value($0) == 1 }
        #expect(counted.map { RefusalMetrics.words[$0] } == [word])
    }

    @Test("what is no word of ours makes the list no longer")
    func unknown() {
        let metrics = RefusalMetrics()
        metrics.count("evil\n")
        #expect(RefusalMetrics.words.last == "_OTHER" && metrics.value(RefusalMetrics.words.count - 1) == 1)
    }
}
